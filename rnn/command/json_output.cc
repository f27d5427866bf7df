// The only file that includes nlohmann/json, which takes long to compile.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"
#include "results.h"
#include "scaling.h"
#include "text.h"

namespace lockstep::command {
namespace {

using nlohmann::ordered_json;

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string line(const ordered_json& json) { return dump(json) + "\n"; }

ordered_json value_of(const std::optional<Evaluation>& evaluation, double Evaluation::* value) {
  return evaluation ? ordered_json(*evaluation.*value) : ordered_json(nullptr);
}

ordered_json caches_json(const Processor& processor) {
  auto caches = ordered_json::array();
  for (const Processor::Cache& cache : processor.caches) {
    caches.push_back({{"level", cache.level},
                      {"type", cache.type},
                      {"kibibytes", cache.kibibytes},
                      {"shared_with", cache.shared_with}});
  }
  return caches;
}

ordered_json backends_json() {
  auto list = ordered_json::array();
  for (const BackendInfo& backend : backends()) {
    list.push_back({{"name", backend.name},
                    {"runnable", backend.runnable},
                    {"fused", backend.fused},
                    {"lanes", backend.lanes},
                    {"active", backend.name == active_backend().name}});
  }
  return list;
}

ordered_json data_object(const Dataset& data, const std::vector<std::string>& notes) {
  std::size_t shortest = data.max_length();
  for (std::size_t i = 0; i < data.size(); ++i) shortest = std::min(shortest, data.length(i));
  return {{"sequences", data.size()},
          {"shortest", shortest},
          {"longest", data.max_length()},
          {"channels", data.channels()},
          {"channel_names", data.channel_names()},
          {is_label(data.target_kind()) ? "class_names" : "output_names", data.class_names()},
          {"missing_values", data.missing_values()},
          {"notes", notes}};
}

ordered_json confusions_json(const Evaluation& e, const std::vector<std::string>& names,
                             const char* samples) {
  auto list = ordered_json::array();
  for (const auto& [actual, predicted, count] : frequent_confusions(e)) {
    list.push_back({{"class", names[actual]}, {"predicted", names[predicted]}, {samples, count}});
  }
  return list;
}

}  // namespace

std::string data_json(const Dataset& data, const std::vector<std::string>& notes) {
  return dump(data_object(data, notes));
}

std::string json_string(const std::string& text) { return dump(text); }

std::string epoch_json(const EpochResult& epoch) {
  return line({{"epoch", epoch.epoch},
               {"loss", epoch.loss},
               {"accuracy", epoch.accuracy},
               {"validation_loss", epoch.validation_loss},
               {"validation_accuracy", epoch.validation_accuracy},
               {"learning_rate", epoch.learning_rate},
               {"skipped_minibatches", epoch.skipped},
               {"seconds", epoch.seconds},
               {"timesteps_per_second", static_cast<double>(epoch.timesteps) / epoch.seconds}});
}

std::string summary_json(const TrainingRun& run) {
  return line({{"test_accuracy", value_of(run.test, &Evaluation::accuracy)},
               {"test_rmse", value_of(run.test, &Evaluation::rmse)},
               {"test_r2", value_of(run.test, &Evaluation::r2)},
               {"test_loss", value_of(run.test, &Evaluation::loss)},
               {"train_accuracy", run.train.accuracy},
               {"train_loss", run.train.loss},
               {"validation_accuracy", value_of(run.validation, &Evaluation::accuracy)},
               {"validation_rmse", value_of(run.validation, &Evaluation::rmse)},
               {"validation_r2", value_of(run.validation, &Evaluation::r2)},
               {"validation_loss", value_of(run.validation, &Evaluation::loss)},
               {"epochs", run.fit.history.size()},
               {"kept_epoch", run.fit.kept_epoch},
               {"interrupted", run.signal != 0},
               {"skipped_minibatches", run.fit.skipped()},
               {"diverged", run.fit.status == FitStatus::diverged},
               {"seconds", run.fit.seconds()},
               {"timesteps_per_second", run.fit.timesteps_per_second()},
               {"threads", run.fit.threads},
               {"ranks", run.ranks},
               {"backend", run.backend},
               {"seed", run.command.options.seed},
               {"data", ordered_json::parse(run.data)},
               {"weights_hash", hash_text(run.model.weights_hash())}});
}

std::string evaluation_json(const Evaluation& e, const Model& model, const LoadedData& loaded) {
  const ordered_json data = data_object(loaded.data, loaded.notes);
  const Network& network = model.parameters().network();
  const char* const samples = samples_text(network);
  if (e.support.empty()) {
    return line({{"loss", e.loss},
                 {"rmse", e.rmse},
                 {"mae", e.mae},
                 {"r2", e.r2},
                 {samples, e.samples},
                 {"data", data}});
  }
  const std::vector<std::string>& class_names = model.class_names();
  auto classes = ordered_json::array();
  for (std::size_t c = 0; c < class_names.size(); ++c) {
    classes.push_back({{network.head == "multilabel" ? "label" : "class", class_names[c]},
                       {"precision", e.precision[c]},
                       {"recall", e.recall[c]},
                       {"f1", e.f1[c]},
                       {samples, e.support[c]}});
  }
  ordered_json result = {{"accuracy", e.accuracy}};
  const bool has_confusion = confuses_classes(network);
  if (has_confusion) result["balanced_accuracy"] = e.balanced_accuracy;
  result["macro_f1"] = e.macro_f1;
  result["loss"] = e.loss;
  result[samples] = e.samples;
  result[outputs_text(network)] = classes;
  if (has_confusion && class_names.size() <= kMostShown) {
    for (std::size_t c = 0; c < class_names.size(); ++c) {
      result["confusion"].push_back(confusion_row(e, c));
    }
  } else if (has_confusion) {
    result["frequent_confusions"] = confusions_json(e, class_names, samples);
  }
  result["data"] = data;
  return line(result);
}

std::string system_json(const Processor& processor) {
  const ThreadChoice& threads = default_threads();
  return line(
      {{"version", LOCKSTEP_VERSION},
       {"cpu", processor.name},
       {"caches", caches_json(processor)},
       {"planned_caches", {{"l2", caches().l2_bytes}, {"l3", caches().far_l3 ? "far" : "near"}}},
       {"threads",
        {{"count", threads.count}, {"reason", threads.reason}, {"runtime", threading()}}},
       {"backends", backends_json()}});
}

std::string model_json(const Model& model) {
  const Network& network = model.parameters().network();
  ordered_json normalization = {{"kind", model.options().get("normalize")}};
  if (model.normalization().kind == NormalizationKind::channel) {
    normalization["mean"] = model.normalization().mean;
    normalization["scale"] = model.normalization().scale;
  }
  auto layers = ordered_json::array();
  for (const Layer& layer : network.layers) {
    layers.push_back(
        {{"cell", layer.cell}, {"hidden", layer.hidden}, {"bidirectional", layer.bidirectional}});
  }
  return line({{"features", network.features},
               {"layers", layers},
               {"head", network.head},
               {"pool", model.options().get("pool")},
               {outputs_text(network), network.outputs},
               {"parameters", model.parameters().values().size()},
               {is_label(targets_of_head(network.head)) ? "class_names" : "output_names",
                model.class_names()},
               {"channel_names", model.channel_names()},
               {"missing", model.options().get("missing")},
               {"masked", model.missing().masked},
               {"normalization", normalization},
               {"weights_hash", hash_text(model.weights_hash())}});
}

std::string scaling_json(const Scaling& scaling) {
  auto ranks = ordered_json::array();
  for (const StepCost& cost : scaling.costs) {
    ranks.push_back({{"ranks", cost.ranks},
                     {"leaves", cost.leaves},
                     {"working_ranks", cost.working_ranks},
                     {"seconds", cost.seconds()},
                     {"compute", cost.compute},
                     {"sum", cost.sum},
                     {"notes", cost.notes},
                     {"weights", cost.weights},
                     {"latency", cost.latency},
                     {"hidden", cost.hidden},
                     {"speed_up", scaling.speed_up(cost)}});
  }
  const TimedStep& timed = scaling.timed;
  return line({{"parameters", scaling.parameters},
               {"sequences", scaling.rows},
               {"length", scaling.length},
               {"leaves", scaling.leaves},
               {"backend", active_backend().name},
               {"threads", scaling.threads},
               {"timed",
                {{"leaf_rows", timed.leaf_rows},
                 {"length", timed.length},
                 {"leaves", timed.work.leaves},
                 {"adding", timed.work.adding},
                 {"updating", timed.work.updating}}},
               {"latency", scaling.link.latency},
               {"bandwidth", scaling.link.bandwidth},
               {"ranks", ranks},
               {"gain",
                {{"ranks", scaling.gain.ranks},
                 {"speed_up", scaling.gain.speed_up},
                 {"limit", limit_name(scaling.gain.limit)},
                 {"advice", scaling.advice}}}});
}

std::string gradcheck_json(const GradientCheck& check) {
  auto tensors = ordered_json::array();
  for (const GradientError& e : check.errors) {
    tensors.push_back({{"tensor", e.tensor},
                       {"largest_gradient", e.largest_gradient},
                       {"analytic_error", e.analytic_error},
                       {"fast_error", e.fast_error},
                       {"sound", check.is_sound(e)}});
  }
  return line({{"backend", active_backend().name},
               {"analytic_bound", kAnalyticErrorBound},
               {"fast_bound", check.fast_bound},
               {"tensors", tensors}});
}

}  // namespace lockstep::command
