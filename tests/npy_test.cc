// Data sets in NumPy's .npy files.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "catch.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/model.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string npy(const std::string& dtype, const std::string& shape, const std::vector<T>& values,
                const std::string& fortran_order = "False") {
  std::string header = "{'descr': '" + dtype + "', 'fortran_order': " + fortran_order +
                       ", 'shape': (" + shape + "), }";
  header.resize(128 - 10 - 1, ' ');
  return std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n" +
         std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// X[n][t][d] = 100 n + 10 t + d, [4][3][2].
template <class T>
std::vector<T> counted_values() {
  std::vector<T> values;
  for (int at = 0; at < 24; ++at) {
    values.push_back(static_cast<T>(100 * (at / 6) + 10 * (at / 2 % 3) + at % 2));
  }
  return values;
}

const std::string kShape = "4, 3, 2";
const std::string kX = npy("<f4", kShape, counted_values<float>());
const std::string kY = npy<std::int64_t>("<i8", "4,", {7, 10, 7, -2});

std::vector<float> values_of(const Dataset& data, std::size_t i) {
  const auto values = data.sequence(i);
  return {values.begin(), values.end()};
}

std::string refusal_of(const fs::path& path, const ReadOptions& options = {}) {
  try {
    static_cast<void>(read_dataset(path, options));
    return "";
  } catch (const DataError& error) {
    return error.what();
  }
}

TEST_CASE("A .npy stays in its file, with what is beside it") {
  const TemporaryDirectory directory;
  const fs::path x = directory.write("X_train.npy", kX);
  directory.write("y_train.npy", kY);
  directory.write("lengths_train.npy", npy<std::int32_t>("<i4", "4,", {2, 3, 1, 3}));
  directory.write("sample_weight_train.npy", npy<float>("<f4", "4,", {1, 2, 0.5F, 1}));
  const auto [data, notes, files] = read_data_file(x);
  CHECK(data.is_over_other_memory());
  CHECK(data.class_names() == std::vector<std::string>{"-2", "7", "10"});
  CHECK(data.labels() == std::vector<int>{1, 2, 1, 0});
  CHECK(data.length(0) == 2);
  CHECK(values_of(data, 0) == std::vector<float>{0, 1, 10, 11});
  CHECK(values_of(data, 3) == std::vector<float>{300, 301, 310, 311, 320, 321});
  CHECK(data.weight(1) == 2);
  REQUIRE(notes.size() == 3);
  CHECK_THAT(notes[0], ContainsSubstring("'y_train.npy'"));
  CHECK(files.size() == 4);
}

TEST_CASE("What is beside a .npy of another name bears its name") {
  const TemporaryDirectory directory;
  const fs::path x = directory.write("runs.npy", kX);
  CHECK(read_dataset(x).label(0) == kNoLabel);
  CHECK_THAT(read_data_file(x).notes.at(0), ContainsSubstring("no 'runs_y.npy'"));
  directory.write("runs_y.npy", kY);
  CHECK(read_dataset(x).label(0) == 1);
  CHECK(read_dataset(x, {.ignores_targets = true}).label(0) == kNoLabel);
  directory.write("runs_outcome.npy", npy<std::int64_t>("<i8", "4,", {1, 1, 0, 0}));
  CHECK(read_dataset(x, {.y = "outcome"}).labels() == std::vector<int>{1, 1, 0, 0});
  CHECK(read_dataset(x, {.y = "outcome.npy"}).label(2) == 0);
  CHECK_THAT(refusal_of(x, {.y = "other"}), ContainsSubstring("'runs_other.npy'"));
  directory.write("train_y.npy", kY);
  CHECK(read_dataset(directory.write("train_X.npy", kX)).label(0) == 1);
  const std::string longest(240, 'a');
  CHECK(read_dataset(directory.write(longest + ".npy", kX)).label(0) == kNoLabel);
}

TEST_CASE("A .npy of another type or order is copied, which is said") {
  const TemporaryDirectory directory;
  directory.write("y.npy", kY);
  std::vector<float> turned;
  for (int at = 0; at < 24; ++at) {  // the first index varies fastest
    turned.push_back(static_cast<float>(100 * (at % 4) + 10 * (at / 4 % 3) + at / 12));
  }
  for (const std::string& content :
       {npy("<f8", kShape, counted_values<double>()),
        npy("<i2", kShape, counted_values<std::int16_t>()), npy("<f4", kShape, turned, "True")}) {
    const auto [data, notes, files] = read_data_file(directory.write("X.npy", content));
    CHECK_FALSE(data.is_over_other_memory());
    CHECK(values_of(data, 3) == std::vector<float>{300, 301, 310, 311, 320, 321});
    CHECK_THAT(notes.at(1), ContainsSubstring("float32 [N][T][D]"));
  }
  std::string unaligned = kX;
  unaligned[8] = '\x77';
  unaligned.insert(100, " ");
  const DataFile moved = read_data_file(directory.write("X.npy", unaligned));
  CHECK_FALSE(moved.data.is_over_other_memory());
  CHECK(values_of(moved.data, 0) == std::vector<float>{0, 1, 10, 11, 20, 21});
  CHECK_THAT(moved.notes.at(1), ContainsSubstring("X is not aligned"));
  const Dataset exchanged = read_dataset(directory.write("X.npy", kX), {.axes = Axes::NCT});
  CHECK(exchanged.channels() == 3);
  CHECK_FALSE(exchanged.is_over_other_memory());
}

TEST_CASE("Timesteps at the end of a sequence in a .npy that have no value are no part of it") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const TemporaryDirectory directory;
  const auto [data, notes, files] = read_data_file(
      directory.write("X.npy", npy<float>("<f4", "2, 3", {1, kNaN, 3, 4, kNaN, kNaN})),
      {.allow_missing = true});
  CHECK(data.length(0) == 3);
  CHECK(values_of(data, 1) == std::vector<float>{4});
  CHECK_THAT(notes.back(), ContainsSubstring("2 timesteps"));
  CHECK_THAT(refusal_of(directory.write("X.npy", npy<float>("<f4", "2, 2", {1, 2, kNaN, kNaN}))),
             ContainsSubstring("X[1] has no values"));
}

