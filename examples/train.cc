// Training in C++: a classifier for sequences, tested on others and saved.
//   train [model file]
#include <lockstep/rnn/builtin_data.h>
#include <lockstep/rnn/metrics.h>
#include <lockstep/rnn/model_file.h>
#include <lockstep/rnn/predict.h>
#include <lockstep/rnn/trainer.h>

#include <exception>
#include <iostream>

namespace {

void run(const char* model_file) {
  // Your own data: lockstep::read_dataset(file), or Dataset::add for each sequence.
  auto [train, test] = lockstep::make_builtin_dataset("synthetic-control", /*seed=*/1);

  lockstep::RnnClassifier model;
  model.class_names = train.class_names();
  model.normalization = lockstep::Normalization::fit(lockstep::NormalizationKind::channel, train);
  model.normalization.apply(train);
  model.normalization.apply(test);
  model.parameters = lockstep::Parameters(
      {.features = train.channels(), .layers = {{.hidden = 50}}, .outputs = train.classes()});
  lockstep::initialize(model.parameters, lockstep::Initializer::orthogonal, 0, /*seed=*/1);

  lockstep::Trainer trainer(model.parameters, {.epochs = 30, .momentum = 0.9, .clip_norm = 0.25});
  for (const lockstep::EpochResult& epoch : trainer.fit(train)) {
    if (epoch.epoch % 10 == 0) {
      std::cout << "epoch " << epoch.epoch << ": loss " << epoch.loss << ", accuracy "
                << epoch.accuracy << '\n';
    }
  }

  const auto probabilities = lockstep::predict_proba(model.parameters, test);
  const auto result = lockstep::evaluate(probabilities, test.labels(), test.classes());
  std::cout << "on the test set: accuracy " << result.accuracy << '\n';
  lockstep::save_model(model, model_file);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "model.safetensors");
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << '\n';
    return 1;
  }
}
