// What holds for softmax, log_softmax and the cross-entropies alike, for rows of every length.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"
#include "lockstep/softmax.h"
#include "microkernels.h"

namespace lockstep {
namespace {

// A function of rows whose results go to y, and which may give a loss for each row.
struct RowFunction {
  const char* name;
  std::vector<double> (*apply)(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                               float* y, std::size_t ldy);
};

std::vector<int> middle_labels(std::size_t rows, std::size_t cols) {
  return std::vector<int>(rows, static_cast<int>(cols / 2));
}

constexpr std::array<RowFunction, 3> kRowFunctions{
    {{"softmax",
      [](std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
         std::size_t ldy) {
        softmax(rows, cols, x, ldx, y, ldy);
        return std::vector<double>();
      }},
     {"log_softmax",
      [](std::size_t rows, std::size_t cols, const float* x, std::size_t ldx, float* y,
         std::size_t ldy) {
        log_softmax(rows, cols, x, ldx, y, ldy);
        return std::vector<double>();
      }},
     {"softmax_cross_entropy", [](std::size_t rows, std::size_t cols, const float* x,
                                  std::size_t ldx, float* y, std::size_t ldy) {
        std::vector<double> loss(rows);
        softmax_cross_entropy(rows, cols, x, ldx, middle_labels(rows, cols).data(), y, ldy,
                              loss.data());
        return loss;
      }}}};

struct Results {
  GuardedMatrix y;
  std::vector<double> loss;
};

Results apply(const RowFunction& f, const GuardedMatrix& x, std::size_t slack = 0,
              std::size_t offset = 0) {
  Results r{GuardedMatrix(x.rows(), x.cols(), slack, offset), {}};
  r.loss = f.apply(x.rows(), x.cols(), x.data(), x.stride(), r.y.data(), r.y.stride());
  return r;
}

GuardedMatrix one_row(std::span<const float> values) {
  GuardedMatrix x(1, values.size());
  x.fill(values);
  return x;
}

// Rows in one vector, held in registers, in groups and one at a time; with and without tails.
constexpr std::array<std::size_t, 20> kLengths{1,  2,  3,  8,   10,  15,  16,  17,   31,   32,
                                               33, 64, 65, 100, 128, 129, 300, 1024, 2049, 4100};

template <class Check>
void for_each_function_and_length(const Check& check) {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const RowFunction& f : kRowFunctions) {
      for (const std::size_t cols : kLengths) {
        CAPTURE(name, f.name, cols);
        check(f, cols);
      }
    }
  }
}

TEST_CASE("rows do not depend on position, stride, alignment or being in place") {
  constexpr std::size_t kRows = 19;  // more than are worked on together
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    const GuardedMatrix values = normal_matrix(kRows, cols, cols);
    const Results expected = apply(f, values);
    for (std::size_t i = 0; i < kRows; ++i) {
      const Results alone = apply(f, one_row(values.row(i)));
      CHECK(same_bits(alone.y.row(0), expected.y.row(i)));
      if (!alone.loss.empty()) CHECK(alone.loss[0] == expected.loss[i]);
    }
    for (std::size_t offset = 0; offset < 16; ++offset) {
      CAPTURE(offset);
      GuardedMatrix x(kRows, cols, offset % 3, offset);
      x.fill(values.values());
      const Results found = apply(f, x, offset % 5, 15 - offset);
      CHECK(found.y.guards_intact());
      CHECK(same_bits(found.y.values(), expected.y.values()));
      CHECK(found.loss == expected.loss);
      const std::vector<double> loss =
          f.apply(kRows, cols, x.data(), x.stride(), x.data(), x.stride());
      CHECK(x.guards_intact());
      CHECK(same_bits(x.values(), expected.y.values()));
      CHECK(loss == expected.loss);
    }
  });
}

TEST_CASE("entries of -inf at the end of a row do not change the others") {
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    // One more than an even number leaves the label, in the middle, where it is.
    const bool has_label = f.apply == kRowFunctions[2].apply;
    if (has_label && cols % 2 == 1) return;
    std::vector<float> values = normal_floats(cols, cols);
    const Results expected = apply(f, one_row(values));
    values.resize(cols + (has_label ? 1 : 37), -kInfinity);
    const Results found = apply(f, one_row(values));
    CHECK(same_bits(found.y.row(0).first(cols), expected.y.row(0)));
    CHECK(found.loss == expected.loss);
  });
}

