#include "files/model_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "catch.h"
#include "files/strict_json.h"
#include "lockstep/rnn/model.h"
#include "networks.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::ptrdiff_t count_files(const fs::path& directory) {
  return std::distance(fs::directory_iterator(directory), fs::directory_iterator());
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// What `action` complains of; "" if it succeeds.
template <typename Action>
std::string complaint_of(const Action& action) {
  try {
    action();
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

std::string load_complaint(const fs::path& path) {
  return complaint_of([&] { (void)load_model(path); });
}

std::string save_complaint(const ModelParts& model, const fs::path& path) {
  return complaint_of([&] { save_model(model, path); });
}

// What load_model complains of in a file with these bytes.
std::string complaint(const fs::path& path, const std::string& bytes) {
  write_file(path, bytes);
  return load_complaint(path);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ModelParts small_model() {
  ModelParts model;
  model.parameters = Parameters(Sizes{2, 3, 2});
  float value = -1.7f;
  for (float& weight : model.parameters.values()) weight = value += 0.1f;
  model.parameters["rnn.bias_ih_l0"][0] = -0.0f;
  model.parameters["rnn.bias_ih_l0"][1] = std::numeric_limits<float>::denorm_min();
  model.class_names = {"walk", "Lauf \"schnell\" \xc3\xa4"};
  model.normalization = {
      .kind = NormalizationKind::channel, .mean = {0.1f, -3e30f}, .scale = {1.0f, 1.1754944e-38f}};
  return model;
}

// A second writer of the container, with the header in the hands of the test.
std::string container(const std::string& header, const std::string& data = "") {
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return bytes + header + data;
}

struct RawTensor {
  std::string name;
  std::string dtype;
  std::string shape;
  std::string bytes;
};

std::string container(const std::vector<RawTensor>& tensors, const std::string& metadata = "") {
  std::string header = metadata;
  std::string data;
  for (const RawTensor& tensor : tensors) {
    header += std::string(header.empty() ? "" : ",") + "\"" + tensor.name + "\":{\"dtype\":\"" +
              tensor.dtype + "\",\"shape\":" + tensor.shape + ",\"data_offsets\":[" +
              std::to_string(data.size()) + "," +
              std::to_string(data.size() + tensor.bytes.size()) + "]}";
    data += tensor.bytes;
  }
  return container("{" + header + "}", data);
}

template <typename Number>
std::string bytes_of(const std::vector<Number>& numbers) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(numbers.size() * sizeof(Number), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

// As torch.nn.RNN(1, 2) and torch.nn.Linear(2, 2) name and lay out their tensors.
std::vector<RawTensor> foreign_tensors(const std::string& rnn = "rnn.",
                                       const std::string& head = "head.") {
  const auto f32 = [](const std::vector<float>& values) { return bytes_of(values); };
  return {{rnn + "weight_ih_l0", "F32", "[2,1]", f32({1, 2})},
          {rnn + "weight_hh_l0", "F32", "[2,2]", f32({3, 4, 5, 6})},
          {rnn + "bias_ih_l0", "F32", "[2]", f32({0.5, 1})},
          {rnn + "bias_hh_l0", "F32", "[2]", f32({0.25, -1})},
          {head + "weight", "F32", "[2,2]", f32({7, 8, 9, 10})},
          {head + "bias", "F32", "[2]", f32({11, 12})}};
}

const std::vector<float> kForeignValues = {0.75, 0, 1, 2, 3, 5, 4, 6, 11, 12, 7, 9, 8, 10};

std::string with_metadata(const std::string& escaped_text) {
  return container(foreign_tensors(), R"("__metadata__":{"lockstep":")" + escaped_text + "\"}");
}

// Lets no file grow beyond `bytes`, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &previous_) == 0);
    const rlimit limit{bytes, previous_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    (void)std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit previous_{};
};

TEST_CASE("a saved model is read back bit for bit") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  ModelParts model = small_model();
  const auto kind =
      GENERATE(NormalizationKind::none, NormalizationKind::channel, NormalizationKind::series);
  model.normalization.kind = kind;
  if (kind != NormalizationKind::channel) {
    model.normalization.mean.clear();
    model.normalization.scale.clear();
  }
  save_model(model, path);
  const ModelParts loaded = load_model(path);
  CHECK(loaded.parameters.network() == model.parameters.network());
  CHECK(weights_hash(loaded.parameters) == weights_hash(model.parameters));
  CHECK(loaded.normalization == model.normalization);
  CHECK(loaded.class_names == model.class_names);
}

TEST_CASE("the bytes of a model are those of its file, and read back bit for bit") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const Model model = Model::load(path);
  const std::string bytes = model.to_bytes();
  CHECK(bytes == read_file(path));
  const Model again = Model::from_bytes(bytes);
  CHECK(again.parameters() == model.parameters());
  CHECK(again.normalization() == model.normalization());
  CHECK(again.class_names() == model.class_names());
  CHECK(again.to_bytes() == bytes);
}

TEST_CASE("bytes of no model are refused as a file of them is") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const std::string bytes = read_file(path);
  const auto reason_in_memory = [](const std::string& text) {
    return complaint_of([&] { (void)decode_model(text); });
  };
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const std::string cut = bytes.substr(0, length);
    REQUIRE(reason_in_memory(cut) == complaint(path, cut));
  }
  CHECK(contains(reason_in_memory(bytes + '\0'), "after its last tensor"));
  CHECK_THROWS_AS(Model::from_bytes(""), ModelFileError);
  CHECK_THROWS_WITH(Model::from_bytes("x"),
                    "cannot read the model from memory: it is too short for a safetensors file");
}

