// The forward pass of a group, whose inputs go through their weights by several timesteps together
// where weights are large: here of small ones, for any number of timesteps.
#include "layers/recurrent_layer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backend_scope.h"
#include "catch.h"
#include "forward_pass.h"
#include "networks.h"

namespace lockstep {
namespace {

constexpr Sizes kShape{3, 70, 4};

Dataset ragged_data(std::size_t size, std::size_t longest) {
  Dataset data(kShape.features, std::vector<std::string>(kShape.classes, "class"));
  for (std::size_t i = 0; i < size; ++i) {
    data.add(normal_floats((longest - i * 11 % longest) * kShape.features, i), 0);
  }
  return data;
}

// Everything that a pass leaves: the rows of the window, the last states, the logits.
std::vector<float> left_by_pass(const Parameters& parameters, const Dataset& data,
                                std::size_t together, std::size_t window, int threads) {
  const ForwardPass run(parameters, data, together, window, threads);
  std::vector<float> all;
  for (const WindowMemory& kept : run.memory->windows.layers) {
    all.insert(all.end(), kept.rows.begin(), kept.rows.end());
  }
  const MatrixView outputs = run.pass.output.outputs({0, data.size()});
  for (std::size_t n = 0; n < data.size(); ++n) {
    for (const RecurrentLayer& layer : run.pass.layers) {
      const float* state = layer.final_state(n);
      all.insert(all.end(), state, state + layer.size().state());
    }
    const float* logits = outputs.data + n * outputs.stride;
    all.insert(all.end(), logits, logits + outputs.cols);
  }
  return all;
}

TEST_CASE("timesteps whose inputs go together leave the bits of those that go one by one") {
  Sizes shape = kShape;
  shape.cell = GENERATE("tanh", "gru", "lstm");
  shape.layers = GENERATE(1u, 2u);
  const Parameters parameters = random_network(shape);
  struct Case {
    std::size_t rows, longest;
  };
  // The last of several blocks is partial, or the only one is; one row, fewer and more than
  // threads.
  for (const Case& c : {Case{1, 23}, Case{2, 20}, Case{20, 23}}) {
    const Dataset data = ragged_data(c.rows, c.longest);
    for (const std::string& name : runnable_backends()) {
      // The reference rounds a sum once per product.
      const auto is_close = [](float x, float y) { return std::abs(x - y) <= 1e-4f; };
      const BackendScope scope(name);
      for (const std::size_t window : {std::size_t{0}, std::size_t{4}, c.longest}) {
        const std::vector<float> expected = left_by_pass(parameters, data, 1, window, 1);
        for (const std::size_t together : {2u, 3u, 6u, 22u, 128u}) {
          for (const int threads : {1, 3}) {
            CAPTURE(name, c.rows, window, together, threads);
            const std::vector<float> found =
                left_by_pass(parameters, data, together, window, threads);
            CHECK((name == "reference" ? std::ranges::equal(found, expected, is_close)
                                       : same_bits(found, expected)));
          }
        }
      }
    }
  }
}

TEST_CASE("inputs go together of large weights, many features and few rows only") {
  const auto together = [](const Sizes& sizes, std::size_t rows, bool fused) {
    return timesteps_together(LayerSize(sizes, 0, false), rows, fused);
  };
  CHECK(together({1760, 1760, 10}, 1, true) == 128);
  CHECK(together({1760, 1760, 10}, 43, true) == 2);
  CHECK(together({1760, 1760, 10}, 64, true) == 1);
  CHECK(together({64, 2560, 10}, 1, true) == 1);
  CHECK(together({1024, 1024, 10}, 1, true) == 1);
  CHECK(together({1760, 1760, 10}, 1, false) == 1);
}

}  // namespace
}  // namespace lockstep
