// Optimizers against PyTorch's definitions in double, and what a training makes of them.
#include "optimizers/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "catch.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/threads.h"
#include "networks.h"

namespace lockstep {
namespace {

constexpr double kScale = 0.25;
constexpr double kRate = 0.03;

// The state of one weight, as PyTorch's single-tensor loops have it.
struct Scalar {
  double w;
  double buffer = 0, mean = 0, square = 0;
  int step = 0;
};

void sgd(Scalar& s, double g, double decay, const Options& o) {
  g += decay * s.w;
  const double momentum = o.momentum.value_or(0.8);
  if (momentum != 0) {
    s.buffer = s.step++ == 0 ? g : momentum * s.buffer + g;
    g = o.nesterov ? g + momentum * s.buffer : s.buffer;
  }
  s.w -= kRate * g;
}

void adam_step(Scalar& s, double g, const Options& o) {
  ++s.step;
  s.mean += (1 - o.beta1) * (g - s.mean);
  s.square = o.beta2 * s.square + (1 - o.beta2) * g * g;
  const double first = 1 - std::pow(o.beta1, s.step);
  const double second = 1 - std::pow(o.beta2, s.step);
  s.w -= kRate / first * s.mean / (std::sqrt(s.square) / std::sqrt(second) + o.eps);
}

void adam(Scalar& s, double g, double decay, const Options& o) { adam_step(s, g + decay * s.w, o); }

void adamw(Scalar& s, double g, double decay, const Options& o) {
  s.w *= 1 - kRate * decay;
  adam_step(s, g, o);
}

void rmsprop(Scalar& s, double g, double decay, const Options& o) {
  g += decay * s.w;
  s.square = o.alpha * s.square + (1 - o.alpha) * g * g;
  s.mean = o.alpha * s.mean + (1 - o.alpha) * g;
  const double variance = o.centered ? s.square - s.mean * s.mean : s.square;
  s.buffer = o.momentum.value_or(0) * s.buffer + g / (std::sqrt(variance) + o.eps);
  s.w -= kRate * s.buffer;
}

std::vector<Options> all_options() {
  std::vector<Options> list;
  for (const std::string optimizer : {"sgd", "adam", "adamw", "rmsprop"}) {
    for (const double decay : {-1.0, 0.0, 0.1}) {
      for (const double momentum : {-1.0, 0.0, 0.5}) {
        for (const bool flag : {false, true}) {
          Options options;
          options.optimizer = optimizer;
          options.nesterov = options.centered = options.decay_biases = flag;
          if (decay >= 0) options.weight_decay = decay;
          if (momentum >= 0) options.momentum = momentum;
          list.push_back(options);
        }
      }
    }
  }
  return list;
}

std::vector<float> gradient_at(std::size_t weights, std::uint64_t step) {
  std::vector<float> gradient = normal_floats(weights, step);
  gradient[1] = 0;
  return gradient;
}

TEST_CASE("optimizers follow PyTorch's definitions") {
  const Parameters first = random_network(Sizes{3, 7, 2, "gru", 2});
  const std::size_t n = first.values().size();
  const std::map<std::string, void (*)(Scalar&, double, double, const Options&)> definitions{
      {"sgd", sgd}, {"adam", adam}, {"adamw", adamw}, {"rmsprop", rmsprop}};
  for (const Options& options : all_options()) {
    Parameters weights = first;
    std::vector<Scalar> expected;
    for (const float w : first.values()) expected.push_back({.w = static_cast<double>(w)});
    Optimizer optimizer(first.tensors(), options);
    const double usual = options.optimizer == "adamw" ? 0.01 : 0;
    for (std::uint64_t step = 0; step < 10; ++step) {
      const std::vector<float> gradient = gradient_at(n, step);
      optimizer.update(weights.values(), gradient, kScale, kRate, Team());
      optimizer.advance();
      for (const Tensor& tensor : first.tensors()) {
        const bool decays = options.decay_biases || tensor.role != TensorRole::bias;
        const double decay = decays ? options.weight_decay.value_or(usual) : 0;
        for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i) {
          definitions.at(options.optimizer)(expected[i], kScale * static_cast<double>(gradient[i]),
                                            decay, options);
        }
      }
    }
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i) {
      // The centred variance of a gradient that is always 0 is 0, and its root is divided by.
      worst = std::max(worst, std::abs(static_cast<double>(weights.values()[i]) - expected[i].w));
    }
    CAPTURE(options.optimizer, options.nesterov, options.get("momentum"),
            options.get("weight_decay"));
    CHECK(worst < (options.centered && options.optimizer == "rmsprop" ? 1e-4 : 2e-6));
  }
}

