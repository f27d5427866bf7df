// The formats of data files: one reader each.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sequence_builder.h"
#include "data/text_file.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/dataset.h"

namespace lockstep::data_file {

// What a reader was given and what it has to say.
struct Reading {
  std::filesystem::path path;  // "-": standard input
  ReadOptions options;
  std::vector<std::string> notes;              // what was done that nobody asked for
  std::vector<std::filesystem::path> files{};  // that were read, where these are several

  void note_ends(const SequenceBuilder& builder) {
    if (builder.left_out() == 0) return;
    notes.push_back("at the ends of sequences are left out what has no value: " +
                    std::to_string(builder.left_out()) +
                    (builder.left_out() == 1 ? " timestep" : " timesteps"));
  }
};

Dataset read_ts(Reading& reading);
Dataset read_rows(Reading& reading);  // .tsv and .txt
Dataset read_csv(Reading& reading);
Dataset read_arff(Reading& reading);
Dataset read_npz(Reading& reading);
Dataset read_npy(Reading& reading);

// What the readers of text share.

inline constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
// How messages about a missing value end.
inline constexpr const char* kIsMissing =
    " is missing, expected a number in every place unless a model fills it (option missing)";

// Whether the whole text is a finite float32 number, without blanks.
bool parse_plain(std::string_view text, float& number);

// A field that holds a finite float32 number, or NaN if the value is missing; `name()` names it for
// the message of the error.
template <class Name>
float parse_field(std::string_view text, const Place& place, const Name& name);

// Values separated by a character, appended to `values`; NaN where one is missing.
void parse_list(std::string_view text, char separator, const Place& place, const std::string& what,
                std::vector<float>& values);

// A number to be learnt, or NaN.
float parse_target(std::string_view text, const std::string& what, const Place& place);

// What a field says of the sequence that was added last: a number if `is_number`, otherwise one of
// the classes that `declared_by` declares.
void add_target(std::string_view field, bool is_number, const char* declared_by,
                const Reading& reading, const Place& place, SequenceBuilder& builder);

// One list for each channel, one after another, becomes [length][channels].
void transpose(std::span<const float> lists, std::size_t channels, std::vector<float>& values);

// Throws DataError if a value within a sequence is missing, unless it may be.
void require_no_gap(std::span<const float> values, std::size_t channels, const ReadOptions& options,
                    const Place& place);

// Throws DataError if a file that has `found` was to be read as another kind.
void require_kind(const Reading& reading, TargetKind found);

template <class Name>
float parse_field(std::string_view text, const Place& place, const Name& name) {
  float number = 0;
  if (parse_plain(text, number)) return number;
  const std::optional<float> value = parse_value(text);
  if (!value && !is_missing(text)) fail_value(place, name(), text);
  return value.value_or(kMissing);
}

}  // namespace lockstep::data_file
