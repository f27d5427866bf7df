// Uses both installed libraries: a matrix product, then a classifier trained on a built-in data
// set.

#include <lockstep/backend.h>
#include <lockstep/gemm.h>
#include <lockstep/rnn/builtin_data.h>
#include <lockstep/rnn/model.h>
#include <lockstep/rnn/random.h>
#include <lockstep/rnn/trainer.h>

#include <array>
#include <iostream>

namespace {

bool product_is_right() {
  const std::array<float, 4> a = {1, 2, 3, 4};
  const std::array<float, 4> b = {5, 6, 7, 8};
  std::array<float, 4> c = {};
  lockstep::gemm(lockstep::Transpose::no, lockstep::Transpose::no, 2, 2, 2, 1.0F, a.data(), 2,
                 b.data(), 2, 0.0F, c.data(), 2);
  return c == std::array<float, 4>{19, 22, 43, 50};
}

bool training_lowers_the_loss() {
  const lockstep::Dataset data = lockstep::make_builtin_dataset("cylinder-bell-funnel", 1).train;
  lockstep::RnnParameters parameters(
      {.features = data.channels(), .hidden = 16, .classes = data.classes()});
  lockstep::Random random(1);
  lockstep::initialize(parameters, lockstep::Initializer::orthogonal, 0.0, random);
  lockstep::Trainer trainer(parameters, {.epochs = 5, .clip_norm = 1.0});
  const std::vector<lockstep::EpochResult> history = trainer.fit(data);
  return history.back().loss < history.front().loss;
}

}  // namespace

int main() {
  std::cout << "backend: " << lockstep::active_backend().name << '\n';
  const bool product = product_is_right();
  const bool training = training_lowers_the_loss();
  std::cout << "product: " << (product ? "right" : "wrong") << '\n'
            << "training: " << (training ? "lowers the loss" : "does not lower the loss") << '\n';
  return product && training ? 0 : 1;
}
