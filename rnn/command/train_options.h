#pragma once

#include <cstddef>
#include <string>

#include "data_source.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/trainer.h"
#include "option_parsing.h"

namespace lockstep::command {

/// What `lockstep train` was asked to do. The initial values are the defaults of its flags.
struct TrainCommand {
  DataSource source;
  std::string test_file;
  double validation = 0;     ///< share of the training data that is held out; 0: none
  std::size_t patience = 0;  ///< epochs without a better validation loss before stopping; 0: never

  std::size_t hidden = 100;
  Initializer initializer = Initializer::orthogonal;
  double sigma = 0.01;
  NormalizationKind normalization = NormalizationKind::per_channel;
  TrainOptions training{.epochs = 300,
                        .batch_size = 20,
                        .learning_rate = 0.05,
                        .schedule = LearningRateSchedule::cosine,
                        .momentum = 0.9,
                        .clip_norm = 0.25};

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
inline const Choices<NormalizationKind> kNormalizations = {
    {"none", NormalizationKind::none},
    {"channel", NormalizationKind::per_channel},
    {"series", NormalizationKind::per_series}};

void add_train_options(CLI::App& app, TrainCommand& command);

}  // namespace lockstep::command
