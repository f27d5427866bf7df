// The report that the command `lockstep` writes, of a training in Python.
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.h"
#include "gil.h"
#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "model.h"
#include "results.h"

namespace lockstep::python {
namespace {

using command::TrainingRun;
using OptionNames = std::map<std::string, std::string, std::less<>>;

template <auto member>
void fill(std::vector<EpochResult>& history, const nb::dict& columns, const char* name) {
  const auto values = nb::cast<std::vector<double>>(columns[name]);
  history.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& value = history[i].*member;
    value = static_cast<std::remove_reference_t<decltype(value)>>(values[i]);
  }
}

std::vector<EpochResult> history_of(const nb::dict& columns) {
  std::vector<EpochResult> history;
  fill<&EpochResult::loss>(history, columns, "loss");
  fill<&EpochResult::accuracy>(history, columns, "accuracy");
  fill<&EpochResult::validation_loss>(history, columns, "validation_loss");
  fill<&EpochResult::validation_accuracy>(history, columns, "validation_accuracy");
  fill<&EpochResult::learning_rate>(history, columns, "learning_rate");
  fill<&EpochResult::seconds>(history, columns, "seconds");
  fill<&EpochResult::timesteps>(history, columns, "timesteps");
  for (std::size_t i = 0; i < history.size(); ++i) history[i].epoch = i + 1;
  return history;
}

FitStatus status_named(const std::string& name) {
  if (name == "diverged") return FitStatus::diverged;
  if (name == "patience") return FitStatus::patience;
  return name == "stopped" ? FitStatus::stopped : FitStatus::finished;
}

void add_numbers(TrainingRun& run, const Dataset& data) {
  if (!run.model.parameters().network().head.starts_with("regress")) return;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::span<const float> targets = data.targets(i);
    run.numbers.targets.insert(run.numbers.targets.end(), targets.begin(), targets.end());
  }
  run.numbers.predicted = run.model.predict_proba(data, run.fit.threads);
}

// Page and text. How many samples were learnt from and held out is not known of a model.
std::pair<std::string, std::string> report(const ModelHandle& handle, const Dataset& data,
                                           const std::string& name, const nb::dict& columns,
                                           std::size_t learnt, std::size_t held_out,
                                           std::size_t kept_epoch, const std::string& status,
                                           const OptionNames& option_names) {
  std::vector<EpochResult> history = history_of(columns);
  const ModelHandle::Reading model(handle);
  const ReleaseGil release;
  TrainingRun run{.command = {},
                  .backend = std::string(active_backend().name),
                  .model = Model::from_bytes(model->to_bytes())};
  run.command.options = model->options();
  run.command.source.dataset = name;
  run.fit = {.status = status_named(status),
             .history = std::move(history),
             .kept_epoch = kept_epoch,
             .threads = resolve_threads(model->options().threads)};
  run.test = run.model.evaluate(data, run.fit.threads);
  run.train.accuracy = run.test->accuracy;
  run.train.samples = learnt;
  if (held_out > 0) run.validation.emplace().samples = held_out;
  add_numbers(run, data);
  const auto name_of = [&](std::string_view option) {
    const auto found = option_names.find(option);
    return found == option_names.end() ? "" : found->second;
  };
  return {command::report_page(run, name_of), command::curve_text(run.fit.history) + "\n" +
                                                  command::evaluation_text(*run.test, run.model)};
}

}  // namespace

void bind_report(nb::module_& m) {
  using namespace nb::literals;
  m.def(
      "report", report, "model"_a, "data"_a, nb::kw_only(), "name"_a, "history"_a, "learnt"_a,
      "held_out"_a, "kept_epoch"_a, "status"_a, "option_names"_a,
      R"(What there is to say of a training and of how well its model does on `data`: a page of HTML
that needs nothing else, and a text.

name: of the data. history: a dictionary of lists, what an EpochResult has of each epoch.
learnt, held_out: numbers of samples. kept_epoch, status: as FitResult has them. option_names: what the options are called; those that it
lacks are not shown.)");
}

}  // namespace lockstep::python
