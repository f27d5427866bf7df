// Drives the built `lockstep` command as its users do.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "command_runs.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/model.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

std::string without_labels(const std::string& csv) {
  std::string text;
  for (const std::string& line : lines_of(csv)) {
    const std::size_t second = line.find(',', line.find(',') + 1);
    text += line.substr(0, second) + line.substr(line.find(',', second + 1)) + "\n";
  }
  return text;
}

// A small data file and a model trained on it.
struct Fixture {
  TemporaryDirectory directory;
  std::string data = directory.write("ramps.csv", ramps_csv(24));
  std::string model = directory / "model.safetensors";

  [[nodiscard]] std::vector<std::string> train_arguments() const {
    return {"train", data, "--hidden", "8", "--epochs", "20", "--batch-size", "5"};
  }
  json train() const {
    return run_json(train_arguments() + std::vector<std::string>{"--model", model});
  }
};

}  // namespace

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("command: help and version", "[command]") {
  CHECK_THAT(run({"--version"}).out, ContainsSubstring("lockstep "));
  CHECK_THAT(run({"--help"}).out, ContainsSubstring("Exit codes"));
  for (const char* verb : {"train", "sweep", "evaluate", "predict", "info", "gradcheck"}) {
    const Outcome help = run({verb, "--help"});
    CHECK(help.code == 0);
    CHECK_THAT(help.out, ContainsSubstring("Examples:"));
  }
}

TEST_CASE("command: bad usage exits with 2 and one sentence", "[command]") {
  const std::vector<std::string> parity = {"train", "--dataset", "parity"};
  require_failure(2, "no verb, expected one of train, sweep, evaluate", {});
  require_failure(2, "unknown verb 'nonsense', expected one of train, sweep, evaluate",
                  {"nonsense"});
  require_failure(2, "from 2 to", {"gradcheck", "--classes", "1"});
  require_failure(2, "--frobnicate", parity + std::vector<std::string>{"--frobnicate"});
  require_failure(2, "synthetic-control, cylinder-bell-funnel, adding, parity",
                  {"train", "--dataset", "nonesuch"});
  require_failure(2, "--dataset NAME", {"train"});
  require_failure(2, "--dataset NAME", {"evaluate", "model"});
  require_failure(2, "excludes", {"train", "data.ts", "--dataset", "parity"});
  require_failure(2, "reference", parity + std::vector<std::string>{"--backend", "nonesuch"});
  require_failure(2, "reference", parity, {"LOCKSTEP_BACKEND=nonesuch"});
  require_failure(2, "--validation", parity + std::vector<std::string>{"--patience", "3"});
  require_failure(2, "--validation", parity + std::vector<std::string>{"--validation", "1e-9"});
  const std::vector<std::vector<std::string>> bad_values = {{"--hidden", "0"},
                                                            {"--hidden", "1.5"},
                                                            {"--hidden", "99999999"},
                                                            {"--batch-size", "0"},
                                                            {"--epochs", "0"},
                                                            {"--threads", "-1"},
                                                            {"--threads", "9999999"},
                                                            {"--momentum", "1"},
                                                            {"--learning-rate", "0"},
                                                            {"--learning-rate", "nan"},
                                                            {"--clip-norm", "-1"},
                                                            {"--sigma", "inf"},
                                                            {"--epochs", "1.5"},
                                                            {"--epochs", "99999999999999999999999"},
                                                            {"--seed", "18446744073709551616"},
                                                            {"--decay", "x"},
                                                            {"--seed", "-1"},
                                                            {"--validation", "1"},
                                                            {"--schedule", "linear"},
                                                            {"--init", "zero"},
                                                            {"--normalize", "max"}};
  for (const auto& bad : bad_values) require_failure(2, bad[0], parity + bad);
  require_failure(2, "--init gaussian", parity + std::vector<std::string>{"--sigma", "1"});
  require_failure(2, "--schedule step", parity + std::vector<std::string>{"--decay", "0.1"});
  require_failure(2, "--schedule step", parity + std::vector<std::string>{"--decay-epochs", "9"});
}

TEST_CASE("command: an output follows links, and is no stream", "[command]") {
  const Fixture fixture;
  const TemporaryDirectory& directory = fixture.directory;
  const auto train_to = [&](const std::string& model) {
    return std::vector<std::string>{"train", fixture.data, "--epochs", "1", "--model", model};
  };
  std::filesystem::create_directory(directory / "runs");
  std::filesystem::create_symlink("runs/m1.safetensors", directory / "latest.safetensors");
  std::filesystem::create_symlink("latest.safetensors", directory / "newest.safetensors");
  for (int i = 0; i < 2; ++i) {
    CHECK(run(train_to((directory / "newest.safetensors").string())).code == 0);
    CHECK(std::filesystem::is_symlink(directory / "newest.safetensors"));
    CHECK(std::filesystem::is_symlink(directory / "latest.safetensors"));
    CHECK(run({"info", (directory / "runs/m1.safetensors").string()}).code == 0);
  }
  std::filesystem::create_symlink("/proc/self/fd/1", directory / "stream");
  require_failure(1, "it is a stream", train_to((directory / "stream").string()));
  std::filesystem::create_symlink("loop", directory / "loop");
  require_failure(1, "loop", train_to((directory / "loop").string()));
  require_failure(1, "'./-' is one", train_to("-"));
  for (const char* flag : {"--model", "--report", "--checkpoint", "--resume", "--init-from"}) {
    require_failure(2, "expected the name of a file", {"train", fixture.data, flag, ""});
  }
}

TEST_CASE("command: leading zeros do not make a number octal", "[command]") {
  CHECK(run_json({"train", "--dataset", "parity", "--hidden", "2", "--epochs", "010"})["epochs"] ==
        10);
}

