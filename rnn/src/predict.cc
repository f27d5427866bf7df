#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

#include "forward.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"

namespace lockstep {
namespace {

// Sequences that are classified together. A result does not depend on its neighbours, so the number
// matters for speed only: enough rows for the register tiles, few enough to stay in cache.
constexpr std::size_t kRowsTogether = 32;

void write_probabilities(ForwardGroup& group, std::vector<float>& probabilities) {
  const std::size_t classes = group.shape.classes;
  for (std::size_t n = 0; n < group.schedule.rows(); ++n) {
    float* row = probabilities.data() + group.schedule.member(n) * classes;
    softmax(1, classes, group.logits() + n * group.logits_stride, group.logits_stride, row,
            classes);
  }
}

}  // namespace

std::vector<float> predict_proba(const RnnParameters& parameters, const Dataset& data,
                                 int threads) {
  const RnnShape& shape = parameters.shape;
  if (data.channels() != shape.features) {
    throw std::invalid_argument("predict: the data has " + std::to_string(data.channels()) +
                                " channels, but the model takes " + std::to_string(shape.features));
  }
  std::vector<float> probabilities(data.size() * shape.classes);
  if (data.empty()) return probabilities;
  std::vector<std::size_t> ordered(data.size());
  std::iota(ordered.begin(), ordered.end(), std::size_t{0});
  order_by_length(data, ordered);
  PackedForward weights(shape);
  weights.pack(parameters, Team());
  const std::size_t chunks = (data.size() + kRowsTogether - 1) / kRowsTogether;
  const auto team_size = static_cast<int>(
      std::min<std::size_t>(chunks, static_cast<std::size_t>(resolve_threads(threads))));
  const FlushDenormals flush;
  parallel(team_size, [&](const Team& team) {
    ForwardGroup group(shape, std::min(kRowsTogether, data.size()), data.max_length());
    group.use_own_rows();
    // Every team.size()-th chunk: the long sequences stand first and must not fall to one thread.
    for (auto c = static_cast<std::size_t>(team.index()); c < chunks;
         c += static_cast<std::size_t>(team.size())) {
      const std::size_t first = c * kRowsTogether;
      const std::size_t count = std::min(kRowsTogether, ordered.size() - first);
      group.schedule.assign(data, std::span(ordered).subspan(first, count), 0, 1);
      group.run(data, weights, Team());
      write_probabilities(group, probabilities);
    }
  });
  return probabilities;
}

std::vector<int> predict(const RnnParameters& parameters, const Dataset& data, int threads) {
  const std::vector<float> probabilities = predict_proba(parameters, data, threads);
  const auto classes = static_cast<std::ptrdiff_t>(parameters.shape.classes);
  std::vector<int> predicted(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto row = probabilities.begin() + static_cast<std::ptrdiff_t>(i) * classes;
    predicted[i] = static_cast<int>(std::max_element(row, row + classes) - row);
  }
  return predicted;
}

}  // namespace lockstep
