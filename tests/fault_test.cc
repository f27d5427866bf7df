// The command while calls of the system or allocations fail, and programs that are killed: files
// are the old or the new ones, nothing else is left, and what is lost is said.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "files/model_file.h"
#include "lockstep/rnn/model.h"
#include "networks.h"
#include "process.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Files files_in(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename()] = bytes_of(entry.path());
  }
  return files;
}

std::string ramps() {
  std::string text = "sample,step,label,x\n";
  for (int i = 0; i < 8; ++i) {
    for (int t = 0; t < 4 + i % 3; ++t) {
      text += std::to_string(i) + "," + std::to_string(t) + (i % 2 == 0 ? ",up," : ",down,") +
              std::to_string(i % 2 == 0 ? t : -t) + "\n";
    }
  }
  return text;
}

struct Fault {
  std::string call;
  int how;  // see tests/faults/shim.c
  [[nodiscard]] bool is_survived() const { return how == EINTR || how == 0; }
};

constexpr int kFromThenOn = -1;

// Trains with every output, over files of an earlier training.
class FaultyCommand {
 public:
  FaultyCommand() {
    data_ = directory_.write("data.csv", ramps());
    fs::create_directory(folder_);
    REQUIRE(run(train("1"), {}).code == 0);
    old_ = files_in(folder_);
    fs::copy_file(folder_ / "model", directory_ / "model");
    REQUIRE(run(train("2"), {}).code == 0);
    new_ = files_in(folder_);
    REQUIRE(old_["model"] != new_["model"]);
    const Outcome predicted = run(predict(), {});
    REQUIRE(predicted.code == 0);
    predictions_ = predicted.out;
  }

  // Fails number 1, 2, ... until none is hit; `dense` says up to which none is left out. Gives how
  // many were hit.
  template <class Try>
  std::size_t sweep(const Fault& fault, std::size_t dense, const Try& attempt) {
    std::size_t injected = 0;
    for (std::size_t n = 1;; n += n < dense ? 1 : n / 25) {
      const auto log = directory_ / "hit";
      fs::remove(log);
      CAPTURE(fault.call, fault.how, n);
      attempt(std::vector<std::string>{"LD_PRELOAD=" LOCKSTEP_FAULT_SHIM,
                                       "LOCKSTEP_FAULT=" + fault.call + " " + std::to_string(n) +
                                           " " + std::to_string(fault.how),
                                       "LOCKSTEP_FAULT_LOG=" + log.string()});
      if (!fs::exists(log)) return injected;
      ++injected;
    }
  }

  void try_train(const Fault& fault, const std::vector<std::string>& environment) {
    restore();
    const Outcome outcome = run(train("2"), environment);
    INFO(outcome.err);
    REQUIRE((outcome.code == 0 || (outcome.code == 1 && !fault.is_survived())));
    Files now = files_in(folder_);
    remove_kept(outcome.err, now);
    const bool is_new = now["model"] == new_["model"];
    CHECK((is_new || (outcome.code != 0 && now["model"] == old_["model"])));
    const bool has_old_report = now["report"] == old_["report"];
    CHECK((outcome.code != 0 || !has_old_report));
    CHECK(now["report"].ends_with("</html>\n"));
    CHECK_NOTHROW(Model::resume(folder_ / "checkpoint"));
    now.erase("checkpoint.previous");
    CHECK(now.size() == 3);
    if (outcome.code != 0) CHECK(says_what(fault, outcome.err));
  }

  void try_predict(const Fault& fault, const std::vector<std::string>& environment) {
    const Outcome outcome = run(predict(), environment);
    INFO(outcome.err);
    REQUIRE((outcome.code == 0 || (outcome.code == 1 && !fault.is_survived())));
    if (outcome.code == 0) CHECK(outcome.out == predictions_);
    if (outcome.code != 0) CHECK(says_what(fault, outcome.err));
  }

 private:
  struct Outcome {
    int code;
    std::string out;
    std::string err;
  };