TEST_CASE("command: an output that would replace data or the other output is refused",
          "[command]") {
  const Fixture fixture;
  std::filesystem::create_symlink(fixture.data, fixture.directory / "link.csv");
  for (const std::string& same : {fixture.data, (fixture.directory / "./ramps.csv").string(),
                                  (fixture.directory / "link.csv").string()}) {
    for (const char* output : {"--model", "--report"}) {
      require_failure(2, "same file as DATA", {"train", fixture.data, output, same});
      require_failure(2, "same file as --test",
                      {"train", "other.csv", "--test", fixture.data, output, same});
    }
  }
  require_failure(2, "same file as --model",
                  {"train", fixture.data, "--model", fixture.model, "--report", fixture.model});
  require_failure(2, "same file as --model",
                  {"train", fixture.data, "--model", "no-such-file", "--report", "./no-such-file"});
}

// A terminal for standard error.
class Terminal {
 public:
  Terminal() : main_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (main_ < 0) LOCKSTEP_SKIP("no pseudo-terminal is to be had here");
    REQUIRE(::grantpt(main_) == 0);
    REQUIRE(::unlockpt(main_) == 0);
    kept_open_ = ::open(path().c_str(), O_RDWR | O_NOCTTY);  // otherwise no output is left
  }
  ~Terminal() {
    ::close(kept_open_);
    ::close(main_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] std::string path() const { return ::ptsname(main_); }
  // What was shown until `text` has come so many times.
  [[nodiscard]] std::string shown_until(const std::string& text, std::size_t times = 1) const {
    std::string shown;
    const auto found = [&] {
      std::size_t count = 0;
      for (std::size_t at = 0; (at = shown.find(text, at)) != std::string::npos; ++at) ++count;
      return count;
    };
    while (found() < times) {
      char bytes[4096];
      const ssize_t count = ::read(main_, bytes, sizeof bytes);
      REQUIRE(count > 0);
      shown.append(bytes, static_cast<std::size_t>(count));
    }
    return shown;
  }

 private:
  int main_;
  int kept_open_ = -1;
};

TEST_CASE("command: progress fits a terminal of 80 columns, with the time left",
          "[command][optional]") {
  const Terminal terminal;
  const Process process(command_line({"train", "--dataset", "parity", "--epochs", "1000000000"}),
                        {"TERM=xterm"}, "", terminal.path());
  const std::string shown = terminal.shown_until("[", 8);
  std::istringstream lines(shown.substr(0, shown.rfind('\r')));
  for (std::string line; std::getline(lines, line, '\r');) {
    constexpr std::size_t kEraseSequence = 3;
    INFO(line);
    CHECK(line.size() < 80 + kEraseSequence);
    if (line.size() > kEraseSequence) CHECK_THAT(line, ContainsSubstring(" left "));
  }
}

TEST_CASE("command: a terminal shows that a file takes long to read", "[command][optional]") {
  const Fixture fixture;
  const std::string pipe = fixture.directory / "pipe.csv";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string kind : {"TERM=xterm", "TERM=dumb"}) {
    CAPTURE(kind);
    const Terminal terminal;
    const Process process(command_line({"train", pipe, "--epochs", "1", "--hidden", "2"}), {kind},
                          "", terminal.path());
    std::string shown;
    if (kind == "TERM=xterm") shown = terminal.shown_until("reading '" + pipe + "'");
    std::ofstream(pipe) << std::ifstream(fixture.data).rdbuf();
    shown += terminal.shown_until("lockstep: read '");
    CHECK((shown.find('\033') == std::string::npos) == (kind == "TERM=dumb"));
  }
}

TEST_CASE("command: what cannot be read or written exits with 1", "[command]") {
  const Fixture fixture;
  const TemporaryDirectory& directory = fixture.directory;
  const std::string missing = directory / "missing" / "file";
  require_failure(1, "nonesuch.ts", {"train", "nonesuch.ts"});
  require_failure(1, "nonesuch", {"evaluate", "nonesuch", fixture.data});
  require_failure(1, "model", {"evaluate", fixture.data, fixture.data});
  require_failure(1, missing,
                  fixture.train_arguments() + std::vector<std::string>{"--model", missing});
  require_failure(1, missing,
                  fixture.train_arguments() + std::vector<std::string>{"--report", missing});
  require_failure(1, "/dev/null",
                  fixture.train_arguments() + std::vector<std::string>{"--model", "/dev/null"});
  const std::string one_class = directory.write("one.csv", ramps_csv(1));
  require_failure(1, "at least two", {"train", one_class});
  const std::string unlabelled = directory.write("bare.csv", without_labels(ramps_csv(4)));
  require_failure(1, "no label", {"train", unlabelled});
  const std::string latin1 = directory.write("latin1.csv", ramps_csv(4, "\xfc"));
  require_failure(1, "latin1.csv:2: the text is not UTF-8", {"train", latin1});
  const std::string long_name = directory / std::string(300, 'a');
  require_failure(1, "too long", {"train", fixture.data, "--model", long_name});
}

TEST_CASE("command: a full disk behind standard output is an error", "[command][optional]") {
  if (!std::filesystem::exists("/dev/full")) LOCKSTEP_SKIP("/dev/full is not there");
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--version"}, {"info"}, {"train", "--dataset", "parity", "--epochs", "1"}}) {
    Process process(command_line(arguments), {}, "/dev/full");
    CHECK(process.wait() == 1);
    CHECK_THAT(process.err(), ContainsSubstring("standard output"));
  }
}

