#include "options.h"

#include <nanobind/stl/string.h>

#include <string>

#include "bindings.h"

namespace lockstep::python {
namespace {

constexpr const char* kAuto = "auto";

std::string text_of(const char* name, nb::handle value) {
  PyObject* const v = value.ptr();
  if (value.is_none()) return kAuto;
  if (PyUnicode_Check(v) != 0) return nb::cast<std::string>(value);
  // Those of NumPy have the name of Python's, or another from version to version.
  const auto type = nb::cast<std::string>(nb::str(value.type().attr("__name__")));
  if (PyBool_Check(v) != 0 || type == "bool_" || type == "bool") {
    return PyObject_IsTrue(v) != 0 ? "true" : "false";
  }
  if (PyIndex_Check(v) != 0) return nb::cast<std::string>(nb::str(nb::int_(nb::borrow(value))));
  if (PyFloat_Check(v) != 0 || nb::hasattr(value, "__float__")) {
    return nb::cast<std::string>(nb::repr(nb::float_(nb::borrow(value))));
  }
  throw nb::type_error(
      (std::string(name) + ": expected a number, text, a boolean or None, found " + type).c_str());
}

nb::object value_of(const OptionInfo& info, const std::string& text) {
  if (text == kAuto && info.kind != OptionKind::choice) return nb::none();
  switch (info.kind) {
    case OptionKind::whole_number:
      return nb::int_(nb::str(text.c_str()));
    case OptionKind::number:
      return nb::float_(nb::str(text.c_str()));
    case OptionKind::flag:
      return nb::bool_(text == "true");
    default:
      return nb::str(text.c_str());
  }
}

const char* type_name(OptionKind kind) {
  switch (kind) {
    case OptionKind::whole_number:
      return "int";
    case OptionKind::number:
      return "float";
    case OptionKind::flag:
      return "bool";
    default:
      return "str";
  }
}

// What the words of "one of a, b, c" are.
nb::object choices_of(const OptionInfo& info) {
  constexpr std::string_view kOneOf = "one of ";
  if (info.kind != OptionKind::choice || !info.expected.starts_with(kOneOf)) return nb::none();
  return nb::str(info.expected.substr(kOneOf.size()).c_str()).attr("split")(", ");
}

nb::dict row_of(const OptionInfo& info) {
  nb::dict row;
  row["name"] = info.name;
  row["group"] = info.group;
  row["type"] = type_name(info.kind);
  row["default"] = value_of(info, info.default_text);
  row["expected"] = info.expected;
  row["choices"] = choices_of(info);
  row["optional"] = info.kind == OptionKind::number && info.default_text == kAuto;
  row["help"] = info.help;
  row["needs"] = info.needs;
  row["may_change"] = info.may_change;
  return row;
}

nb::list table() {
  nb::list rows;
  for (const OptionInfo& info : options_table()) rows.append(row_of(info));
  return rows;
}

}  // namespace

void set_options(Options& options, const nb::dict& values) {
  Options changed = options;
  for (const auto& [name, value] : values) {
    const auto text = nb::cast<std::string>(nb::str(name));
    changed.set(text, text_of(text.c_str(), value));
  }
  validate(changed);
  options = changed;
}

nb::dict options_dict(const Options& options) {
  nb::dict values;
  for (const OptionInfo& info : options_table()) {
    values[info.name.c_str()] = value_of(info, options.get(info.name));
  }
  return values;
}

void bind_options(nb::module_& m) {
  m.def("options_table", table, nb::sig("def options_table() -> list[dict[str, typing.Any]]"),
        R"(Every option of a model and its training, a dictionary each.

name, group, type ("int", "float", "bool", "str"), default (None: chosen by the optimizer),
expected (what it may be, in words), choices (a list, or None), optional (whether None is a value),
help, needs (what it has no effect without) and may_change (in a training that is resumed).)");
}

}  // namespace lockstep::python
