#pragma once

#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/parameters.h"

namespace lockstep {

/// Everything needed to classify a raw sequence: the file of a model holds exactly this.
struct RnnClassifier {
  Parameters parameters;              ///< the network
  Normalization normalization;           ///< of its inputs
  std::vector<std::string> class_names;  ///< [C]
};

}  // namespace lockstep