TEST_CASE("command: training prints epochs and a summary as JSON", "[command]") {
  const Fixture fixture;
  const Outcome outcome =
      run(fixture.train_arguments() + std::vector<std::string>{"--validation", "0.25", "--json"});
  REQUIRE(outcome.code == 0);
  CHECK(without_reading(outcome.err).empty());
  const std::vector<std::string> lines = lines_of(outcome.out);
  REQUIRE(lines.size() == 21);
  for (std::size_t i = 0; i < 20; ++i) {
    const json epoch = json::parse(lines[i]);
    CHECK(epoch["epoch"] == i + 1);
    for (const char* key : {"loss", "accuracy", "validation_loss", "validation_accuracy",
                            "learning_rate", "seconds", "timesteps_per_second"}) {
      CHECK(epoch[key].is_number());
    }
  }
  const json summary = json::parse(lines.back());
  for (const char* key : {"train_loss", "train_accuracy", "validation_loss", "epochs",
                          "timesteps_per_second", "threads", "seed"}) {
    CHECK(summary[key].is_number());
  }
  CHECK(summary["test_accuracy"].is_null());
  CHECK(summary["test_loss"].is_null());
  CHECK(summary["epochs"] == 20);
  CHECK(summary["interrupted"] == false);
  CHECK(summary["weights_hash"].get<std::string>().size() == 16);
  CHECK(summary["train_accuracy"] == 1.0);
}

TEST_CASE("command: training prints a curve and the test accuracy as text", "[command]") {
  const std::vector<std::string> arguments = {
      "train", "--dataset", "synthetic-control", "--epochs", "2", "--hidden", "8"};
  const Outcome outcome = run(arguments);
  CHECK(outcome.code == 0);
  CHECK(without_reading(outcome.err).empty());
  CHECK_THAT(outcome.out, ContainsSubstring("epoch") && ContainsSubstring("####") &&
                              ContainsSubstring("test       accuracy"));
  const Outcome quiet = run(arguments + std::vector<std::string>{"--quiet"});
  CHECK_THAT(quiet.out, !ContainsSubstring("####") && ContainsSubstring("test       accuracy"));
  CHECK(run_json(arguments)["test_accuracy"].is_number());
}

TEST_CASE("command: early stopping keeps the best weights", "[command]") {
  const json summary = run_json({"train", "--dataset", "cylinder-bell-funnel", "--hidden", "8",
                                 "--epochs", "200", "--learning-rate", "0.5", "--clip-norm", "0",
                                 "--validation", "0.3", "--patience", "2"});
  CHECK(summary["epochs"] < 200);
  CHECK(summary["epochs"].get<int>() - summary["kept_epoch"].get<int>() == 2);
}

TEST_CASE("command: evaluate agrees with the summary of training", "[command]") {
  const Fixture fixture;
  const json summary = fixture.train();
  const json evaluation = run_json({"evaluate", fixture.model, fixture.data});
  CHECK(evaluation["loss"] == summary["train_loss"]);
  CHECK(evaluation["accuracy"] == summary["train_accuracy"]);
  CHECK(evaluation["sequences"] == 24);
  CHECK(evaluation["confusion"].size() == 2);
  CHECK(evaluation["classes"][0]["class"] == "down");
  CHECK(evaluation["classes"][0]["recall"].is_number());
  const Outcome text = run({"evaluate", fixture.model, fixture.data});
  CHECK_THAT(text.out, ContainsSubstring("precision") && ContainsSubstring("predicted"));
}

TEST_CASE("command: every verb says what it read", "[command]") {
  const Fixture fixture;
  const TemporaryDirectory& directory = fixture.directory;
  const std::string data = directory.write("gaps.csv",
                                           ",sample,step,x,y,label\n0,s1,0,1,2,up\n1,s1,1,,3,up\n"
                                           "2,s2,0,5,4,down\n3,s2,1,6,5,down\n4,s2,2,7,6,down\n");
  require_failure(1, "gaps.csv:3: column 'x' is missing", {"train", data});
  const std::vector<std::string> train{"train",    data, "--missing", "mask",
                                       "--epochs", "1",  "--model",   fixture.model,
                                       "--hidden", "3",  "--json"};
  const Outcome trained = run(train);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err,
             ContainsSubstring("gaps.csv': 2 sequences of 2 to 3 timesteps, 2 channels (x, y), "
                               "2 classes (down, up), 1 missing value") &&
                 ContainsSubstring("note: ") && ContainsSubstring("column 1"));
  const json summary = json::parse(lines_of(trained.out).back());
  CHECK(summary["data"]["channel_names"] == json({"x", "y"}));
  CHECK(summary["data"]["missing_values"] == 1);
  CHECK(summary["data"]["notes"].size() == 1);
  CHECK(run(train + std::vector<std::string>{"--quiet"}).err.find("read ") == std::string::npos);
  CHECK(run_json({"info", fixture.model})["features"] == 3);

  const std::string turned =
      directory.write("turned.csv", "sample,step,y,x\nalpha,0,2,1\nalpha,1,3,\n\"a,b\",0,4,5\n");
  const Outcome predicted = run({"predict", fixture.model, turned});
  REQUIRE(predicted.code == 0);
  CHECK_THAT(predicted.err, ContainsSubstring("2 channels (y, x), 1 missing value\n"));
  CHECK_THAT(predicted.out, ContainsSubstring("index,sample,class,") &&
                                ContainsSubstring("0,alpha,") && ContainsSubstring("1,\"a,b\","));
  CHECK_THAT(run({"predict", fixture.model, turned, "--json"}).out,
             ContainsSubstring(R"({"index":1,"sample":"a,b","class":)"));
  const std::string other = directory.write("other.csv", "sample,step,x,z\n0,0,1,2\n");
  require_failure(1, "the channels are x, z, expected x, y", {"predict", fixture.model, other});
  CHECK(run_json({"evaluate", fixture.model, data})["data"]["sequences"] == 2);
}