// As torch.nn.GRU(1, 2) or LSTM(1, 2) with numbers that tell their places.
std::vector<RawTensor> foreign_gates(std::size_t gates) {
  const auto counted = [](std::size_t count, float first) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), first);
    return bytes_of(values);
  };
  const std::string rows = std::to_string(2 * gates);
  std::vector<RawTensor> tensors = foreign_tensors();
  tensors[0] = {"rnn.weight_ih_l0", "F32", "[" + rows + ",1]", counted(2 * gates, 1)};
  tensors[1] = {"rnn.weight_hh_l0", "F32", "[" + rows + ",2]", counted(4 * gates, 101)};
  tensors[2] = {"rnn.bias_ih_l0", "F32", "[" + rows + "]", counted(2 * gates, 1000)};
  tensors[3] = {"rnn.bias_hh_l0", "F32", "[" + rows + "]", counted(2 * gates, 2000)};
  return tensors;
}

TEST_CASE("a GRU and an LSTM in PyTorch's layout are read, and written again bit for bit") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "foreign.safetensors";
  const auto values = [](const Parameters& p, const char* name) {
    return std::vector<float>(p[name].begin(), p[name].end());
  };
  write_file(path, container(foreign_gates(3)));
  const ModelParts gru = load_model(path);
  CHECK(gru.parameters.network().layers[0].cell == "gru");
  CHECK(values(gru.parameters, "rnn.weight_ih_l0") == std::vector<float>{5, 6, 1, 2, 3, 4});
  CHECK(values(gru.parameters, "rnn.weight_hh_l0") ==
        std::vector<float>{101, 103, 105, 107, 109, 111, 102, 104, 106, 108, 110, 112});
  CHECK(values(gru.parameters, "rnn.bias_ih_l0") ==
        std::vector<float>{1004, 1005, 3000, 3002, 3004, 3006, 2004, 2005});
  write_file(path, container(foreign_gates(4)));
  const ModelParts lstm = load_model(path);
  CHECK(lstm.parameters.network().layers[0].cell == "lstm");
  CHECK(values(lstm.parameters, "rnn.weight_ih_l0") == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(values(lstm.parameters, "rnn.bias_ih_l0")[7] == 3014);
  for (const ModelParts& model : {gru, lstm}) {
    save_model(model, path);
    CHECK(load_model(path).parameters == model.parameters);
  }
}

TEST_CASE("stacks of every cell and direction are saved and read back bit for bit") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  for (const std::string& cell : cell_names()) {
    for (const bool bidirectional : {false, true}) {
      ModelParts model;
      model.parameters = random_network({3, 5, 2, cell.c_str(), 3, bidirectional});
      model.class_names = {"a", "b"};
      save_model(model, path);
      CHECK(load_model(path).parameters == model.parameters);
    }
  }
  // Layers may differ.
  ModelParts model;
  model.parameters = Parameters({.features = 2,
                                 .layers = {{.cell = "gru", .hidden = 3, .bidirectional = true},
                                            {.cell = "relu", .hidden = 4}},
                                 .outputs = 2});
  model.class_names = {"a", "b"};
  save_model(model, path);
  CHECK(load_model(path).parameters.network() == model.parameters.network());
}

