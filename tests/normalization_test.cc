#include <array>
#include <cmath>
#include <stdexcept>

#include "catch.h"
#include "floats.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"

namespace lockstep {
namespace {

// Channel 0 is 1, 3, 5 and 7 over both sequences, channel 1 a constant that no double holds
// exactly.
Dataset two_channels() {
  Dataset data(2);
  data.add(std::array{1.0F, 0.1F, 3.0F, 0.1F}, kNoLabel);
  data.add(std::array{5.0F, 0.1F, 7.0F, 0.1F}, kNoLabel);
  return data;
}

TEST_CASE("Without normalization the data stays as it is") {
  Dataset data = two_channels();
  const Normalization none = Normalization::fit(NormalizationKind::none, data);
  none.apply(data);
  CHECK(data.sequence(1)[2] == 7.0F);
  CHECK(none == Normalization{});
}

TEST_CASE("channel standardizes with the deviation of the whole set") {
  Dataset data = two_channels();
  const auto fitted = Normalization::fit(NormalizationKind::channel, data);
  CHECK(fitted.mean == std::vector<float>{4.0F, 0.1F});
  CHECK(fitted.scale == std::vector<float>{static_cast<float>(1 / std::sqrt(5.0)), 1.0F});
  fitted.apply(data);
  CHECK(data.sequence(0)[0] == -3 * fitted.scale[0]);
  CHECK(data.sequence(1)[2] == 3 * fitted.scale[0]);
  CHECK(data.sequence(1)[1] == 0.0F);
}

TEST_CASE("channel uses the numbers of its fit on other data") {
  const auto fitted = Normalization::fit(NormalizationKind::channel, two_channels());
  Dataset other(2);
  other.add(std::array{4.0F, 2.1F}, kNoLabel);
  fitted.apply(other);
  CHECK(other.sequence(0)[0] == 0.0F);
  CHECK(other.sequence(0)[1] == 2.1F - 0.1F);
}

TEST_CASE("series standardizes every sequence on its own") {
  Dataset data = two_channels();
  const auto fitted = Normalization::fit(NormalizationKind::series, data);
  CHECK(fitted.mean.empty());
  fitted.apply(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto values = data.sequence(i);
    CHECK(std::vector<float>(values.begin(), values.end()) == std::vector<float>{-1, 0, 1, 0});
  }
}

// Of the magnitudes of the smallest numbers, differences and products are denormal, which a
// training flushes.
TEST_CASE("A training standardizes on the way to the numbers that apply leaves") {
  for (const float magnitude : {1.0F, 1e-38F, 1e-42F, 1e30F, 5e37F}) {
    for (const NormalizationKind kind : {NormalizationKind::channel, NormalizationKind::series}) {
      CAPTURE(magnitude, kind == NormalizationKind::series);
      Dataset data(2, {"a", "b"});
      for (int i = 0; i < 9; ++i) {
        std::vector<float> values = normal_floats(10, static_cast<std::uint64_t>(i));
        for (float& value : values) value *= magnitude;
        values[3] = 0;
        data.add(values, i % 2);
      }
      Options options{.hidden = 3, .normalize = kind, .epochs = 2};
      Model raw(data, options);
      raw.fit(data);
      const Normalization fitted = Normalization::fit(kind, data);
      fitted.apply(data);
      options.normalize = NormalizationKind::none;
      Model standardized(data, options);
      standardized.fit(data);
      CHECK(raw.weights_hash() == standardized.weights_hash());
    }
  }
}

TEST_CASE("A large offset does not spoil the deviation") {
  Dataset data(1);
  data.add(std::array{16777212.0F, 16777214.0F, 16777216.0F}, kNoLabel);
  const auto fitted = Normalization::fit(NormalizationKind::channel, data);
  CHECK(fitted.mean[0] == 16777214.0F);
  CHECK(fitted.scale[0] == static_cast<float>(std::sqrt(3.0 / 8.0)));
}

TEST_CASE("A channel that hardly varies is treated as constant") {
  Dataset data(1);
  data.add(std::array{0.0F, 1e-44F}, kNoLabel);
  CHECK(Normalization::fit(NormalizationKind::channel, data).scale[0] == 1.0F);
}

TEST_CASE("channel gives timesteps alone the numbers that their sequence would have") {
  Dataset data = two_channels();
  const auto fitted = Normalization::fit(NormalizationKind::channel, data);
  const auto values = data.sequence(1);
  std::vector<float> chunks(values.begin(), values.end());
  fitted.apply(std::span(chunks).first(2));
  fitted.apply(std::span(chunks).last(2));
  fitted.apply(std::span<float>());
  fitted.apply(data);
  CHECK(chunks == std::vector<float>(values.begin(), values.end()));
  Normalization{}.apply(std::span(chunks).first(1));
  CHECK(chunks == std::vector<float>(values.begin(), values.end()));
  CHECK_THROWS_AS(fitted.apply(std::span(chunks).first(3)), std::invalid_argument);
  const auto series = Normalization::fit(NormalizationKind::series, data);
  CHECK_THROWS_WITH(series.apply(std::span(chunks)), ContainsSubstring("whole sequences"));
}

TEST_CASE("Normalization refuses data that does not fit") {
  CHECK_THROWS_AS(Normalization::fit(NormalizationKind::channel, Dataset(1)),
                  std::invalid_argument);
  const auto fitted = Normalization::fit(NormalizationKind::channel, two_channels());
  Dataset other(3);
  other.add(std::array{1.0F, 2.0F, 3.0F}, kNoLabel);
  CHECK_THROWS_WITH(fitted.apply(other), ContainsSubstring("3 channels, expected 2"));
  Normalization torn = fitted;
  torn.scale.pop_back();
  Dataset data = two_channels();
  CHECK_THROWS_WITH(torn.apply(data), ContainsSubstring("2 means and 1 scales"));
  CHECK_THROWS_WITH(torn.apply(data.writable_sequence(0)),
                    ContainsSubstring("2 means and 1 scales"));
}

}  // namespace
}  // namespace lockstep