TEST_CASE("command: predict agrees with evaluate and needs no labels", "[command]") {
  const Fixture fixture;
  fixture.train();
  const std::string bare = fixture.directory.write("bare.csv", without_labels(ramps_csv(24)));
  const Outcome as_json = run({"predict", fixture.model, bare, "--json"});
  const Outcome as_csv = run({"predict", fixture.model, bare});
  REQUIRE(as_json.code == 0);
  REQUIRE(as_csv.code == 0);
  const std::vector<std::string> objects = lines_of(as_json.out);
  const std::vector<std::string> rows = lines_of(as_csv.out);
  REQUIRE(objects.size() == 24);
  REQUIRE(rows.size() == 25);
  CHECK(rows[0] == "index,sample,class,p(down),p(up)");
  double loss = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const json object = json::parse(objects[i]);
    CHECK(object["index"] == i);
    const bool is_up = object["probabilities"][1] > object["probabilities"][0];
    CHECK(object["class"] == (is_up ? "up" : "down"));
    CHECK(rows[i + 1].rfind(
              std::to_string(i) + "," + std::to_string(i) + (is_up ? ",up," : ",down,"), 0) == 0);
    loss -= std::log(object["probabilities"][i % 2 == 0 ? 1 : 0].get<float>());
  }
  const json evaluation = run_json({"evaluate", fixture.model, fixture.data});
  CHECK(loss / 24 == Approx(evaluation["loss"].get<double>()).epsilon(1e-5));
}

TEST_CASE("command: data that does not fit a model is refused in one sentence", "[command]") {
  const Fixture fixture;
  fixture.train();
  const std::string wide =
      fixture.directory.write("wide.csv", "sample,step,label,x,y\n0,0,up,1,2\n");
  require_failure(1, "the channels are x, y, expected x", {"predict", fixture.model, wide});
  require_failure(1, "the channels are x, y, expected x", {"evaluate", fixture.model, wide});
  const std::string strange = fixture.directory.write("strange.csv", ramps_csv(4, "sideways"));
  require_failure(1, "'sideways'", {"evaluate", fixture.model, strange});
  CHECK(run({"predict", fixture.model, strange}).code == 0);
  // One class in another place of the list of classes: labels are matched by name.
  const std::string ups = fixture.directory.write("ups.csv", ramps_csv(1));
  CHECK(run_json({"evaluate", fixture.model, ups})["accuracy"] == 1.0);
}

TEST_CASE("command: probabilities that overflow are an error, not output", "[command]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.safetensors";
  Parameters parameters({.features = 1, .layers = {{.hidden = 2}}, .outputs = 2});
  std::ranges::fill(parameters["rnn.weight_ih_l0"], 1.0F);
  std::ranges::fill(parameters["head.weight"], std::numeric_limits<float>::max());
  Model(parameters, {}, {"a", "b"}).save(path);
  const std::string data = directory.write("a.csv", "sample,step,x\n0,0,0\n1,0,9\n");
  require_failure(1, "overflows on row 1", {"predict", path, data});
  require_failure(1, "overflows on row 1", {"predict", path, data, "--json"});
  const std::string labelled = directory.write("b.csv", "sample,step,x,label\n0,0,0,a\n1,0,9,b\n");
  require_failure(1, "overflows", {"evaluate", path, labelled});
}

TEST_CASE("command: one timestep and batches larger than the data work", "[command]") {
  const TemporaryDirectory directory;
  const std::string data = directory.write("short.csv", "sample,step,label,x\n0,0,a,1\n1,0,b,-1\n");
  const json summary = run_json({"train", data, "--epochs", "50", "--batch-size", "1000"});
  CHECK(summary["train_accuracy"] == 1.0);
}

TEST_CASE("command: weights depend on neither threads nor fused backend", "[command]") {
  // Ragged data, and sizes that no vector and no team divides.
  const std::vector<std::string> arguments = {
      "train", "--dataset", "parity", "--epochs", "2", "--hidden", "33", "--batch-size", "70"};
  const json hash = run_json(arguments)["weights_hash"];
  for (const char* threads : {"1", "2", "3", "8"}) {
    INFO(threads);
    const json summary = run_json(arguments + std::vector<std::string>{"--threads", threads});
    CHECK(summary["weights_hash"] == hash);
  }
  const json info = run_json({"info"});
  const bool default_is_fused = [&] {
    for (const json& backend : info["backends"]) {
      if (backend["active"] == true) return backend["fused"].get<bool>();
    }
    return false;
  }();
  for (const json& backend : info["backends"]) {
    if (backend["runnable"] == false) continue;
    const std::string name = backend["name"];
    INFO(name);
    const json summary = run_json(arguments + std::vector<std::string>{"--backend", name});
    CHECK(summary["backend"] == name);
    if (default_is_fused && backend["fused"] == true) CHECK(summary["weights_hash"] == hash);
  }
  CHECK(run_json(arguments + std::vector<std::string>{"--seed", "8"})["weights_hash"] != hash);
}

TEST_CASE("command: --truncate cuts the way back, and nothing where it reaches the start",
          "[command]") {
  const auto hash = [](const std::vector<std::string>& more) {
    return run_json(
        std::vector<std::string>{"train", "--dataset", "parity", "--epochs", "1", "--hidden", "9"} +
        more)["weights_hash"];
  };
  const json whole = hash({});
  CHECK(hash({"--truncate", "0"}) == whole);
  CHECK(hash({"--truncate", "1000"}) == whole);
  CHECK(hash({"--truncate", "2"}) != whole);
  require_failure(2, "--truncate", {"train", "--dataset", "parity", "--truncate", "-1"});
  CHECK(run({"gradcheck", "--truncate", "3"}).code == 0);
}

