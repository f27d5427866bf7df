// Networks and data sets for the tests that need some and do not care which.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "floats.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/random.h"

namespace lockstep {

// Plain gradient descent: constant learning rate, no momentum, no clipping.
inline Options gradient_descent() {
  Options options;
  options.schedule = LearningRateSchedule::constant;
  options.momentum = 0;
  options.clip_norm = 0;
  return options;
}

inline RnnParameters random_network(const RnnShape& shape) {
  RnnParameters parameters(shape);
  Random random(5);
  initialize(parameters, Initializer::xavier, 0, random);
  return parameters;
}

// `size` sequences of `steps` timesteps, labelled in turn.
inline Dataset equal_data(const RnnShape& shape, std::size_t size, std::size_t steps) {
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
