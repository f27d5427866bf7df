#include "system_info.h"

#include <filesystem>
#include <fstream>

namespace lockstep::command {
namespace {

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Sizes stand there as "48K".
CacheInfo read_cache(const std::filesystem::path& directory) {
  CacheInfo cache;
  std::ifstream(directory / "level") >> cache.level;
  std::ifstream(directory / "size") >> cache.kibibytes;
  cache.type = first_line(directory / "type");
  cache.shared_with = first_line(directory / "shared_cpu_list");
  return cache;
}

}  // namespace

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

std::vector<CacheInfo> cpu_caches() {
  const std::filesystem::path root = "/sys/devices/system/cpu/cpu0/cache";
  std::vector<CacheInfo> caches;
  for (int index = 0;; ++index) {
    const auto directory = root / ("index" + std::to_string(index));
    if (!std::filesystem::exists(directory / "size")) return caches;
    caches.push_back(read_cache(directory));
  }
}

}  // namespace lockstep::command