TEST_CASE("command: too little --memory is refused with the least that trains the same weights",
          "[command]") {
  const TemporaryDirectory directory;
  std::string text = "sample,step,label,x\n";
  for (int i = 0; i < 4000; ++i) {
    text +=
        std::to_string(i / 400) + "," + std::to_string(i % 400) + "," + "abc"[i / 400 % 3] + ",1\n";
  }
  const std::string data = directory.write("long.csv", text);
  const std::string model = directory / "model.safetensors";
  const std::string steps = "classify_steps";
  for (const std::string& head : {std::string("classify"), steps}) {
    for (const char* directions : {"--no-bidirectional", "--bidirectional"}) {
      CAPTURE(head, directions);
      const auto train = [&](const std::string& memory) {
        return std::vector<std::string>{"train", data,       "--model",  model,      "--head",
                                        head,    directions, "--layers", "2",        "--hidden",
                                        "9",     "--epochs", "1",        "--memory", memory};
      };
      const Outcome refused = run(train("1K"));
      INFO(refused.err);
      CHECK(refused.code == 1);
      CHECK_FALSE(std::filesystem::exists(model));
      const std::vector<std::string> lines = without_reading(refused.err);
      REQUIRE(lines.size() == 1);
      std::smatch least;
      const std::regex sentence(
          "memory: a training step takes at least ([0-9]+) bytes, found '1024'");
      REQUIRE(std::regex_search(lines[0], least, sentence));
      const unsigned long long bytes = std::stoull(least[1].str());
      require_failure(1, least[1].str(), train(std::to_string(bytes - 1)));
      const json hash = run_json(train(std::to_string(bytes)))["weights_hash"];
      // The reference rounds the gradient of such a head wherever its sum is divided.
      const bool rounds = active_backend().name == "reference" && head == steps;
      if (!rounds) CHECK(hash == run_json(train("0"))["weights_hash"]);
      std::filesystem::remove(model);
    }
  }
}

// OpenMP binds the first thread to one CPU as soon as it is loaded.
TEST_CASE("command: what is beside a .npy is not written over", "[command]") {
  const Fixture fixture;
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
  const auto npy = [&](const std::string& text, const std::string& values) {
    std::string padded = text;
    padded.resize(117, ' ');
    return std::string("\x93NUMPY\1\0\x76\0", 10) + padded + "\n" + values;
  };
  const std::string x = fixture.directory.write("X.npy", npy(header, std::string(16, '\1')));
  const std::string y = fixture.directory.write(
      "y.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "\1\2"));
  for (const char* output : {"--model", "--report", "--checkpoint"}) {
    const Outcome refused = run({"train", x, output, y});
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, ContainsSubstring("part of the data"));
  }
  CHECK(run({"train", x, "--epochs", "1", "--hidden", "2"}).code == 0);
}

TEST_CASE("command: threads that OpenMP binds are as many as without", "[command]") {
  const int unbound = run_json({"info"})["threads"]["count"];
  for (const std::string binding :
       {"OMP_PROC_BIND=true", "OMP_PROC_BIND=close", "OMP_PLACES=cores", "OMP_PLACES=threads"}) {
    CAPTURE(binding);
    CHECK(run_json({"info"}, {binding})["threads"]["count"] == unbound);
  }
}

TEST_CASE("command: std::thread in place of OpenMP trains the same weights", "[command]") {
  const std::vector<std::string> train = {"train", "--dataset", "parity", "--epochs",
                                          "1",     "--threads", "3"};
  const std::vector<std::string> with_std = {"LOCKSTEP_THREADING=std"};
  CHECK(run_json(train, with_std)["weights_hash"] == run_json(train)["weights_hash"]);
  CHECK(run_json({"info"}, with_std)["threads"]["runtime"] == "std::thread");
  const Outcome unknown = run(train, {"LOCKSTEP_THREADING=tbb"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, ContainsSubstring("LOCKSTEP_THREADING") && ContainsSubstring("std"));
}

TEST_CASE("command: LOCKSTEP_CACHES plans for other caches at the same results", "[command]") {
  const std::vector<std::string> train = {"train", "--dataset", "parity", "--epochs", "1"};
  const std::vector<std::string> other = {"LOCKSTEP_CACHES=l2=64K,l3=far"};
  CHECK(run_json(train, other)["weights_hash"] == run_json(train)["weights_hash"]);
  const json planned = run_json({"info"}, other)["planned_caches"];
  CHECK(planned == json{{"l2", 65536}, {"l3", "far"}});
  CHECK_THAT(run({"info"}, other).out, ContainsSubstring("64 KiB of L2, the L3 far"));
  const std::vector<std::string> wrong = {"LOCKSTEP_CACHES=l2=many"};
  for (const std::vector<std::string>& verb : {train, {"info"}}) {
    const Outcome refused = run(verb, wrong);
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, ContainsSubstring("LOCKSTEP_CACHES: \"l2=many\""));
  }
}

TEST_CASE("command: info tells of machine and model", "[command]") {
  const json info = run_json({"info"}, {"LOCKSTEP_BACKEND=reference"});
  CHECK(info["threads"]["count"] >= 1);
  CHECK_FALSE(info["threads"]["reason"].get<std::string>().empty());
  CHECK(info["cpu"].is_string());
  CHECK(info["backends"].back()["name"] == "reference");
  CHECK(info["backends"].back()["active"] == true);
  CHECK_THAT(run({"info"}).out, ContainsSubstring("active"));

  const Fixture fixture;
  const json summary = fixture.train();
  const json model = run_json({"info", fixture.model});
  const json layer = {{"cell", "gru"}, {"hidden", 8}, {"bidirectional", false}};
  CHECK(model["layers"] == json::array({layer}));
  CHECK(model["class_names"] == json({"down", "up"}));
  CHECK(model["normalization"]["kind"] == "channel");
  CHECK(model["weights_hash"] == summary["weights_hash"]);
  CHECK_THAT(run({"info", fixture.model}).out,
             ContainsSubstring(summary["weights_hash"].get<std::string>()));
}

