#include "lockstep/rnn/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <utility>

#include "data/inputs.h"
#include "data/mapped_file.h"
#include "lockstep/error.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "network/tensors.h"
#include "optimizers/optimizer.h"
#include "ranks/gather.h"
#include "ranks/slices.h"
#include "train/schedule.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

// What the memory of a training step depends on.
struct StepSize {
  const Network& network;
  MinibatchSize largest;
  LossSettings settings;
  std::size_t parts;
  Ranks* ranks = nullptr;

  [[nodiscard]] std::size_t bytes(std::size_t segment_rows) const {
    return WithMemory<TrainingStep>::bytes_for(network, largest, settings, parts, segment_rows,
                                               ranks);
  }
};

// As many states as Options::memory has room for: all, or those of about as few segments as fit.
std::size_t segment_rows_within(const StepSize& step) {
  const Options& options = step.settings.options;
  if (options.memory == 0) return 0;
  std::size_t least = step.bytes(0);
  if (least <= options.memory) return 0;
  std::size_t tried = 0;
  for (std::size_t segments = 2;; segments += segments / 2) {
    const std::size_t rows = segment_rows_of(step.network, step.largest, options, segments);
    if (rows == tried) break;
    const std::size_t bytes = step.bytes(rows);
    if (bytes <= options.memory) return rows;
    least = std::min(least, bytes);
    tried = rows;
  }
  throw InvalidArgument("memory: a training step takes at least " + std::to_string(least) +
                        " bytes, found '" + std::to_string(options.memory) + "'");
}

}  // namespace

// One pass over the data, as all threads see it. Thread 0 writes, between barriers.
struct Epoch {
  const Inputs& inputs;
  const std::function<bool(const BatchProgress&)>& on_batch;
  const CheckpointHooks& checkpoints;
  std::size_t updates;  // of the whole pass
  bool continues;       // the same on all ranks
  StopRequest& stop;
  bool is_stopped = false;       // by on_batch
  std::exception_ptr failure{};  // of on_batch and on_due
  std::uint64_t notices = 0;     // for other ranks, with the next minibatch

  [[nodiscard]] std::size_t size() const { return inputs.data.size(); }
};

struct Trainer::State {
  State(Parameters& p, const Options& o, Ranks* r)
      : parameters(p),
        options(o),
        ranks(r != nullptr && r->size() > 1 ? r : nullptr),
        threads(resolve_threads(o.threads)),
        slices(p.network(), ranks == nullptr ? 1 : ranks->size()),
        optimizer(new_optimizer()) {}

  void prepare(const Dataset& data);
  void start_epoch();
  [[nodiscard]] int rank() const { return ranks == nullptr ? 0 : ranks->rank(); }
  [[nodiscard]] Optimizer new_optimizer() const {
    return {parameters.tensors(), options, slices.weights_of(rank())};
  }
  [[nodiscard]] std::size_t minibatch_size() const {
    const bool fits = options.accumulate <= SIZE_MAX / options.batch_size;
    return fits ? options.batch_size * options.accumulate : SIZE_MAX;
  }
  [[nodiscard]] std::span<const std::size_t> minibatch_at(std::size_t first) const {
    return std::span(order).subspan(first, std::min(minibatch_size(), order.size() - first));
  }
  [[nodiscard]] double rate_at(const Epoch& epoch) const {
    const UpdatePlace at{now.pass.epoch - 1, now.pass_minibatches, epoch.updates};
    return now.plateau.factor * scheduled_rate(options, at);
  }
  void train_minibatches(Epoch& epoch, const Team& team) noexcept;
  void count(Epoch& epoch, const TrainingStep::Totals& totals, std::size_t samples, bool is_learnt);
  void observe(Epoch& epoch, bool has_checkpoint);
  [[nodiscard]] static std::uint64_t end_notices(const Epoch& epoch);
  [[nodiscard]] static bool is_checkpoint_due(const Epoch& epoch);
  void prefetch(const Dataset& data, std::span<const std::size_t> minibatch);
  [[nodiscard]] std::vector<float> gathered(std::span<const float> own);

  Parameters& parameters;
  Options options;
  Ranks* ranks;  // null: there is one
  int threads;
  Slices slices;
  Optimizer optimizer;
  std::unique_ptr<WithMemory<TrainingStep>> memory;  // the step and its memory
  MinibatchSize largest;                             // that the step has memory for,
  std::size_t parts = 1;                             // and parts of a minibatch
  std::vector<std::size_t> order;
  TrainerState now;  // without what the optimizer keeps
  bool is_in_pass = false;
  bool was_stopped = false;                      // the last pass, on some rank
  std::vector<std::size_t> next;                 // minibatch, of which this rank's share is read
  std::chrono::steady_clock::time_point last{};  // when `now.pass.seconds` was
};