TEST_CASE("the layers and directions of a file that names no cells are those of its matrices") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "foreign.safetensors";
  const auto layer = [](const std::string& suffix, std::size_t inputs) {
    const std::string columns = std::to_string(inputs);
    const auto zeros = [](std::size_t count) { return std::string(4 * count, '\0'); };
    return std::vector<RawTensor>{
        {"rnn.weight_ih" + suffix, "F32", "[6," + columns + "]", zeros(6 * inputs)},
        {"rnn.weight_hh" + suffix, "F32", "[6,2]", zeros(12)},
        {"rnn.bias_ih" + suffix, "F32", "[6]", zeros(6)},
        {"rnn.bias_hh" + suffix, "F32", "[6]", zeros(6)}};
  };
  std::vector<RawTensor> tensors{{"head.weight", "F32", "[2,4]", std::string(32, '\0')},
                                 {"head.bias", "F32", "[2]", std::string(8, '\0')}};
  for (const auto& [suffix, inputs] : std::vector<std::pair<const char*, std::size_t>>{
           {"_l0", 1}, {"_l0_reverse", 1}, {"_l1", 4}, {"_l1_reverse", 4}}) {
    for (const RawTensor& tensor : layer(suffix, inputs)) tensors.push_back(tensor);
  }
  write_file(path, container(tensors));
  const Layer expected{.cell = "gru", .hidden = 2, .bidirectional = true};
  const Network network = load_model(path).parameters.network();
  CHECK(network.layers == std::vector<Layer>{expected, expected});
  CHECK(network.features == 1);
  tensors.pop_back();
  CHECK(contains(complaint(path, container(tensors)), "no tensor \"rnn.bias_hh_l1_reverse\""));
}

TEST_CASE("the tensors of a saved file start at a multiple of eight bytes") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const std::string bytes = read_file(path);
  const auto header_bytes =
      static_cast<unsigned char>(bytes[0]) + 256u * static_cast<unsigned char>(bytes[1]);
  CHECK(header_bytes % 8 == 0);
  CHECK(bytes.size() == 8 + header_bytes + 4 * (3 * 2 + 3 * 3 + 3 + 3 + 2 * 3 + 2));
}

TEST_CASE("a file in PyTorch's layout is read under every documented prefix") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "foreign.safetensors";
  const std::string rnn = GENERATE("rnn.", "");
  const std::string head = GENERATE("head.", "fc.", "linear.", "");
  write_file(path, container(foreign_tensors(rnn, head)));
  const ModelParts model = load_model(path);
  CHECK(model.parameters.network() == Network(Sizes{1, 2, 2}));
  CHECK(std::ranges::equal(model.parameters.values(), kForeignValues));
  CHECK(model.class_names == std::vector<std::string>{"0", "1"});
  CHECK(model.normalization == Normalization{});
}

TEST_CASE("other floating-point types are converted") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "foreign.safetensors";
  std::vector<RawTensor> tensors = foreign_tensors();
  std::string& dtype = tensors[1].dtype;
  std::string& bytes = tensors[1].bytes;
  // Hidden weights are transposed: tensor elements 0, 2, 1, 3.
  const auto hidden_weights = [&] {
    write_file(path, container(tensors));
    const Parameters parameters = load_model(path).parameters;
    const std::span<const float> weights = parameters["rnn.weight_hh_l0"];
    return std::vector<float>(weights.begin(), weights.end());
  };

  SECTION("float64") {
    dtype = "F64";
    bytes = bytes_of<double>({0.1, -2, 3, 1e-300});
    CHECK(hidden_weights() == std::vector<float>{0.1f, 3, -2, 0});
  }
  SECTION("bfloat16") {
    dtype = "BF16";
    bytes = bytes_of<std::uint16_t>({0x3f80, 0xc000, 0x3e80, 0x0001});
    CHECK(hidden_weights() == std::vector<float>{1, 0.25, -2, std::ldexp(1.0f, -133)});
  }
  SECTION("float16: normal, negative, subnormal and largest") {
    dtype = "F16";
    bytes = bytes_of<std::uint16_t>({0x3c00, 0xb800, 0x0001, 0x7bff});
    CHECK(hidden_weights() == std::vector<float>{1, std::ldexp(1.0f, -24), -0.5, 65504});
  }
  SECTION("float16 infinity is refused as any infinity") {
    dtype = "F16";
    bytes = bytes_of<std::uint16_t>({0x3c00, 0xb800, 0x0001, 0x7c00});
    CHECK(contains(complaint(path, container(tensors)), "weight_hh_l0\" holds NaN or infinity"));
  }
  SECTION("integers are refused") {
    dtype = "I32";
    CHECK(contains(complaint(path, container(tensors)), "has type \"I32\", expected F32"));
  }
}