TEST_CASE("command: gradcheck passes, and fails where the bound is missed", "[command]") {
  const json check = run_json({"gradcheck"});
  CHECK(check["tensors"].size() == 5);
  for (const json& tensor : check["tensors"]) CHECK(tensor["sound"] == true);
  CHECK(run({"gradcheck", "--dataset", "parity", "--hidden", "4"}).code == 0);
  CHECK(run({"gradcheck", "--layers", "3"}).code == 0);
  CHECK(run({"gradcheck", "--dropout", "0.5"}).code == 2);
  CHECK(run({"gradcheck", "--bidirectional", "--truncate", "3"}).code == 2);
  CHECK(run({"train", "--dataset", "parity", "--bidirectional", "--truncate", "3"}).code == 2);
  CHECK_THAT(run({"gradcheck", "--cell", "gru", "--layers", "2", "--bidirectional", "--hidden", "3",
                  "--dropout", "0.2"})
                 .out,
             ContainsSubstring("2 layers of gru, 3 units each way"));
  // Sums of many terms have larger errors.
  CHECK(run({"gradcheck", "--hidden", "1", "--features", "60000", "--classes", "2", "--sequences",
             "2", "--length", "2", "--entries", "3", "--seed", "2"})
            .code == 0);
  // Steps so large that finite differences are no derivatives any more.
  const Outcome coarse = run({"gradcheck", "--epsilon", "0.5"});
  CHECK(coarse.code == 1);
  CHECK_THAT(coarse.out, ContainsSubstring("WRONG"));
}

TEST_CASE("command: a diverging training leaves the old model alone", "[command]") {
  const Fixture fixture;
  const json summary = fixture.train();
  require_failure(1, "--clip-norm",
                  {"train", fixture.data, "--learning-rate", "1e300", "--clip-norm", "0", "--model",
                   fixture.model});
  CHECK(run_json({"info", fixture.model})["weights_hash"] == summary["weights_hash"]);
}

TEST_CASE("command: a training that diverges later saves what it had learnt and fails",
          "[command]") {
  const Fixture fixture;
  const Outcome outcome =
      run({"train", fixture.data, "--schedule", "step", "--decay", "1e300", "--decay-epochs", "2",
           "--clip-norm", "0", "--json", "--quiet", "--model", fixture.model});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, ContainsSubstring("diverged in epoch 3") &&
                              ContainsSubstring("the model of epoch 2 is saved"));
  const json summary = json::parse(outcome.out);
  CHECK(summary["diverged"] == true);
  CHECK(summary["kept_epoch"] == 2);
  CHECK(run_json({"info", fixture.model})["weights_hash"] == summary["weights_hash"]);
}

TEST_CASE("command: every head is trained, evaluated and predicts new sequences", "[command]") {
  const Fixture fixture;
  const std::string fresh =
      fixture.directory.write("new.csv", "sample,step,x,z\n0,0,1,0\n0,1,0,0\n1,0,1,1\n");
  const std::string narrow =
      fixture.directory.write("narrow.csv", "sample,step,x\n0,0,1\n0,1,0\n1,0,1\n");
  for (const auto& [dataset, head] :
       std::vector<std::pair<std::string, std::string>>{{"echo", "auto"},
                                                        {"adding-sum", "auto"},
                                                        {"mackey-glass", "auto"},
                                                        {"tones", "multilabel"}}) {
    const json trained =
        run_json({"train", "--dataset", dataset, "--head", head, "--hidden", "4", "--epochs", "1",
                  "--model", fixture.model, "--report", fixture.directory / "report.html"});
    CAPTURE(dataset);
    const bool has_numbers = dataset == "adding-sum" || dataset == "mackey-glass";
    CHECK(trained["test_rmse"].is_number() == has_numbers);
    CHECK(trained["test_accuracy"].is_number() != has_numbers);
    const json evaluation = run_json({"evaluate", fixture.model, "--dataset", dataset});
    CHECK(evaluation["loss"].is_number());
    CHECK(evaluation.contains("labels") == (dataset == "tones"));
    const std::string page = content_of(fixture.directory / "report.html");
    CHECK((page.find("Predicted and true") != std::string::npos) == has_numbers);
    CHECK((page.find("<h2>Accuracy") == std::string::npos) == has_numbers);
    CHECK_THAT(run({"evaluate", fixture.model, "--dataset", dataset}).out,
               ContainsSubstring(has_numbers ? "RMSE" : "accuracy"));
    const bool has_steps = dataset == "echo" || dataset == "mackey-glass";
    const Outcome predicted =
        run({"predict", fixture.model, dataset == "adding-sum" ? fresh : narrow});
    INFO(predicted.err);
    CHECK(predicted.code == 0);
    CHECK(lines_of(predicted.out).size() == (has_steps ? 4 : 3));
  }
  require_failure(1, "needs values of each sequence",
                  {"train", "--dataset", "parity", "--head", "regress"});
  require_failure(2, "--loss: it has no effect with the head classify",
                  {"train", "--dataset", "parity", "--loss", "mae"});
  require_failure(2, "--pool: it has no effect with the head classify_steps",
                  {"train", "--dataset", "echo", "--pool", "max"});
  for (const char* head : {"classify_steps", "regress", "regress_steps", "multilabel"}) {
    CHECK(run({"gradcheck", "--head", head, "--sequences", "3", "--entries", "3"}).code == 0);
  }
}

