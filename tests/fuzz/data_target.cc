// Data files: what a reader gives must be sound, the same when it is written and read again, and
// fit for a network.
#include <algorithm>
#include <cmath>
#include <optional>

#include "fuzz/archive.h"
#include "fuzz/csv_text.h"
#include "fuzz/input.h"
#include "lockstep/rnn/model.h"
#include "temporary_directory.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

// An input may end with this byte and one of options; without, those are the usual.
constexpr char kOptionsFollow = 1;

struct DataInput {
  std::string_view bytes;
  ReadOptions options;
};

DataInput data_input(std::string_view input, const std::string& format) {
  DataInput result{.bytes = input, .options = {}};
  result.options.format = format;
  if (input.size() < 2 || input[input.size() - 2] != kOptionsFollow) return result;
  const auto bits = static_cast<unsigned char>(input.back());
  result.bytes.remove_suffix(2);
  const unsigned kind = bits & 7U;
  if (kind >= 1 && kind <= 4) result.options.targets = static_cast<TargetKind>(kind - 1);
  result.options.ignores_targets = kind > 4;
  result.options.allow_missing = (bits & 8U) != 0;
  if (!format.starts_with("np")) return result;
  if ((bits & 16U) != 0) result.options.axes = Axes::NCT;
  if ((bits & 32U) != 0 && format == "npz") result.options.x = "a";
  if ((bits & 64U) != 0) result.options.y = "b";
  return result;
}

// Values that stay in their file are not looked at before a model reads them.
void require_sound(const Dataset& data, const ReadOptions& options) {
  require(data.channels() > 0 && !data.empty(), "the set has no sequences");
  const bool is_read = !data.is_over_other_memory();
  const auto is_infinite = [](float value) { return std::isinf(value); };
  const auto is_nan = [](float value) { return std::isnan(value); };
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::span<const float> values = data.sequence(i);
    require(data.length(i) > 0, "a sequence has no timesteps");
    require(!is_read || std::ranges::none_of(values, is_infinite), "a value is infinite");
    require(!is_read || options.allow_missing || std::ranges::none_of(values, is_nan),
            "a value is missing, which was not allowed");
    require(!std::ranges::all_of(values.last(data.channels()), is_nan),
            "a sequence ends with a timestep without values");
    require(std::isfinite(data.weight(i)) && data.weight(i) >= 0, "a weight is out of its range");
    if (!is_label(data.target_kind())) {
      require(std::ranges::none_of(data.targets(i), is_infinite), "a target is infinite");
    }
  }
  std::vector<std::string> names = data.class_names();
  std::ranges::sort(names);
  require(std::ranges::adjacent_find(names) == names.end(), "two classes have the same name");
}

void write_and_read(const Dataset& data) {
  if (!has_csv_text(data)) return;
  const MemoryFile file(csv_text(data));
  try {
    require(is_same(data, read_dataset(file.path(), options_for(data))),
            "the set is another when it is written as .csv and read again");
  } catch (const DataError& error) {
    throw Defect(std::string("the set is refused when it is written as .csv: ") + error.what());
  }
}

void fill_and_standardise(const Dataset& data) {
  for (const auto kind : {MissingKind::carry, MissingKind::mean, MissingKind::mask}) {
    const Dataset filled = MissingRule::fit(kind, data).apply(data);
    for (std::size_t i = 0; i < data.size(); ++i) {
      require(
          std::ranges::all_of(filled.sequence(i), [](float value) { return std::isfinite(value); }),
          "a value is missing after all were filled");
    }
    for (const auto normalization : {NormalizationKind::channel, NormalizationKind::series}) {
      Dataset standard = filled;
      Normalization::fit(normalization, filled).apply(standard);
    }
  }
}

// What a model refuses it refuses as an argument.
void predict(const Dataset& data) {
  Options options;
  options.hidden = 3;
  options.threads = 1;
  options.missing = MissingKind::mask;
  try {
    const Model model(data, options);
    static_cast<void>(model.predict_proba(data));
    static_cast<void>(model.evaluate(data));
  } catch (const InvalidArgument&) {
    return;
  }
}

void use(const Dataset& data) {
  constexpr std::size_t kMostSteps = 200, kMostChannels = 32, kMostClasses = 32;
  if (data.total_timesteps() > kMostSteps || data.channels() > kMostChannels ||
      data.classes() > kMostClasses) {
    return;
  }
  predict(data);
  const auto is_infinite = [](float value) { return std::isinf(value); };
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (std::ranges::any_of(data.sequence(i), is_infinite)) return;
  }
  write_and_read(data);
  fill_and_standardise(data);
}

}  // namespace

namespace {

bool try_path(const fs::path& path, const std::string& folder, const ReadOptions& options) {
  std::optional<DataFile> read;
  try {
    read = within_bounds([&] { return read_data_file(path, options); });
  } catch (const DataError& error) {
    require_message(error, folder);
    return false;
  }
  require_sound(read->data, options);
  use(read->data);
  return true;
}

// Arrays that follow one another, as files of a folder.
bool try_folder(std::string_view arrays, const ReadOptions& options) {
  const TemporaryDirectory folder;
  for (const auto& [name, content] : files_of(arrays)) folder.write(name, std::string(content));
  return try_path(folder / "X.npy", (folder / "").string(), options);
}

}  // namespace

// An input of npz that begins as an array does is the arrays of an archive.
bool try_data_file(std::string_view input, const std::string& format) {
  const DataInput in = data_input(input, format);
  if (format == "npy") return try_folder(in.bytes, in.options);
  const bool is_packed = format != "npz" || !is_array(in.bytes);
  const MemoryFile file(is_packed ? std::string(in.bytes) : archive_of(in.bytes));
  return try_path(file.path(), file.path().string(), in.options);
}

}  // namespace lockstep::fuzz
