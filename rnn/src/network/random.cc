#include "lockstep/rnn/random.h"

#include <bit>
#include <cmath>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "lockstep/portable_math.h"

namespace lockstep {

double Random::uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

std::uint64_t Random::index(std::uint64_t count) {
  // The lowest 2^64 mod count draws are rejected: what remains is a whole multiple of count.
  const std::uint64_t rejected = (0 - count) % count;
  std::uint64_t draw = engine_();
  while (draw < rejected) draw = engine_();
  return draw % count;
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double x = 0;
  double y = 0;
  double square = 0;
  do {
    x = uniform(-1.0, 1.0);
    y = uniform(-1.0, 1.0);
    square = x * x + y * y;
  } while (square >= 1.0 || square == 0.0);
  const double factor = std::sqrt(-2.0 * portable_log(square) / square);
  spare_ = y * factor;
  has_spare_ = true;
  return x * factor;
}

void Random::shuffle(std::span<std::size_t> items) {
  for (std::size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1], items[index(left)]);
  }
}

std::string Random::state() const {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << has_spare_ << ' ' << std::bit_cast<std::uint64_t>(spare_) << ' ' << engine_;
  return text.str();
}

void Random::restore(const std::string& state) {
  std::istringstream text(state);
  text.imbue(std::locale::classic());
  Random restored(0);
  std::uint64_t spare_bits = 0;
  text >> restored.has_spare_ >> spare_bits >> restored.engine_;
  if (text.fail() || !(text >> std::ws).eof()) {
    throw std::invalid_argument(
        "Random::restore: the text is not a state written by Random::state");
  }
  restored.spare_ = std::bit_cast<double>(spare_bits);
  *this = restored;
}

}  // namespace lockstep
