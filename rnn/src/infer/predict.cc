#include "infer/predict.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "data/mapped_file.h"
#include "layers/network_pass.h"
#include "layers/stop_request.h"
#include "lockstep/rnn/model.h"
#include "network/tensors.h"
#include "ranks/gather.h"
#include "tuning.h"

namespace lockstep {
namespace {

std::size_t divide_up(std::size_t n, std::size_t parts) { return (n + parts - 1) / parts; }

// How the sequences are shared out. Threads take chunks of them where the weights stay in a core's
// cache, otherwise columns of every product, all threads for one chunk after another.
struct Plan {
  bool shares_columns;
  int team_size;
  std::size_t rows;  // of a chunk
  std::size_t chunks;
};

// Sequences of a chunk whose timesteps are kept for the layers above.
std::size_t rows_in_windows(const PackedNetwork& weights, std::size_t steps) {
  std::size_t floats = 0;
  for (const PackedLayer& layer : weights.layers) {
    const bool is_last = layer.size.layer == weights.layers.back().size.layer;
    if (!is_last || is_of_steps(weights.output.head.targets)) floats += layer.layout.stride;
  }
  if (is_of_steps(weights.output.head.targets)) {
    floats += round_up(1 + weights.output.weights.k()) + round_up(weights.output.bias.size());
  }
  return std::max<std::size_t>(1, kWindowBytes / (floats * sizeof(float) * steps));
}

std::size_t timesteps_of(const Dataset& data, Range sequences) {
  std::size_t sum = 0;
  for (std::size_t i = sequences.begin; i < sequences.end; ++i) sum += data.length(i);
  return sum;
}

Plan make_plan(const PackedNetwork& weights, const Dataset& data, Range sequences,
               std::size_t most_rows, int threads) {
  const std::size_t size = weights.recurrent_weights();
  const std::size_t count = sequences.size();
  threads = useful_threads(size, timesteps_of(data, sequences), static_cast<std::size_t>(threads),
                           threads);
  const auto team_size = static_cast<std::size_t>(threads);
  if (size * sizeof(float) > kResidentWeights) {
    const std::size_t rows = std::min({count, kMostRowsOfLargeWeights, most_rows});
    return {true, static_cast<int>(std::min(team_size, weights.panels())), rows,
            divide_up(count, rows)};
  }
  const std::size_t rows =
      std::min({count, most_rows, std::clamp(divide_up(count, team_size), kUsefulRows, kMostRows)});
  const std::size_t chunks = divide_up(count, rows);
  return {false, static_cast<int>(std::min(team_size, chunks)), rows, chunks};
}

// Of the first `sequences` sequences.
std::size_t output_count(const Network& network, const Dataset& data, std::size_t sequences) {
  const bool of_steps = is_of_steps(head_of(network).targets);
  const std::size_t timesteps =
      sequences == data.size() ? data.total_timesteps() : data.first_timestep(sequences);
  return (of_steps ? timesteps : sequences) * network.outputs;
}

class Prediction {
 public:
  // Of these sequences, at least one; others have zeros.
  Prediction(const Network& network, const Inputs& inputs, Range sequences, int threads)
      : network_(network),
        inputs_(inputs),
        data_(inputs.data),
        weights_(network, Purpose::inference),
        plan_(make_plan(
            *weights_, data_, sequences,
            window() > 0 ? rows_in_windows(*weights_, data_.max_length()) : sequences.size(),
            threads)),
        ordered_(sequences.size()),
        outputs_(output_count(network, data_, data_.size())) {
    std::iota(ordered_.begin(), ordered_.end(), sequences.begin);
    order_by_length(data_, ordered_);
  }

  std::vector<float> run(const Parameters& parameters, StopRequest& stop) {
    std::optional<WithMemory<PassWithWindows>> shared;
    if (plan_.shares_columns) shared.emplace(network_, limits(), kept_timesteps());
    for (std::size_t c = 0; c < chunks_at_once(); ++c) data_file::prefetch(data_, sequences_of(c));
    parallel(plan_.team_size, [&](const Team& team) {
      const FlushDenormals flush;
      weights_->pack(parameters, team);
      team.barrier();
      if (plan_.shares_columns) {
        for (std::size_t c = 0; c < plan_.chunks && !stop.is_there_for_all(team); ++c) {
          classify(c, **shared, team);
        }
        return;
      }
      WithMemory<PassWithWindows> own(network_, limits(), kept_timesteps());
      // Every team.size()-th chunk: the long sequences are first and must not fall to one thread.
      for (auto c = static_cast<std::size_t>(team.index()); c < plan_.chunks;
           c += static_cast<std::size_t>(team.size())) {
        if (stop.is_there(team)) return;
        classify(c, *own, Team());
      }
    });
    stop.rethrow();
    if (stop.has_come()) throw Interrupted();
    return std::move(outputs_);
  }

 private:
  [[nodiscard]] RecurrentLayer::Limits limits() const {
    return {.purpose = Purpose::inference,
            .rows = plan_.rows,
            .steps = data_.max_length(),
            .window = window(),
            .together = timesteps_together(*weights_, plan_.rows)};
  }

  // Above a bidirectional layer every timestep of it is read, and by a head of timesteps those of
  // the last.
  [[nodiscard]] std::size_t window() const {
    const bool by_layers = network_.is_bidirectional() && network_.layers.size() > 1;
    return by_layers || is_of_steps(head_of(network_).targets) ? kWholeSequences : 0;
  }

  // Timesteps that the windows of a chunk have, most of all those of the first one.
  [[nodiscard]] std::size_t kept_timesteps() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < plan_.rows && window() > 0; ++i) sum += data_.length(ordered_[i]);
    return sum;
  }

