#include "lockstep/rnn/stream.h"

#include <algorithm>
#include <string>
#include <vector>

#include "layers/network_pass.h"
#include "layers/pool.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/error.h"
#include "lockstep/threads.h"
#include "network/tensors.h"
#include "tuning.h"

namespace lockstep {
namespace {

// Rows of Z as in RecurrentLayer but for the 1, two for each sequence: one half of `rows` holds all
// states, and a timestep leaves the next ones in the other half.
struct StreamLayer {
  StreamLayer(const PackedLayer& weights, std::size_t count)
      : size(weights.size),
        layout(weights.layout),
        sequences(count),
        rows(2 * count * layout.stride),
        sums(size.cell->is_in_place() ? 0 : count * round_up(size.sums())),
        sum_stride(sums.empty() ? layout.stride : round_up(size.sums())),
        step(weights.step(sum_stride, SumsFrom::bias, Team())) {}

  [[nodiscard]] float* row(std::size_t half, std::size_t sequence) {
    return rows.data() + (half * sequences + sequence) * layout.stride;
  }
  [[nodiscard]] float* state(std::size_t half, std::size_t sequence) {
    return row(half, sequence) + layout.state;
  }

  // One timestep of the sequences `mine`, of whose inputs the first are at `x`, `x_stride` floats
  // apart. Leaves their states in the other half.
  void advance(Range mine, const float* x, std::size_t x_stride, std::size_t half) {
    float* z = row(half, mine.begin);
    for (std::size_t n = 0; n < mine.size(); ++n) {
      std::copy_n(x + n * x_stride, size.inputs, z + n * layout.stride + layout.input);
    }
    float* after = state(1 - half, mine.begin);
    float* own_sums = sums.empty() ? after : sums.data() + mine.begin * sum_stride;
    step.run({mine.size(), z, own_sums, sum_stride, after, layout.stride}, Team());
  }

  const LayerSize size;
  const RowLayout layout;
  const std::size_t sequences;
  AlignedVector<float> rows;
  AlignedVector<float> sums;
  const std::size_t sum_stride;
  const LayerStep step;
};

// What the head reads of the timesteps so far: of each sequence what pool_step has left, and their
// number.
struct StreamPool {
  StreamPool(const Network& network, std::size_t sequences)
      : kind(network.pool), hidden(network.layers.back().hidden) {
    if (kind == Pooling::last) return;
    rows.resize(sequences * stride());
    finished.resize(sequences * hidden);
  }

  [[nodiscard]] bool empty() const { return kind == Pooling::last; }
  [[nodiscard]] std::size_t stride() const { return hidden + 1; }
  [[nodiscard]] std::span<float> row(std::size_t sequence) {
    return std::span(rows).subspan(sequence * stride(), stride());
  }

  // One more timestep of the sequences `mine`, the first of which has its outputs at `h`.
  void add(Range mine, const float* h, std::size_t ldh) {
    for (std::size_t n = mine.begin; n < mine.end; ++n, h += ldh) {
      float& count = row(n)[hidden];
      pool_step(kind, count == 0, false, {h, hidden}, row(n).data(), nullptr, 0);
      count += 1;
    }
  }
  // As the head reads it; of no timestep zeros.
  const float* finish(Range some) {
    for (std::size_t n = some.begin; n < some.end; ++n) {
      const std::span<float> to = std::span(finished).subspan(n * hidden, hidden);
      std::ranges::copy(row(n).first(hidden), to.begin());
      const float count = row(n)[hidden];
      if (count != 0) finish_pool(kind, count, to);
    }
    return finished.data() + some.begin * hidden;
  }

  const Pooling kind;
  const std::size_t hidden;
  AlignedVector<float> rows;      // [sequences][hidden, number of timesteps]
  AlignedVector<float> finished;  // [sequences][hidden]
};

}  // namespace

struct Stream::State {
  State(const Parameters& parameters, std::size_t count, int team)
      : network(parameters.network()),
        sequences(count),
        threads(team),
        weights(network, Purpose::inference),
        pool(network, count),
        outputs(sequences * network.outputs) {
    layers.reserve(weights->layers.size());
    std::size_t state_floats = 0;
    for (const PackedLayer& layer : weights->layers) {
      layers.emplace_back(layer, sequences);
      state_floats += layer.size.state();
    }
    states.resize(state_floats + (pool.empty() ? 0 : pool.stride()));
    weights->pack(parameters, Team());
  }

  [[nodiscard]] Range all() const { return {0, sequences}; }
  [[nodiscard]] Range one(std::size_t sequence) const {
    if (sequence < sequences) return {sequence, sequence + 1};
    throw InvalidArgument("Stream: there is no sequence " + std::to_string(sequence) +
                          ", as it was made for " + std::to_string(sequences));
  }

  void require_steps(std::span<const float> x, std::size_t steps, std::size_t rows_per_step) const {
    const std::size_t per_step = rows_per_step * network.features;
    // Divided, as a product could overflow.
    if (x.size() % per_step == 0 && x.size() / per_step == steps) return;
    throw InvalidArgument("Stream: " + std::to_string(x.size()) + " values are not " +
                          std::to_string(steps) + " timesteps of " + std::to_string(rows_per_step) +
                          " sequences of " + std::to_string(network.features) + " features");
  }