// Takes the memory for minibatches of this data set, unless the step has it already.
void Trainer::State::prepare(const Dataset& data) {
  order.resize(data.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t window = window_of(options.truncate);
  const MinibatchSize needed = largest.joined(
      largest_minibatch(data, rows_at_once(parameters.network(), options), window, order));
  const std::size_t parts_needed = std::max(parts, parts_of(options, data.size()));
  if (memory != nullptr && needed == largest && parts_needed == parts) return;
  parts = parts_needed;
  memory.reset();  // if memory runs out below, there is no step that looks large enough
  largest = needed;
  const StepSize step{parameters.network(), largest, LossSettings{options, {}}, parts, ranks};
  memory = std::make_unique<WithMemory<TrainingStep>>(step.network, largest, step.settings, parts,
                                                      segment_rows_within(step), ranks);
}

// Asks for what this rank will read of a minibatch.
void Trainer::State::prefetch(const Dataset& data, std::span<const std::size_t> minibatch) {
  if (ranks == nullptr) return data_file::prefetch(data, minibatch);
  if (!data_file::is_prefetched(data)) return;
  next.assign(minibatch.begin(), minibatch.end());
  (*memory)->keep_own(data, next);
  data_file::prefetch(data, next);
}

// Numbers of all weights, from those that each rank has of its own.
std::vector<float> Trainer::State::gathered(std::span<const float> own) {
  std::vector<float> all(parameters.values().size());
  for (const Range& range : slices.weights_of(rank())) {
    std::ranges::copy(own.first(range.size()), all.data() + range.begin);
    own = own.subspan(range.size());
  }
  if (ranks != nullptr) SliceGather(*ranks, slices)(all);
  return all;
}

// The order of the pass; it begins here unless it is continued.
void Trainer::State::start_epoch() {
  if (!now.is_in_pass) {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    now.pass = {.epoch = now.pass.epoch + 1, .validation_loss = kNaN, .validation_accuracy = kNaN};
    now.pass_minibatches = now.pass_sequences = 0;
    now.pass_weight = now.pass_right = now.pass_targets = 0;
  }
  is_in_pass = true;
  now.is_in_pass = false;
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (options.shuffle) KeyedRandom(options.seed, "order", now.pass.epoch - 1).shuffle(order);
}

void Trainer::State::count(Epoch& epoch, const TrainingStep::Totals& totals, std::size_t samples,
                           bool is_learnt) {
  const auto time = std::chrono::steady_clock::now();
  now.pass.seconds += std::chrono::duration<double>(time - last).count();
  last = time;
  ++now.minibatches;
  ++now.pass_minibatches;
  now.pass_sequences += samples;
  epoch.continues = now.pass_sequences < epoch.size();
  if (is_learnt) {
    now.pass.loss += totals.loss.loss;
    now.pass.timesteps += totals.timesteps;
    now.pass_weight += totals.loss.weight;
    now.pass_right += totals.loss.right;
    now.pass_targets += totals.loss.targets;
  } else if (options.on_nan == OnNan::skip) {
    ++now.pass.skipped;
  } else {
    now.pass.failed_minibatch = now.pass_minibatches;
    epoch.continues = false;
  }
}

void Trainer::State::observe(Epoch& epoch, bool has_checkpoint) {
  try {
    if (has_checkpoint && epoch.checkpoints.on_due) epoch.checkpoints.on_due();
    if (!epoch.on_batch) return;
    epoch.is_stopped = !epoch.on_batch({now.pass.epoch, now.pass_sequences, epoch.size()});
  } catch (...) {
    epoch.failure = std::current_exception();
    epoch.is_stopped = true;
  }
}

std::uint64_t Trainer::State::end_notices(const Epoch& epoch) {
  std::uint64_t notices = 0;
  if (epoch.is_stopped || epoch.stop.has_come()) notices |= TrainingStep::kStop;
  if (epoch.failure != nullptr || epoch.stop.has_failed()) notices |= TrainingStep::kFail;
  return notices;
}

bool Trainer::State::is_checkpoint_due(const Epoch& epoch) {
  return epoch.checkpoints.is_due && epoch.checkpoints.is_due();
}

// What each thread does in an epoch: gradients of a minibatch, its share of the update, the next.
void Trainer::State::train_minibatches(Epoch& epoch, const Team& team) noexcept {
  TrainingStep& step = **memory;
  // A rank that wants to stop lets the others know with the next minibatch.
  while (epoch.continues && (!epoch.is_stopped || ranks != nullptr)) {
    const auto minibatch = minibatch_at(now.pass_sequences);
    if (team.index() == 0) {
      step.begin(epoch.inputs.data, minibatch, now.minibatches);
      const std::size_t next_one = now.pass_sequences + minibatch.size();
      if (next_one < epoch.size()) prefetch(epoch.inputs.data, minibatch_at(next_one));
      epoch.notices = end_notices(epoch);
      if (ranks != nullptr && is_checkpoint_due(epoch)) epoch.notices |= TrainingStep::kCheckpoint;
    }
    team.barrier();
    bool is_finite = false;
    bool has_targets = false;
    {
      const FlushDenormals flush;
      step.run(parameters, epoch.inputs, team, &epoch.stop, epoch.notices);
      // The same for all: nobody asks between the barrier at the end of `run` and the next step.
      if (epoch.stop.has_come() || step.is_void()) return;
      const double norm = step.gradient_norm();
      const LossTotals found = step.totals().loss;
      is_finite = std::isfinite(norm) && std::isfinite(found.loss);
      has_targets = found.weight > 0;
      if (is_finite && has_targets) {
        optimizer.update(parameters.values(), step.gradient(),
                         gradient_scale(norm, found.weight, clip_norm_of(options)), rate_at(epoch),
                         team);
      }
    }
    team.barrier();
    if (team.index() == 0) {
      if (is_finite && has_targets) {
        step.gather(parameters.values());
        optimizer.advance();
      }
      count(epoch, step.totals(), minibatch.size(), is_finite);
      const bool has_checkpoint = ranks == nullptr
                                      ? is_checkpoint_due(epoch)
                                      : (step.notices() & TrainingStep::kCheckpoint) != 0;
      if (!step.ranks_have_failed()) observe(epoch, has_checkpoint);
    }
    team.barrier();
    if (step.ranks_have_failed()) return;
  }
}

Trainer::Trainer(Parameters& parameters, const Options& options, Ranks* ranks) {
  validate(options);
  require_parameters(parameters, "Trainer");
  require_whole_sequences(parameters.network().is_bidirectional(), options.truncate);
  state_ = std::make_unique<State>(parameters, options, ranks);
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

EpochResult Trainer::run_epoch(const Dataset& data,
                               const std::function<bool(const BatchProgress&)>& on_batch,
                               const IsInterrupted& is_interrupted) {
  return run_epoch(Inputs(data), on_batch, is_interrupted, {});
}

EpochResult Trainer::run_epoch(const Inputs& inputs,
                               const std::function<bool(const BatchProgress&)>& on_batch,
                               const IsInterrupted& is_interrupted,
                               const CheckpointHooks& checkpoints) {
  State& s = *state_;
  const Dataset& data = inputs.data;
  if (data.empty()) throw InvalidArgument("training data: there is no sequence in it");
  require_training_data(s.parameters, data, "training data");
  s.last = std::chrono::steady_clock::now();
  const std::size_t outputs = s.parameters.network().outputs;
  LossSettings settings = loss_settings(s.options, data, outputs);
  if (!has_counting_targets(data, settings)) {
    throw InvalidArgument("training data: no target counts: each is unknown or has the weight 0");
  }
  s.prepare(data);
  (*s.memory)->set_class_weights(std::move(settings.class_weights));
  s.start_epoch();
  const std::size_t batch = s.minibatch_size();
  StopRequest stop(is_interrupted);
  Epoch epoch{.inputs = inputs,
              .on_batch = on_batch,
              .checkpoints = checkpoints,
              .updates = data.size() / batch + (data.size() % batch != 0 ? 1 : 0),
              .continues = s.now.pass_sequences < data.size() && s.now.pass.failed_minibatch == 0,
              .stop = stop};
  if (s.now.pass_minibatches == 0) s.now.pass.learning_rate = s.rate_at(epoch);
  std::uint64_t notices = 0;
  if (epoch.continues) {
    TrainingStep& step = **s.memory;
    s.prefetch(data, s.minibatch_at(s.now.pass_sequences));
    step.begin(data, s.minibatch_at(s.now.pass_sequences));
    // One parallel region for the whole pass: between regions OpenMP's idle threads would spin.
    parallel(step.team_size(s.threads),
             [&](const Team& team) noexcept { s.train_minibatches(epoch, team); });
    step.rethrow();
    notices = State::end_notices(epoch);
    notices |= step.is_void() ? step.notices() : gather_bits(s.ranks, notices);
  }
  // A pass that has taught nothing is repeated by the next call.
  s.now.is_in_pass = s.now.pass_minibatches == 0;
  stop.rethrow();
  if (epoch.failure != nullptr) std::rethrow_exception(epoch.failure);
  if ((notices & TrainingStep::kFail) != 0) throw ReportedElsewhere("another rank has failed");
  s.was_stopped = (notices & TrainingStep::kStop) != 0;
  s.is_in_pass = s.now.pass_sequences < data.size();
  EpochResult result = s.now.pass;
  result.loss /= s.now.pass_weight;
  const bool has_accuracy = head_of(s.parameters.network()).has_accuracy;
  result.accuracy = has_accuracy ? s.now.pass_right / s.now.pass_targets
                                 : std::numeric_limits<double>::quiet_NaN();
  return result;
}

TrainerState Trainer::state() const {
  TrainerState state = state_->now;
  state.is_in_pass = state_->is_in_pass;
  const Optimizer& optimizer = state_->optimizer;
  state.updates = optimizer.updates();
  state.beta_powers = optimizer.beta_powers();
  for (std::size_t s = 0; s < optimizer.slot_count(); ++s) {
    const std::vector<float> slot = state_->gathered(optimizer.slot(s));
    state.slots.insert(state.slots.end(), slot.begin(), slot.end());
  }
  if (optimizer.has_average()) state.average = state_->gathered(optimizer.average());
  return state;
}

void Trainer::set_state(const TrainerState& state) {
  State& s = *state_;
  const std::size_t weights = s.parameters.values().size();
  Optimizer optimizer = s.new_optimizer();
  const std::size_t averaged = s.options.ema > 0 && state.updates > 0 ? weights : 0;
  if (state.slots.size() != optimizer.slot_count() * weights || state.average.size() != averaged ||
      (state.is_in_pass && state.pass.epoch == 0)) {
    throw InvalidArgument(
        "Trainer: the state is not that of a training of these parameters and options");
  }
  optimizer.restore(state);
  s.optimizer = std::move(optimizer);
  s.now = state;
  s.is_in_pass = state.is_in_pass;
  s.now.slots = s.now.average = {};
}

Parameters Trainer::averaged() const {
  Parameters result = state_->parameters;
  const Optimizer& optimizer = state_->optimizer;
  if (!optimizer.has_average()) return result;
  std::ranges::copy(state_->gathered(optimizer.average()), result.values().begin());
  return result;
}

void Trainer::note_loss(double loss) {
  lockstep::note_loss(state_->options, loss, state_->now.plateau);
}

bool Trainer::was_stopped() const { return state_->was_stopped; }

int Trainer::threads() const { return state_->threads; }

std::size_t Trainer::workspace_bytes() const {
  return state_->memory != nullptr ? state_->memory->bytes() : 0;
}

std::size_t training_workspace_bytes(const Network& network, const Options& options,
                                     std::size_t sequences, std::size_t max_length) {
  validate(options);
  network.require_valid();
  require_whole_sequences(network.is_bidirectional(), options.truncate);
  const std::size_t window = window_of(options.truncate);
  const std::size_t rows = std::min(rows_at_once(network, options), sequences);
  const std::size_t kept = std::min(window, max_length);
  constexpr const char* kTooLarge =
      "training_workspace_bytes: the minibatch is larger than the address space";
  // Products of sizes that the workspace does not see must not overflow.
  std::size_t row_floats = 0;
  for (const LayerSize& size : layer_sizes(network)) {
    row_floats += layout_of(size, Purpose::training).stride + round_up(size.inputs);
  }
  row_floats += 2 * round_up(1 + network.layers.back().outputs()) + 2 * round_up(network.outputs);
  const double each =
      static_cast<double>(kept) * static_cast<double>(row_floats * sizeof(float)) + 0x1p30;
  if (static_cast<double>(rows) * each >= 0x1p62) throw InvalidArgument(kTooLarge);
  try {
    const MinibatchSize largest{.rows = rows, .steps = max_length, .window_timesteps = rows * kept};
    const StepSize step{network, largest, LossSettings{options, {}}, parts_of(options, sequences)};
    return step.bytes(segment_rows_within(step));
  } catch (const std::bad_array_new_length&) {
    throw InvalidArgument(kTooLarge);
  }
}

}  // namespace lockstep
