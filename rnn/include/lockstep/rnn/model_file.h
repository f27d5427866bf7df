#pragma once

#include <filesystem>
#include <stdexcept>

#include "lockstep/export.h"
#include "lockstep/rnn/model.h"

namespace lockstep {

/// A model file that cannot be read or written: what() is one sentence with file and reason.
class LOCKSTEP_API ModelFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Writes a safetensors file whose tensors carry the names and layouts of PyTorch's modules:
///   rnn.weight_ih_l0 [H][D]  rnn.weight_hh_l0 [H][H]
///   rnn.bias_ih_l0 [H]       rnn.bias_hh_l0 [H] (zeros)
///   head.weight [C][H]       head.bias [C]
/// Class names and normalization stand as JSON text in the metadata, key `lockstep`:
///   {"version": 1, "class_names": [...],
///    "normalization": {"kind": "none" | "series" | "channel", "mean": [D], "scale": [D]}}
/// with mean and scale for `channel` only. The file is written under a temporary name beside
/// `path`, flushed to disk and renamed: `path` holds the old model or the whole new one, never a
/// part. Throws ModelFileError, also for what could not be read again: a weight that is NaN or
/// infinite (training diverged), a class name that is not UTF-8, sizes that do not agree.
LOCKSTEP_API void save_model(const RnnClassifier& model, const std::filesystem::path& path);

/// Reads a model; the two biases of PyTorch are added, in float32. Names may come with or without
/// the prefixes `rnn.` and `head.` (`fc.`, `linear.`); types may be F32, or F64, F16 and BF16,
/// which become float32. A file without the key `lockstep`, as PyTorch writes it, gives the class
/// names "0", "1", ... and no normalization. Its nonlinearity is not recorded: it must be tanh.
///
/// A file that is truncated, corrupt, not safetensors or not such a model (more layers, a second
/// direction, an LSTM, any tensor too many or too few) or that holds a NaN or infinite number
/// throws ModelFileError. Memory is bounded by the weights and the header, whose JSON text may be
/// at most 4 MiB long.
[[nodiscard]] LOCKSTEP_API RnnClassifier load_model(const std::filesystem::path& path);

}  // namespace lockstep
