#include "inputs.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "files/input_file.h"
#include "lockstep/backend.h"
#include "lockstep/threads.h"
#include "lookup.h"
#include "progress.h"
#include "text.h"

namespace lockstep::command {
namespace {

std::string lengths_text(const Dataset& data) {
  std::size_t shortest = data.max_length();
  for (std::size_t i = 0; i < data.size(); ++i) shortest = std::min(shortest, data.length(i));
  const std::string longest = counted(data.max_length(), "timestep");
  return shortest == data.max_length() ? longest : std::to_string(shortest) + " to " + longest;
}

// ": a, b, c" of names, of many the first.
std::string names_text(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;
  if (names.empty()) return "";
  const std::size_t shown = std::min(kMost, names.size());
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(shown));
  return " (" + printable(listed(first)) + (shown < names.size() ? ", ..." : "") + ")";
}

std::string targets_text(const Dataset& data) {
  const std::string names = names_text(data.class_names());
  const std::string each = is_of_steps(data.target_kind()) ? " at each timestep" : "";
  if (!is_label(data.target_kind())) return counted(data.classes(), "number") + each + names;
  const auto known =
      data.labels().size() - static_cast<std::size_t>(std::ranges::count(data.labels(), kNoLabel));
  if (known == 0) return "no labels";
  const std::size_t unknown = data.labels().size() - known;
  return format("%zu class%s", data.classes(), data.classes() == 1 ? "" : "es") + each + names +
         (unknown > 0 ? format(", %zu without a label", unknown) : "");
}

void add_warnings(LoadedData& loaded) {
  const Dataset& data = loaded.data;
  if (data.size() > 1 && data.max_length() == 1 && data.channels() > 1) {
    loaded.notes.emplace_back(
        "every sequence has a single timestep; if the axes are sequences, channels, timesteps, "
        "--axes NCT reads a .npz or .npy so");
  }
  const bool has_labels = data.target_kind() == TargetKind::label;
  if (has_labels && data.size() >= 8 && data.classes() > data.size() / 2) {
    loaded.notes.push_back(
        format("%zu classes of %zu sequences: if the labels are numbers to "
               "learn, --head regress reads them so; in "
               "a .tsv or .txt file the label is the first field",
               data.classes(), data.size()));
  }
}

}  // namespace

void select_backend(const std::string& name) {
  try {
    if (!name.empty()) set_backend(name);
    static_cast<void>(active_backend());
    static_cast<void>(threading());
    static_cast<void>(caches());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

std::optional<TargetKind> targets_for(const std::string& head) {
  return head == "auto" ? std::nullopt : std::optional(targets_of_head(head));
}

std::string data_text(const Dataset& data, bool with_targets) {
  const std::size_t missing = data.missing_values();
  return counted(data.size(), "sequence") + " of " + lengths_text(data) + ", " +
         counted(data.channels(), "channel") + names_text(data.channel_names()) +
         (with_targets ? ", " + targets_text(data) : "") +
         (missing > 0 ? ", " + counted(missing, "missing value") : "");
}

namespace {

// With what is to be said of it.
std::pair<LoadedData, std::string> read(const std::string& path, const std::string& name,
                                        const ReadOptions& options, bool quiet) {
  const bool is_typed = path == "-" && ::isatty(STDIN_FILENO) == 1;
  const ReadingProgress progress(name, quiet || is_typed);
  DataFile file = read_data_file(path, options);
  std::string text = data_text(file.data, !options.ignores_targets);
  LoadedData loaded{std::move(file.data), std::move(file.notes), std::move(file.files)};
  return {std::move(loaded), std::move(text)};
}

}  // namespace

LoadedData load_file(const std::string& path, const ReadOptions& options, bool quiet) {
  const std::string name = path == "-" ? "standard input" : "'" + printable(path) + "'";
  auto [loaded, text] = read(path, name, options, quiet);
  add_warnings(loaded);
  if (!quiet) say("read " + name + ": " + text);
  for (const std::string& note : loaded.notes) say("note: " + name + ": " + printable(note));
  return loaded;
}

std::string read_bytes(const std::filesystem::path& path) {
  const InputFile file(path);
  std::string bytes;
  constexpr std::size_t kBlock = std::size_t{64} * 1024;
  for (std::size_t size = 0;; size = bytes.size()) {
    bytes.resize(size + kBlock);
    bytes.resize(size + file.read(bytes.data() + size, kBlock));
    if (bytes.size() == size) return bytes;
  }
}

ReadOptions reading_for(const DataSource& source, const std::string& head) {
  ReadOptions options = source.reading;
  options.targets = targets_for(head);
  return options;
}

LoadedData load_data(const DataSource& source, const ReadOptions& options) {
  if (source.dataset.empty()) return load_file(source.file, options);
  return {make_builtin_dataset(source.dataset, kBuiltinSeed).test};
}

}  // namespace lockstep::command
