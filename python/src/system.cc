// Threads, backends and what is known of the machine.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <fstream>
#include <optional>
#include <string>

#include "bindings.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/network.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"

namespace lockstep::python {
namespace {

int threads(std::optional<int> count) {
  if (count) set_default_threads(*count);
  return resolve_threads(0);
}

std::string backend(const std::optional<std::string>& name) {
  if (name) set_backend(*name);
  return std::string(active_backend().name);
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

nb::list backend_list() {
  nb::list list;
  for (const BackendInfo& info : backends()) {
    nb::dict row;
    row["name"] = nb::str(info.name.data(), info.name.size());
    row["runnable"] = info.runnable;
    row["fused"] = info.fused;
    row["lanes"] = info.lanes;
    list.append(row);
  }
  return list;
}

nb::list builtin_list() {
  nb::list list;
  for (const BuiltinInfo& info : builtin_datasets()) {
    list.append(nb::str(info.name.data(), info.name.size()));
  }
  return list;
}

nb::dict info() {
  nb::dict result;
  result["version"] = LOCKSTEP_VERSION;
  result["cpu"] = cpu_name();
  result["backend"] = backend({});
  result["backends"] = backend_list();
  result["caches"] = nb::dict();
  result["caches"]["l2_bytes"] = caches().l2_bytes;
  result["caches"]["far_l3"] = caches().far_l3;
  result["threads"] = resolve_threads(0);
  result["threads_reason"] = default_threads().reason;
  result["threading"] = threading();
  result["cells"] = nb::cast(cell_names());
  result["heads"] = nb::cast(head_names());
  result["builtin_datasets"] = builtin_list();
  return result;
}

}  // namespace

// threadpoolctl knows the module among others of its name by this symbol.
extern "C" {
LOCKSTEP_API extern const char lockstep_python_module[];
const char lockstep_python_module[] = LOCKSTEP_VERSION;
}

void bind_system(nb::module_& m) {
  using namespace nb::literals;
  m.def("threads", threads, "count"_a = nb::none(),
        R"(Lets all later calls that ask for 0 threads use `count`, and 0 returns to the default.

Returns the number that such calls use. The default is the smallest of the physical cores that the
process may run on and its container's CPU quota, or what OMP_NUM_THREADS says. Results do not
depend on it.)");
  m.def(
      "backend", backend, "name"_a = nb::none(),
      R"(Lets all later calls in this process run on the backend `name`, and "" returns to the default.

Returns the name of the one in use. `info()` lists them. Fused ones give the same bits.)");
  m.def(
      "info", info, nb::sig("def info() -> dict[str, typing.Any]"),
      "What this build has and what it makes of the machine, a dictionary: version, cpu, backend, "
      "backends, caches, threads and why so many, threading, cells, heads, built-in data sets.");
}

}  // namespace lockstep::python
