// Functions of whole ranges of floats on every backend: error, bits, oddness and falls. All floats
// under [exhaustive], where a table of what was found is printed; a sample in the default run.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>

#include "backend_scope.h"
#include "catch.h"
#include "dispatch.h"
#include "elementwise_functions.h"
#include "floats.h"
#include "lockstep/threads.h"

namespace lockstep {
namespace {

constexpr std::uint32_t kSign = 0x80000000;

// Equal, or NaN of any kind.
bool same_result(float a, float b) { return same_bits(a, b) || (std::isnan(a) && std::isnan(b)); }
bool same_results(std::span<const float> a, std::span<const float> b) {
  return same_bits(a, b) || std::ranges::equal(a, b, same_result);
}

// Floats in their order: neighbours differ by one, and both zeros are 0.
std::int64_t rank_of(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto size = static_cast<std::int64_t>(bits & ~kSign);
  return (bits & kSign) != 0 ? -size : size;
}

struct Findings {
  double error = 0;  // the largest, in ULP
  float error_at = 0;
  std::uint64_t falls = 0;  // arguments whose successor has a smaller result
  std::int64_t largest_fall = 0;
  std::uint64_t not_odd = 0;
  std::uint64_t blocks_apart = 0;  // with results unlike those of the first fused backend

  void note_error(double found, float x) {
    // Of equal errors the smallest argument's, so that the threads' shares do not matter.
    const bool first = found == error && found > 0 && rank_of(x) < rank_of(error_at);
    if (!(found > error) && !first) return;
    error = found;
    error_at = x;
  }

  void note_fall(std::int64_t fall) {
    if (fall <= 0) return;
    ++falls;
    largest_fall = std::max(largest_fall, fall);
  }

  void add(const Findings& other) {
    note_error(other.error, other.error_at);
    falls += other.falls;
    largest_fall = std::max(largest_fall, other.largest_fall);
    not_odd += other.not_odd;
    blocks_apart += other.blocks_apart;
  }
};

// Consecutive floats that stay in the first and second-level cache, their opposites, and one more
// of both, so that a fall to the next block is seen.
class Block {
 public:
  static constexpr std::uint32_t kFloats = 1 << 12;
  static constexpr std::uint32_t kCount = kSign / kFloats;

  explicit Block(const ElementwiseFunction& f) : f_(f), x_(2 * kHalf), exact_(2 * kHalf) {}

  void take(std::uint32_t index) {
    for (std::uint32_t i = 0; i < kHalf; ++i) {
      const std::uint32_t bits = std::min(index * kFloats + i, kSign - 1);
      x_[i] = std::bit_cast<float>(bits);
      x_[kHalf + i] = -x_[i];
    }
    for (std::size_t i = 0; i < x_.size(); ++i) exact_[i] = f_.exact(static_cast<double>(x_[i]));
  }

  [[nodiscard]] std::vector<float> results(const Backend& backend) const {
    std::vector<float> y(x_.size());
    f_.kernel_of(backend)(x_.data(), y.data(), y.size());
    return y;
  }

  [[nodiscard]] Findings judge(const std::vector<float>& y) const {
    Findings found;
    for (std::size_t i = 0; i < y.size(); ++i) found.note_error(ulp_error(y[i], exact_[i]), x_[i]);
    for (std::size_t i = 0; i + 1 < kHalf && x_[i + 1] <= kInfinity; ++i) {
      found.note_fall(rank_of(y[i]) - rank_of(y[i + 1]));
      found.note_fall(rank_of(y[kHalf + i + 1]) - rank_of(y[kHalf + i]));
    }
    for (std::size_t i = 0; f_.odd && i < kHalf; ++i) {
      found.not_odd += same_result(y[i], -y[kHalf + i]) ? 0 : 1;
    }
    return found;
  }

 private:
  static constexpr std::uint32_t kHalf = kFloats + 1;

  const ElementwiseFunction& f_;
  std::vector<float> x_;
  std::vector<double> exact_;
};

// One function over every `step`th block on all backends but the reference, which is the exact
// value rounded.
class FunctionSweep {
 public:
  struct OnBackend {
    BackendInfo info;
    const Backend* backend;
    Findings found;
  };

  FunctionSweep(const ElementwiseFunction& f, std::uint32_t step) : f_(f), step_(step) {
    for (const BackendInfo& info : runnable_infos()) {
      if (info.name == "reference") continue;
      all_.push_back({info, &backend_named(info.name), {}});
    }
  }

  const std::vector<OnBackend>& run() {
    parallel(resolve_threads(0), [&](const Team&) { take_blocks(); });
    return all_;
  }

