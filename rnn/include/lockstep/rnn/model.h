#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/error.h"
#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/missing.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/ranks.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep {

/// A model file that cannot be read or written: what() is one sentence with file and reason.
class LOCKSTEP_API ModelFileError : public FileError {
 public:
  using FileError::FileError;
};

/// Thrown by a measurement or prediction that IsInterrupted has ended.
class LOCKSTEP_API Interrupted : public std::exception {
 public:
  /// "interrupted"
  [[nodiscard]] const char* what() const noexcept override;
};

/// A classifier or a regression of sequences or of their timesteps: a network, how its inputs (and
/// the numbers that it learns) are standardised, and its classes or the names of its outputs. It
/// takes data as they were measured, and matches their labels to its classes by name.
///
/// Threads: several may call const functions at a time; `fit` must be alone.
///
/// Errors: InvalidArgument, one sentence, for options out of their range and for data that do
/// not fit: other channels, a class that the model does not have, a label that is missing, a value
/// that is not finite.
class LOCKSTEP_API Model {
 public:
  /// A model for the classes of `train`: first weights drawn by the seed, inputs standardised as
  /// fits `train` without the share that `fit` will hold out. There must be two classes and a
  /// sequence.
  explicit Model(const Dataset& train, const Options& options = {});
  /// A model of parts made elsewhere, which must fit together.
  Model(Parameters parameters, Normalization normalization, std::vector<std::string> class_names);
  ~Model();
  /// A model that was moved from can only be assigned to or destroyed.
  ///@{
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ///@}

  /// Trains on `train`. After each epoch the loss of `validation` is measured; without that set, of
  /// the share Options::validation held out of `train`, if that is not 0. Afterwards the model has
  /// the weights of the smallest such loss, if there is Options::patience, otherwise the last;
  /// never any that are not finite. Another call learns on from them, with momentum, schedule and
  /// the orders of the epochs begun anew.
  ///
  /// An epoch that on_batch ends early is measured, reported to on_epoch and kept or not like a
  /// whole one: its EpochResult is of the minibatches that were done, its weights those after the
  /// last of them. If on_batch throws, the model has the weights that were kept before that epoch;
  /// if on_epoch throws, those that were kept after it.
  ///@{
  FitResult fit(const Dataset& train, const FitObserver& observer = {});
  FitResult fit(const Dataset& train, const Dataset& validation, const FitObserver& observer = {});
  ///@}

  /// One more pass over data that may be others each time, all of which count: Options::validation
  /// and patience have no effect. Momentum, schedule and the orders of the epochs go on where the
  /// last call left them, so that n calls with the same data give the bits of a `fit` of n epochs;
  /// after `fit`, with other options, on another backend and in a model that was loaded they begin
  /// anew. The result is of this pass, with its number as epoch; a pass that on_batch or
  /// is_interrupted ends early, by what they say or throw, has taught what was done. If
  /// is_interrupted ends it before its first minibatch is done, the history is empty and the next
  /// call repeats the pass. A model that has learnt so keeps the
  /// memory of the training until the next `fit`.
  FitResult learn(const Dataset& train,
                  const std::function<bool(const BatchProgress&)>& on_batch = {},
                  const IsInterrupted& is_interrupted = {});

  /// Probabilities [size][classes] row-major, or of values those in the units of the data,
  /// [size][outputs]; of heads of timesteps [total_timesteps][...]. Targets are ignored. `threads`
  /// as resolve_threads. Throws Interrupted if is_interrupted says so.
  [[nodiscard]] std::vector<float> predict_proba(const Dataset& data, int threads = 0,
                                                 const IsInterrupted& is_interrupted = {}) const;
  /// Index of the most probable class per sequence or timestep, the first of equals, or
  /// kNoLabel where the model overflows so that they are NaN. Throws InvalidArgument for a model of
  /// values, Interrupted as predict_proba.
  [[nodiscard]] std::vector<int> predict(const Dataset& data, int threads = 0,
                                         const IsInterrupted& is_interrupted = {}) const;
  /// Compares predictions with the targets. The loss is that of a training without weights and
  /// label smoothing; of numbers that the model standardises it is of the standardised ones, while
  /// rmse and mae are in the units of the data.
  /// Throws Interrupted if is_interrupted says so.
  [[nodiscard]] Evaluation evaluate(const Dataset& data, int threads = 0,
                                    const IsInterrupted& is_interrupted = {}) const;
  /// Throws InvalidArgument as `evaluate` would: for test data, before a training.
  void require_fit(const Dataset& data) const;

