// NumPy's .npy files: one of values, which stay in the file, and beside it those of targets,
// lengths and weights where there are.
#include <string>
#include <system_error>
#include <vector>

#include "data/arrays.h"
#include "data/formats.h"
#include "data/mapped_file.h"

namespace lockstep::data_file {
namespace {

namespace fs = std::filesystem;

class Files : public ArraySource {
 public:
  explicit Files(Reading& reading) : reading_(reading) {}

  [[nodiscard]] NpyArray values() const override { return array_of(reading_.path); }

  [[nodiscard]] std::optional<NpyArray> targets() const override {
    std::string asked = reading_.options.y;
    if (asked.ends_with(".npy")) asked.resize(asked.size() - 4);
    std::vector<std::string> names = {"y", "Y", "labels", "label", "targets", "target"};
    if (!asked.empty()) names = {asked};
    for (const std::string& name : names) {
      if (auto found = beside_values(name)) return found;
    }
    const std::string none = "there is no " + in_quotes(beside(names[0])) + " beside it";
    if (!asked.empty()) throw DataError(reading_.path.string() + ": " + none);
    reading_.notes.push_back(none + ", so that the sequences have no labels");
    return std::nullopt;
  }

  [[nodiscard]] std::optional<NpyArray> beside_values(const std::string& name) const override {
    const fs::path file = reading_.path.parent_path() / beside(name);
    std::error_code error;
    const fs::file_status status = fs::symlink_status(file, error);
    // Of a name that is too long there is no file either.
    if (status.type() == fs::file_type::not_found || status.type() == fs::file_type::none) {
      return std::nullopt;
    }
    reading_.notes.push_back("took " + name + " from " + in_quotes(beside(name)) + " beside it");
    return array_of(file);
  }

 private:
  // "y_train.npy" beside "X_train.npy", "train_y.npy" beside "train_X.npy", "runs_y.npy" beside
  // "runs.npy".
  [[nodiscard]] std::string beside(const std::string& name) const {
    const std::string stem = reading_.path.stem().string();
    const std::string word = lower(stem);
    std::string other = stem + "_" + name;
    if (word == "x" || word.starts_with("x_")) other = name + stem.substr(1);
    if (word.ends_with("_x")) other = stem.substr(0, stem.size() - 1) + name;
    return other + reading_.path.extension().string();
  }

  [[nodiscard]] NpyArray array_of(const fs::path& path) const {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
      throw DataError(path.string() + ": not a regular file, expected a .npy array");
    }
    const MappedFile file = map_file(path);
    reading_.files.push_back(path);
    return {file.bytes, file.owner, path.string()};
  }

  Reading& reading_;
};

}  // namespace

Dataset read_npy(Reading& reading) {
  return read_arrays(reading, Files(reading), /*is_mapped=*/true);
}

}  // namespace lockstep::data_file