 private:
  void take_blocks() {
    Block block(f_);
    std::vector<Findings> sum(all_.size());
    for (;;) {
      const std::uint64_t index = std::uint64_t{next_++} * step_;
      if (index >= Block::kCount) break;
      block.take(static_cast<std::uint32_t>(index));
      add_block(block, sum);
      if (step_ == 1 && (index + 1) % (Block::kCount / 8) == 0) {
        std::cerr << f_.name << ": " << (index + 1) / (Block::kCount / 8) << " of 8 parts\n";
      }
    }
    const std::scoped_lock lock(mutex_);
    for (std::size_t b = 0; b < all_.size(); ++b) all_[b].found.add(sum[b]);
  }

  // Equal results are judged once.
  void add_block(const Block& block, std::vector<Findings>& sum) const {
    std::vector<std::pair<std::vector<float>, Findings>> judged;
    std::optional<std::vector<float>> fused;
    for (std::size_t b = 0; b < all_.size(); ++b) {
      std::vector<float> y = block.results(*all_[b].backend);
      if (all_[b].info.fused) {
        if (!fused) fused = y;
        sum[b].blocks_apart += same_results(y, *fused) ? 0 : 1;
      }
      const auto known =
          std::ranges::find_if(judged, [&](const auto& j) { return same_bits(j.first, y); });
      if (known != judged.end()) {
        sum[b].add(known->second);
        continue;
      }
      const Findings found = block.judge(y);
      sum[b].add(found);
      judged.emplace_back(std::move(y), found);
    }
  }

  const ElementwiseFunction& f_;
  std::uint32_t step_;
  std::vector<OnBackend> all_;
  std::atomic<std::uint32_t> next_{0};
  std::mutex mutex_;
};

TEST_CASE("a block sees an error, a fall and what is not odd") {
  Block block(kElementwiseFunctions[0]);
  block.take(0x3F000000 / Block::kFloats);
  std::vector<float> y = block.results(backend_named("reference"));
  const Findings right = block.judge(y);
  CHECK(right.error <= 0.5001);
  CHECK(right.falls == 0);
  CHECK(right.not_odd == 0);
  // Neighbours' results are one or two units apart.
  for (int unit = 0; unit < 3; ++unit) y[7] = std::nextafter(y[7], 0.0f);
  const Findings wrong = block.judge(y);
  CHECK(wrong.error > 1);
  CHECK(same_bits(wrong.error_at, std::bit_cast<float>(0x3F000007)));
  CHECK(wrong.falls == 1);
  CHECK(wrong.not_odd == 1);
}

void print_table(const ElementwiseFunction& f,
                 const std::vector<FunctionSweep::OnBackend>& backends) {
  std::ostringstream table;
  table << "| function | backend | fused | largest error, ULP | at | falls | by at most, ULP |\n"
        << "|---|---|---|---|---|---|---|\n";
  for (const auto& [info, backend, found] : backends) {
    table << "| " << f.name << " | " << info.name << " | " << (info.fused ? "yes" : "no") << " | "
          << std::defaultfloat << found.error << " | " << std::hexfloat << found.error_at << " | "
          << found.falls << " | " << found.largest_fall << " |\n";
  }
  std::cout << table.str();
}

void check(const ElementwiseFunction& f, const std::vector<FunctionSweep::OnBackend>& backends) {
  for (const auto& [info, backend, found] : backends) {
    CAPTURE(f.name, info.name, found.error_at, found.falls);
    CHECK(found.error <= f.max_ulp);
    CHECK(found.largest_fall <= kMonotoneUlp);
    CHECK(found.not_odd == 0);
    CHECK(found.blocks_apart == 0);
  }
}

TEST_CASE("elementwise functions hold their contract over blocks of neighbouring floats",
          "[optional]") {
  if (runnable_infos().size() == 1) LOCKSTEP_SKIP("the reference is the only backend");
  for (const ElementwiseFunction& f : kElementwiseFunctions) check(f, FunctionSweep(f, 997).run());
}

void check_all_floats(const ElementwiseFunction& f) {
  FunctionSweep sweep(f, 1);
  const auto& found = sweep.run();
  print_table(f, found);
  check(f, found);
}

// A case each, so that one can be run alone: lockstep_tests "[exhaustive][tanh]".
TEST_CASE("tanh of all floats holds its contract", "[.][exhaustive][tanh]") {
  check_all_floats(kElementwiseFunctions[0]);
}
TEST_CASE("exp of all floats holds its contract", "[.][exhaustive][exp]") {
  check_all_floats(kElementwiseFunctions[1]);
}
TEST_CASE("sigmoid of all floats holds its contract", "[.][exhaustive][sigmoid]") {
  check_all_floats(kElementwiseFunctions[2]);
}
TEST_CASE("relu of all floats holds its contract", "[.][exhaustive][relu]") {
  check_all_floats(kElementwiseFunctions[3]);
}

}  // namespace
}  // namespace lockstep
