#include <filesystem>
#include <fstream>
#include <memory>

#include "evaluation_output.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/model.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"
#include "option_parsing.h"
#include "text.h"

namespace lockstep::command {
namespace {

using nlohmann::ordered_json;

struct InfoCommand {
  std::string model_file;
  bool json = false;
};

// A cache of CPU 0.
struct CacheInfo {
  int level = 0;
  std::string type;  // "Data", "Instruction" or "Unified"
  std::size_t kibibytes = 0;
  std::string shared_with;  // the CPUs that share it with CPU 0, such as "0-7"
};

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Sizes are given as "48K".
CacheInfo read_cache(const std::filesystem::path& directory) {
  CacheInfo cache;
  std::ifstream(directory / "level") >> cache.level;
  std::ifstream(directory / "size") >> cache.kibibytes;
  cache.type = first_line(directory / "type");
  cache.shared_with = first_line(directory / "shared_cpu_list");
  return cache;
}

// As Linux gives it.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

// Nearest first; none where Linux does not know.
std::vector<CacheInfo> cpu_caches() {
  const std::filesystem::path root = "/sys/devices/system/cpu/cpu0/cache";
  std::vector<CacheInfo> caches;
  for (int index = 0;; ++index) {
    const auto directory = root / ("index" + std::to_string(index));
    if (!std::filesystem::exists(directory / "size")) return caches;
    caches.push_back(read_cache(directory));
  }
}

ordered_json system_json() {
  ordered_json caches = ordered_json::array();
  for (const CacheInfo& cache : cpu_caches()) {
    caches.push_back({{"level", cache.level},
                      {"type", cache.type},
                      {"kibibytes", cache.kibibytes},
                      {"shared_with", cache.shared_with}});
  }
  const std::string_view active = active_backend().name;
  ordered_json list = ordered_json::array();
  for (const BackendInfo& backend : backends()) {
    list.push_back({{"name", backend.name},
                    {"runnable", backend.runnable},
                    {"fused", backend.fused},
                    {"lanes", backend.lanes},
                    {"active", backend.name == active}});
  }
  return {{"version", LOCKSTEP_VERSION},
          {"cpu", cpu_name()},
          {"caches", caches},
          {"threads", {{"count", default_threads().count}, {"reason", default_threads().reason}}},
          {"backends", list}};
}

std::string backend_line(const BackendInfo& backend, bool is_active) {
  std::string line = "  " + pad(backend.name, 22);
  if (!backend.runnable) return line + "not runnable on this machine\n";
  line += pad(counted(backend.lanes, "lane", "lanes"), 10);
  line += pad(backend.fused ? "fused" : "not fused", 11);
  return line + (is_active ? "active\n" : "\n");
}

std::string system_text() {
  std::string text = "cpu       " + cpu_name() + "\n";
  for (const CacheInfo& cache : cpu_caches()) {
    text += format("cache     L%d %-11s  %6zu KiB  CPUs %s\n", cache.level, cache.type.c_str(),
                   cache.kibibytes, cache.shared_with.c_str());
  }
  text += format("threads   %d: ", default_threads().count) + default_threads().reason + "\n";
  text += "backends  best first; fused ones give the same bits as each other\n";
  const std::string_view active = active_backend().name;
  for (const BackendInfo& backend : backends()) {
    text += backend_line(backend, backend.name == active);
  }
  return text;
}

ordered_json model_json(const Model& model) {
  const Network& network = model.parameters().network();
  ordered_json normalization = {{"kind", model.options().get("normalize")}};
  if (model.normalization().kind == NormalizationKind::channel) {
    normalization["mean"] = model.normalization().mean;
    normalization["scale"] = model.normalization().scale;
  }
  return {{"cell", network.layers[0].cell},
          {"features", network.features},
          {"hidden", network.layers[0].hidden},
          {"classes", network.outputs},
          {"parameters", model.parameters().values().size()},
          {"class_names", model.class_names()},
          {"normalization", normalization},
          {"weights_hash", hash_text(model.weights_hash())}};
}

std::string model_text(const Model& model) {
  const Network& network = model.parameters().network();
  return "cell           " + network.layers[0].cell +
         format("\nfeatures       %zu\nhidden         %zu\nclasses        %zu: ", network.features,
                network.layers[0].hidden, network.outputs) +
         printable(join(model.class_names(), ", ")) +
         format("\nparameters     %zu\n", model.parameters().values().size()) + "normalization  " +
         model.options().get("normalize") + "\nweights        " + hash_text(model.weights_hash()) +
         "\n";
}

int run_info(const InfoCommand& command) {
  if (command.model_file.empty()) {
    select_backend("");
    print(command.json ? json_line(system_json()) : system_text());
  } else {
    const Model model = Model::load(command.model_file);
    print(command.json ? json_line(model_json(model)) : model_text(model));
  }
  return 0;
}

}  // namespace

Verb add_info(CLI::App& command) {
  const auto options = std::make_shared<InfoCommand>();
  CLI::App* app = command.add_subcommand("info", "Show this machine and its backends, or a model");
  app->add_option("MODEL", options->model_file, "Model file (safetensors)");
  app->add_flag("--json", options->json, "One JSON object instead of text");
  app->footer(
      "Without MODEL: the processor, its caches, the default number of threads and why, and the\n"
      "backends. With MODEL: its sizes, classes, normalization and the hash of its weights.\n\n"
      "Examples:\n"
      "  lockstep info\n"
      "  LOCKSTEP_BACKEND=reference lockstep info --json\n"
      "  lockstep info model.safetensors");
  return {app, [options] { return run_info(*options); }};
}

}  // namespace lockstep::command
