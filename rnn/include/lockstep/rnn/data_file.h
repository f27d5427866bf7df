#pragma once

#include <filesystem>
#include <optional>
#include <string>

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

/// Reads labelled sequences; the format follows from the file's extension:
///   .ts   UEA/UCR: multichannel, ragged, labels as text
///   .tsv  UCR 2018: label, then the values of one channel, separated by tabs or commas (.txt too);
///         NaN at the end of a row ends that sequence
///   .npz  NumPy: X [N][T][D] or [N][T], y [N]; X of float32 or float64, C or Fortran order; y of
///         integers, floats or text; optional `lengths` [N] for ragged sets (values beyond a
///         length are ignored)
///   .csv  a header, then one timestep per row; columns `sample`, `step` and `label` by name, every
///         other column is a channel; the rows of a sample follow one another, its steps increase
/// Without labels (.ts whose classLabel is false, .npz without y, .csv without label) the set is
/// unlabelled; a label that is empty, '?' or NaN leaves its sequence without one. Class names are
/// the label texts: in the order a .ts header declares them, otherwise sorted (by value if all are
/// numbers). Missing and infinite values and bad rows throw DataError.
///
/// Other targets than a class of each sequence, without `targets` as the file says:
///   .ts   a number for each sequence, where the header has @targetLabel true
///   .npz  y [N][K] of floats: K numbers for each sequence; y [N][T] of integers or text: a class
///         for each timestep; y [N][T][K]: numbers for each timestep
///   .csv  columns `target`, `target2`, ...: numbers, of each sequence where they stay the same in
///   every sample,
///         otherwise of each timestep; a label that changes within a sample: with `targets`
///         step_labels only
/// Weights of the sequences (Dataset::set_weight): .npz sample_weight [N], .csv a column
/// `sample_weight`, the same in all rows of a sample.
/// With `targets` they are read as that kind: y [N] of floats as numbers, y [N][T] as numbers of
/// each timestep. A number that is missing is NaN.
[[nodiscard]] LOCKSTEP_API Dataset read_dataset(const std::filesystem::path& path,
                                                std::optional<TargetKind> targets = {});
/// The same where nobody needs the targets: whatever kind they are of.
[[nodiscard]] LOCKSTEP_API Dataset read_sequences(const std::filesystem::path& path);

}  // namespace lockstep
