#include "text.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <system_error>

namespace lockstep::command {
namespace {

bool g_is_silent = false;

void require_written(bool written) {
  if (written) return;
  throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
}

}  // namespace

void print(std::string_view text) {
  if (g_is_silent) return;
  require_written(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

void flush_output() { require_written(std::fflush(stdout) == 0); }

void say(const std::string& text) {
  if (!g_is_silent) std::fputs(("lockstep: " + printable(text) + "\n").c_str(), stderr);
}

void set_silent(bool is_silent) { g_is_silent = is_silent; }

std::string format(const char* pattern, ...) {
  std::va_list arguments;
  va_start(arguments, pattern);
  std::va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(static_cast<std::size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

std::string printable(std::string text) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

std::size_t text_width(std::string_view text) {
  const auto begins_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string pad(std::string_view text, std::size_t width) {
  const std::size_t used = text_width(text);
  return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string with_unit(double count) {
  if (count >= 1e9) return format("%.3g G", count / 1e9);
  if (count >= 1e6) return format("%.3g M", count / 1e6);
  if (count >= 1e3) return format("%.3g k", count / 1e3);
  return format("%.0f", count);
}

std::string hash_text(unsigned long long hash) { return format("%016llx", hash); }

std::string flag_of(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string number_text(double value) { return std::isnan(value) ? "-" : format("%.4f", value); }

std::string counted(std::size_t count, const char* thing) {
  return format("%zu %s%s", count, thing, count == 1 ? "" : "s");
}

}  // namespace lockstep::command