TEST_CASE("a truncated or extended file is refused at every length") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const std::string bytes = read_file(path);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    REQUIRE(complaint(path, bytes.substr(0, length)) != "");
  }
  CHECK(contains(complaint(path, bytes + '\0'), "after its last tensor"));
  CHECK(complaint(path, bytes) == "");
}

TEST_CASE("a header with any one byte changed is refused or read, nothing worse") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const std::string bytes = read_file(path);
  const std::size_t header_end = bytes.rfind('}', bytes.size() - 4 * 29) + 1;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < header_end; ++i) {
    for (const int change : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      CAPTURE(i, change);
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ change);
      refused += complaint(path, changed) == "" ? 0 : 1;
    }
  }
  CHECK(refused > 8 * header_end / 2);
}

TEST_CASE("hostile headers are refused with the reason") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "hostile.safetensors";
  const std::string four(4, '\0');
  const auto tensor = [](const std::string& name, const std::string& shape,
                         const std::string& offsets, const std::string& dtype = "\"F32\"") {
    return "\"" + name + "\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}";
  };
  const auto reason = [&](const std::string& header) {
    return complaint(path, container(header, four));
  };

  CHECK(contains(complaint(path, ""), "too short"));
  CHECK(contains(complaint(path, std::string(8, '\xff')), "header of 18446744073709551615 bytes"));
  CHECK(contains(complaint(path, std::string(8, '\0')), "header is no JSON object"));
  CHECK(contains(reason("[]"), "header is no JSON object"));
  CHECK(contains(reason(" {}"), "header is no JSON object"));
  CHECK(contains(reason("{"), "malformed"));
  CHECK(contains(reason("{}x"), "malformed"));
  CHECK(contains(reason("{\"\xff\":0}"), "malformed"));
  CHECK(contains(reason("{}"), "bytes after its last tensor"));
  CHECK(contains(complaint(path, container("{}")), "no tensor \"weight_hh_l0\""));
  CHECK(contains(reason("{\"a\":" + std::string(100'000, '[')), "nested too deep"));
  CHECK(contains(reason("{\"a\":1,\"a\":1}"), "key \"a\" twice"));
  CHECK(contains(reason("{" + tensor("a", "[1],\"shape\":[1]", "[0,4]") + "}"),
                 "key \"shape\" twice"));
  CHECK(contains(reason("{\"a\":1}"), "\"a\" is not described by"));
  CHECK(contains(reason("{" + tensor("a", "[1]", "[0,4]", "7") + "}"), "is not described by"));
  CHECK(contains(reason("{" + tensor("a", "[1]", "[0]") + "}"), "is not described by"));
  CHECK(contains(reason("{" + tensor("a", "[1.5]", "[0,4]") + "}"), "not a whole number"));
  CHECK(contains(reason("{" + tensor("a", "[-1]", "[0,4]") + "}"), "not a whole number"));
  CHECK(contains(reason("{" + tensor("a", "[99999999999999999999]", "[0,4]") + "}"),
                 "not a whole number"));
  CHECK(contains(reason("{" + tensor("a", "[1]", "[-4,0]") + "}"), "not a whole number"));
  CHECK(contains(reason("{" + tensor("a", "[1]", "[4,0]") + "}"), "outside the file"));
  CHECK(contains(reason("{" + tensor("a", "[2]", "[0,8]") + "}"), "outside the file"));
  CHECK(contains(
      reason("{" + tensor("a", "[1]", "[18446744073709551612,18446744073709551615]") + "}"),
      "outside the file"));
  CHECK(contains(reason("{" + tensor("a", "[2]", "[0,4]") + "}"), "does not take 4 bytes"));
  CHECK(contains(reason("{" + tensor("a", "[4294967296,4294967296,4]", "[0,4]") + "}"),
                 "does not take 4 bytes"));
  CHECK(contains(reason("{" + tensor("a", "[4611686018427387905]", "[0,4]") + "}"),
                 "does not take 4 bytes"));
  CHECK(
      contains(reason("{" + tensor("a", "[1]", "[0,4]") + "," + tensor("b", "[1]", "[0,4]") + "}"),
               "overlap or leave a gap"));
  CHECK(
      contains(reason("{" + tensor("a", "[0]", "[0,0]") + "," + tensor("b", "[0]", "[4,4]") + "}"),
               "overlap or leave a gap"));
  CHECK(contains(reason(R"({"__metadata__":3})"), "metadata is not an object"));
  CHECK(contains(reason(R"({"__metadata__":{"a":3}})"), "\"a\" is not text"));
}

TEST_CASE("a name from a file cannot flood or control the terminal") {
  const TemporaryDirectory directory;
  const std::string name = "\\u001b[31m" + std::string(100'000, 'a');
  const std::string text = complaint(directory / "f", container("{\"" + name + "\":1}"));
  CHECK(text.size() < 1000);
  CHECK(text.find('\x1b') == std::string::npos);

  std::string shape = "1";
  for (int i = 0; i < 10'000; ++i) shape += ",1";
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,0]}})";
  CHECK(complaint(directory / "f", container(header)).size() < 1000);
}

TEST_CASE("models of another kind are refused with the tensor's name") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "foreign.safetensors";
  std::vector<RawTensor> tensors = foreign_tensors();

  SECTION("each tensor is needed") {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::vector<RawTensor> fewer = tensors;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      const std::string text = complaint(path, container(fewer));
      CAPTURE(tensors[i].name, text);
      // Of a linear layer without a bias there is none to miss.
      CHECK(contains(text, "no tensor \"") == (tensors[i].name != "head.bias"));
    }
  }
  SECTION("names of any module, without biases") {
    for (const char* prefix : {"", "h2o.", "_orig_mod.rnn.", "model."}) {
      std::vector<RawTensor> renamed;
      for (RawTensor tensor : tensors) {
        const std::size_t dot = tensor.name.find('.');
        const bool is_head = tensor.name.starts_with("head");
        if (tensor.name.find("bias") != std::string::npos) continue;
        tensor.name = (is_head ? "out." : prefix) + tensor.name.substr(dot + 1);
        renamed.push_back(tensor);
      }
      write_file(path, container(renamed));
      const Model model = Model::load(path);
      for (const Tensor& tensor : model.parameters().tensors()) {
        if (tensor.role != TensorRole::bias) continue;
        for (const float value : model.parameters()[tensor.name]) CHECK(value == 0);
      }
    }
    tensors.push_back({"norm.weight", "F32", "[2,2]", std::string(16, '\0')});
    CHECK(contains(complaint(path, container(tensors)), "more than one tensor \"weight\""));
  }
  SECTION("second layer, second direction, projection, anything else") {
    const std::string name = GENERATE("rnn.weight_ih_l1", "rnn.weight_ih_l0_reverse",
                                      "rnn.weight_hr_l0", "weight_ih_l0", "fc.scale", "step");
    tensors.push_back({name, "I64", "[]", std::string(8, '\0')});
    CHECK(contains(complaint(path, container(tensors)), "\"" + name + "\" has no place"));
  }
  SECTION("gates in one tensor and not in the others") {
    tensors[1] = {"rnn.weight_hh_l0", "F32", "[8,2]", std::string(64, '\0')};
    CHECK(contains(complaint(path, container(tensors)),
                   "\"rnn.bias_ih_l0\" has shape [2], expected [8] as with cell lstm"));
  }
  SECTION("as many gates as no cell has") {
    tensors[1] = {"rnn.weight_hh_l0", "F32", "[4,2]", std::string(32, '\0')};
    CHECK(contains(complaint(path, container(tensors)),
                   "[4][2], expected 1, 3 or 4 times as many rows as columns"));
  }
  SECTION("a tensor that is not a matrix") {
    const std::string shape = GENERATE("[4]", "[2,2,1]");
    tensors[4].shape = shape;
    CHECK(contains(complaint(path, container(tensors)), "expected a matrix"));
  }
  SECTION("no feature at all") {
    tensors[0] = {"rnn.weight_ih_l0", "F32", "[2,0]", ""};
    CHECK(contains(complaint(path, container(tensors)), "[2][0], expected a matrix"));
  }
  SECTION("shapes that ask for far more memory than the file is long") {
    const std::string many(200000, '\0');
    tensors = {{"rnn.weight_ih_l0", "F16", "[1,100000]", many},
               {"rnn.weight_hh_l0", "F16", "[1,100000]", many},
               {"rnn.bias_ih_l0", "F16", "[1]", "12"},
               {"rnn.bias_hh_l0", "F16", "[1]", "12"},
               {"head.weight", "F16", "[100000,1]", many},
               {"head.bias", "F16", "[1]", "12"}};
    CHECK(contains(complaint(path, container(tensors)), "[1][100000], expected 1, 3 or 4 times"));
    tensors[1] = {"rnn.weight_hh_l0", "F16", "[1,1]", "12"};
    CHECK(contains(complaint(path, container(tensors)),
                   "\"head.bias\" has shape [1], expected [100000]"));
  }
  SECTION("NaN") {
    tensors[5].bytes = bytes_of<float>({1, std::numeric_limits<float>::quiet_NaN()});
    CHECK(contains(complaint(path, container(tensors)), "\"head.bias\" holds NaN"));
  }
  SECTION("biases that overflow when added") {
    tensors[2].bytes = tensors[3].bytes = bytes_of<float>({3e38f, 0});
    CHECK(contains(complaint(path, container(tensors)), "sum of its two biases"));
  }
}