// Multiples of 1/8, so that the sums are exact. (The loss is rounded in double.)
TEST_CASE("rows do not change when a constant is added to them") {
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    std::vector<float> values = normal_floats(cols, cols);
    for (float& value : values) value = std::round(value * 32) / 8;
    const Results expected = apply(f, one_row(values));
    for (const float shift : {-1000.0f, 3.0f, 65536.0f}) {
      CAPTURE(shift);
      std::vector<float> shifted = values;
      for (float& value : shifted) value += shift;
      const Results found = apply(f, one_row(shifted));
      CHECK(same_bits(found.y.row(0), expected.y.row(0)));
      CHECK(found.loss == expected.loss);
    }
  });
}

std::vector<std::size_t> positions(std::size_t cols) {
  std::vector<std::size_t> all;
  for (std::size_t at = 0; at < cols; at += cols <= 65 ? 1 : cols / 13) all.push_back(at);
  all.push_back(cols - 1);
  return all;
}

bool is_nan_throughout(const Results& r) {
  return all_nan(r.y.row(0)) &&
         std::ranges::all_of(r.loss, [](double loss) { return std::isnan(loss); });
}

TEST_CASE("rows with NaN or +inf, or nothing but -inf, are NaN throughout") {
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    CHECK(is_nan_throughout(apply(f, one_row(std::vector<float>(cols, -kInfinity)))));
    GuardedMatrix x = one_row(normal_floats(cols, cols));
    for (const std::size_t at : positions(cols)) {
      const float before = x.at(0, at);
      for (const float special : {kNaN, -kNaN, kInfinity}) {
        CAPTURE(at, special);
        x.at(0, at) = special;
        CHECK(is_nan_throughout(apply(f, x)));
      }
      x.at(0, at) = before;
    }
  });
}

TEST_CASE("an entry of -inf has no probability") {
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    if (cols == 1) return;
    const float none = f.apply == kRowFunctions[1].apply ? -kInfinity : 0.0f;
    GuardedMatrix x = one_row(normal_floats(cols, cols));
    for (const std::size_t at : positions(cols)) {
      if (at == cols / 2) continue;  // the label, whose gradient is -1
      CAPTURE(at);
      const float before = x.at(0, at);
      x.at(0, at) = -kInfinity;
      const Results found = apply(f, x);
      CHECK(same_bits(found.y.at(0, at), none));
      x.at(0, at) = before;
    }
    x.at(0, cols / 2) = -kInfinity;
    const Results found = apply(f, x);
    if (found.loss.empty()) return;
    CHECK(found.loss[0] == std::numeric_limits<double>::infinity());
    CHECK(found.y.at(0, cols / 2) == -1);
  });
}

TEST_CASE("a single finite entry has all the probability, one class too") {
  for_each_function_and_length([](const RowFunction& f, std::size_t cols) {
    const float one = f.apply == kRowFunctions[0].apply ? 1.0f : 0.0f;
    for (const float value : {0.0f, -5.0f, 3e38f, -3e38f}) {
      CAPTURE(value);
      std::vector<float> x(cols, -kInfinity);
      x[cols / 2] = value;
      const Results found = apply(f, one_row(x));
      CHECK(found.y.at(0, cols / 2) == one);
      if (!found.loss.empty()) CHECK(found.loss[0] == 0);
    }
  });
}

double sum_of_softmax(std::span<const float> x) {
  const Results found = apply(kRowFunctions[0], one_row(x));
  const auto y = found.y.row(0);
  return std::accumulate(y.begin(), y.end(), 0.0);
}

// The rounding errors of a constant's terms do not cancel, which a normal distribution's do.
TEST_CASE("rows of softmax sum to one within a millionth") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    std::vector<std::size_t> lengths(300);
    std::iota(lengths.begin(), lengths.end(), std::size_t{1});
    lengths.insert(lengths.end(), {512, 1000, 1023, 4096, 30000});
    for (const std::size_t length : lengths) {
      CAPTURE(name, length);
      const std::vector<float> normal = normal_floats(length, length);
      for (const float scale : {0.01f, 1.0f, 10.0f}) {
        CAPTURE(scale);
        std::vector<float> x = normal;
        for (float& value : x) value *= scale;
        CHECK(std::abs(sum_of_softmax(x) - 1) <= 1e-6);
      }
      std::vector<float> constant(length, -0.4f);
      CHECK(std::abs(sum_of_softmax(constant) - 1) <= 1e-6);
      constant[0] = 0;
      CHECK(std::abs(sum_of_softmax(constant) - 1) <= std::max(1e-6, softmax_sum_error(length)));
    }
  }
}

