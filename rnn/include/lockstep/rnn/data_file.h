#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/error.h"
#include "lockstep/export.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep {

/// A data file that cannot be read: what() is one sentence with the file, the line or entry, what
/// was found and what was expected.
class LOCKSTEP_API DataError : public FileError {
 public:
  using FileError::FileError;
};

/// The order of the axes of X in a .npz or .npy: sequences, timesteps, channels.
enum class Axes {
  NTC,  ///< [N][T][D]
  NCT,  ///< [N][D][T], as aeon and sktime keep it
};

/// How to read a data file.
struct LOCKSTEP_API ReadOptions {
  std::optional<TargetKind> targets{};  ///< what to learn of it; without a value, as the file says
  bool ignores_targets = false;         ///< nobody needs them: whatever they are
  std::string format{};  ///< "ts", "tsv", "txt", "csv", "arff", "npz", "npy"; "": by the extension
  bool allow_missing = false;  ///< NaN for values that are missing, instead of a DataError
  std::string x{};             ///< of a .npz the array of values; "": X or the only one like it
  std::string y{};             ///< the same of targets: y or the only one; of a .npy that beside it
  Axes axes = Axes::NTC;       ///< of a .npz or .npy
};

/// What was read.
struct DataFile {
  Dataset data;                    ///< the sequences
  std::vector<std::string> notes;  ///< a sentence for all that was done that nobody asked for
  std::vector<std::filesystem::path> files{};  ///< that were read: `path` and what is beside it
};

/// Reads labelled sequences; the format follows from the file's extension, behind which `.gz` may
/// say that it is compressed; "-" is standard input, whose format `options` must give:
///   .ts   UEA/UCR: multichannel, ragged, labels as text
///   .tsv  UCR: label, then the values of one channel, separated by tabs, commas, semicolons or
///         blanks (.txt too)
///   .arff UEA/UCR: a row for each sequence, its values and then its label; of several channels a
///         relational attribute
///   .npz  NumPy: X [N][T][D] or [N][T], y [N], [N][1] or one-hot [N][K]; X of floats or integers,
///         C or Fortran order; y of integers, floats or text; optional `lengths` [N] for ragged
///         sets (values beyond a length are ignored)
///   .npy  one such array, X.npy with y.npy, lengths.npy and sample_weight.npy beside it, or
///         X_train.npy with y_train.npy, train_X.npy with train_y.npy, runs.npy with runs_y.npy
///         (labels and targets for y as well). Float32 [N][T][D] in C order
///         stay in the file and are read as they are needed, so that a set may be larger than
///         memory; infinite and missing values are then found by the model. Nobody may shorten or
///         change the file meanwhile, and a disk that fails ends the program
///   .csv  a header, then one timestep per row; columns `sample`, `step` (a number or a date) and
///         `label` by name, in capitals or not; every other column with a name is a channel; the
///         rows of a sample follow one another, its steps increase. Fields are separated by commas,
///         or by semicolons or tabs, with which numbers may have a decimal comma
/// Text is UTF-8, or UTF-16 with a byte order mark. What is compressed may unpack to 1 MiB and 64
/// bytes more for each of its bytes above 64 KiB, or to as many as the variable
/// LOCKSTEP_MAX_UNPACKED of the environment says.
///
/// Without labels (.ts whose classLabel is false, .npz or .npy without y, .csv without label) the
/// set is unlabelled; a label that is missing leaves its sequence without one. Class names are the
/// label texts: in the order that a header declares, otherwise sorted (by value if all are
/// numbers); texts that are the same number are one class.
///
/// A value is missing where its text is empty, '?', NaN or NA. Timesteps at the end of a sequence
/// that have no value are no part of it; others are refused, or NaN with `allow_missing`. Infinite
/// values and bad rows throw DataError.
///
/// Other targets than a class of each sequence, without `targets` as the file says:
///   .ts   a number for each sequence, where the header says `targetLabel true`
///   .arff the same, where the last attribute is `target` or `class` and a number
///   .npz, .npy  y [N][K] of floats: K numbers for each sequence; y [N][T] of integers or text: a
///   class
///         for each timestep; y [N][T][K]: numbers for each timestep
///   .csv  columns `target`, `target2`, ...: numbers, of each sequence where they stay the same in
///         every sample, otherwise of each timestep; a label that changes within a sample: with
///         `targets` step_labels only
/// With `targets` they are read as that kind: y [N] of floats as numbers, y [N][T] as numbers of
/// each timestep. A number that is missing is NaN.
///
/// Weights of the sequences (Dataset::set_weight): .npz and .npy sample_weight [N], .csv a column
/// `sample_weight`, the same in all rows of a sample. Names of channels and of sequences
/// (Dataset::channel_names, id): of a .csv those of its columns and samples.
[[nodiscard]] LOCKSTEP_API DataFile read_data_file(const std::filesystem::path& path,
                                                   const ReadOptions& options = {});
/// The sequences alone.
[[nodiscard]] LOCKSTEP_API Dataset read_dataset(const std::filesystem::path& path,
                                                const ReadOptions& options = {});

}  // namespace lockstep
