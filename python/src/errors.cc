// What the C++ library throws, as exceptions of Python with the same sentence.
#include <exception>
#include <new>

#include "bindings.h"
#include "lockstep/error.h"

namespace lockstep::python {
namespace {

// Both, so that `except OSError` and `except ValueError` find it.
nb::object make_file_error(nb::module_& m) {
  const nb::tuple bases = nb::make_tuple(nb::borrow(PyExc_ValueError), nb::borrow(PyExc_OSError));
  PyObject* const type = PyErr_NewExceptionWithDoc(
      "lockstep.FileError",
      "A file of data or of a model that cannot be read or written, or is not what it should be.",
      bases.ptr(), nullptr);
  if (type == nullptr) nb::raise_python_error();
  nb::object owned = nb::steal(type);
  m.attr("FileError") = owned;
  return owned;
}

PyObject* class_of(ErrorCode code, PyObject* file_error) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported:
      return PyExc_ValueError;
    case ErrorCode::out_of_memory:
      return PyExc_MemoryError;
    case ErrorCode::file:
      return file_error;
    default:
      return PyExc_RuntimeError;
  }
}

void translate(const std::exception_ptr& thrown, void* file_error) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    PyErr_SetString(class_of(error.code(), static_cast<PyObject*>(file_error)), error.what());
  }
}

}  // namespace

void bind_errors(nb::module_& m) {
  nb::register_exception_translator(translate, make_file_error(m).ptr());
}

}  // namespace lockstep::python
