// NumPy's .npy files: one of values, which stay in the file, and beside it those of targets,
// lengths and weights where there are.
#include <string>
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
    const std::string& asked = reading_.options.y;
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
    if (!fs::exists(file)) return std::nullopt;
    reading_.notes.push_back("took " + name + " from " + in_quotes(beside(name)) + " beside it");
    return array_of(file);
  }

 private:
  // "y_train.npy" beside "X_train.npy", "runs_y.npy" beside "runs.npy".
  [[nodiscard]] std::string beside(const std::string& name) const {
    const std::string stem = reading_.path.stem().string();
    const bool is_x = lower(stem.substr(0, 1)) == "x" && (stem.size() == 1 || stem[1] == '_');
    return (is_x ? name + stem.substr(1) : stem + "_" + name) + reading_.path.extension().string();
  }

  [[nodiscard]] static NpyArray array_of(const fs::path& path) {
    if (!fs::is_regular_file(path)) {
      throw DataError(path.string() + ": not a regular file, expected a .npy array");
    }
    const MappedFile file = map_file(path);
    return {file.bytes, file.owner, path.string()};
  }

  Reading& reading_;
};

}  // namespace

Dataset read_npy(Reading& reading) {
  return read_arrays(reading, Files(reading), /*is_mapped=*/true);
}

}  // namespace lockstep::data_file
