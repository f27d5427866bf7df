#pragma once

#include <cstddef>
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

inline const Choices<LearningRateSchedule> kSchedules = {
    {"constant", LearningRateSchedule::constant},
    {"step", LearningRateSchedule::step},
    {"cosine", LearningRateSchedule::cosine}};
inline const Choices<Initializer> kInitializers = {{"gaussian", Initializer::gaussian},
                                                   {"xavier", Initializer::xavier},
                                                   {"orthogonal", Initializer::orthogonal}};
inline const Choices<NormalizationKind> kNormalizations = {{"none", NormalizationKind::none},
                                                           {"channel", NormalizationKind::channel},
                                                           {"series", NormalizationKind::series}};

void add_train_options(CLI::App& app, TrainCommand& command);

}  // namespace lockstep::command
