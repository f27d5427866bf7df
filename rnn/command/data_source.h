#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/model.h"
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

/// These throw std::runtime_error, one sentence that begins with `name`, if the set is empty, if a
/// sequence has no label, if there are fewer than two classes, or if the set's channels or classes
/// are not those expected.
void require_labels(const Dataset& data, const std::string& name);
void require_trainable(const Dataset& data, const std::string& name);
void require_channels(const Dataset& data, std::size_t channels, const std::string& name);
[[nodiscard]] Dataset match_classes(const Dataset& data,
                                    const std::vector<std::string>& class_names,
                                    const std::string& name);

/// Labelled data as `model` needs it: its classes, its channels, normalized.
[[nodiscard]] Dataset prepare_labelled(const RnnClassifier& model, const Dataset& data,
                                       const std::string& name);

}  // namespace lockstep::command