  [[nodiscard]] static Outcome run(const std::vector<std::string>& arguments,
                                   const std::vector<std::string>& environment) {
    Process process(arguments, environment);
    const int code = process.wait();
    return {code, process.out(), process.err()};
  }
  [[nodiscard]] std::vector<std::string> train(const std::string& epochs) const {
    return {LOCKSTEP_COMMAND_PATH,
            "train",
            data_.string(),
            "--epochs",
            epochs,
            "--hidden",
            "4",
            "--threads",
            "1",
            "--quiet",
            "--model",
            folder_ / "model",
            "--checkpoint",
            folder_ / "checkpoint",
            "--report",
            folder_ / "report",
            "--checkpoint-every",
            "1"};
  }
  [[nodiscard]] std::vector<std::string> predict() const {
    return {LOCKSTEP_COMMAND_PATH, "predict",   directory_ / "model",
            data_.string(),        "--threads", "1"};
  }
  void restore() const {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    for (const auto& [name, bytes] : old_) std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  // What could not be renamed stays where the sentence says so.
  static void remove_kept(const std::string& err, Files& now) {
    std::erase_if(now, [&](const auto& file) {
      return file.first.ends_with(".tmp") && err.find("stays in '") != std::string::npos &&
             err.find(file.first) != std::string::npos;
    });
  }
  [[nodiscard]] bool says_what(const Fault& fault, const std::string& err) const {
    if (fault.call == "malloc") return err.find("memory") != std::string::npos;
    return err.find(directory_ / "") != std::string::npos;
  }

  TemporaryDirectory directory_;
  fs::path folder_ = directory_ / "outputs";
  fs::path data_;
  Files old_;
  Files new_;
  std::string predictions_;
};

void sweep_command(std::size_t dense) {
  FaultyCommand command;
  std::string figures;
  const auto sweep = [&](const Fault& fault) {
    const std::size_t trained = command.sweep(
        fault, dense, [&](const auto& environment) { command.try_train(fault, environment); });
    const std::size_t predicted = command.sweep(
        fault, dense, [&](const auto& environment) { command.try_predict(fault, environment); });
    figures += "\n" + fault.call + " (" + std::to_string(fault.how) +
               "): " + std::to_string(trained) + " while training, " + std::to_string(predicted) +
               " while predicting";
  };
  for (const char* call : {"write", "read", "fsync", "rename", "link", "open", "close"}) {
    for (const int how : {EIO, ENOSPC, EINTR, 0}) {
      // Names are not given in part, and no signal ends that.
      const std::string name = call;
      const bool is_transfer = name == "write" || name == "read";
      const bool is_name = name == "rename" || name == "link";
      if ((how != 0 || is_transfer) && (how != EINTR || !is_name)) sweep({name, how});
    }
  }
  for (const int how : {ENOMEM, kFromThenOn}) sweep({"malloc", how});
  WARN("faults injected:" << figures);
}

TEST_CASE("the command loses no file to calls that fail") { sweep_command(60); }
TEST_CASE("the command loses no file to any call that fails", "[exhaustive]") {
  sweep_command(1'000'000);
}

// Saves of tens of milliseconds each, killed at any time.
void kill_saves(int times) {
  const TemporaryDirectory directory;
  const fs::path folder = directory / "outputs";
  fs::create_directory(folder);
  std::string models[2];
  for (const std::uint64_t i : {0u, 1u}) {
    ModelParts model;
    model.parameters = random_network({1, 1500, 2, "tanh"});
    model.parameters.values()[0] = static_cast<float>(i);
    model.class_names = {"a", "b"};
    const fs::path path = directory / std::to_string(i);
    save_model(model, path);
    models[i] = bytes_of(path);
  }
  REQUIRE(models[0] != models[1]);
  for (int i = 0; i < times; ++i) {
    Process process({LOCKSTEP_SAVE_LOOP, directory / "0", directory / "1", folder / "model"});
    process.wait_for_output("saved");
    std::this_thread::sleep_for(std::chrono::milliseconds(i * 37 % 101));
    process.send(SIGKILL);
    REQUIRE(process.wait() == -SIGKILL);
    const Files files = files_in(folder);
    CAPTURE(i, files.size());
    REQUIRE(files.contains("model"));
    // A file has a name before it is renamed, for an instant; it is whole then.
    CHECK(files.size() <= 2);
    for (const auto& [name, bytes] : files) {
      CHECK((bytes == models[0] || bytes == models[1]));
      if (name != "model") fs::remove(folder / name);
    }
  }
}

TEST_CASE("a kill while a large model is saved leaves the old or the new one") { kill_saves(5); }
TEST_CASE("50 kills while a large model is saved leave the old or the new one", "[exhaustive]") {
  kill_saves(50);
}

}  // namespace
}  // namespace lockstep
