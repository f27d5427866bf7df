// Networks and data sets for the tests that need some and do not care which.
#pragma once

#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "floats.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/trainer.h"

namespace lockstep {

// Plain gradient descent: constant learning rate, no momentum, no clipping.
inline Options gradient_descent() {
  Options options;
  options.schedule = LearningRateSchedule::constant;
  options.momentum = 0;
  options.optimizer = "sgd";
  options.clip_norm = 0;
  return options;
}

// Sizes of a classifier with equal recurrent layers.
struct Sizes {
  std::size_t features;
  std::size_t hidden;
  std::size_t classes;
  const char* cell = "tanh";
  std::size_t layers = 1;
  bool bidirectional = false;
  Pooling pool = Pooling::last;

  // NOLINTNEXTLINE(google-explicit-constructor): it is what the tests mean by a network.
  operator Network() const {
    const Layer layer{.cell = cell, .hidden = hidden, .bidirectional = bidirectional};
    return {.features = features,
            .layers = std::vector<Layer>(layers, layer),
            .pool = pool,
            .outputs = classes};
  }
};

// Where by and Wy of the head begin, behind b, Wx, Wh of the recurrent layers.
inline std::size_t head_offset(const Parameters& p) { return p.tensors().rbegin()[1].offset; }
inline std::span<float> layer_of(Parameters& p) { return p.values().first(head_offset(p)); }
inline std::span<float> head_of(Parameters& p) { return p.values().subspan(head_offset(p)); }

inline Parameters random_network(const Sizes& shape) {
  Parameters parameters(shape);
  initialize(parameters, Initializer::xavier, 0, /*seed=*/5);
  return parameters;
}

// All epochs of the options.
inline std::vector<EpochResult> train(Parameters& parameters, const Dataset& data,
                                      const Options& options) {
  Trainer trainer(parameters, options);
  std::vector<EpochResult> history;
  while (history.size() < options.epochs) history.push_back(trainer.run_epoch(data));
  return history;
}

// `size` sequences of `steps` timesteps, labelled in turn.
inline Dataset equal_data(const Sizes& shape, std::size_t size, std::size_t steps) {
  Dataset data(shape.features, std::vector<std::string>(shape.classes, "class"));
  for (std::size_t i = 0; i < size; ++i) {
    data.add(normal_floats(steps * shape.features, i), static_cast<int>(i % shape.classes));
  }
  return data;
}

inline std::vector<std::size_t> first_indices(std::size_t count) {
  std::vector<std::size_t> indices(count);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  return indices;
}

}  // namespace lockstep