  [[nodiscard]] std::span<const std::size_t> sequences_of(std::size_t chunk) const {
    const std::size_t first = chunk * plan_.rows;
    return std::span(ordered_).subspan(first, std::min(plan_.rows, ordered_.size() - first));
  }

  [[nodiscard]] std::size_t chunks_at_once() const {
    return plan_.shares_columns ? 1 : static_cast<std::size_t>(plan_.team_size);
  }

  // Chunk `c` by all threads of the team.
  void classify(std::size_t c, PassWithWindows& chunk, const Team& team) {
    NetworkPass& pass = chunk.pass;
    if (team.index() == 0) {
      pass.schedule.assign(data_, sequences_of(c), 0, 1, window());
      pass.keep_windows_in(chunk.windows, {});
      // That of this thread or team which is next.
      const std::size_t next = c + chunks_at_once();
      if (next < plan_.chunks) data_file::prefetch(data_, sequences_of(next));
    }
    team.barrier();
    pass.forward(inputs_, *weights_, team);
    team.barrier();
    if (team.index() == 0) write_outputs(pass);
  }

  void write_outputs(const NetworkPass& pass) {
    const RowSchedule& schedule = pass.schedule;
    const MatrixView found = pass.output.outputs({0, pass.output.rows(schedule)});
    weights_->output.head.predict(found);
    const auto write = [&](std::size_t row, std::size_t place) {
      std::copy_n(found.data + row * found.stride, found.cols,
                  outputs_.data() + place * found.cols);
    };
    if (!pass.output.is_of_steps()) {
      for (std::size_t n = 0; n < found.rows; ++n) write(n, schedule.member(n));
      return;
    }
    pass.output.for_steps(schedule, {0, found.rows},
                          [&](std::size_t row, std::size_t n, std::size_t own) {
                            write(row, data_.first_timestep(schedule.member(n)) + own);
                          });
  }

  const Network& network_;
  const Inputs& inputs_;
  const Dataset& data_;
  WithMemory<PackedNetwork> weights_;
  Plan plan_;
  std::vector<std::size_t> ordered_;
  std::vector<float> outputs_;
};

// The first sequence of a place: all have about as many timesteps.
std::size_t first_of_place(const Dataset& data, int place, int size) {
  if (place == size) return data.size();
  const std::size_t timestep = share(data.total_timesteps(), place, size).begin;
  std::size_t low = 0;
  std::size_t high = data.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (data.first_timestep(middle) < timestep) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// An interruption of one rank is one of all.
std::vector<float> predict_on(Ranks& ranks, const Parameters& parameters, const Inputs& inputs,
                              int threads, const IsInterrupted& is_interrupted) {
  const Network& network = parameters.network();
  const Dataset& data = inputs.data;
  const auto place = static_cast<int>(place_of(ranks.rank(), ranks.size()));
  const Range own{first_of_place(data, place, ranks.size()),
                  first_of_place(data, place + 1, ranks.size())};
  std::vector<float> outputs;
  bool is_stopped = false;
  try {
    if (own.size() > 0) {
      StopRequest stop(is_interrupted);
      outputs = Prediction(network, inputs, own, resolve_threads(threads)).run(parameters, stop);
    }
  } catch (const Interrupted&) {
    is_stopped = true;
  }
  if (gather_bits(&ranks, is_stopped ? 1 : 0) != 0) throw Interrupted();
  outputs.resize(output_count(network, data, data.size()));
  std::vector<std::size_t> bounds;
  for (int p = 0; p < ranks.size(); ++p) {
    const std::size_t begin = first_of_place(data, p, ranks.size());
    bounds.push_back(output_count(network, data, begin) * sizeof(float));
  }
  bounds.push_back(outputs.size() * sizeof(float));
  Gather gather(ranks);
  gather(std::as_writable_bytes(std::span(outputs)), bounds);
  return outputs;
}

}  // namespace

std::vector<float> predict_proba(const Parameters& parameters, const Inputs& inputs, int threads,
                                 const IsInterrupted& is_interrupted, Ranks* ranks) {
  require_parameters(parameters, "predict");
  const Network& network = parameters.network();
  require_channels(network, inputs.data, "predict: ");
  if (inputs.data.empty()) return {};
  if (ranks != nullptr && ranks->size() > 1) {
    return predict_on(*ranks, parameters, inputs, threads, is_interrupted);
  }
  StopRequest stop(is_interrupted);
  return Prediction(network, inputs, {0, inputs.data.size()}, resolve_threads(threads))
      .run(parameters, stop);
}

std::vector<float> predict_proba(const Parameters& parameters, const Dataset& data, int threads) {
  return predict_proba(parameters, Inputs(data), threads);
}

std::vector<int> most_probable(const Network& network, std::span<const float> probabilities) {
  if (!is_label(head_of(network).targets)) {
    throw InvalidArgument("predict: the network gives values, not classes");
  }
  std::vector<int> predicted(probabilities.size() / network.outputs);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const auto row = probabilities.subspan(i * network.outputs, network.outputs);
    const auto is_nan = [](float p) { return std::isnan(p); };
    predicted[i] = std::ranges::any_of(row, is_nan)
                       ? kNoLabel
                       : static_cast<int>(std::ranges::max_element(row) - row.begin());
  }
  return predicted;
}

std::vector<int> predict(const Parameters& parameters, const Dataset& data, int threads) {
  return most_probable(parameters.network(), predict_proba(parameters, data, threads));
}

}  // namespace lockstep
