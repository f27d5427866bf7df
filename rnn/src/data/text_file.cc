#include "data/text_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "data/unpack.h"
#include "files/input_file.h"
#include "lockstep/rnn/data_file.h"

namespace lockstep::data_file {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

// All bytes of a file or of standard input.
std::string read_bytes(const std::filesystem::path& path) {
  const bool is_input = path == "-";
  const InputFile file = is_input ? InputFile() : InputFile(path);
  std::error_code error;
  const auto size = is_input ? 0 : std::filesystem::file_size(path, error);
  std::string bytes(error ? 0 : size + 1, '\0');  // one more sees the end
  std::size_t done = 0;
  for (;;) {
    constexpr std::size_t kPiece = 1 << 16;
    if (done == bytes.size()) bytes.resize(done + std::max(kPiece, done / 2));
    const std::size_t count = file.read(bytes.data() + done, bytes.size() - done);
    if (count == 0) break;
    done += count;
  }
  bytes.resize(done);
  return bytes;
}

// Of text behind its byte order mark; a lone surrogate becomes U+FFFD.
std::string utf8_from_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](std::size_t i) {
    const auto low = static_cast<unsigned char>(bytes[i + (big_endian ? 1 : 0)]);
    const auto high = static_cast<unsigned char>(bytes[i + (big_endian ? 0 : 1)]);
    return static_cast<std::uint32_t>(high << 8 | low);
  };
  std::string text;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    std::uint32_t code = unit(i);
    if (code >= 0xd800 && code < 0xe000) {
      const bool is_pair =
          code < 0xdc00 && i + 3 < bytes.size() && unit(i + 2) >= 0xdc00 && unit(i + 2) < 0xe000;
      code = is_pair ? 0x10000 + ((code - 0xd800) << 10) + (unit(i + 2) - 0xdc00) : 0xfffd;
      if (is_pair) i += 2;
    }
    append_utf8(text, code);
  }
  return text;
}

// Bytes of the UTF-8 character at `at` (RFC 3629), or 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    const bool fits = follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return fits && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    const bool fits = follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return fits && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Where the first byte is that is not UTF-8. Eight bytes at a time where all are ASCII.
std::size_t find_no_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

void require_utf8(std::string_view text, const std::string& file) {
  const std::size_t at = find_no_utf8(text);
  if (at == std::string_view::npos) return;
  const auto line = static_cast<std::size_t>(std::ranges::count(text.substr(0, at), '\n')) + 1;
  fail({file, line}, "the text is not UTF-8, as which the file must be saved");
}

bool is_no_number(std::string_view word) {
  const auto is_word = [word](std::string_view other) {
    return word.size() == other.size() && std::ranges::equal(word, other, [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
           });
  };
  return word.empty() || word == "?" || word == "NA" || is_word("nan") || is_word("-nan");
}

}  // namespace

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto put = [&text](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
  }
  put(0x80 | (code_point & 0x3f));
}

void fail(const Place& place, const std::string& message) {
  throw DataError(place.file + ":" + std::to_string(place.line) + ": " + message);
}

void fail_value(const Place& place, const std::string& what, std::string_view text) {
  if (is_missing(text)) {
    fail(place, what + " is missing (" + in_quotes(text) + "), expected a number in every place");
  }
  fail(place, what + " is " + in_quotes(text) + ", expected a finite float32 number");
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMaxShown = 40;
  const bool is_cut = text.size() > kMaxShown;
  std::size_t end = std::min(text.size(), kMaxShown);
  // No character is cut in two.
  while (is_cut && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  std::string shown(text.substr(0, end));
  const bool is_text = is_utf8(shown);
  const auto is_hidden = [is_text](unsigned char c) {
    return c < 0x20 || c == 0x7f || (!is_text && c >= 0x80);
  };
  std::replace_if(shown.begin(), shown.end(), is_hidden, '?');
  return "'" + shown + (is_cut ? "...'" : "'");
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

void split(std::string_view text, char separator, std::vector<std::string_view>& parts) {
  parts.clear();
  std::size_t start = 0;
  for (std::size_t end; (end = text.find(separator, start)) != std::string_view::npos;
       start = end + 1) {
    parts.push_back(text.substr(start, end - start));
  }
  parts.push_back(text.substr(start));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  split(text, separator, parts);
  return parts;
}

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::optional<double> value = from_text<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<float> parse_value(std::string_view text) {
  const std::optional<double> number = parse_number(text);
  if (!number || std::abs(*number) > std::numeric_limits<float>::max()) return std::nullopt;
  return static_cast<float>(*number);
}

bool is_missing(std::string_view text) { return is_no_number(trim(text)); }

bool is_utf8(std::string_view text) { return find_no_utf8(text) == std::string_view::npos; }

std::string read_text(const std::filesystem::path& path) {
  std::string text = about_file(path.string(), [&] { return read_bytes(path); });
  if (text.empty()) throw DataError(path.string() + ": the file is empty");
  if (is_gzip(text)) text = unpack_gzip(text, path.string());
  const std::string_view start = text;
  if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
    text = utf8_from_utf16(start.substr(2), start.starts_with("\xfe\xff"));
  } else if (start.starts_with("\xef\xbb\xbf")) {
    text.erase(0, 3);
  }
  if (text.find('\0') != std::string::npos) {
    throw DataError(path.string() + ": the file holds NUL bytes, expected text (UTF-8)");
  }
  // Lines may end with carriage returns alone.
  if (text.find('\n') == std::string::npos) std::ranges::replace(text, '\r', '\n');
  require_utf8(text, path.string());
  return text;
}

bool Lines::next() {
  while (!rest_.empty()) {
    ++place_.line;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    const std::size_t first = line_.find_first_not_of(kSpaces);
    if (first == std::string_view::npos) continue;
    if (comments_.find(line_[first]) == std::string_view::npos) return true;
  }
  return false;
}

}  // namespace lockstep::data_file