  /// Reads a safetensors file that Lockstep or PyTorch wrote. The tensors have the names and
  /// layouts of PyTorch's modules:
  ///   rnn.weight_ih_l0 [G H][D]  rnn.weight_hh_l0 [G H][H]
  ///   rnn.bias_ih_l0 [G H]       rnn.bias_hh_l0 [G H]
  ///   head.weight [C][H]         head.bias [C]
  /// with gates G = 1, of a GRU 3 (r, z, n), of an LSTM 4 (i, f, g, o); further layers end with
  /// _l1, ..., and backward directions with _l0_reverse, ...: then a layer has 2 H outputs, which
  /// are the inputs of the next and of the head.
  /// Names may have other prefixes than `rnn.` and `head.`, or none, as long as there is one stack
  /// of recurrent layers and one matrix beside; without any bias of one of them it is 0. Types may
  /// be F32, or F64, F16 and BF16, which become float32; the two biases are added. All else is JSON
  /// text in the metadata, key `lockstep`:
  ///   {"version": 2, "cells": ["tanh"], "head": "classify", "pool": "last",
  ///    "class_names": [...],
  ///    "normalization": {"kind": "none" | "channel" | "series", "mean": [D], "scale": [D]}}
  /// with mean and scale for `channel` only; where they are known
  ///   "channel_names": [...], "missing": {"kind": ..., "mean": [...], "masked": [...]};
  /// of numbers also
  ///   "loss": "mse" | "huber" | "mae", "delta": number,
  /// and where they are standardised
  ///   "target_mean": [outputs], "target_scale": [outputs].
  /// Version 1 had no cells and no head; without a pool it is "last". Without that key, as PyTorch
  /// writes, the class names are "0", "1", ..., there is no normalization, and the cell of a layer
  /// is that of G gates: tanh, gru or lstm.
  ///
  /// Throws ModelFileError for a file that is truncated, corrupt or not such a model (any tensor
  /// too many or too few, of another shape) and for NaN or infinite numbers. Memory is
  /// bounded by the weights and the header, whose JSON text may be at most 4 MiB long.
  [[nodiscard]] static Model load(const std::filesystem::path& path);
  /// The model of a training that was written by FitObserver::checkpoints, with the weights that
  /// were being trained and the options of then. Its next `fit` continues that training, to the
  /// same bits as if it had never stopped, on any number of threads and any backend with fused
  /// multiply-add: it must get the same data, and options (set_options) that differ in `epochs`,
  /// `threads` and `memory` alone, otherwise it throws InvalidArgument. (With other `epochs` the
  /// schedules cosine and one_cycle go on as if it had been so from the first.) FitResult then
  /// covers the whole training, also the epochs of before.
  ///
  /// The file is a model file with further tensors: checkpoint.optimizer, checkpoint.average,
  /// checkpoint.kept and checkpoint.state, JSON text in bytes: counters, options, history, a hash
  /// of the data. Throws ModelFileError as `load`.
  [[nodiscard]] static Model resume(const std::filesystem::path& path);
  /// Writes a file that `load` reads, with zeros for the second bias where it is part of the first.
  /// It is written under a temporary name beside `path`, flushed to disk and renamed: `path` holds
  /// the old model or the whole new one. Where the system can write files without a name, a kill
  /// leaves no other, unless it comes in the instant before the renaming: then the whole new one is
  /// in .lockstep-*.tmp. Throws ModelFileError, also for what could not be read again, as a class
  /// name that is not UTF-8 or a header above 4 MiB.
  void save(const std::filesystem::path& path) const;
  /// The bytes of the file that `save` writes, and the model that `load` would read of them: to
  /// keep models in other places than files. They throw ModelFileError as these.
  ///@{
  [[nodiscard]] std::string to_bytes() const;
  [[nodiscard]] static Model from_bytes(std::string_view bytes);
  ///@}
  /// Throws ModelFileError if `save` would, as far as that can be known before a training: `path`,
  /// and the length of the header, which training does not change.
  void require_savable(const std::filesystem::path& path) const;

  /// FNV-1a 64 over its weights: equal weights give an equal hash on every machine.
  [[nodiscard]] std::uint64_t weights_hash() const;
  /// What it was made with; of a model from a file or from parts, as far as that is known: cell and
  /// sizes of the first layer, if layers differ.
  [[nodiscard]] const Options& options() const;
  /// Ranks that share the work of `fit`, `learn`, `predict`, `predict_proba` and `evaluate`, to the
  /// same results, or null: this process does it alone. They must live until they are replaced.
  /// Each has the same model and makes the same calls with the same data and Checkpoints; they make
  /// sure that version, data, weights and the rounding of the backend are those of rank 0, and of a
  /// training also options and checkpoints, and throw InvalidArgument with what is not. Rank 0
  /// writes the checkpoints. What another rank reports ends the call with RanksError.
  void set_ranks(Ranks* ranks);
  /// Options for the next `fit`. Those that say how a model is made have no effect any more: the
  /// normalization too stays as it was fitted, even if another seed or share `validation` holds out
  /// other sequences.
  void set_options(const Options& options);
  /// Texts of its classes, [classes].
  [[nodiscard]] const std::vector<std::string>& class_names() const;
  /// What the channels of its data are called, or none: data whose channels have names are brought
  /// into this order, and refused if they have others.
  [[nodiscard]] const std::vector<std::string>& channel_names() const;
  /// What it does about missing values; a Stream takes none, and each masked channel as a further
  /// one.
  [[nodiscard]] const MissingRule& missing() const;
  /// How it standardises its inputs: for Stream, which does not do so itself.
  [[nodiscard]] const Normalization& normalization() const;
  /// How it standardises the numbers that it learns, empty if it does not: for Stream, whose
  /// numbers are standardised (TargetScale::restore).
  [[nodiscard]] const TargetScale& target_scale() const;
  /// Its network, for Stream and for all that takes one.
  [[nodiscard]] const Parameters& parameters() const;

 private:
  struct LOCKSTEP_HIDDEN State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
