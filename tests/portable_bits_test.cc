// The bits that every instruction set with fused multiply-add must give. Other suites compare the
// backends of one machine; the constants here compare machines.
#include "backend_scope.h"
#include "catch.h"
#include "floats.h"
#include "fnv_hash.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "networks.h"

namespace lockstep {
namespace {

#define LOCKSTEP_SKIP_WITHOUT_FUSED() \
  if (fused_backends().empty()) LOCKSTEP_SKIP("no fused backend here")

template <class Kernel>
void check_on_every_fused_backend(std::uint64_t expected, Kernel hash_of_result) {
  for (const std::string& name : fused_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    CHECK(hash_of_result() == expected);
  }
}

std::uint64_t hash_of(const std::vector<float>& values) {
  FnvHash hash;
  for (const float value : values) hash.add(value);
  return hash.value();
}

TEST_CASE("elementwise functions of a million floats have the same bits on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  // All signs and exponents; what the bits of a NaN are, nobody promises.
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < 1ull << 32; bits += 4093) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  const auto check = [&](auto kernel, std::uint64_t expected) {
    check_on_every_fused_backend(expected, [&] {
      std::vector<float> y(x.size());
      kernel(x.data(), y.data(), x.size());
      return hash_of(y);
    });
  };
  check(tanh, 0x94eeea572997ed67);
  check(exp, 0x66b566f57d501131);
  check(sigmoid, 0x42e2f2cf51be215c);
  check(relu, 0x5c4dfeb599d3c502);
}

TEST_CASE("a product has the same bits on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  constexpr std::size_t kM = 23, kN = 77, kK = 700;
  const std::vector<float> a = normal_floats(kM * kK, 1);
  const std::vector<float> b = normal_floats(kK * kN, 2);
  const std::vector<float> before = normal_floats(kM * kN, 3);
  check_on_every_fused_backend(0xccad6e48cfb6b2d7, [&] {
    std::vector<float> c = before;
    gemm(Transpose::no, Transpose::no, kM, kN, kK, 0.75f, a.data(), kK, b.data(), kN, -1.5f,
         c.data(), kN);
    return hash_of(c);
  });
}

// A matrix that is read as it stands and not in tiles.
TEST_CASE("the product of a row has the same bits on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  constexpr std::size_t kN = 77, kK = 700;
  const std::vector<float> a = normal_floats(kK, 1);
  const std::vector<float> b = normal_floats(kK * kN, 2);
  check_on_every_fused_backend(0x86fa1db80905322a, [&] {
    std::vector<float> c(kN);
    gemm(Transpose::no, Transpose::no, 1, kN, kK, 1, a.data(), kK, b.data(), kN, 0, c.data(), kN);
    return hash_of(c);
  });
}

TEST_CASE("softmax and its logarithm have the same bits on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  constexpr std::size_t kRows = 5;
  const auto check = [](auto kernel, std::size_t cols, std::uint64_t expected) {
    const std::vector<float> x = normal_floats(kRows * cols, 4);
    check_on_every_fused_backend(expected, [&] {
      std::vector<float> y(x.size());
      kernel(kRows, cols, x.data(), cols, y.data(), cols);
      return hash_of(y);
    });
  };
  check(softmax, 10, 0x48505ddeb2696d52);
  check(softmax, 333, 0xde7877e12e400ad5);
  check(log_softmax, 10, 0xa0ffca97eebf1aaf);
  check(log_softmax, 333, 0xdc4fdb117bb5807e);
}

TEST_CASE("cross-entropy has the same bits on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  constexpr std::size_t kRows = 40, kCols = 10;
  const std::vector<float> x = normal_floats(kRows * kCols, 5);
  std::vector<int> labels(kRows);
  for (std::size_t i = 0; i < kRows; ++i) labels[i] = static_cast<int>(i % kCols);
  check_on_every_fused_backend(0x0b0d0216d6cfa3b1, [&] {
    std::vector<float> gradient(x.size());
    std::vector<double> loss(kRows);
    softmax_cross_entropy(kRows, kCols, x.data(), kCols, labels.data(), gradient.data(), kCols,
                          loss.data());
    FnvHash hash;
    for (const float value : gradient) hash.add(value);
    for (const double value : loss) hash.add(value);
    return hash.value();
  });
}

TEST_CASE("a training is the same number on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  const Dataset data = make_builtin_dataset("parity", /*seed=*/1).train;
  check_on_every_fused_backend(0x5e1adcb7bec953c0, [&] {
    Parameters model({.features = 1, .layers = {{.hidden = 33}}, .outputs = data.classes()});
    initialize(model, Initializer::orthogonal, 0, /*seed=*/1);
    Options options = gradient_descent();
    options.epochs = 2;
    options.batch_size = 70;
    options.momentum = 0.9;
    train(model, data, options);
    return weights_hash(model);
  });
}

TEST_CASE("a training by each optimizer is the same number on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  const auto check = [](const char* optimizer, double rate, std::uint64_t expected) {
    const Sizes shape{3, 21, 3, "gru"};
    const Dataset data = equal_data(shape, 40, 11);
    Options options;
    options.epochs = 3;
    options.batch_size = 9;
    options.optimizer = optimizer;
    options.learning_rate = rate;
    options.clip_norm = 0.25;
    options.weight_decay = 0.02;
    options.nesterov = options.centered = true;
    options.schedule = LearningRateSchedule::one_cycle;
    options.ema = 0.9;
    check_on_every_fused_backend(expected, [&] {
      Parameters parameters = random_network(shape);
      Trainer trainer(parameters, options);
      while (trainer.run_epoch(data).epoch < options.epochs) {
      }
      return weights_hash(trainer.averaged());
    });
  };
  check("sgd", 0.05, 0x1602c2667353a31d);
  check("adam", 0.001, 0x6c80a2e6418e73b0);
  check("adamw", 0.001, 0x4ce96c72954bbf2e);
  check("rmsprop", 0.01, 0xa2e0e29858a756a2);
}

TEST_CASE("a training of a stack of each cell is the same number on every machine") {
  LOCKSTEP_SKIP_WITHOUT_FUSED();
  const auto check = [](const char* cell, std::uint64_t expected, Pooling pool = Pooling::last) {
    const Sizes shape{3, 21, 3, cell, 2, true, pool};
    const Dataset data = equal_data(shape, 40, 11);
    Options options;
    options.epochs = 3;
    options.batch_size = 25;
    options.optimizer = "sgd";
    options.dropout = 0.25;
    check_on_every_fused_backend(expected, [&] {
      Parameters parameters = random_network(shape);
      train(parameters, data, options);
      return weights_hash(parameters);
    });
  };
  check("tanh", 0xd7513f54b664a62f);
  check("gru", 0x9533dc73ad06090e);
  check("lstm", 0x01d3cb5d0b255412);
  check("gru", 0x5e14e2c591216efc, Pooling::mean);
  check("lstm", 0x7de92eb96f71a5d7, Pooling::max);
}

}  // namespace
}  // namespace lockstep
