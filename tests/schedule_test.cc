// Learning rates from update to update.
#include "train/schedule.h"

#include <cmath>
#include <vector>

#include "catch.h"
#include "networks.h"

namespace lockstep {
namespace {

Options with_rate(LearningRateSchedule schedule, std::size_t epochs = 4) {
  Options options = gradient_descent();
  options.learning_rate = 0.8;
  options.epochs = epochs;
  options.schedule = schedule;
  return options;
}

TEST_CASE("learning rates follow their schedule") {
  CHECK(scheduled_rate(with_rate(LearningRateSchedule::constant), {1000}) == 0.8);
  Options options = with_rate(LearningRateSchedule::step);
  options.decay_epochs = 3;
  const std::vector<double> steps{0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    CHECK(scheduled_rate(options, {i}) == Approx(steps[i]));
  }
  options = with_rate(LearningRateSchedule::cosine);
  const double root = std::sqrt(0.5);
  const std::vector<double> cosine{0.8, 0.4 * (1 + root), 0.4, 0.4 * (1 - root), 0, 0};
  for (std::size_t i = 0; i < cosine.size(); ++i) {
    CHECK(scheduled_rate(options, {i}) == Approx(cosine[i]).margin(1e-12));
  }
}

TEST_CASE("without a learning rate it is the usual one of the optimizer") {
  Options options;
  options.schedule = LearningRateSchedule::constant;
  for (const auto& [name, rate] :
       {std::pair{"sgd", 0.05}, {"adam", 0.005}, {"adamw", 0.005}, {"rmsprop", 0.01}}) {
    options.optimizer = name;
    CHECK(scheduled_rate(options, {0}) == rate);
  }
}

// torch.optim.lr_scheduler.OneCycleLR(sgd, max_lr=0.8, total_steps=10), PyTorch 2.15.
TEST_CASE("one cycle is that of PyTorch") {
  const std::vector<double> expected{0.03200000000000003,
                                     0.41600000000000004,
                                     0.8,
                                     0.7603877056107791,
                                     0.6493965231598104,
                                     0.48900961754903144,
                                     0.3109935824509686,
                                     0.1506066768401896,
                                     0.03961549438922103,
                                     3.2e-06};
  const Options options = with_rate(LearningRateSchedule::one_cycle, 2);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(scheduled_rate(options, {i / 5, i % 5, 5}) == Approx(expected[i]).margin(1e-9));
  }
}

TEST_CASE("the rate rises first, and its schedule follows") {
  Options options = with_rate(LearningRateSchedule::constant, 10);
  options.warmup_epochs = 1.5;
  for (std::size_t i = 0; i < 10; ++i) {
    const double share = std::min(1.0, static_cast<double>(i + 1) / 6);
    CHECK(scheduled_rate(options, {i / 4, i % 4, 4}) == Approx(0.8 * share));
  }
  options.warmup_epochs = 2;
  options.schedule = LearningRateSchedule::cosine;
  CHECK(scheduled_rate(options, {2, 0, 4}) == 0.8);
  CHECK(scheduled_rate(options, {6, 0, 4}) == Approx(0.4));
  CHECK(scheduled_rate(options, {10, 0, 4}) == Approx(0).margin(1e-12));
  options.schedule = LearningRateSchedule::step;
  options.decay_epochs = 3;
  CHECK(scheduled_rate(options, {4, 0, 4}) == 0.8);
  CHECK(scheduled_rate(options, {5, 0, 4}) == Approx(0.4));
}

TEST_CASE("a rate falls where the loss has stayed on a plateau") {
  Options options = with_rate(LearningRateSchedule::plateau);
  options.decay = 0.1;
  options.decay_epochs = 2;
  PlateauState plateau;
  const std::vector<double> losses{5, 4, 4, 3.99999, 4, 3, 3, 3, 3, 3, 3, 2};
  const std::vector<double> factors{1, 1, 1, 1, .1, .1, .1, .1, .01, .01, .01, .01};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    note_loss(options, losses[i], plateau);
    CAPTURE(i);
    CHECK(plateau.factor == Approx(factors[i]));
  }
  PlateauState other;
  for (int i = 0; i < 1000; ++i) note_loss(with_rate(LearningRateSchedule::step), 1, other);
  CHECK(other.factor == 1);
}

TEST_CASE("gradients are those of the mean, scaled down to the largest norm") {
  CHECK(gradient_scale(8, 4, 0) == 0.25);
  CHECK(gradient_scale(8, 4, 3) == 0.25);
  CHECK(gradient_scale(8, 4, 0.5) == Approx(0.0625));
}

}  // namespace
}  // namespace lockstep