TEST_CASE("A .npy that does not fit is refused in one sentence") {
  const TemporaryDirectory directory;
  const fs::path x = directory / "X.npy";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kX.substr(0, 5), "not a .npy array"},
      {kX.substr(0, 100), "ends within its .npy header"},
      {kX.substr(0, kX.size() - 1), "expected 96 from its header"},
      {kX + "x", "holds 97 bytes"},
      {npy("<f4", "24,", counted_values<float>()), "expected [N][T][D]"},
      {npy<char>("|O", "1, 1", {}), "object array"},
  };
  for (const auto& [content, sentence] : cases) {
    directory.write("X.npy", content);
    CHECK_THAT(refusal_of(x), ContainsSubstring(sentence) && ContainsSubstring(x.string()));
  }
  directory.write("X.npy", kX);
  directory.write("y.npy", npy<std::int64_t>("<i8", "3,", {1, 2, 3}));
  CHECK_THAT(refusal_of(x), ContainsSubstring("y has shape [3]"));
  fs::remove(directory / "y.npy");
  fs::create_directory(directory / "y.npy");
  CHECK_THAT(refusal_of(x), ContainsSubstring("y.npy: not a regular file"));
  fs::remove(directory / "y.npy");
  fs::create_symlink("none.npy", directory / "y.npy");
  CHECK_THAT(refusal_of(x), ContainsSubstring("y.npy: not a regular file"));
  fs::remove(directory / "y.npy");
  directory.write("y.npy", "");
  CHECK_THAT(refusal_of(x), ContainsSubstring("y.npy: the file is empty"));
  CHECK_THAT(refusal_of(directory.write("X.npy.gz", kX)), ContainsSubstring("not compressed"));
}

// Of many sequences, so that asking for them ahead by the square of their number would not end.
TEST_CASE("A large .npy is read in turn and in the order of a training") {
  constexpr std::size_t kSequences = 20000;
  constexpr std::size_t kSteps = 420;  // 33.6 MB
  std::vector<float> values(kSequences * kSteps);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 97);
  std::vector<std::int64_t> labels(kSequences);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i % 2);
  const TemporaryDirectory directory;
  directory.write("y.npy", npy("<i8", "20000,", labels));
  const Dataset mapped = read_dataset(directory.write("X.npy", npy("<f4", "20000, 420", values)));
  Dataset copy = mapped.subset(std::vector<std::size_t>{0, 19999, 7});
  static_cast<void>(copy.writable_sequence(0));
  for (const NormalizationKind kind : {NormalizationKind::channel, NormalizationKind::series}) {
    const Options options{.cell = "tanh",
                          .hidden = 1,
                          .normalize = kind,
                          .epochs = 1,
                          .batch_size = 2000,
                          .truncate = 1};
    Model model(mapped, options);
    model.fit(mapped);
    CHECK(model.evaluate(mapped).samples == kSequences);
    CHECK(model.predict(mapped.subset(std::vector<std::size_t>{0, 19999, 7})) ==
          model.predict(copy));
  }
}

TEST_CASE("A model learns the same from values in a file as from a copy of them") {
  const TemporaryDirectory directory;
  const fs::path x = directory.write("X.npy", kX);
  directory.write("y.npy", kY);
  const Dataset mapped = read_dataset(x);
  Dataset copy = mapped;
  static_cast<void>(copy.writable_sequence(0));
  REQUIRE(mapped.is_over_other_memory());
  REQUIRE_FALSE(copy.is_over_other_memory());
  for (const NormalizationKind kind :
       {NormalizationKind::none, NormalizationKind::channel, NormalizationKind::series}) {
    const Options options{.hidden = 5, .normalize = kind, .epochs = 3};
    Model of_mapped(mapped, options);
    Model of_copy(copy, options);
    of_mapped.fit(mapped);
    of_copy.fit(copy);
    CHECK(of_mapped.weights_hash() == of_copy.weights_hash());
    CHECK(of_mapped.predict_proba(mapped) == of_copy.predict_proba(copy));
  }
  // Gaps are filled in a copy.
  const Options fills{.hidden = 5, .missing = MissingKind::mean, .epochs = 1};
  CHECK(Model(mapped, fills).weights_hash() == Model(copy, fills).weights_hash());
  CHECK(mapped.is_over_other_memory());
}

}  // namespace
}  // namespace lockstep
