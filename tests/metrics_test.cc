#include "lockstep/rnn/metrics.h"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "catch.h"

namespace lockstep {
namespace {

TEST_CASE("evaluate counts and scores each class") {
  // Predictions 0, 1, 1, 0 for the labels 0, 0, 1, 0; nothing is or is called class 2.
  const std::array probabilities = {0.5F, 0.25F, 0.25F, 0.25F, 0.5F, 0.25F,
                                    0.0F, 1.0F,  0.0F,  0.5F,  0.5F, 0.0F};
  const Evaluation result = evaluate(probabilities, std::array{0, 0, 1, 0}, 3);
  CHECK(result.samples == 4);
  CHECK(result.accuracy == 0.75);
  CHECK(result.confusion == std::vector<ConfusionCount>{{0, 0, 2}, {0, 1, 1}, {1, 1, 1}});
  CHECK(result.loss == Approx(std::log(2.0)));  // (ln 2 + ln 4 + 0 + ln 2) / 4
  CHECK(result.precision[0] == 1.0);
  CHECK(result.precision[1] == 0.5);
  CHECK(std::isnan(result.precision[2]));
  CHECK(result.recall[0] == Approx(2.0 / 3.0));
  CHECK(result.recall[1] == 1.0);
  CHECK(std::isnan(result.recall[2]));
  CHECK(result.f1[0] == Approx(0.8));
  CHECK(result.f1[1] == Approx(2.0 / 3.0));
  CHECK(std::isnan(result.f1[2]));
}

TEST_CASE("A class that occurs but is never predicted has an f1 of 0") {
  const Evaluation result = evaluate(std::array{1.0F, 0.0F}, std::array{1}, 2);
  CHECK(std::isnan(result.precision[1]));
  CHECK(result.recall[1] == 0.0);
  CHECK(result.f1[1] == 0.0);
  CHECK(result.loss == Approx(149 * std::log(2.0)));  // 0 counts as 2^-149
}

TEST_CASE("the confusion matrix has each pair of classes once, in order") {
  const std::array predicted = {2, 0, 2, 1, 2, 0};
  std::vector<float> probabilities(predicted.size() * 3);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    probabilities[3 * i + static_cast<std::size_t>(predicted[i])] = 1;
  }
  const Evaluation result = evaluate(probabilities, std::array{1, 2, 1, 1, 0, 2}, 3);
  CHECK(result.confusion ==
        std::vector<ConfusionCount>{{0, 2, 1}, {1, 1, 1}, {1, 2, 2}, {2, 0, 2}});
}

TEST_CASE("Probabilities of NaN are not hidden") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(evaluate(std::array{kNan, kNan}, std::array{0}, 2).loss));
}

TEST_CASE("Means over no samples are NaN") {
  const Evaluation result = evaluate({}, {}, 2);
  CHECK(result.samples == 0);
  CHECK(std::isnan(result.accuracy));
  CHECK(std::isnan(result.loss));
}

TEST_CASE("evaluate refuses wrong sizes and labels") {
  const std::array probabilities = {0.5F, 0.5F};
  CHECK_THROWS_AS(evaluate(probabilities, std::array{2}, 2), std::invalid_argument);
  CHECK_THROWS_AS(evaluate(probabilities, std::array{-1}, 2), std::invalid_argument);
  CHECK_THROWS_AS(evaluate(probabilities, std::array{0, 1}, 2), std::invalid_argument);
  CHECK_THROWS_AS(evaluate({}, {}, 0), std::invalid_argument);
  // So many that their square is 0 in 64 bits.
  CHECK_THROWS_AS(evaluate({}, {}, std::size_t{1} << 32), std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
