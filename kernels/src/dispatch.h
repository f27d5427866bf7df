#pragma once

#include <string_view>

#include "microkernels.h"

namespace lockstep {

// The table that kernels called now run on. Every public kernel begins with this call; it also
// notes the table for last_backend().
const Backend& dispatch();

// Notes a table that was chosen earlier (a PackedMatrix keeps its own).
void note_backend(const Backend& backend);

// The table of a runnable backend by name; throws as set_backend does.
const Backend& backend_named(std::string_view name);

}  // namespace lockstep