TEST_CASE("metadata that does not fit the model is refused") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  const auto reason = [&](const std::string& text) { return complaint(path, with_metadata(text)); };
  const std::string names = R"(\"class_names\":[\"a\",\"b\"])";
  const std::string none = R"(\"normalization\":{\"kind\":\"none\"})";
  const std::string start = R"({\"version\":1,)";

  CHECK(reason(start + names + "," + none + "}") == "");
  CHECK(contains(reason("x"), "malformed"));
  CHECK(contains(reason("[]"), "metadata lacks version"));
  CHECK(contains(reason("{" + names + "," + none + "}"), "metadata lacks version"));
  CHECK(contains(reason(start + names + "}"), "metadata lacks version"));
  CHECK(contains(reason(start + none + "}"), "metadata lacks version"));
  CHECK(contains(reason(start + R"(\"class_names\":[1,2],)" + none + "}"), "of a wrong type"));
  CHECK(contains(reason(start + R"(\"class_names\":[\"a\",\"a\"],)" + none + "}"),
                 "it has two classes \"a\""));
  CHECK(contains(reason(start + R"(\"class_names\":[\"a\"],)" + none + "}"),
                 "1 class names for 2 classes"));
  CHECK(contains(reason(R"({\"version\":3,)" + names + "," + none + "}"),
                 "version is \"3\", expected up to 2"));
  const std::string second =
      R"({\"version\":2,\"head\":\"classify\",\"pool\":\"max\",)" + names + "," + none;
  CHECK(reason(second + R"(,\"cells\":[\"relu\"]})") == "");
  CHECK(contains(reason(second + "}"), "metadata lacks"));
  CHECK(contains(reason(R"({\"version\":2,\"cells\":[\"tanh\"],)" + names + "," + none + "}"),
                 "metadata lacks"));
  CHECK(contains(reason(R"({\"version\":2,\"cells\":[\"tanh\"],\"head\":\"rank\",)" + names + "," +
                        none + "}"),
                 "its head \"rank\" is unknown"));
  CHECK(contains(reason(R"({\"version\":2,\"cells\":[\"tanh\"],\"head\":\"classify\",)" + names +
                        R"(,\"pool\":\"median\",)" + none + "}"),
                 "its pool \"median\" is unknown"));
  CHECK(contains(reason(second + R"(,\"cells\":[1]})"), "metadata lacks"));
  CHECK(contains(reason(second + R"(,\"cells\":[\"sine\"]})"), "its cell \"sine\" is unknown"));
  CHECK(contains(reason(second + R"(,\"cells\":[]})"), "it names no cell"));
  CHECK(contains(reason(second + R"(,\"cells\":[\"tanh\",\"tanh\"]})"),
                 "no tensor \"rnn.weight_hh_l1\""));
  CHECK(contains(reason(second + R"(,\"cells\":[\"gru\"]})"), "expected [6] as with cell gru"));
  CHECK(contains(reason(start + names + R"(,\"normalization\":{\"kind\":\"log\"}})"),
                 "kind of normalization is unknown"));
  const std::string channel = start + names + R"(,\"normalization\":{\"kind\":\"channel\")";
  CHECK(contains(reason(channel + "}}"), "wrong type"));
  CHECK(contains(reason(channel + R"(,\"mean\":[0,0],\"scale\":[1,1]}})"),
                 "one mean and one scale for each of 1 channels"));
  CHECK(contains(reason(channel + R"(,\"mean\":[0],\"scale\":[1e39]}})"),
                 "scale of its normalization holds NaN or infinity"));
  CHECK(reason(channel + R"(,\"mean\":[0],\"scale\":[1]}})") == "");
  for (const std::string number : {"0.5", "-1", "1e300", "[0]"}) {
    CHECK(contains(
        reason(start + names + "," + none +
               R"(,\"missing\":{\"kind\":\"mask\",\"mean\":[0],\"masked\":[)" + number + "]}}"),
        "of a wrong type"));
  }
  // As version 0.1 wrote it.
  CHECK(reason(start + names + R"(,\"normalization\":{\"kind\":\"per_series\"}})") == "");
}

