#include "lockstep/rnn/builtin_data.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include "lockstep/error.h"
#include "lockstep/portable_math.h"
#include "lockstep/rnn/random.h"
#include "lookup.h"

namespace lockstep {
namespace {

// Appends the values of one new sequence and returns its label. Where the label is chosen rather
// than found it is `index` modulo the classes, so that classes are balanced and interleaved.
using Draw = int (*)(Random& random, std::size_t index, std::vector<float>& values);

struct Builtin : BuiltinInfo {
  struct {
    std::size_t channels, train, test;
  } sizes;
  std::vector<std::string> class_names;
  Draw draw;
};

// R.J. Alcock and Y. Manolopoulos, "Time-Series Similarity Queries Employing a Feature-Based
// Approach", 7th Hellenic Conference on Informatics, 1999: y(t) = m + r s + pattern(t), t = 1..n.
int draw_synthetic_control(Random& random, std::size_t index, std::vector<float>& values) {
  enum Pattern { kNormal, kCyclic, kIncreasing, kDecreasing, kUpwardShift, kDownwardShift, kCount };
  constexpr int kSteps = 60;
  constexpr double kMean = 30;
  constexpr double kDeviation = 2;
  const auto pattern = static_cast<int>(index % kCount);
  const double amplitude = random.uniform(10, 15);
  const double period = random.uniform(10, 15);
  const double gradient = random.uniform(0.2, 0.5);
  const double shift = random.uniform(7.5, 20);
  const double shift_time = random.uniform(kSteps / 3.0, 2 * kSteps / 3.0);
  for (int t = 1; t <= kSteps; ++t) {
    double y = kMean + random.uniform(-3, 3) * kDeviation;
    const double shifted = t < shift_time ? 0 : shift;
    if (pattern == kCyclic) y += amplitude * portable_sin(2 * std::numbers::pi * t / period);
    if (pattern == kIncreasing) y += gradient * t;
    if (pattern == kDecreasing) y -= gradient * t;
    if (pattern == kUpwardShift) y += shifted;
    if (pattern == kDownwardShift) y -= shifted;
    values.push_back(static_cast<float>(y));
  }
  return pattern;
}

// N. Saito, "Local Feature Extraction and Its Applications Using a Library of Bases", PhD thesis,
// Yale University, 1994: (6 + eta) shape(t) on [a, b], plus standard normal noise, t = 1..128.
int draw_cylinder_bell_funnel(Random& random, std::size_t index, std::vector<float>& values) {
  enum Shape { kCylinder, kBell, kFunnel, kCount };
  constexpr int kSteps = 128;
  const auto shape = static_cast<int>(index % kCount);
  const int start = 16 + static_cast<int>(random.index(17));
  const int length = 32 + static_cast<int>(random.index(65));
  const double height = 6 + random.normal();
  for (int t = 1; t <= kSteps; ++t) {
    const double position = static_cast<double>(t - start) / length;
    double y = random.normal();
    if (position >= 0 && position <= 1) {
      if (shape == kCylinder) y += height;
      if (shape == kBell) y += height * position;
      if (shape == kFunnel) y += height * (1 - position);
    }
    values.push_back(static_cast<float>(y));
  }
  return shape;
}

// S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, the
// adding problem; values on [0, 1) and one marker per half as M. Arjovsky et al., "Unitary
// Evolution Recurrent Neural Networks", ICML 2016. Here it is asked whether the sum exceeds its
// mean of 1.
int draw_adding(Random& random, std::size_t /*index*/, std::vector<float>& values) {
  constexpr std::size_t kSteps = 50;
  const std::size_t first = random.index(kSteps / 2);
  const std::size_t second = kSteps / 2 + random.index(kSteps / 2);
  float sum = 0;
  for (std::size_t t = 0; t < kSteps; ++t) {
    const auto value = static_cast<float>(random.uniform());
    const bool marked = t == first || t == second;
    if (marked) sum += value;
    values.insert(values.end(), {value, marked ? 1.0F : 0.0F});
  }
  return sum > 1 ? 1 : 0;
}

// M. Minsky and S. Papert, "Perceptrons", 1969: whether a string of bits has an odd number of ones.
int draw_parity(Random& random, std::size_t /*index*/, std::vector<float>& values) {
  constexpr std::size_t kShortest = 5;
  constexpr std::size_t kLongest = 20;
  const std::size_t length = kShortest + random.index(kLongest - kShortest + 1);
  int parity = 0;
  for (std::size_t t = 0; t < length; ++t) {
    const auto bit = static_cast<int>(random.index(2));
    parity ^= bit;
    values.push_back(static_cast<float>(bit));
  }
  return parity;
}

const std::vector<Builtin>& builtins() {
  static const std::vector<Builtin> sets = {
      {{"synthetic-control",
        "control charts: 6 classes, 60 steps, 1 channel, 300 + 300 (Alcock and Manolopoulos 1999)"},
       {1, 300, 300},
       {"normal", "cyclic", "increasing", "decreasing", "upward-shift", "downward-shift"},
       draw_synthetic_control},
      {{"cylinder-bell-funnel",
        "three shapes in noise: 3 classes, 128 steps, 1 channel, 30 + 900 (Saito 1994)"},
       {1, 30, 900},
       {"cylinder", "bell", "funnel"},
       draw_cylinder_bell_funnel},
      {{"adding",
        "do two marked values sum to more than 1: 2 classes, 50 steps, 2 channels, 1000 + 500 "
        "(Hochreiter and Schmidhuber 1997)"},
       {2, 1000, 500},
       {"at-most-1", "above-1"},
       draw_adding},
      {{"parity",
        "is the number of ones odd: 2 classes, 5 to 20 steps, 1 channel, 1000 + 500 "
        "(Minsky and Papert 1969)"},
       {1, 1000, 500},
       {"even", "odd"},
       draw_parity},
  };
  return sets;
}

Dataset draw_set(const Builtin& builtin, std::size_t size, Random& random) {
  Dataset result(builtin.sizes.channels, builtin.class_names);
  std::vector<float> values;
  for (std::size_t i = 0; i < size; ++i) {
    values.clear();
    const int label = builtin.draw(random, i, values);
    result.add(values, label);
  }
  return result;
}

}  // namespace

const std::vector<BuiltinInfo>& builtin_datasets() {
  static const std::vector<BuiltinInfo> infos(builtins().begin(), builtins().end());
  return infos;
}

TrainTest make_builtin_dataset(std::string_view name, std::uint64_t seed) {
  const auto found = std::ranges::find(builtins(), name, &Builtin::name);
  if (found == builtins().end()) {
    throw InvalidArgument("unknown data set '" + std::string(name) + "', expected one of " +
                          listed(builtins(), &Builtin::name));
  }
  Random random(seed);
  Dataset train = draw_set(*found, found->sizes.train, random);
  Dataset test = draw_set(*found, found->sizes.test, random);
  return {std::move(train), std::move(test)};
}

}  // namespace lockstep
