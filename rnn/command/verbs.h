#pragma once

#include "option_parsing.h"

namespace lockstep::command {

/// Each adds one verb to the command.
Verb add_train(CLI::App& command);
Verb add_evaluate(CLI::App& command);
Verb add_predict(CLI::App& command);
Verb add_info(CLI::App& command);
Verb add_gradcheck(CLI::App& command);

}  // namespace lockstep::command