  // The next `steps` timesteps of the sequences `mine`, those of the first of them at `x`, where
  // timesteps are `x_stride` floats apart. Leaves their states in the half that holds them now if
  // `steps` is even, otherwise in the other.
  void advance(Range mine, const float* x, std::size_t x_stride, std::size_t steps) {
    for (std::size_t t = 0; t < steps; ++t) {
      const std::size_t from = (half + t) % 2;
      const float* inputs = x + t * x_stride;
      std::size_t stride = network.features;
      for (StreamLayer& layer : layers) {
        layer.advance(mine, inputs, stride, from);
        inputs = layer.state(1 - from, mine.begin);
        stride = layer.layout.stride;
      }
      if (!pool.empty()) pool.add(mine, inputs, stride);
    }
  }

  // The states of a sequence, layer after layer, to or from memory.
  template <class Copy>
  void for_states(std::size_t sequence, const Copy& copy) {
    std::size_t place = 0;
    for (StreamLayer& layer : layers) {
      copy(std::span(layer.state(half, sequence), layer.size.state()), place);
      place += layer.size.state();
    }
    if (!pool.empty()) copy(pool.row(sequence), place);
  }

  // What the states of some sequences give: logits, or what a prediction makes of them.
  [[nodiscard]] std::span<const float> read_out(Range some, bool predicts) {
    const FlushDenormals flush;
    const MatrixView y(outputs.data() + some.begin * network.outputs, some.size(), network.outputs);
    StreamLayer& last = layers.back();
    if (pool.empty()) {
      weights->output.run(last.state(half, some.begin), last.layout.stride, y);
    } else {
      weights->output.run(pool.finish(some), pool.hidden, y);
    }
    if (predicts) weights->output.head.predict(y);
    return {y.data, y.rows * y.cols};
  }

  const Network network;
  const std::size_t sequences;
  const int threads;
  WithMemory<PackedNetwork> weights;
  std::vector<StreamLayer> layers;
  StreamPool pool;
  AlignedVector<float> outputs;
  std::vector<float> states;  // of the sequence that was asked for
  std::size_t half = 0;       // of the rows that hold the states
};

Stream::Stream(const Parameters& parameters, std::size_t sequences, int threads) {
  require_parameters(parameters, "Stream");
  if (parameters.network().is_bidirectional()) {
    throw InvalidArgument(
        "Stream: a bidirectional network reads whole sequences, and a stream has no end");
  }
  if (sequences == 0 || sequences > kMaxUnits) {
    throw InvalidArgument("Stream: " + std::to_string(sequences) + " sequences; it takes 1 to " +
                          std::to_string(kMaxUnits));
  }
  state_ = std::make_unique<State>(parameters, sequences, resolve_threads(threads));
}

Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

const Network& Stream::network() const { return state_->network; }
std::size_t Stream::sequences() const { return state_->sequences; }

void Stream::feed(std::span<const float> x, std::size_t steps) {
  State& s = *state_;
  s.require_steps(x, steps, s.sequences);
  const std::size_t shares = std::max<std::size_t>(1, s.sequences / kUsefulRows);
  // Each thread takes all timesteps of its own sequences and needs no barrier.
  const std::size_t features = s.network.features;
  const std::size_t weights = s.weights->recurrent_weights();
  parallel(useful_threads(weights, steps * s.sequences, shares, s.threads), [&](const Team& team) {
    const FlushDenormals flush;
    const Range mine = share(s.sequences, team.index(), team.size());
    s.advance(mine, x.data() + mine.begin * features, s.sequences * features, steps);
  });
  s.half = (s.half + steps) % 2;
}

void Stream::feed_one(std::size_t sequence, std::span<const float> x, std::size_t steps) {
  State& s = *state_;
  const Range mine = s.one(sequence);
  s.require_steps(x, steps, 1);
  const FlushDenormals flush;
  s.advance(mine, x.data(), s.network.features, steps);
  // The states of the others are still in the same half.
  if (steps % 2 == 0) return;
  for (StreamLayer& layer : s.layers) {
    std::copy_n(layer.state(1 - s.half, sequence), layer.size.state(),
                layer.state(s.half, sequence));
  }
}

std::span<const float> Stream::logits() { return state_->read_out(state_->all(), false); }
std::span<const float> Stream::logits(std::size_t sequence) {
  return state_->read_out(state_->one(sequence), false);
}
std::span<const float> Stream::probabilities() { return state_->read_out(state_->all(), true); }
std::span<const float> Stream::probabilities(std::size_t sequence) {
  return state_->read_out(state_->one(sequence), true);
}

std::span<const float> Stream::state(std::size_t sequence) const {
  State& s = *state_;
  s.for_states(s.one(sequence).begin, [&](std::span<const float> state, std::size_t place) {
    std::ranges::copy(state, s.states.begin() + static_cast<std::ptrdiff_t>(place));
  });
  return s.states;
}

void Stream::set_state(std::size_t sequence, std::span<const float> state) {
  State& s = *state_;
  const std::size_t which = s.one(sequence).begin;
  if (state.size() != s.states.size()) {
    throw InvalidArgument("Stream: a state has " + std::to_string(state.size()) +
                          " values, expected " + std::to_string(s.states.size()));
  }
  s.for_states(which, [&](std::span<float> part, std::size_t place) {
    std::ranges::copy(state.subspan(place, part.size()), part.begin());
  });
}

void Stream::reset() {
  for (std::size_t i = 0; i < state_->sequences; ++i) reset(i);
}

void Stream::reset(std::size_t sequence) {
  state_->for_states(state_->one(sequence).begin,
                     [](std::span<float> state, std::size_t) { std::ranges::fill(state, 0.0f); });
}

}  // namespace lockstep
