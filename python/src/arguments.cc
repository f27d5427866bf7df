#include "arguments.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>

namespace lockstep::python {

void throw_unexpected(const char* name, const std::string& expected, nb::handle found) {
  const auto type = nb::cast<std::string>(nb::str(found.type().attr("__name__")));
  throw nb::type_error((name + (": expected " + expected) + ", found " + type).c_str());
}

const Dataset& dataset_in(nb::handle object, const char* name) {
  if (!nb::isinstance<Dataset>(object)) {
    throw_unexpected(name, "a Dataset, such as lockstep.Dataset(X, labels=y)", object);
  }
  return nb::cast<const Dataset&>(object);
}

std::filesystem::path path_in(nb::handle object) {
  std::filesystem::path path;
  if (!nb::try_cast(object, path)) throw_unexpected("path", "a str or os.PathLike", object);
  return path;
}

}  // namespace lockstep::python
