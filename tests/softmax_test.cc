#include "lockstep/softmax.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"
#include "microkernels.h"

namespace lockstep {
namespace {

using Row = std::vector<float>;

Row softmax_of(Row x) {
  softmax(1, x.size(), x.data(), x.size(), x.data(), x.size());
  return x;
}

double sum_of(std::span<const float> row) { return std::accumulate(row.begin(), row.end(), 0.0); }

std::vector<double> exact_softmax(std::span<const float> x) {
  const double max = static_cast<double>(*std::ranges::max_element(x));
  std::vector<double> y;
  for (const float value : x) y.push_back(std::exp(static_cast<double>(value) - max));
  const double sum = std::accumulate(y.begin(), y.end(), 0.0);
  for (double& value : y) value /= sum;
  return y;
}

double exact_loss(std::span<const float> x, std::size_t label) {
  const double max = static_cast<double>(*std::ranges::max_element(x));
  double sum = 0;
  for (const float value : x) sum += std::exp(static_cast<double>(value) - max);
  return std::log(sum) + max - static_cast<double>(x[label]);
}

std::size_t index_of_largest(std::span<const float> x) {
  return static_cast<std::size_t>(std::ranges::max_element(x) - x.begin());
}

std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all(70);
  std::iota(all.begin(), all.end(), std::size_t{1});
  all.insert(all.end(), {127, 1000, 100000});
  return all;
}

Row logits(std::size_t length) {
  Row x = normal_floats(length, length);
  for (float& value : x) value *= 4;
  return x;
}

TEST_CASE("softmax is right for rows of every length, and its rows sum to one") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const std::size_t length : lengths()) {
      CAPTURE(name, length);
      const Row x = logits(length);
      const Row y = softmax_of(x);
      const std::vector<double> exact = exact_softmax(x);
      CHECK(std::abs(sum_of(y) - 1) <= softmax_sum_error(length));
      const float max = *std::ranges::max_element(x);
      for (std::size_t j = 0; j < length; ++j) {
        // The difference to the maximum is rounded, which the exponential amplifies by its size.
        const double error =
            (static_cast<double>(max - x[j]) + 4) * 0x1p-24 + softmax_sum_error(length);
        if (std::abs(static_cast<double>(y[j]) - exact[j]) > error * exact[j]) {
          FAIL_CHECK("column " << j << " is " << y[j] << ", not " << exact[j]);
        }
      }
    }
  }
}

TEST_CASE("log_softmax is the logarithm of softmax for rows of every length") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const std::size_t length : lengths()) {
      CAPTURE(name, length);
      const Row x = logits(length);
      Row y(length);
      log_softmax(1, length, x.data(), length, y.data(), length);
      Row in_place = x;
      log_softmax(1, length, in_place.data(), length, in_place.data(), length);
      CHECK(same_bits(in_place, y));
      const std::size_t largest = index_of_largest(x);
      const double log_sum = exact_loss(x, largest);
      for (std::size_t j = 0; j < length; ++j) {
        const double exact = static_cast<double>(x[j]) - static_cast<double>(x[largest]) - log_sum;
        const double error =
            2 * 0x1p-24 * (std::abs(exact) + log_sum) + log_softmax_error(length, log_sum);
        if (!(std::abs(static_cast<double>(y[j]) - exact) <= error)) {
          FAIL_CHECK("column " << j << " is " << y[j] << ", not " << exact);
        }
      }
    }
  }
}

// Rows of more than one block of the running sum.
TEST_CASE("softmax of very long rows") {
  constexpr std::size_t kLength = 2 * kSoftmaxBlock + 1001;
  std::vector<Row> first;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    Row x = logits(kLength);
    const Row y = softmax_of(x);
    CHECK(std::abs(sum_of(y) - 1) <= softmax_sum_error(kLength));
    const std::vector<double> exact = exact_softmax(x);
    double worst = 0;
    for (std::size_t j = 0; j < kLength; ++j) {
      worst = std::max(worst, std::abs(static_cast<double>(y[j]) / exact[j] - 1));
    }
    CHECK(worst <= 64 * 0x1p-24 + softmax_sum_error(kLength));
    if (first.empty()) first.push_back(y);
    if (active_backend().fused) CHECK(same_bits(y, first[0]));
    // Blocks of -inf before and after the one that counts.
    std::fill(x.begin(), x.end(), -kInfinity);
    CHECK(all_nan(softmax_of(x)));
    x[kSoftmaxBlock + 5] = -7;
    CHECK(softmax_of(x)[kSoftmaxBlock + 5] == 1.0f);
    CHECK(sum_of(softmax_of(x)) == 1.0);
    for (const float special : {kNaN, kInfinity}) {
      for (const std::size_t at : {std::size_t{3}, kSoftmaxBlock + 4, kLength - 1}) {
        Row row = x;
        row[at] = special;
        CHECK(all_nan(softmax_of(row)));
      }
    }
  }
}

TEST_CASE("softmax of special rows") {
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    CHECK(softmax_of({-3e38f}) == Row{1});
    CHECK(softmax_of({3e38f, -3e38f}) == Row{1, 0});
    CHECK(softmax_of({-kInfinity, 2, -kInfinity, 2}) == Row{0, 0.5f, 0, 0.5f});
    CHECK(all_nan(softmax_of({-kInfinity})));
    // The special entry stands at every position of a vector and of a tail.
    for (const std::size_t length : {1u, 2u, 16u, 17u, 31u, 64u, 67u}) {
      for (std::size_t at = 0; at < length; ++at) {
        CAPTURE(length, at);
        for (const float special : {kNaN, kInfinity}) {
          Row x = logits(length);
          x[at] = special;
          CHECK(all_nan(softmax_of(x)));
        }
        Row x(length, -kInfinity);
        CHECK(all_nan(softmax_of(x)));
        x[at] = -5;
        const Row y = softmax_of(x);
        CHECK(y[at] == 1.0f);
        CHECK(sum_of(y) == 1.0);
      }
    }
  }
}