TEST_CASE("a model that could not be read again is not saved") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  ModelParts model = small_model();

  SECTION("diverged weights") {
    model.parameters["rnn.weight_hh_l0"][4] = std::numeric_limits<float>::quiet_NaN();
    CHECK(contains(save_complaint(model, path), "\"rnn.weight_hh_l0\" holds NaN"));
  }
  SECTION("no weights") {
    model.parameters = Parameters();
    CHECK(contains(save_complaint(model, path), "it is empty"));
  }
  SECTION("too few class names") {
    model.class_names.pop_back();
    CHECK(contains(save_complaint(model, path), "1 class names for 2 classes"));
  }
  SECTION("a class name that is not text") {
    model.class_names[0] = "\xff";
    CHECK(contains(save_complaint(model, path), "not valid UTF-8"));
  }
  SECTION("two classes of one name") {
    model.class_names[0] = model.class_names[1];
    CHECK(contains(save_complaint(model, path), "it has two classes"));
  }
  SECTION("a class name longer than a header may be") {
    model.class_names[0] = std::string(std::size_t{5} << 20, 'a');
    CHECK(contains(save_complaint(model, path), "would exceed 4194304 bytes"));
  }
  SECTION("a normalization for other channels") {
    model.normalization.mean.pop_back();
    CHECK(contains(save_complaint(model, path), "each of 2 channels"));
  }
  CHECK(count_files(directory / "") == 0);
}

