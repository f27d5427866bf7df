#include "arrays.h"

#include <nanobind/stl/string.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "lockstep/error.h"

namespace lockstep::python {
namespace {

// What is asked of NumPy again and again. Never destroyed: the module lives as long as the process.
struct NumPy {
  nb::object asarray;
  nb::object empty;
  nb::object shares_memory;
  nb::object float32;
  nb::object float64;
  nb::object int32;
  nb::object int64;
};

const NumPy& numpy() {
  static const NumPy* parts = nullptr;
  return once(parts, [] {
    const nb::module_ np = nb::module_::import_("numpy");
    const auto dtype = [&](const char* name) { return np.attr("dtype")(name); };
    return new NumPy{np.attr("asarray"), np.attr("empty"), np.attr("shares_memory"),
                     dtype("float32"),   dtype("float64"), dtype("int32"),
                     dtype("int64")};
  });
}

nb::object new_array(const nb::object& dtype, std::initializer_list<std::size_t> shape) {
  nb::object axes;
  if (shape.size() == 1) {
    axes = nb::int_(*shape.begin());
  } else {
    axes = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
    Py_ssize_t axis = 0;
    for (const std::size_t size : shape) {
      PyTuple_SetItem(axes.ptr(), axis++, nb::int_(size).release().ptr());
    }
  }
  PyObject* const arguments[] = {axes.ptr(), dtype.ptr()};
  PyObject* const made = PyObject_Vectorcall(numpy().empty.ptr(), arguments, 2, nullptr);
  if (made == nullptr) nb::raise_python_error();
  return nb::steal(made);
}

nb::object filled_array(const nb::object& dtype, std::initializer_list<std::size_t> shape,
                        const void* values, std::size_t bytes) {
  nb::object array = new_array(dtype, shape);
  Buffer buffer;
  if (!buffer.take(array, Buffer::Access::write) || buffer.bytes() != bytes) {
    throw InternalError("an array has another size than its values");
  }
  if (bytes > 0) std::memcpy(buffer.data<void>(), values, bytes);
  return array;
}

// The array that NumPy makes of an object, if it holds numbers of these kinds.
nb::object array_of(nb::handle object, const char* what, const char* kinds, const char* expected) {
  nb::object array = numpy().asarray(object);
  const nb::object dtype = array.attr("dtype");
  const auto kind = nb::cast<std::string>(dtype.attr("kind"));
  if (std::strchr(kinds, kind[0]) != nullptr) return array;
  const auto found = nb::cast<std::string>(nb::str(dtype));
  throw nb::type_error((std::string(what) + ": expected " + expected + ", found " + found).c_str());
}

void take_converted(Buffer& buffer, const nb::object& array, const nb::object& dtype,
                    const char* what) {
  const nb::object converted = numpy().asarray(array, dtype, "C");
  if (buffer.take(converted) && buffer.is_aligned()) return;
  if (buffer.take(converted.attr("copy")("C"))) return;
  throw nb::type_error((std::string(what) + ": cannot be read as an array").c_str());
}

// The largest of uint64 become negative as int64.
void require_no_wrap(const Buffer& integers, const nb::object& array, const char* what) {
  if (nb::cast<std::string>(array.attr("dtype").attr("kind")) != "u") return;
  for (const std::int64_t value : integers.values<const std::int64_t>()) {
    if (value >= 0) continue;
    throw InvalidArgument(std::string(what) + ": " +
                          std::to_string(static_cast<std::uint64_t>(value)) + " is too large");
  }
}

void take_whole(Buffer& buffer, nb::handle object, const char* what, const char* kinds) {
  const nb::object array = array_of(object, what, kinds, "whole numbers");
  take_converted(buffer, array, numpy().int64, what);
  require_no_wrap(buffer, array, what);
}

}  // namespace

bool Buffer::take(nb::handle object, int flags) {
  release();
  if (PyObject_GetBuffer(object.ptr(), &view_, flags) == 0) return true;
  PyErr_Clear();
  view_ = {};
  return false;
}

bool Buffer::take(nb::handle object, Access access) {
  return take(object, PyBUF_ND | PyBUF_FORMAT | (access == Access::write ? PyBUF_WRITABLE : 0));
}

bool Buffer::take_strided(nb::handle object, Access access) {
  return take(object,
              PyBUF_STRIDES | PyBUF_FORMAT | (access == Access::write ? PyBUF_WRITABLE : 0));
}

void Buffer::release() {
  if (view_.obj != nullptr) PyBuffer_Release(&view_);
}

bool Buffer::holds_floats() const {
  return view_.format != nullptr && std::strcmp(view_.format, "f") == 0 && is_aligned();
}

bool Buffer::is_aligned() const {
  return reinterpret_cast<std::uintptr_t>(view_.buf) %
             static_cast<std::uintptr_t>(view_.itemsize) ==
         0;
}

void take_floats(Buffer& buffer, nb::handle object, const char* what) {
  if (buffer.take(object) && buffer.holds_floats()) return;
  take_converted(buffer, array_of(object, what, "fiub", "numbers"), numpy().float32, what);
}

void take_integers(Buffer& buffer, nb::handle object, const char* what) {
  take_whole(buffer, object, what, "iub");
}

void take_indices(Buffer& buffer, nb::handle object, const char* what) {
  take_whole(buffer, object, what, "iu");
}

std::vector<int> to_ints(const Buffer& integers, const char* what) {
  std::vector<int> values;
  values.reserve(integers.bytes() / sizeof(std::int64_t));
  for (const std::int64_t value : integers.values<const std::int64_t>()) {
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
      throw InvalidArgument(std::string(what) + ": " + std::to_string(value) + " is too large");
    }
    values.push_back(static_cast<int>(value));
  }
  return values;
}

bool share_memory(nb::handle a, nb::handle b) {
  return nb::cast<bool>(numpy().shares_memory(a, b));
}

std::string shape_text(const Buffer& buffer) {
  std::string text;
  for (std::size_t axis = 0; axis < buffer.ndim(); ++axis) {
    text += (axis > 0 ? ", " : "") + std::to_string(buffer.shape(axis));
  }
  return "(" + text + (buffer.ndim() == 1 ? ",)" : ")");
}

nb::object new_floats(std::initializer_list<std::size_t> shape) {
  return new_array(numpy().float32, shape);
}

nb::object float_array(std::span<const float> values, std::initializer_list<std::size_t> shape) {
  return filled_array(numpy().float32, shape, values.data(), values.size_bytes());
}

nb::object float_array(std::span<const float> values) {
  return float_array(values, {values.size()});
}

nb::object double_array(std::span<const double> values) {
  return filled_array(numpy().float64, {values.size()}, values.data(), values.size_bytes());
}

nb::object int_array(std::span<const int> values, std::initializer_list<std::size_t> shape) {
  static_assert(sizeof(int) == 4);
  return filled_array(numpy().int32, shape, values.data(), values.size_bytes());
}

nb::object index_array(std::span<const std::size_t> values,
                       std::initializer_list<std::size_t> shape) {
  static_assert(sizeof(std::size_t) == 8);
  return filled_array(numpy().int64, shape, values.data(), values.size_bytes());
}

}  // namespace lockstep::python
