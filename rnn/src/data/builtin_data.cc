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

// One sequence and what there is to learn of it; which of the targets depends on the set.
struct Example {
  std::vector<float> values;
  int label = 0;
  std::vector<int> step_labels;
  std::vector<float> targets;
};

// Draws a new sequence. Where the label is chosen rather than found it is `index` modulo the
// classes, so that classes are balanced and interleaved.
using Draw = void (*)(Random& random, std::size_t index, Example& example);

struct Builtin : BuiltinInfo {
  struct {
    std::size_t channels, train, test;
  } sizes;
  std::vector<std::string> class_names;  // or names of outputs
  Draw draw;
  TargetKind kind = TargetKind::label;
};

// A drawing of labels.
template <int (*draw)(Random&, std::size_t, std::vector<float>&)>
void labelled(Random& random, std::size_t index, Example& example) {
  example.label = draw(random, index, example.values);
}

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

// The same problem as its authors have it: the sum itself.
void draw_adding_sum(Random& random, std::size_t index, Example& example) {
  static_cast<void>(draw_adding(random, index, example.values));
  float sum = 0;
  for (std::size_t i = 0; i < example.values.size(); i += 2) {
    sum += example.values[i] * example.values[i + 1];
  }
  example.targets = {sum};
}

// H. Jaeger, "Short Term Memory in Echo State Networks", GMD Report 152, 2001: an input some steps
// ago. Here it is a bit, and of the first steps nothing is asked.
void draw_echo(Random& random, std::size_t /*index*/, Example& example) {
  constexpr std::size_t kSteps = 40;
  constexpr std::size_t kDelay = 8;
  std::vector<int> bits;
  for (std::size_t t = 0; t < kSteps; ++t) {
    bits.push_back(static_cast<int>(random.index(2)));
    example.values.push_back(static_cast<float>(bits[t]));
    example.step_labels.push_back(t < kDelay ? kNoLabel : bits[t - kDelay]);
  }
}

// M. Mackey and L. Glass, "Oscillation and Chaos in Physiological Control Systems", Science 197,
// 1977: dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x, in steps of 1, from random values on.
void draw_mackey_glass(Random& random, std::size_t /*index*/, Example& example) {
  constexpr std::size_t kDelay = 17;
  constexpr std::size_t kPassed = 100;  // until the random values are forgotten
  constexpr std::size_t kSteps = 100;
  constexpr std::size_t kAhead = 6;
  std::vector<double> x;
  for (std::size_t t = 0; t <= kDelay; ++t) x.push_back(random.uniform(0.5, 1.3));
  while (x.size() < kPassed + kSteps + kAhead) {
    const double delayed = x[x.size() - 1 - kDelay];
    const double square = delayed * delayed;
    const double fourth = square * square;
    x.push_back(0.9 * x.back() + 0.2 * delayed / (1 + fourth * fourth * square));
  }
  for (std::size_t t = kPassed; t < kPassed + kSteps; ++t) {
    example.values.push_back(static_cast<float>(x[t]));
    example.targets.push_back(static_cast<float>(x[t + kAhead]));
  }
}

// Sines of four periods, each of which is there or not, and normal noise.
void draw_tones(Random& random, std::size_t /*index*/, Example& example) {
  constexpr std::size_t kSteps = 64;
  constexpr double kPeriods[] = {4, 7, 11, 18};
  constexpr double kNoise = 0.3;
  std::vector<double> sum(kSteps);
  for (const double period : kPeriods) {
    const bool is_there = random.index(2) == 1;
    const double phase = random.uniform(0, 2 * std::numbers::pi);
    example.targets.push_back(is_there ? 1.0F : 0.0F);
    for (std::size_t t = 0; t < kSteps && is_there; ++t) {
      sum[t] += portable_sin(2 * std::numbers::pi * static_cast<double>(t) / period + phase);
    }
  }
  for (const double value : sum) {
    example.values.push_back(static_cast<float>(value + kNoise * random.normal()));
  }
}

const std::vector<Builtin>& builtins() {
  static const std::vector<Builtin> sets = {
      {{"synthetic-control",
        "control charts: 6 classes, 60 steps, 1 channel, 300 + 300 (Alcock and Manolopoulos 1999)"},
       {1, 300, 300},
       {"normal", "cyclic", "increasing", "decreasing", "upward-shift", "downward-shift"},
       labelled<draw_synthetic_control>},
      {{"cylinder-bell-funnel",
        "three shapes in noise: 3 classes, 128 steps, 1 channel, 30 + 900 (Saito 1994)"},
       {1, 30, 900},
       {"cylinder", "bell", "funnel"},
       labelled<draw_cylinder_bell_funnel>},
      {{"adding",
        "do two marked values sum to more than 1: 2 classes, 50 steps, 2 channels, 1000 + 500 "
        "(Hochreiter and Schmidhuber 1997)"},
       {2, 1000, 500},
       {"at-most-1", "above-1"},
       labelled<draw_adding>},
      {{"parity",
        "is the number of ones odd: 2 classes, 5 to 20 steps, 1 channel, 1000 + 500 "
        "(Minsky and Papert 1969)"},
       {1, 1000, 500},
       {"even", "odd"},
       labelled<draw_parity>},
      {{"adding-sum",
        "the sum of two marked values: 1 number, 50 steps, 2 channels, 1000 + 500 (Hochreiter and "
        "Schmidhuber 1997)"},
       {2, 1000, 500},
       {"sum"},
       draw_adding_sum,
       TargetKind::values},
      {{"echo",
        "the bit of 8 steps ago, at each timestep: 2 classes, 40 steps, 1 channel, 300 + 200 "
        "(Jaeger 2001)"},
       {1, 300, 200},
       {"zero", "one"},
       draw_echo,
       TargetKind::step_labels},
      {{"mackey-glass",
        "a chaotic series 6 steps ahead, at each timestep: 1 number, 100 steps, 1 channel, 200 + "
        "100 (Mackey and Glass 1977)"},
       {1, 200, 100},
       {"ahead"},
       draw_mackey_glass,
       TargetKind::step_values},
      {{"tones", "which of four tones sound in noise: 4 labels, 64 steps, 1 channel, 400 + 200"},
       {1, 400, 200},
       {"period-4", "period-7", "period-11", "period-18"},
       draw_tones,
       TargetKind::values},
  };
  return sets;
}

Dataset draw_set(const Builtin& builtin, std::size_t size, Random& random) {
  Dataset result(builtin.sizes.channels, builtin.kind, builtin.class_names);
  for (std::size_t i = 0; i < size; ++i) {
    Example example;
    builtin.draw(random, i, example);
    if (builtin.kind == TargetKind::label) {
      result.add(example.values, example.label);
    } else if (builtin.kind == TargetKind::step_labels) {
      result.add_steps(example.values, example.step_labels);
    } else {
      result.add_values(example.values, example.targets);
    }
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
