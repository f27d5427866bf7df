#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "forward.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "parameter_check.h"

namespace lockstep {
namespace {

// Sequences that are classified together. A result does not depend on its neighbours, so the
// numbers matter for speed only: enough rows for the register tiles, few enough to stay in cache;
// and where the weights do not stay there, so many that reading them for each timestep is paid for.
constexpr std::size_t kMostRows = 32;
constexpr std::size_t kMostRowsOfLargeWeights = 128;

std::size_t divide_up(std::size_t n, std::size_t parts) { return (n + parts - 1) / parts; }

// How the sequences are shared out. Threads take chunks of them where the weights stay in a core's
// cache, else columns of every product, all threads for one chunk after another.
struct Plan {
  bool shares_columns;
  int team_size;
  std::size_t rows;  // of a chunk
  std::size_t chunks;
};

Plan make_plan(const RnnShape& shape, const PackedForward& weights, const Dataset& data,
               int threads) {
  threads =
      useful_threads(shape, data.total_timesteps(), static_cast<std::size_t>(threads), threads);
  const auto team_size = static_cast<std::size_t>(threads);
  if (!stays_in_cache(shape)) {
    const std::size_t rows = std::min(data.size(), kMostRowsOfLargeWeights);
    return {true, static_cast<int>(std::min(team_size, weights.recurrent.panels())), rows,
            divide_up(data.size(), rows)};
  }
  const std::size_t rows =
      std::min(data.size(), std::clamp(divide_up(data.size(), team_size), kUsefulRows, kMostRows));
  const std::size_t chunks = divide_up(data.size(), rows);
  return {false, static_cast<int>(std::min(team_size, chunks)), rows, chunks};
}

class Prediction {
 public:
  Prediction(const RnnParameters& parameters, const Dataset& data, int threads)
      : data_(data),
        weights_(parameters.shape),
        plan_(make_plan(parameters.shape, weights_, data, threads)),
        ordered_(data.size()),
        probabilities_(data.size() * parameters.shape.classes) {
    std::iota(ordered_.begin(), ordered_.end(), std::size_t{0});
    order_by_length(data, ordered_);
  }

  std::vector<float> run(const RnnParameters& parameters) {
    std::optional<ForwardGroup> shared;
    if (plan_.shares_columns) shared.emplace(make_group(parameters.shape));
    parallel(plan_.team_size, [&](const Team& team) {
      const FlushDenormals flush;
      weights_.pack(parameters, team);
      team.barrier();
      if (plan_.shares_columns) {
        for (std::size_t c = 0; c < plan_.chunks; ++c) classify(c, *shared, team);
        return;
      }
      ForwardGroup own = make_group(parameters.shape);
      // Every team.size()-th chunk: the long sequences stand first and must not fall to one thread.
      for (auto c = static_cast<std::size_t>(team.index()); c < plan_.chunks;
           c += static_cast<std::size_t>(team.size())) {
        classify(c, own, Team());
      }
    });
    return std::move(probabilities_);
  }

 private:
  [[nodiscard]] ForwardGroup make_group(const RnnShape& shape) const {
    ForwardGroup group(shape, plan_.rows, 0, timesteps_together(shape, plan_.rows, weights_.fused));
    group.use_passing_rows();
    return group;
  }

  // Chunk `c` by all threads of the team.
  void classify(std::size_t c, ForwardGroup& group, const Team& team) {
    const std::size_t first = c * plan_.rows;
    const std::size_t count = std::min(plan_.rows, ordered_.size() - first);
    if (team.index() == 0) {
      group.schedule.assign(data_, std::span(ordered_).subspan(first, count), 0, 1, 0);
    }
    team.barrier();
    group.run(data_, weights_, team);
    team.barrier();
    if (team.index() == 0) write_probabilities(group);
  }

  void write_probabilities(ForwardGroup& group) {
    const std::size_t classes = group.shape.classes;
    for (std::size_t n = 0; n < group.schedule.rows(); ++n) {
      softmax(1, classes, group.logits() + n * group.logits_stride, group.logits_stride,
              probabilities_.data() + group.schedule.member(n) * classes, classes);
    }
  }

  const Dataset& data_;
  PackedForward weights_;
  Plan plan_;
  std::vector<std::size_t> ordered_;
  std::vector<float> probabilities_;
};

}  // namespace

std::vector<float> predict_proba(const RnnParameters& parameters, const Dataset& data,
                                 int threads) {
  require_whole(parameters, "predict");
  const RnnShape& shape = parameters.shape;
  if (data.channels() != shape.features) {
    throw std::invalid_argument("predict: the data has " + std::to_string(data.channels()) +
                                " channels, but the model takes " + std::to_string(shape.features));
  }
  if (data.empty()) return {};
  return Prediction(parameters, data, resolve_threads(threads)).run(parameters);
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