TEST_CASE("a failed save leaves the old model and nothing else") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_model(small_model(), path);
  const std::string before = read_file(path);
  ModelParts other = small_model();
  other.parameters["head.bias"][0] = 42;

  SECTION("no room") {
    const FileSizeLimit limit(100);
    CHECK(contains(save_complaint(other, path), "File too large"));
  }
  SECTION("a path below a file") {
    CHECK(contains(save_complaint(other, path / "model"), "Not a directory"));
  }
  SECTION("a directory that does not exist") {
    CHECK(contains(save_complaint(other, directory / "none/model"), "No such file or directory"));
  }
  CHECK(read_file(path) == before);
  CHECK(count_files(directory / "") == 1);
}

TEST_CASE("only a regular file is replaced") {
  const TemporaryDirectory directory;
  CHECK(contains(save_complaint(small_model(), "/dev/null"), "other than a regular file"));
  CHECK(fs::is_character_file("/dev/null"));
  const fs::path path = directory / "folder";
  fs::create_directory(path);
  CHECK(contains(save_complaint(small_model(), path), "other than a regular file"));
  const fs::path too_long = directory / std::string(300, 'a');
  CHECK(contains(save_complaint(small_model(), too_long), "File name too long"));
}

TEST_CASE("a saved file replaces the old one; its mode is that one's or the umask's") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  const auto mode = [&] { return fs::status(path).permissions() & fs::perms::mask; };
  const mode_t previous = ::umask(007);
  save_model(small_model(), path);
  CHECK(mode() == fs::perms{0660});
  write_file(path, "old");
  fs::permissions(path, fs::perms{0604});
  save_model(small_model(), path);
  ::umask(previous);
  CHECK(load_model(path).parameters == small_model().parameters);
  CHECK(count_files(directory / "") == 1);
  CHECK(mode() == fs::perms{0604});
}

