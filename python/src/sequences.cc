#include "sequences.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "arrays.h"
#include "gil.h"
#include "lockstep/error.h"

namespace lockstep::python {
namespace {

bool is_list(nb::handle object) {
  return PyList_Check(object.ptr()) != 0 || PyTuple_Check(object.ptr()) != 0;
}

// Whether the elements of a list are arrays, not numbers.
bool has_arrays(nb::handle list) {
  const nb::object first = nb::steal(PySequence_GetItem(list.ptr(), 0));
  const bool result = !first.is_valid() || PyObject_Size(first.ptr()) >= 0;
  PyErr_Clear();
  return result;
}

std::string numbered(const char* what, std::size_t i) {
  return std::string(what) + " " + std::to_string(i) + " (counted from 0)";
}

// take_floats or take_integers.
using Take = void (*)(Buffer&, nb::handle, const char*);

// The elements of a list, each an array.
std::deque<Buffer> taken(nb::handle list, const char* what, Take take) {
  std::deque<Buffer> buffers;
  for (const nb::handle element : nb::borrow<nb::sequence>(list)) {
    const std::string place = numbered(what, buffers.size());
    take(buffers.emplace_back(), element, place.c_str());
  }
  return buffers;
}

// A sequence of one channel may lack that axis.
std::size_t channels_of(const Buffer& buffer) { return buffer.ndim() == 1 ? 1 : buffer.shape(1); }

void require_sequence(const Buffer& buffer, std::size_t i, std::size_t channels) {
  if (buffer.ndim() != 1 && buffer.ndim() != 2) {
    throw InvalidArgument(numbered("sequence", i) +
                          ": expected [timesteps, channels], found shape " + shape_text(buffer));
  }
  if (channels_of(buffer) != channels) {
    throw InvalidArgument(numbered("sequence", i) + " has " + std::to_string(channels_of(buffer)) +
                          " channels, the first one has " + std::to_string(channels));
  }
  if (buffer.shape(0) == 0) throw InvalidArgument(numbered("sequence", i) + " has no timestep");
}

Dataset dataset_of_list(nb::handle list) {
  const std::deque<Buffer> buffers = taken(list, "sequence", take_floats);
  if (buffers.empty()) {
    throw InvalidArgument("there is no sequence, which would say how many channels there are");
  }
  const std::size_t channels = buffers[0].ndim() == 0 ? 1 : channels_of(buffers[0]);
  std::size_t timesteps = 0;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    require_sequence(buffers[i], i, channels);
    timesteps += buffers[i].shape(0);
  }
  Dataset data(channels);
  data.reserve(buffers.size(), timesteps);
  for (const Buffer& buffer : buffers) data.add_unknown(buffer.values<const float>());
  return data;
}

// Lives as long as the sets that share its values, whichever thread drops the last of them.
std::shared_ptr<Buffer> shared_buffer() {
  return {new Buffer, [](Buffer* buffer) {
            const AcquireGil gil;
            delete buffer;
          }};
}

std::vector<std::size_t> lengths_of(nb::handle lengths, std::size_t sequences,
                                    std::size_t timesteps) {
  std::vector<std::size_t> result(sequences, timesteps);
  if (lengths.is_none()) return result;
  Buffer buffer;
  take_indices(buffer, lengths, "lengths");
  const auto values = buffer.values<const std::int64_t>();
  if (buffer.ndim() != 1 || values.size() != sequences) {
    throw InvalidArgument("lengths: expected one for each of " + std::to_string(sequences) +
                          " sequences, found shape " + shape_text(buffer));
  }
  for (std::size_t i = 0; i < sequences; ++i) {
    if (values[i] < 1 || static_cast<std::uint64_t>(values[i]) > timesteps) {
      throw InvalidArgument(numbered("the length of sequence", i) + " is " +
                            std::to_string(values[i]) + ", expected 1 to " +
                            std::to_string(timesteps));
    }
    result[i] = static_cast<std::size_t>(values[i]);
  }
  return result;
}

Dataset dataset_of_array(nb::handle array, nb::handle lengths) {
  const std::shared_ptr<Buffer> buffer = shared_buffer();
  take_floats(*buffer, array, "sequences");
  if (buffer->ndim() != 3) {
    throw InvalidArgument(
        "sequences: expected an array [sequences, timesteps, channels] or a list of arrays "
        "[timesteps, channels], found shape " +
        shape_text(*buffer));
  }
  if (buffer->shape(0) > 0 && buffer->shape(1) == 0) {
    throw InvalidArgument("sequences: they have no timestep, shape " + shape_text(*buffer));
  }
  return Dataset::over(buffer->shape(2), buffer->values<const float>(), buffer->shape(1),
                       lengths_of(lengths, buffer->shape(0), buffer->shape(1)), buffer);
}

// Targets of timesteps of a list: those of each sequence.
template <class T>
StepRows<T> rows_of_list(const Dataset& data, const std::deque<Buffer>& buffers, const char* what) {
  if (buffers.size() != data.size()) {
    throw InvalidArgument(std::string(what) + ": expected a list of " +
                          std::to_string(data.size()) + ", found " +
                          std::to_string(buffers.size()));
  }
  StepRows<T> rows;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    const std::size_t width = buffer.ndim() == 2 ? buffer.shape(1) : 1;
    if (i == 0) rows.width = width;
    const bool fits = (buffer.ndim() == 1 || buffer.ndim() == 2) && width == rows.width &&
                      buffer.shape(0) == data.length(i);
    if (!fits) {
      throw InvalidArgument(numbered(what, i) + ": expected a row for each of " +
                            std::to_string(data.length(i)) + " timesteps, found shape " +
                            shape_text(buffer));
    }
    rows.values.insert(rows.values.end(), buffer.values<const T>().begin(),
                       buffer.values<const T>().end());
  }
  return rows;
}

