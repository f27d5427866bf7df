#pragma once

#include <string>

#include "data_source.h"
#include "lockstep/rnn/options.h"
#include "option_parsing.h"

namespace lockstep::command {

/// What `lockstep train` was asked to do.
struct TrainCommand {
  DataSource source;
  std::string test_file;
  Options options;
  std::string backend;
  std::string model_file;
  std::string report_file;
  bool json = false;
  bool quiet = false;
  bool list_datasets = false;
};

void add_train_options(CLI::App& app, TrainCommand& command);

}  // namespace lockstep::command
