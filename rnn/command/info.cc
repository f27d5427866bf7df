#include <filesystem>
#include <fstream>

#include "inputs.h"
#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "lookup.h"
#include "process.h"
#include "ranks/measure_link.h"
#include "results.h"
#include "scaling.h"
#include "text.h"

namespace lockstep::command {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

Processor read_processor() {
  const std::string root = "/sys/devices/system/cpu/cpu0/cache/index";
  Processor processor{.name = cpu_name(), .caches = {}};
  for (int index = 0;; ++index) {
    const std::filesystem::path directory = root + std::to_string(index);
    if (!std::filesystem::exists(directory / "size")) return processor;
    Processor::Cache& cache = processor.caches.emplace_back();
    std::ifstream(directory / "level") >> cache.level;
    std::ifstream(directory / "size") >> cache.kibibytes;  // "48K"
    std::ifstream(directory / "type") >> cache.type;
    std::ifstream(directory / "shared_cpu_list") >> cache.shared_with;
  }
}

std::string backend_line(const BackendInfo& backend) {
  std::string line = "  " + pad(backend.name, 22);
  if (!backend.runnable) return line + "not runnable on this machine\n";
  line += pad(counted(backend.lanes, "lane"), 10);
  line += pad(backend.fused ? "fused" : "not fused", 11);
  return line + (backend.name == active_backend().name ? "active\n" : "\n");
}

std::string system_text(const Processor& processor) {
  std::string text = "cpu       " + processor.name + "\n";
  for (const Processor::Cache& cache : processor.caches) {
    text += format("cache     L%d %-11s  %6zu KiB  CPUs %s\n", cache.level, cache.type.c_str(),
                   cache.kibibytes, cache.shared_with.c_str());
  }
  text += format("planning  for %zu KiB of L2, the L3 %s (LOCKSTEP_CACHES changes it)\n",
                 lockstep::caches().l2_bytes / 1024, lockstep::caches().far_l3 ? "far" : "near");
  text += format("threads   %d: ", default_threads().count) + default_threads().reason + ", by " +
          threading() + "\n";
  text += "backends  best first; fused ones give the same bits as each other\n";
  for (const BackendInfo& backend : backends()) text += backend_line(backend);
  return text;
}

// ": x, y, y missing", as far as it is known.
std::string channels_text(const Model& model) {
  const std::vector<std::size_t>& masked = model.missing().masked;
  std::vector<std::string> names = model.channel_names();
  if (names.empty()) {
    return masked.empty() ? "" : format(", of which %zu mark what is missing", masked.size());
  }
  for (const std::size_t c : masked) names.push_back(names[c] + " missing");
  return ": " + printable(listed(names));
}

std::string model_text(const Model& model) {
  const Network& network = model.parameters().network();
  return "layers         " + layers_text(network) +
         format("\nfeatures       %zu", network.features) + channels_text(model) + "\n" +
         pad(outputs_text(network), 15) + format("%zu: ", network.outputs) +
         printable(listed(model.class_names())) +
         format("\nparameters     %zu\n", model.parameters().values().size()) + "normalization  " +
         model.options().get("normalize") + "\nmissing        " + model.options().get("missing") +
         "\nweights        " + hash_text(model.weights_hash()) + "\n";
}

}  // namespace

int run_info(const InfoCommand& asked) {
  InfoCommand command = asked;
  Ranks* const ranks = process_ranks();
  if (command.ranks > 0 && ranks != nullptr && !command.has_link) {
    const Link link = measure_link(*ranks);
    command.latency = link.latency;
    command.bandwidth = link.bandwidth;
  }
  if (!speaks()) return 0;
  if (!command.model_file.empty()) {
    print((command.json ? model_json : model_text)(Model::load(command.model_file)));
    return 0;
  }
  select_backend("");
  if (command.ranks > 0) {
    const Scaling scaling = scaling_of(command);
    print((command.json ? scaling_json : scaling_text)(scaling));
    return 0;
  }
  print((command.json ? system_json : system_text)(read_processor()));
  return 0;
}

}  // namespace lockstep::command
