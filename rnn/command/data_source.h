#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "lockstep/rnn/builtin_data.h"
#include "option_parsing.h"

namespace lockstep::command {

/// Where sequences come from: a file, or a built-in data set by name.
struct DataSource {
  std::string file;
  std::string dataset;

  /// How messages name it.
  [[nodiscard]] std::string name() const { return "'" + (dataset.empty() ? file : dataset) + "'"; }
};

/// The positional DATA and the option --dataset, of which one must be given.
void add_data_source(CLI::App& app, DataSource& source);
/// Throws UsageError if neither is.
void require_data_source(const DataSource& source, std::string_view verb);

/// Reads the file, or makes the built-in set's test part. Throws DataError.
[[nodiscard]] Dataset load_data(const DataSource& source);
/// Both parts of a built-in data set. They do not depend on --seed: a data set stays what it is
/// while the training of it varies.
[[nodiscard]] TrainTest load_builtin(const std::string& dataset);

/// Throws std::runtime_error with the name if there are none.
void require_sequences(const Dataset& data, const std::string& name);

/// Does work on data; if they do not fit, the sentence that says so begins with their name.
template <class Work>
auto about(const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(name + ": " + error.what());
  }
}

}  // namespace lockstep::command