TEST_CASE("command: numbers of any size are drawn", "[command]") {
  const TemporaryDirectory directory;
  const std::string report = directory / "report.html";
  for (const char* target : {"0", "1e-30", "5", "1e14", "-1e17", "3e38"}) {
    std::string text = "sample,step,x,target\n";
    for (int i = 0; i < 9; ++i) {
      text += std::to_string(i) + ",0," + std::to_string(i) + "," + target + "\n";
    }
    const std::string data = directory.write("numbers.csv", text);
    CAPTURE(target);
    REQUIRE(run({"train", data, "--epochs", "1", "--hidden", "2", "--report", report}).code == 0);
    const std::string page = content_of(report);
    for (const char* no_number : {"nan\"", "inf\"", "nan,", ">nan", ">-nan", ">inf"}) {
      CHECK(page.find(no_number) == std::string::npos);
    }
    CHECK(page.find(">-0<") == std::string::npos);
    CHECK(page.size() < 100000);
  }
  // All dots are within the drawing.
  std::string text = "sample,step,x,target\n";
  for (int i = 0; i < 20; ++i) {
    text += std::to_string(i) + ",0,1," + std::to_string(20000 + 0.25 * i) + "\n";
  }
  REQUIRE(run({"train", directory.write("narrow.csv", text), "--epochs", "1", "--report", report})
              .code == 0);
  const std::string page = content_of(report);
  for (std::size_t at = 0; (at = page.find("<circle cx=\"", at)) != std::string::npos; ++at) {
    const double x = std::stod(page.substr(at + 12));
    CHECK(x >= 0);
    CHECK(x <= 400);
  }
}

TEST_CASE("command: a training resumes from its checkpoint", "[command]") {
  const Fixture fixture;
  const std::string checkpoint = fixture.directory / "checkpoint";
  const std::vector<std::string> train =
      fixture.train_arguments() + std::vector<std::string>{"--optimizer", "adamw", "--ema", "0.9"};
  const json whole = run_json(train);
  const json part = run_json(
      train + std::vector<std::string>{"--checkpoint", checkpoint, "--checkpoint-every", "3"});
  CHECK(part["weights_hash"] == whole["weights_hash"]);
  const std::string before = checkpoint + ".previous";
  const std::vector<std::string> resume{"train", fixture.data, "--resume", before};
  const json resumed = run_json(resume + std::vector<std::string>{"--threads", "1"});
  CHECK(resumed["weights_hash"] == whole["weights_hash"]);
  CHECK(resumed["epochs"] == 20);
  require_failure(2, "--batch-size: it is '5' in",
                  resume + std::vector<std::string>{"--batch-size", "6"});
  require_failure(
      2, "--checkpoint-every: expected",
      train + std::vector<std::string>{"--checkpoint", checkpoint, "--checkpoint-every", "3x"});
  require_failure(2, "without --checkpoint",
                  train + std::vector<std::string>{"--checkpoint-every", "3"});
  fixture.train();
  require_failure(1, "no checkpoint", {"train", fixture.data, "--resume", fixture.model});
}

TEST_CASE("command: a checkpoint that cannot be written does not cost the model", "[command]") {
  const Fixture fixture;
  const std::filesystem::path folder = fixture.directory / "folder";
  const std::filesystem::path checkpoint = folder / "checkpoint";
  std::filesystem::create_directory(folder);
  Process process(command_line({"train", fixture.data, "--epochs", "1000000000", "--hidden", "8",
                                "--checkpoint", checkpoint.string(), "--checkpoint-every", "0.01s",
                                "--model", fixture.model, "--quiet"}));
  for (int i = 0; i < 10000 && !std::filesystem::exists(checkpoint); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(std::filesystem::exists(checkpoint));
  std::filesystem::rename(folder, fixture.directory / "elsewhere");
  CHECK(process.wait() == 1);
  CHECK_THAT(process.err(), ContainsSubstring("cannot write checkpoint"));
  CHECK(run({"info", fixture.model}).code == 0);
}

TEST_CASE("command: a training begins with the weights of a model", "[command]") {
  const Fixture fixture;
  const json first = fixture.train();
  const json next = run_json({"train", fixture.data, "--init-from", fixture.model, "--epochs", "1",
                              "--learning-rate", "1e-30", "--model", fixture.model + "2"});
  CHECK(next["weights_hash"] == first["weights_hash"]);
  require_failure(2, "--hidden: it is '8' in",
                  {"train", fixture.data, "--init-from", fixture.model, "--hidden", "9"});
  require_failure(2, "--init: it has no effect",
                  {"train", fixture.data, "--init-from", fixture.model, "--init", "xavier"});
}

// Of a training that is killed at any moment and resumed, the weights are those of one that is
// not.
void kill_and_resume(std::size_t kills, const std::string& epochs) {
  const Fixture fixture;
  const std::string checkpoint = fixture.directory / "checkpoint";
  const std::vector<std::string> train{
      "train", fixture.data,   "--hidden", "30",          "--cell", "gru",   "--epochs",
      epochs,  "--batch-size", "3",        "--optimizer", "adamw",  "--ema", "0.99"};
  const json whole = run_json(train);
  std::size_t killed = 0;
  for (std::size_t i = 0; i < 1000 && killed < kills; ++i) {
    std::vector<std::string> arguments =
        std::filesystem::exists(checkpoint)
            ? std::vector<std::string>{"train", fixture.data, "--resume", checkpoint}
            : train + std::vector<std::string>{"--checkpoint", checkpoint};
    arguments =
        arguments + std::vector<std::string>{"--checkpoint-every",      "0.005s",  "--threads",
                                             std::to_string(1 + i % 2), "--quiet", "--json"};
    Process process(command_line(arguments));
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + 37 * i % 101));
    process.send(SIGKILL);
    if (process.wait() == -SIGKILL && std::filesystem::exists(checkpoint)) ++killed;
  }
  CHECK(killed == kills);
  const json last = run_json({"train", fixture.data, "--resume", checkpoint});
  CHECK(last["weights_hash"] == whole["weights_hash"]);
}

TEST_CASE("command: a checkpoint that is its own predecessor is resumed", "[command]") {
  // As a kill leaves them, just before the new one is renamed into place.
  const Fixture fixture;
  const std::string checkpoint = fixture.directory / "checkpoint";
  const std::vector<std::string> train{"train", fixture.data, "--epochs", "2"};
  run_json(train + std::vector<std::string>{"--checkpoint", checkpoint});
  std::filesystem::create_hard_link(checkpoint, checkpoint + ".previous");
  run_json({"train", fixture.data, "--resume", checkpoint, "--epochs", "4"});
  run_json({"train", fixture.data, "--resume", checkpoint + ".previous", "--epochs", "4"});
}

