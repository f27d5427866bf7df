#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "text.h"

namespace lockstep::command {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr double kNothing = 1e-9;
constexpr const char* kEraseLine = "\r\033[K";

std::size_t terminal_columns() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

bool can_draw(bool quiet) {
  const char* kind = std::getenv("TERM");
  const bool is_dumb = kind != nullptr && std::string_view(kind) == "dumb";
  return !quiet && !is_dumb && ::isatty(STDERR_FILENO) == 1;
}

// A line that wraps could not be erased.
void draw_line(std::string line) {
  std::size_t size = std::min(line.size(), terminal_columns() - 1);
  const auto is_continuation = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
  };
  while (size > 0 && size < line.size() && is_continuation(line[size])) --size;
  line.resize(size);
  std::fputs((kEraseLine + line).c_str(), stderr);
}

std::string bar(double fraction) {
  constexpr std::size_t kWidth = 10;
  const auto done = static_cast<std::size_t>(fraction * kWidth);
  return "[" + std::string(done, '#') + std::string(kWidth - done, '.') + "]";
}

std::string time_text(double seconds) {
  constexpr double kMost = 3.6e8;  // 100000 hours
  const auto whole = std::llround(std::min(seconds, kMost));
  if (whole < 3600) return format("%lld:%02lld", whole / 60, whole % 60);
  return format("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

double done_epochs(const BatchProgress& progress) {
  return static_cast<double>(progress.epoch - 1) +
         static_cast<double>(progress.samples_done) / static_cast<double>(progress.samples);
}

// The time left comes first, since a narrow terminal cuts off the end. `last` is the last whole
// epoch; its number is 0 before the first. `before`: epochs that were done when it began.
std::string progress_text(const BatchProgress& progress, const EpochResult& last,
                          std::size_t epochs, std::size_t timesteps, double before,
                          double seconds) {
  const double epochs_done = done_epochs(progress);
  const double fraction = epochs_done / static_cast<double>(epochs);
  const double here = epochs_done - before;
  const double left = static_cast<double>(epochs) - epochs_done;
  std::string text = bar(fraction) + format(" %zu/%zu  ", progress.epoch, epochs) +
                     time_text(seconds / here * left) + " left  " +
                     with_unit(here * static_cast<double>(timesteps) / seconds) + " steps/s";
  if (last.epoch > 0) text += format("  loss %.4g", last.loss);
  if (last.epoch > 0 && !std::isnan(last.accuracy))
    text += format("  accuracy %.4f", last.accuracy);
  return text;
}

}  // namespace

ReadingProgress::ReadingProgress(const std::string& name, bool quiet) {
  if (!can_draw(quiet)) return;
  try {
    thread_ = std::thread([this, name] {
      try {
        draw(name);
      } catch (const std::bad_alloc&) {
        return;  // there is no line
      }
    });
  } catch (const std::system_error&) {
    return;  // no thread for it
  }
}

ReadingProgress::~ReadingProgress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

void ReadingProgress::draw(const std::string& name) {
  const auto begin = std::chrono::steady_clock::now();
  bool is_drawn = false;
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, std::chrono::seconds(1), [this] { return has_ended_; })) {
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    draw_line("reading " + name + ", " + time_text(time.count()));
    is_drawn = true;
  }
  if (is_drawn) std::fputs(kEraseLine, stderr);
}

Progress::Progress(std::size_t epochs, std::size_t timesteps, bool quiet)
    : visible_(can_draw(quiet)), epochs_(epochs), timesteps_(timesteps) {}

Progress::~Progress() {
  if (visible_) std::fputs(kEraseLine, stderr);
}

void Progress::on_batch(const BatchProgress& progress) {
  const auto now = Clock::now();
  // A resumed training begins after its first minibatch here, as far as its speed is
  // concerned.
  if (before_ < 0) before_ = progress.epoch == 1 ? 0 : done_epochs(progress) - kNothing;
  if (!visible_ || now < next_draw_) return;
  next_draw_ = now + kRedrawEvery;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  draw_line(progress_text(progress, last_epoch_, epochs_, timesteps_, before_, seconds));
}

}  // namespace lockstep::command
