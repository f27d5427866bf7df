#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.h"
#include "temporary_directory.h"

namespace lockstep {

/// A program that runs, with its output in files of its own.
class Process {
 public:
  /// `arguments[0]` is the program's path. `environment` holds additions such as "NAME=value".
  /// Standard output and standard error go to the files `output` and `errors`, or are kept for
  /// out() and err() where those are empty.
  explicit Process(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {}, std::string output = "",
                   std::string errors = "")
      : output_(output.empty() ? (directory_ / "out").string() : std::move(output)),
        errors_(errors.empty() ? (directory_ / "err").string() : std::move(errors)) {
    posix_spawn_file_actions_t files;
    REQUIRE(::posix_spawn_file_actions_init(&files) == 0);
    constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output_.c_str(), kWrite, 0600);
    ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors_.c_str(), kWrite, 0600);
    posix_spawnattr_t attributes;
    REQUIRE(::posix_spawnattr_init(&attributes) == 0);
    // A shell's background jobs inherit SIGINT as ignored; here it must arrive.
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGINT);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int error = ::posix_spawn(&pid_, arguments[0].c_str(), &files, &attributes,
                                    pointers(arguments).data(), all_variables(environment).data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    REQUIRE(error == 0);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }

  /// Waits until standard output holds `text`.
  void wait_for_output(const std::string& text) const {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (out().find(text) == std::string::npos) {
      REQUIRE(Clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  /// Waits for the end; the exit code, or minus the signal that killed it.
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  [[nodiscard]] std::string out() const { return read(output_); }
  [[nodiscard]] std::string err() const { return read(errors_); }

 private:
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
  }
  // The additions first: the first of equal names counts.
  static std::vector<char*> all_variables(const std::vector<std::string>& additions) {
    std::vector<char*> result = pointers(additions);
    result.pop_back();
    for (char** variable = environ; *variable != nullptr; ++variable) result.push_back(*variable);
    result.push_back(nullptr);
    return result;
  }

  TemporaryDirectory directory_;
  std::string output_;
  std::string errors_;
  pid_t pid_ = 0;
};

}  // namespace lockstep
