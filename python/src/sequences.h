// Sequences and their targets, read of NumPy arrays and of lists of them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <vector>

#include "lockstep/rnn/dataset.h"

namespace lockstep::python {

namespace nb = nanobind;

// Of a float32 array [n][timesteps][channels], without a copy, or a list of [timesteps][channels],
// without targets. `lengths` is None or [n], of a padded array. Throws ValueError and TypeError.
[[nodiscard]] Dataset dataset_of(nb::handle sequences, nb::handle lengths);

// Rows of targets, [sequences or timesteps][width].
template <class T>
struct StepRows {
  std::vector<T> values;
  std::size_t width = 1;
};

// [n]
[[nodiscard]] std::vector<int> labels_of(const Dataset& data, nb::handle labels);
// A list of [timesteps], [n][timesteps] or [all timesteps].
[[nodiscard]] std::vector<int> step_labels_of(const Dataset& data, nb::handle labels);
// [n] or [n][outputs]
[[nodiscard]] StepRows<float> values_of(const Dataset& data, nb::handle values);
// A list of [timesteps][outputs], [n][timesteps][outputs] or [all timesteps][outputs].
[[nodiscard]] StepRows<float> step_values_of(const Dataset& data, nb::handle values);

}  // namespace lockstep::python
