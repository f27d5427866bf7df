#include "lockstep/rnn/stream.h"

#include <algorithm>
#include <string>

#include "layers/network_pass.h"
#include "lockstep/aligned_vector.h"
#include "lockstep/error.h"
#include "lockstep/threads.h"
#include "network/tensors.h"
#include "tuning.h"

namespace lockstep {
// Rows of Z as in RecurrentLayer but for the 1, two for each sequence: one half of `rows` holds all
// states, and a timestep leaves the next ones in the other half.
struct Stream::State {
  State(const Parameters& parameters, std::size_t count, int team)
      : network(parameters.network()),
        size(network),
        layout(layout_of(size)),
        sequences(count),
        threads(team),
        weights(network, Purpose::inference),
        rows(2 * sequences * layout.stride),
        outputs(sequences * network.outputs),
        step(weights->layer.step(layout.stride, SumsFrom::bias, Team())) {
    weights->pack(parameters, Team());
  }

  [[nodiscard]] float* row(std::size_t which, std::size_t sequence) {
    return rows.data() + (which * sequences + sequence) * layout.stride;
  }
  [[nodiscard]] float* h(std::size_t sequence) { return row(half, sequence) + layout.state; }

  [[nodiscard]] Range all() const { return {0, sequences}; }
  [[nodiscard]] Range one(std::size_t sequence) const {
    if (sequence < sequences) return {sequence, sequence + 1};
    throw InvalidArgument("Stream: there is no sequence " + std::to_string(sequence) +
                          ", as it was made for " + std::to_string(sequences));
  }

  void require_steps(std::span<const float> x, std::size_t steps, std::size_t rows_per_step) const {
    const std::size_t per_step = rows_per_step * size.inputs;
    // Divided, as a product could overflow.
    if (x.size() % per_step == 0 && x.size() / per_step == steps) return;
    throw InvalidArgument("Stream: " + std::to_string(x.size()) + " values are not " +
                          std::to_string(steps) + " timesteps of " + std::to_string(rows_per_step) +
                          " sequences of " + std::to_string(size.inputs) + " features");
  }

  // The next `steps` timesteps of the sequences `mine`, those of the first of them at `x`, where
  // timesteps are `x_stride` floats apart. Leaves their states in the half that holds them now if
  // `steps` is even, otherwise in the other.
  void advance(Range mine, const float* x, std::size_t x_stride, std::size_t steps) {
    for (std::size_t t = 0; t < steps; ++t) {
      const std::size_t from = (half + t) % 2;
      const float* x_t = x + t * x_stride;
      float* z = row(from, mine.begin);
      for (std::size_t n = 0; n < mine.size(); ++n) {
        std::copy_n(x_t + n * size.inputs, size.inputs, z + n * layout.stride + layout.input);
      }
      float* after = row(1 - from, mine.begin) + layout.state;
      const bool in_place = size.cell->is_in_place();
      step.run(
          {mine.size(), z, in_place ? after : z + layout.sums, layout.stride, after, layout.stride},
          Team());
    }
  }

  // What the states of some sequences give: logits, or what a prediction makes of them.
  [[nodiscard]] std::span<const float> read_out(Range some, bool predicts) {
    const FlushDenormals flush;
    const MatrixView y(outputs.data() + some.begin * network.outputs, some.size(), network.outputs);
    weights->output.run(h(some.begin), layout.stride, y);
    if (predicts) weights->output.head.predict(y);
    return {y.data, y.rows * y.cols};
  }

  const Network network;
  const LayerSize size;
  const RowLayout layout;
  const std::size_t sequences;
  const int threads;
  WithMemory<PackedNetwork> weights;
  AlignedVector<float> rows;
  AlignedVector<float> outputs;
  const LayerStep step;
  std::size_t half = 0;  // of `rows` that holds the states
};

Stream::Stream(const Parameters& parameters, std::size_t sequences, int threads) {
  require_parameters(parameters, "Stream");
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
  parallel(useful_threads(s.size, steps * s.sequences, shares, s.threads), [&](const Team& team) {
    const FlushDenormals flush;
    const Range mine = share(s.sequences, team.index(), team.size());
    s.advance(mine, x.data() + mine.begin * s.size.inputs, s.sequences * s.size.inputs, steps);
  });
  s.half = (s.half + steps) % 2;
}

void Stream::feed_one(std::size_t sequence, std::span<const float> x, std::size_t steps) {
  State& s = *state_;
  const Range mine = s.one(sequence);
  s.require_steps(x, steps, 1);
  const FlushDenormals flush;
  s.advance(mine, x.data(), s.size.inputs, steps);
  // The states of the others are still in the same half.
  if (steps % 2 == 1) {
    std::copy_n(s.row(1 - s.half, sequence) + s.layout.state, s.size.state(), s.h(sequence));
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
  return {state_->h(state_->one(sequence).begin), state_->size.state()};
}

void Stream::set_state(std::size_t sequence, std::span<const float> h) {
  float* const state = state_->h(state_->one(sequence).begin);
  if (h.size() != state_->size.state()) {
    throw InvalidArgument("Stream: a state has " + std::to_string(h.size()) + " values, expected " +
                          std::to_string(state_->size.state()));
  }
  std::ranges::copy(h, state);
}

void Stream::reset() {
  for (std::size_t i = 0; i < state_->sequences; ++i) reset(i);
}

void Stream::reset(std::size_t sequence) {
  std::fill_n(state_->h(state_->one(sequence).begin), state_->size.state(), 0.0f);
}

}  // namespace lockstep
