// The suites: what is done with each shape of shapes.h.
#pragma once

#include <span>
#include <vector>

#include "contender.h"
#include "shapes.h"

namespace lockstep::bench {

struct Selection {
  [[nodiscard]] bool includes(Run of_shape) const {
    return of_shape == Run::quick || run == Run::full;
  }

  Run run = Run::quick;
  std::vector<int> threads = {1};
};

// Registers the cases of all contenders, shape by shape. The contenders must outlive the run.
void register_kernel_suites(std::span<Contender* const> contenders, const Selection& selection);
void register_rnn_suites(std::span<Contender* const> contenders, const Selection& selection);

// The machine's own limits, measured among the others: the roof of a roofline, and whether it
// slowed in the meantime.
void register_machine_suite(const Selection& selection);

}  // namespace lockstep::bench
