// Values that are missing: what a model does about them, and that its file remembers.
#include <cmath>
#include <limits>

#include "catch.h"
#include "lockstep/rnn.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Values = std::vector<float>;

Values values_of(const Dataset& data, std::size_t i) {
  const auto values = data.sequence(i);
  return {values.begin(), values.end()};
}

// Two channels, of which the second has gaps.
Dataset with_gaps() {
  Dataset data(2, {"a", "b"});
  data.set_channel_names({"x", "y"});
  data.add(Values{1, kNaN, 2, 5, 3, kNaN, 4, 7}, 0);
  data.add(Values{5, kNaN, 6, kNaN}, 1);
  data.set_id(1, "second");
  data.set_weight(1, 2);
  return data;
}

TEST_CASE("Missing values are carried on, or are the channel's mean, or are marked too") {
  const Dataset data = with_gaps();
  const Dataset carried = MissingRule::fit(MissingKind::carry, data).apply(data);
  CHECK(values_of(carried, 0) == Values{1, 5, 2, 5, 3, 5, 4, 7});
  CHECK(values_of(carried, 1) == Values{5, 6, 6, 6});  // the mean, as nothing is known of it
  const Dataset mean = MissingRule::fit(MissingKind::mean, data).apply(data);
  CHECK(values_of(mean, 0) == Values{1, 6, 2, 5, 3, 6, 4, 7});
  const MissingRule rule = MissingRule::fit(MissingKind::mask, data);
  CHECK(rule.masked == std::vector<std::size_t>{1});
  const Dataset masked = rule.apply(data);
  CHECK(values_of(masked, 1) == Values{5, 6, 1, 6, 6, 1});
  CHECK(values_of(masked, 0) == Values{1, 5, 1, 2, 5, 0, 3, 5, 1, 4, 7, 0});
  CHECK(masked.channel_names() == std::vector<std::string>{"x", "y", "y missing"});
  CHECK(masked.id(1) == "second");
  CHECK(masked.weight(1) == 2);
  CHECK(masked.labels() == data.labels());
}

TEST_CASE("Targets of every kind stay beside channels of gaps") {
  for (const TargetKind kind :
       {TargetKind::step_labels, TargetKind::values, TargetKind::step_values}) {
    Dataset data(1, kind, {"a", "b"});
    const Values x{1, kNaN};
    if (kind == TargetKind::step_labels) {
      data.add_steps(x, std::vector<int>{1, kNoLabel});
    } else {
      data.add_values(x, Values(kind == TargetKind::values ? 2 : 4, 0.5f));
    }
    const Dataset masked = MissingRule::fit(MissingKind::mask, data).apply(data);
    CHECK(masked.target_kind() == kind);
    CHECK(masked.labels() == data.labels());
    CHECK(masked.channels() == 2);
    if (!is_label(kind)) CHECK(masked.targets(0).size() == data.targets(0).size());
  }
}

TEST_CASE("Without a rule a missing value is refused with its place, as an infinite one always") {
  const Dataset data = with_gaps();
  CHECK_THROWS_WITH(Model(data), ContainsSubstring("sequence 0, timestep 0, channel 'y'") &&
                                     ContainsSubstring("is missing"));
  Dataset infinite(1, {"a", "b"});
  infinite.add(Values{1, std::numeric_limits<float>::infinity()}, 0);
  for (const MissingKind kind : {MissingKind::fail, MissingKind::carry}) {
    CHECK_THROWS_WITH(MissingRule::fit(kind, infinite).apply(infinite),
                      ContainsSubstring("timestep 1, channel 0 (counted from 0) is infinite"));
  }
  Dataset whole(1, {"a", "b"});
  whole.add(Values{1, 2}, 0);
  whole.add(Values{2, 1}, 1);
  const Model model(whole, {.hidden = 3});
  Dataset gap(1);
  gap.add(Values{kNaN}, kNoLabel);
  CHECK_THROWS_WITH(model.predict(gap), ContainsSubstring("is missing"));
  CHECK_THROWS_WITH(model.predict_proba(infinite), ContainsSubstring("is infinite"));
  CHECK_THROWS_WITH(MissingRule::fit(MissingKind::carry, data).apply(whole),
                    ContainsSubstring("1 channels, expected 2"));
}

TEST_CASE("A model remembers names and gaps of its channels in its file") {
  const TemporaryDirectory directory;
  const auto path = directory / "model";
  const Dataset data = with_gaps();
  for (const MissingKind kind : {MissingKind::carry, MissingKind::mean, MissingKind::mask}) {
    Model model(data, {.hidden = 3, .missing = kind, .epochs = 2});
    CHECK(model.parameters().network().features == (kind == MissingKind::mask ? 3 : 2));
    model.fit(data);
    model.save(path);
    const Model loaded = Model::load(path);
    CHECK(loaded.missing() == model.missing());
    CHECK(loaded.options().missing == kind);
    CHECK(loaded.channel_names() == data.channel_names());
    CHECK(loaded.predict_proba(data) == model.predict_proba(data));
    const Dataset turned = data.with_channels({"y", "x"});
    CHECK(loaded.predict_proba(turned) == model.predict_proba(data));
    Dataset renamed = data;
    renamed.set_channel_names({"x", "z"});
    CHECK_THROWS_WITH(loaded.predict(renamed), ContainsSubstring("are x, z, expected x, y"));
    renamed.set_channel_names({});
    CHECK(loaded.predict_proba(renamed) == model.predict_proba(data));
  }
}

}  // namespace
}  // namespace lockstep
