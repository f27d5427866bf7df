#include "bindings.h"
#include "lockstep/version.h"

NB_MODULE(_core, m) {
  using namespace lockstep::python;
  nb::set_leak_warnings(false);  // threads that run when the interpreter ends keep what they use
  m.doc() = "Lockstep's C++ library for Python; `lockstep` has what is meant for use.";
  m.attr("__version__") = LOCKSTEP_VERSION;
  bind_errors(m);
  bind_system(m);
  bind_kernels(m);
  bind_options(m);
  bind_dataset(m);
  bind_results(m);
  bind_model(m);
  bind_stream(m);
  bind_simple_rnn(m);
  bind_report(m);
}
