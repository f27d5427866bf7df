// NumPy's .npz archives: X, and beside it y, lengths and sample_weight where there are.
#include <algorithm>
#include <iterator>
#include <memory>

#include "data/arrays.h"
#include "data/formats.h"
#include "data/npz.h"

namespace lockstep::data_file {
namespace {

constexpr std::string_view kExtension = ".npy";

// For a message: names come from the file and may be any bytes.
std::string shown(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, names.size()); ++i) {
    const std::string quoted = in_quotes(names[i]);
    text += (i > 0 ? ", " : "") + quoted.substr(1, quoted.size() - 2);
  }
  return names.size() > kMost ? text + ", ..." : text;
}

// Chooses the arrays of an archive.
class Archive : public ArraySource {
 public:
  explicit Archive(const Reading& reading)
      : path_(reading.path), options_(reading.options), entries_(zip_entry_names(reading.path)) {
    for (const std::string& entry : entries_) {
      if (entry.ends_with(kExtension)) {
        names_.push_back(entry.substr(0, entry.size() - kExtension.size()));
      }
    }
  }

  [[nodiscard]] NpyArray values() const override {
    const auto array = take(choose("x", "X", options_.x, {"X", "x"}, "x"));
    if (array) return *array;
    throw DataError(path_.string() + ": the archive has no array X; it has " + shown(names_) +
                    (names_.empty() ? "nothing" : ", of which --x NAME and --y NAME choose"));
  }
  [[nodiscard]] std::optional<NpyArray> targets() const override {
    return take(
        choose("y", "y", options_.y, {"y", "Y", "label", "labels", "target", "targets"}, "y"));
  }
  [[nodiscard]] std::optional<NpyArray> beside_values(const std::string& name) const override {
    return take(name);
  }

 private:
  [[nodiscard]] std::optional<NpyArray> take(const std::optional<std::string>& name) const {
    if (!name || std::ranges::find(names_, *name) == names_.end()) return std::nullopt;
    const std::string entry = *name + std::string(kExtension);
    const auto bytes = std::make_shared<const std::string>(read_zip_entry(path_, entry));
    return NpyArray(*bytes, bytes, path_.string() + ": entry " + in_quotes(entry));
  }
  // What was asked for, one of the usual names, or the only one that begins with a letter.
  [[nodiscard]] std::optional<std::string> choose(const char* flag, const char* what,
                                                  const std::string& asked,
                                                  std::initializer_list<const char*> usual,
                                                  std::string_view letter) const {
    if (!asked.empty()) {
      if (std::ranges::find(names_, asked) != names_.end()) return asked;
      throw DataError(path_.string() + ": the archive has no array " + in_quotes(asked) + ", but " +
                      shown(names_));
    }
    for (const char* name : usual) {
      if (std::ranges::find(names_, name) != names_.end()) return name;
    }
    std::vector<std::string> similar;
    std::ranges::copy_if(names_, std::back_inserter(similar), [&](const std::string& name) {
      return lower(name).starts_with(letter) && (name.size() == 1 || name[1] == '_');
    });
    if (similar.size() > 1) {
      throw DataError(path_.string() + ": which array is " + what + ": " + shown(similar) + "? --" +
                      flag + " NAME chooses one");
    }
    return similar.empty() ? std::nullopt : std::optional(similar[0]);
  }

  std::filesystem::path path_;
  const ReadOptions& options_;
  std::vector<std::string> entries_;
  std::vector<std::string> names_;
};

}  // namespace

Dataset read_npz(Reading& reading) {
  return read_arrays(reading, Archive(reading), /*is_mapped=*/false);
}

}  // namespace lockstep::data_file