TEST_CASE("sizes that no network has are an error that names the file") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "wide.safetensors";
  constexpr std::size_t kFeatures = (std::size_t{1} << 24) + 1;
  std::vector<RawTensor> tensors = foreign_tensors();
  tensors[0] = {"rnn.weight_ih_l0", "F16", "[2," + std::to_string(kFeatures) + "]",
                std::string(4 * kFeatures, '\0')};
  write_file(path, container(tensors));
  CHECK_THROWS_MATCHES(Model::load(path), ModelFileError,
                       Catch::Matchers::Predicate<ModelFileError>([&](const ModelFileError& error) {
                         return contains(error.what(), "'" + path.string() + "'") &&
                                contains(error.what(), "16777216");
                       }));
}

TEST_CASE("tensors of types that are not read cannot claim memory") {
  const TemporaryDirectory directory;
  std::vector<RawTensor> tensors = foreign_tensors();
  for (RawTensor& tensor : tensors) tensor = {tensor.name, "Q4", "[16777216]", ""};
  tensors[0].shape = "[16777216,16777216]";
  tensors[1].shape = "[16777216,16777216]";
  tensors[4].shape = "[2,16777216]";
  tensors[5].shape = "[2]";
  CHECK(contains(complaint(directory / "claims", container(tensors)), "has type \"Q4\""));
}

TEST_CASE("a header that would be too long is refused before a training") {
  const TemporaryDirectory directory;
  Dataset data(1, {std::string(std::size_t{5} << 20, 'a'), "b"});
  data.add(std::vector<float>{1, 2}, 0);
  data.add(std::vector<float>{3, 4}, 1);
  Options options;
  options.epochs = 1;
  options.hidden = 2;
  Model model(data, options);
  const auto is_refused = [&](const fs::path& path, const std::string& text) {
    return contains(text, "'" + path.string() + "': its header of 524") &&
           contains(text, "exceed 4194304 bytes");
  };
  const fs::path path = directory / "file";
  CHECK(is_refused(path, complaint_of([&] { model.require_savable(path); })));
  FitObserver observer;
  observer.checkpoints = {.path = path};
  bool has_begun = false;
  observer.on_batch = [&](const BatchProgress&) { return has_begun = true; };
  CHECK(is_refused(path, complaint_of([&] { model.fit(data, observer); })));
  CHECK_FALSE(has_begun);
}

TEST_CASE("a path that is no file is an error that names it") {
  CHECK_THROWS_WITH(Model::load("no/such/model"),
                    "cannot load model 'no/such/model': No such file or directory");
  CHECK_THROWS_WITH(Model::load("/dev/zero"),
                    "cannot load model '/dev/zero': it is not a regular file");
  CHECK(contains(load_complaint(fs::temp_directory_path()), "it is not a regular file"));
}

TEST_CASE("numbers of a model keep the sign of zero, and whole ones may be written as fractions") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "zero.safetensors";
  const Normalization normalization{
      .kind = NormalizationKind::channel, .mean = {-0.0F, 3.0F}, .scale = {1.0F, 0.1F}};
  Model(Parameters({.features = 2, .layers = {{.cell = "tanh", .hidden = 3}}, .outputs = 2}),
        normalization, {"a", "b"})
      .save(path);
  const Normalization loaded = Model::load(path).normalization();
  CHECK(loaded == normalization);
  CHECK(std::signbit(loaded.mean[0]));
  CHECK(parse_strict_json("[2.0, 2e0, 7]").get<std::vector<std::size_t>>() ==
        std::vector<std::size_t>{2, 2, 7});
  for (const char* bad : {"2.5", "-1", "1e300", "-2.0"}) {
    CHECK_THROWS_AS(parse_strict_json(bad).get<std::uint64_t>(), JsonError);
  }
}

}  // namespace
}  // namespace lockstep
