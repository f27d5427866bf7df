#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_file.h"

namespace lockstep::data_file {

// Steps through the records of a CSV text (RFC 4180) that outlives this: a quoted field may hold
// separators, doubled quotes and line ends.
class CsvRecords {
 public:
  CsvRecords(std::string_view text, std::string file);

  // Goes to the next record that is not a blank line; false at the end of the file.
  bool next();

  [[nodiscard]] const std::vector<std::string_view>& fields() const { return fields_; }
  [[nodiscard]] const Place& place() const { return place_; }  // of the record's first line
  [[nodiscard]] char separator() const { return separator_; }

 private:
  // Reads a field and the separator after it; false if that ends the record.
  bool read_field();
  // The text between the quote at the current position and its partner.
  std::string_view read_quoted();

  std::string_view text_;
  char separator_;
  std::size_t position_ = 0;
  std::size_t next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unquoted_;  // of fields that are not as in the file
  Place place_;
};

}  // namespace lockstep::data_file