// Of an array that has `axes` axes beside that of the timesteps and, where it is padded, that of
// the sequences.
template <class T>
StepRows<T> rows_of_array(const Dataset& data, const Buffer& buffer, std::size_t axes,
                          const char* what) {
  const bool is_padded = buffer.ndim() == axes + 2;
  const std::size_t width = axes == 0 || buffer.ndim() == 0 ? 1 : buffer.shape(buffer.ndim() - 1);
  const bool fits = is_padded
                        ? buffer.shape(0) == data.size() && buffer.shape(1) >= data.max_length()
                        : buffer.ndim() == axes + 1 && buffer.shape(0) == data.total_timesteps();
  if (!fits) {
    throw InvalidArgument(std::string(what) + ": expected a row for each of " +
                          std::to_string(data.total_timesteps()) + " timesteps, found shape " +
                          shape_text(buffer));
  }
  const auto values = buffer.values<const T>();
  StepRows<T> rows{.values = {}, .width = width};
  if (!is_padded) {
    rows.values.assign(values.begin(), values.end());
    return rows;
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto own = values.subspan(i * buffer.shape(1) * width, data.length(i) * width);
    rows.values.insert(rows.values.end(), own.begin(), own.end());
  }
  return rows;
}

template <class T>
StepRows<T> step_rows(const Dataset& data, nb::handle object, std::size_t axes, const char* what,
                      Take take) {
  if (is_list(object) && has_arrays(object)) {
    return rows_of_list<T>(data, taken(object, what, take), what);
  }
  // NOLINTNEXTLINE(misc-const-correctness): `take` writes to it
  Buffer buffer;
  take(buffer, object, what);
  return rows_of_array<T>(data, buffer, axes, what);
}

int to_label(std::int64_t label) {
  if (label >= kNoLabel && label <= std::numeric_limits<int>::max()) return static_cast<int>(label);
  throw InvalidArgument("labels: " + std::to_string(label) +
                        ", expected -1 (not known) or the index of a class");
}

}  // namespace

Dataset dataset_of(nb::handle sequences, nb::handle lengths) {
  if (!is_list(sequences)) return dataset_of_array(sequences, lengths);
  if (!lengths.is_none()) {
    throw InvalidArgument("lengths: the arrays of a list have their own");
  }
  return dataset_of_list(sequences);
}

std::vector<int> labels_of(const Dataset& data, nb::handle labels) {
  Buffer buffer;
  take_integers(buffer, labels, "labels");
  if (buffer.ndim() != 1 || buffer.shape(0) != data.size()) {
    throw InvalidArgument("labels: expected one for each of " + std::to_string(data.size()) +
                          " sequences, found shape " + shape_text(buffer));
  }
  const auto values = buffer.values<const std::int64_t>();
  std::vector<int> result(values.size());
  std::ranges::transform(values, result.begin(), to_label);
  return result;
}

std::vector<int> step_labels_of(const Dataset& data, nb::handle labels) {
  const StepRows<std::int64_t> rows =
      step_rows<std::int64_t>(data, labels, 0, "step_labels", take_integers);
  if (rows.width != 1) throw InvalidArgument("step_labels: expected one for each timestep");
  std::vector<int> result(rows.values.size());
  std::ranges::transform(rows.values, result.begin(), to_label);
  return result;
}

StepRows<float> values_of(const Dataset& data, nb::handle values) {
  Buffer buffer;
  take_floats(buffer, values, "values");
  if ((buffer.ndim() != 1 && buffer.ndim() != 2) || buffer.shape(0) != data.size()) {
    throw InvalidArgument("values: expected a row for each of " + std::to_string(data.size()) +
                          " sequences, found shape " + shape_text(buffer));
  }
  const auto all = buffer.values<const float>();
  return {{all.begin(), all.end()}, buffer.ndim() == 1 ? 1 : buffer.shape(1)};
}

StepRows<float> step_values_of(const Dataset& data, nb::handle values) {
  return step_rows<float>(data, values, 1, "step_values", take_floats);
}

}  // namespace lockstep::python
