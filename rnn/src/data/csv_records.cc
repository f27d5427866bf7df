#include "data/csv_records.h"

#include <algorithm>
#include <utility>

namespace lockstep::data_file {
namespace {

// That which the header has most of outside of quotes.
char find_separator(std::string_view text) {
  const std::string_view header = text.substr(0, text.find('\n'));
  const auto count = [&](char separator) {
    bool is_quoted = false;
    return std::ranges::count_if(header, [&](char c) {
      if (c == '"') is_quoted = !is_quoted;
      return c == separator && !is_quoted;
    });
  };
  char best = ',';
  for (const char separator : {';', '\t'}) {
    if (count(separator) > count(best)) best = separator;
  }
  return best;
}

}  // namespace

CsvRecords::CsvRecords(std::string_view text, std::string file)
    : text_(text), separator_(find_separator(text)), place_{std::move(file)} {}

bool CsvRecords::next() {
  do {
    if (position_ >= text_.size()) return false;
    place_.line = next_line_;
    fields_.clear();
    unquoted_.clear();
    while (read_field()) {
    }
    ++next_line_;
  } while (fields_.size() == 1 && trim(fields_[0]).empty());
  return true;
}

bool CsvRecords::read_field() {
  std::string_view field;
  if (position_ < text_.size() && text_[position_] == '"') field = read_quoted();
  std::size_t end = position_;
  while (end < text_.size() && text_[end] != separator_ && text_[end] != '\n') ++end;
  const bool last = end == text_.size() || text_[end] == '\n';
  std::string_view rest = text_.substr(position_, end - position_);
  if (last && rest.ends_with('\r')) rest.remove_suffix(1);
  if (field.empty()) {
    field = rest;
  } else if (!rest.empty()) {
    field = unquoted_.emplace_back(std::string(field) + std::string(rest));
  }
  fields_.push_back(field);
  position_ = end + 1;
  return !last;
}

std::string_view CsvRecords::read_quoted() {
  const std::size_t begin = ++position_;
  std::string* text = nullptr;  // once it differs from that of the file
  for (; position_ < text_.size(); ++position_) {
    if (text_[position_] == '"') {
      ++position_;
      const bool doubled = position_ < text_.size() && text_[position_] == '"';
      if (!doubled) {
        return text != nullptr ? std::string_view(*text)
                               : text_.substr(begin, position_ - 1 - begin);
      }
      if (text == nullptr) {
        text = &unquoted_.emplace_back(text_.substr(begin, position_ - 1 - begin));
      }
    }
    if (text_[position_] == '\n') ++next_line_;
    if (text != nullptr) text->push_back(text_[position_]);
  }
  fail(place_, "a quoted field has no closing quote");
}

}  // namespace lockstep::data_file