TEST_CASE("the mean loss does not depend on stride, alignment or being in place") {
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    for (const std::size_t cols : kLengths) {
      CAPTURE(name, cols);
      const GuardedMatrix values = normal_matrix(9, cols, cols);
      const std::vector<int> labels = middle_labels(9, cols);
      GuardedMatrix expected(9, cols);
      const CrossEntropy first = mean_softmax_cross_entropy(9, cols, values.data(), cols,
                                                            labels.data(), expected.data(), cols);
      for (const std::size_t offset : {0u, 1u, 7u}) {
        GuardedMatrix x(9, cols, 2, offset);
        x.fill(values.values());
        const CrossEntropy found = mean_softmax_cross_entropy(9, cols, x.data(), x.stride(),
                                                              labels.data(), x.data(), x.stride());
        CHECK(x.guards_intact());
        CHECK(same_bits(x.values(), expected.values()));
        CHECK(found.loss == first.loss);
        CHECK(found.correct == first.correct);
      }
    }
  }
}

TEST_CASE("no rows and no columns are nothing to do") {
  for (const RowFunction& f : kRowFunctions) {
    CAPTURE(f.name);
    CHECK_NOTHROW(f.apply(0, 3, nullptr, 3, nullptr, 3));
  }
  CHECK_NOTHROW(softmax(3, 0, nullptr, 0, nullptr, 0));
  CHECK_NOTHROW(log_softmax(3, 0, nullptr, 0, nullptr, 0));
  CHECK(softmax_cross_entropy(0, 3, nullptr, 3, nullptr, nullptr, 3, nullptr) == 0);
  const CrossEntropy none = mean_softmax_cross_entropy(0, 3, nullptr, 3, nullptr, nullptr, 3);
  CHECK(none.loss == 0);
  CHECK(none.correct == 0);
}

TEST_CASE("functions of rows name the argument that does not fit") {
  float x[8] = {};
  const std::string stride = "a row stride is shorter than a row";
  const std::string null = "a matrix is null";
  for (const RowFunction& f : kRowFunctions) {
    const std::string name = f.name;
    CHECK_NOTHROW(f.apply(2, 4, x, 4, x, 4));
    CHECK_THROWS_AS(f.apply(2, 4, x, 3, x, 4), std::invalid_argument);
    CHECK_THROWS_WITH(f.apply(2, 4, x, 3, x, 4), name + ": " + stride);
    CHECK_THROWS_WITH(f.apply(2, 4, x, 4, x, 3), name + ": " + stride);
    CHECK_THROWS_WITH(f.apply(2, 4, nullptr, 4, x, 4), name + ": " + null);
    CHECK_THROWS_WITH(f.apply(2, 4, x, 4, nullptr, 4), name + ": " + null);
  }
  double loss[2] = {};
  const auto losses = [&](const std::vector<int>& labels, double* to) {
    softmax_cross_entropy(2, 3, x, 3, labels.empty() ? nullptr : labels.data(), x, 3, to);
  };
  CHECK_NOTHROW(losses({0, 2}, loss));
  CHECK_THROWS_WITH(losses({0, 3}, loss), ContainsSubstring("label 3 of row 1"));
  CHECK_THROWS_WITH(losses({-1, 0}, loss), ContainsSubstring("label -1 of row 0"));
  CHECK_THROWS_WITH(losses({}, loss), ContainsSubstring("labels is null"));
  CHECK_THROWS_WITH(losses({0, 2}, nullptr), ContainsSubstring("loss is null"));
  const auto mean = [&](const float* logits, std::size_t ldx, const int* label, float* gradient) {
    mean_softmax_cross_entropy(1, 4, logits, ldx, label, gradient, 4);
  };
  const int label = 3, beyond = 4;
  const std::string name = "mean_softmax_cross_entropy: ";
  CHECK_NOTHROW(mean(x, 4, &label, x));
  CHECK_THROWS_WITH(mean(x, 4, &beyond, x), ContainsSubstring(name + "label 4 of row 0"));
  CHECK_THROWS_WITH(mean(x, 3, &label, x), name + stride);
  CHECK_THROWS_WITH(mean(nullptr, 4, &label, x), name + null);
  CHECK_THROWS_WITH(mean(x, 4, &label, nullptr), name + null);
  CHECK_THROWS_WITH(mean(x, 4, nullptr, x), name + "labels is null");
}

}  // namespace
}  // namespace lockstep