struct RowLosses {
  std::size_t correct;
  GuardedMatrix gradient;
  std::vector<double> loss;
};

RowLosses cross_entropy(const GuardedMatrix& x, const std::vector<int>& labels) {
  RowLosses result{0, GuardedMatrix(x.rows(), x.cols(), 3, 1), std::vector<double>(x.rows())};
  result.correct =
      softmax_cross_entropy(x.rows(), x.cols(), x.data(), x.stride(), labels.data(),
                            result.gradient.data(), result.gradient.stride(), result.loss.data());
  return result;
}

std::vector<int> labels_for(const GuardedMatrix& x) {
  std::vector<int> labels(x.rows());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i * 7 % x.cols());
  return labels;
}

TEST_CASE("softmax_cross_entropy gives loss, gradient and hits") {
  for (const std::size_t cols : {1u, 2u, 10u, 16u, 37u, 1000u}) {
    const GuardedMatrix x = normal_matrix(23, cols, cols, 2, 1);
    const std::vector<int> labels = labels_for(x);
    for (const std::string& name : runnable_backends()) {
      CAPTURE(name, cols);
      const BackendScope scope(name);
      const RowLosses found = cross_entropy(x, labels);
      CHECK(found.gradient.guards_intact());
      std::size_t correct = 0;
      for (std::size_t i = 0; i < x.rows(); ++i) {
        const auto label = static_cast<std::size_t>(labels[i]);
        CHECK(found.loss[i] == Approx(exact_loss(x.row(i), label)).epsilon(1e-6).margin(1e-6));
        correct += std::ranges::max_element(x.row(i)) - x.row(i).begin() == labels[i] ? 1 : 0;
        Row gradient = softmax_of(Row(x.row(i).begin(), x.row(i).end()));
        gradient[label] -= 1.0f;
        CHECK(same_bits(found.gradient.row(i), gradient));
      }
      CHECK(found.correct == correct);
    }
  }
}

TEST_CASE("mean_softmax_cross_entropy is the mean of the rows in their order") {
  for (const std::size_t rows : {1u, 7u, 32u, 100u}) {
    const GuardedMatrix x = normal_matrix(rows, 10, rows, 2, 1);
    const std::vector<int> labels = labels_for(x);
    std::vector<CrossEntropy> first;
    for (const BackendInfo& backend : backends()) {
      if (!backend.runnable) continue;
      CAPTURE(backend.name, rows);
      const BackendScope scope(backend.name);
      const RowLosses each = cross_entropy(x, labels);
      GuardedMatrix gradient(rows, 10, 1, 2);
      const CrossEntropy found = mean_softmax_cross_entropy(
          rows, 10, x.data(), x.stride(), labels.data(), gradient.data(), gradient.stride());
      CHECK(gradient.guards_intact());
      CHECK(found.correct == each.correct);
      const double sum = std::accumulate(each.loss.begin(), each.loss.end(), 0.0);
      CHECK(found.loss == sum / static_cast<double>(rows));
      for (std::size_t n = 0; n < rows * 10; ++n) {
        const double expected =
            static_cast<double>(each.gradient.at(n / 10, n % 10)) / static_cast<double>(rows);
        CHECK(std::abs(static_cast<double>(gradient.at(n / 10, n % 10)) - expected) <=
              4 * 0x1p-24 / static_cast<double>(rows));
      }
      if (!backend.fused) continue;
      if (first.empty()) first.push_back(found);
      CHECK(found.loss == first[0].loss);
    }
  }
}

TEST_CASE("softmax_cross_entropy of special rows") {
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    GuardedMatrix x(6, 3);
    x.fill(Row{kNaN, 1, 2,                          //
               1, kInfinity, 2,                     //
               -kInfinity, -kInfinity, -kInfinity,  //
               2, 2, 1,                             // the first largest counts
               2, 2, 1,                             //
               1, -kInfinity, 0});
    const RowLosses found = cross_entropy(x, {1, 1, 0, 0, 1, 1});
    CHECK(found.correct == 1);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(std::isnan(found.loss[i]));
      CHECK(all_nan(found.gradient.row(i)));
    }
    CHECK(found.loss[3] == found.loss[4]);
    CHECK(found.loss[5] == std::numeric_limits<double>::infinity());
    CHECK(found.gradient.at(5, 1) == -1.0f);
  }
}

TEST_CASE("softmax and its loss give the same bits on every fused backend", "[optional]") {
  LOCKSTEP_SKIP_WITHOUT_TWO_FUSED();
  for (const std::size_t length : lengths()) {
    GuardedMatrix x(1, length);
    x.fill(logits(length));
    std::vector<RowLosses> first;
    for (const std::string& name : fused_backends()) {
      CAPTURE(name, length);
      const BackendScope scope(name);
      const RowLosses found = cross_entropy(x, {0});
      if (first.empty()) first.push_back(found);
      CHECK(same_bits(found.gradient.values(), first[0].gradient.values()));
      CHECK(found.loss == first[0].loss);
    }
  }
}

}  // namespace
}  // namespace lockstep