TEST_CASE("an update is the same for any team") {
  const Parameters first = random_network(Sizes{3, 70, 2, "lstm"});
  const std::size_t n = first.values().size();
  for (Options options : all_options()) {
    options.ema = 0.9;
    const auto updated = [&](int threads) {
      Parameters weights = first;
      Optimizer optimizer(first.tensors(), options);
      for (std::uint64_t step = 0; step < 3; ++step) {
        const std::vector<float> gradient = gradient_at(n, step);
        parallel(threads, [&](const Team& team) noexcept {
          optimizer.update(weights.values(), gradient, kScale, kRate, team);
        });
        optimizer.advance();
      }
      std::vector<float> both(weights.values().begin(), weights.values().end());
      both.insert(both.end(), optimizer.average().begin(), optimizer.average().end());
      return both;
    };
    CHECK(updated(3) == updated(1));
  }
}

TEST_CASE("the average begins with the weights after the first update") {
  const Sizes shape{1, 1, 1};
  Parameters weights(shape);
  Parameters gradient(shape);
  gradient.values()[0] = 1;
  Options options = gradient_descent();
  options.ema = 0.75;
  Optimizer optimizer(weights.tensors(), options);
  const auto update = [&] {
    optimizer.update(weights.values(), gradient.values(), 1, 1, Team());
    optimizer.advance();
    return optimizer.average()[0];
  };
  CHECK(update() == -1);
  CHECK(update() == -1.25F);
  CHECK(update() == -1.6875F);
  CHECK(Optimizer(weights.tensors(), gradient_descent()).average().empty());
}

TEST_CASE("a model has the average of its weights, and is validated with it") {
  const Sizes shape{2, 5, 2, "gru"};
  const Dataset data = equal_data(shape, 12, 6);
  Options options;
  options.batch_size = 4;
  options.optimizer = "adam";
  Parameters plain = random_network(shape);
  Parameters weights = plain;
  Trainer(plain, options).run_epoch(data);
  options.ema = 0.5;
  Trainer trainer(weights, options);
  CHECK(trainer.averaged() == weights);
  trainer.run_epoch(data);
  CHECK(weights == plain);  // the average changes no step
  CHECK_FALSE(trainer.averaged() == weights);
}

// The states of a relu network overflow where its inputs are this large.
Dataset with_overflow(const Sizes& shape, std::size_t size, std::size_t overflowing) {
  Dataset data = equal_data(shape, size, 4);
  std::ranges::fill(data.writable_sequence(overflowing), 3e38f);
  return data;
}
Parameters large_network(const Sizes& shape) {
  Parameters parameters = random_network(shape);
  for (float& w : parameters.values()) w *= 4;
  return parameters;
}

TEST_CASE("no weight follows a minibatch without a finite loss and gradient") {
  const Sizes shape{2, 6, 2, "relu"};
  const Dataset data = with_overflow(shape, 12, 5);
  for (const int threads : {1, 3}) {
    Options options = gradient_descent();
    options.batch_size = 4;
    options.shuffle = false;
    options.threads = threads;
    options.optimizer = "adam";
    Parameters stopped = large_network(shape);
    const EpochResult result = Trainer(stopped, options).run_epoch(data);
    CHECK(result.failed_minibatch == 2);
    CHECK(result.skipped == 0);
    Parameters expected = large_network(shape);
    Trainer(expected, options).run_epoch(data.subset(std::vector<std::size_t>{0, 1, 2, 3}));
    CHECK(stopped == expected);

    options.on_nan = OnNan::skip;
    Parameters skipping = large_network(shape);
    const EpochResult all = Trainer(skipping, options).run_epoch(data);
    CHECK(all.failed_minibatch == 0);
    CHECK(all.skipped == 1);
    CHECK(std::isfinite(all.loss));
    expected = large_network(shape);
    const std::vector<std::size_t> others{0, 1, 2, 3, 8, 9, 10, 11};
    const EpochResult without = Trainer(expected, options).run_epoch(data.subset(others));
    CHECK(skipping == expected);
    CHECK(all.loss == without.loss);
    CHECK(all.accuracy == without.accuracy);
  }
}

}  // namespace
}  // namespace lockstep
