// The forward pass of a group, whose inputs go through their weights by several timesteps together
// where weights are large: here of small ones, for any number of timesteps.
#include "forward.h"

#include <algorithm>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "lockstep/threads.h"
#include "networks.h"

namespace lockstep {
namespace {

constexpr RnnShape kShape{3, 70, 4};

Dataset ragged_data(std::size_t size, std::size_t longest) {
  Dataset data(kShape.features, std::vector<std::string>(kShape.classes, "class"));
  for (std::size_t i = 0; i < size; ++i) {
    data.add(normal_floats((longest - i * 11 % longest) * kShape.features, i), 0);
  }
  return data;
}

// Everything that a pass leaves: the rows of the window, the last states, the logits.
std::vector<float> left_by_pass(const RnnParameters& parameters, const Dataset& data,
                                std::size_t together, std::size_t window, int threads) {
  std::vector<std::size_t> ordered = first_indices(data.size());
  order_by_length(data, ordered);
  ForwardGroup group(kShape, data.size(), data.max_length(), together);
  group.use_passing_rows();
  group.schedule.assign(data, ordered, 0, 1, window);
  AlignedVector<float> rows = prepare_rows(group.layout, group.schedule.window_rows());
  group.keep_window_at(rows.data());
  PackedForward weights(kShape);
  weights.pack(parameters, Team());
  parallel(threads, [&](const Team& team) { group.run(data, weights, team); });
  std::vector<float> all(rows.begin(), rows.end());
  for (std::size_t n = 0; n < data.size(); ++n) {
    const float* state = group.finals() + n * group.final_layout.stride + group.final_layout.state;
    all.insert(all.end(), state, state + kShape.hidden);
    const float* logits = group.logits() + n * group.logits_stride;
    all.insert(all.end(), logits, logits + kShape.classes);
  }
  return all;
}

TEST_CASE("timesteps whose inputs go together leave the bits of those that go one by one") {
  const RnnParameters parameters = random_network(kShape);
  struct Case {
    std::size_t rows, longest;
  };
  // The last of several blocks is partial, or the only one is; one row, fewer and more than
  // threads.
  for (const Case& c : {Case{1, 23}, Case{2, 20}, Case{20, 23}}) {
    const Dataset data = ragged_data(c.rows, c.longest);
    for (const std::string& name : runnable_backends()) {
      if (name == "reference") continue;  // rounds a sum once per product
      const BackendScope scope(name);
      for (const std::size_t window : {std::size_t{0}, std::size_t{4}, c.longest}) {
        const std::vector<float> expected = left_by_pass(parameters, data, 1, window, 1);
        for (const std::size_t together : {2u, 3u, 6u, 22u, 128u}) {
          for (const int threads : {1, 3}) {
            CAPTURE(name, c.rows, window, together, threads);
            CHECK(same_bits(left_by_pass(parameters, data, together, window, threads), expected));
          }
        }
      }
    }
  }
}

TEST_CASE("inputs go together of large weights, many features and few rows only") {
  CHECK(timesteps_together({1760, 1760, 10}, 1, true) == 128);
  CHECK(timesteps_together({1760, 1760, 10}, 43, true) == 2);
  CHECK(timesteps_together({1760, 1760, 10}, 64, true) == 1);
  CHECK(timesteps_together({64, 2560, 10}, 1, true) == 1);
  CHECK(timesteps_together({1024, 1024, 10}, 1, true) == 1);
  CHECK(timesteps_together({1760, 1760, 10}, 1, false) == 1);
}

}  // namespace
}  // namespace lockstep
