// How the numbers of a network are cut into tensors, and what must fit them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

// What the names of the tensors of a layer end with, as PyTorch has it: "_l0", "_l0_reverse".
[[nodiscard]] std::string layer_suffix(std::size_t layer, bool backward);
[[nodiscard]] std::vector<Tensor> tensors_of(const Network& network);
[[nodiscard]] std::size_t parameter_count(const Network& network);

// Throws std::invalid_argument in the name of `function` for Parameters() and for what was moved
// from.
void require_parameters(const Parameters& parameters, const char* function);

// Throws std::invalid_argument, in a sentence that begins with `where`, if the data have other
// channels than the network.
void require_channels(const Network& network, const Dataset& data, const std::string& where = "");
// The same if the targets are not those of its head, or not as many values as outputs.
void require_targets(const Network& network, const Dataset& data, const std::string& where = "");
// All of these, and if a sequence has none of the labels of the network, or a timestep another.
void require_training_data(const Parameters& parameters, const Dataset& data,
                           const std::string& what);

// Throws std::invalid_argument if a bidirectional network is to learn from the last timesteps only.
void require_whole_sequences(bool is_bidirectional, std::size_t truncate);

}  // namespace lockstep