TEST_CASE("command: a training that is killed is resumed", "[command]") {
  kill_and_resume(5, "2000");
}
TEST_CASE("command: a training that is killed 50 times is resumed", "[command][exhaustive]") {
  kill_and_resume(50, "20000");
}

TEST_CASE("command: a training whose output is closed saves its model and fails", "[command]") {
  const Fixture fixture;
  if (!std::filesystem::exists("/dev/full")) return;
  Process process(command_line({"train", fixture.data, "--epochs", "1000000000", "--json",
                                "--model", fixture.model}),
                  {}, "/dev/full");
  CHECK(process.wait() == 1);
  CHECK_THAT(process.err(), ContainsSubstring("standard output"));
  CHECK(run({"info", fixture.model}).code == 0);
}

TEST_CASE("command: an interrupted training saves its model", "[command]") {
  const int signal = GENERATE(SIGINT, SIGTERM, SIGHUP);
  const Fixture fixture;
  Process process(command_line(
      {"train", fixture.data, "--epochs", "1000000000", "--json", "--model", fixture.model}));
  process.wait_for_output("\n");
  process.send(signal);
  CHECK(process.wait() == 128 + signal);
  CHECK_THAT(process.err(), ContainsSubstring(signal == SIGINT    ? "SIGINT"
                                              : signal == SIGTERM ? "SIGTERM"
                                                                  : "SIGHUP") &&
                                ContainsSubstring("saved"));
  const json summary = json::parse(lines_of(process.out()).back());
  CHECK(summary["interrupted"] == true);
  CHECK(run_json({"info", fixture.model})["weights_hash"] == summary["weights_hash"]);
}

TEST_CASE("command: a report is one page that needs no other", "[command]") {
  const TemporaryDirectory directory;
  const std::string data = directory.write("ramps.csv", ramps_csv(8, "<b>&up"));
  const std::string path = directory / "report.html";
  const std::vector<std::string> options = {"--epochs", "3", "--report", path};
  REQUIRE(run(std::vector<std::string>{"train", data} + options).code == 0);
  const std::string page = content_of(path);
  CHECK_THAT(page, ContainsSubstring("<svg") && ContainsSubstring("prefers-color-scheme"));
  CHECK_THAT(page, ContainsSubstring("&lt;b&gt;&amp;up") && !ContainsSubstring("<b>&up"));
  CHECK_THAT(page, !ContainsSubstring("http:") && !ContainsSubstring("https:") &&
                       !ContainsSubstring("src=") && !ContainsSubstring("<link"));
  CHECK_THAT(page, ContainsSubstring("<td style=\"--share:") && ContainsSubstring("</html>"));
}

// Two sequences of each class, all alike.
std::string many_classes_csv(int classes) {
  std::string text = "sample,step,label,x\n";
  for (int i = 0; i < 2 * classes; ++i) {
    text += std::to_string(i) + ",0,class " + std::to_string(i % classes) + ",1\n" +
            std::to_string(i) + ",1,class " + std::to_string(i % classes) + ",2\n";
  }
  return text;
}

TEST_CASE("command: of many classes the worst and the most confused are shown", "[command]") {
  const TemporaryDirectory directory;
  const std::string data = directory.write("many.csv", many_classes_csv(300));
  const std::string model = directory / "model";
  const std::string report = directory / "report.html";
  REQUIRE(
      run({"train", data, "--epochs", "1", "--hidden", "2", "--model", model, "--report", report})
          .code == 0);
  const std::string page = content_of(report);
  CHECK(page.size() < 60'000);
  CHECK_THAT(page, ContainsSubstring("The worst 40 of 300 classes") &&
                       ContainsSubstring("The most frequent confusions") &&
                       !ContainsSubstring("--share:"));
  const json evaluation = run_json({"evaluate", model, data});
  CHECK(evaluation["classes"].size() == 300);
  CHECK_FALSE(evaluation.contains("confusion"));
  const json& confusions = evaluation["frequent_confusions"];
  REQUIRE(confusions.size() == 40);
  CHECK(confusions[0]["sequences"] == 2);
  CHECK(confusions[0]["class"] != confusions[0]["predicted"]);
  const Outcome text = run({"evaluate", model, data});
  CHECK(lines_of(text.out).size() == 1 + 1 + 2 + 40 + 1 + 1 + 40);
  CHECK_THAT(text.out, ContainsSubstring("40 of 300 classes, those with the smallest F1") &&
                           ContainsSubstring(" -> "));
}

TEST_CASE("command: a model that could not be saved is refused before the training", "[command]") {
  const TemporaryDirectory directory;
  const std::string name(std::size_t{5} << 20, 'a');
  const std::string data = directory.write("long.csv", ramps_csv(4, name));
  for (const char* output : {"--model", "--checkpoint"}) {
    const std::string path = directory / "output";
    require_failure(1, "'" + path + "': its header of 524",
                    {"train", data, "--epochs", "1000000000", output, path});
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

TEST_CASE("command: a report whose path becomes a folder is an error that names it", "[command]") {
  const Fixture fixture;
  const std::string report = fixture.directory / "report.html";
  Process process(command_line({"train", fixture.data, "--epochs", "1000000000", "--json",
                                "--model", fixture.model, "--report", report}));
  process.wait_for_output("\n");
  std::filesystem::create_directory(report);
  process.send(SIGINT);
  CHECK(process.wait() == 1);
  CHECK_THAT(process.err(),
             ContainsSubstring("cannot write the report '" + report + "': there is"));
  CHECK(run({"info", fixture.model}).code == 0);
}

}  // namespace lockstep
