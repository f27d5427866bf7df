#include <algorithm>
#include <numeric>

#include "inputs.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/random.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

// Normal values and unequal lengths up to `length`.
Dataset random_data(const GradcheckCommand& command) {
  Random random(command.options.seed);
  std::vector<std::string> class_names;
  class_names.reserve(command.classes);
  for (std::size_t c = 0; c < command.classes; ++c) class_names.push_back(std::to_string(c));
  Dataset data(command.features, class_names);
  for (std::size_t i = 0; i < command.sequences; ++i) {
    const std::size_t steps = command.length - random.index((command.length + 1) / 2);
    std::vector<float> values(steps * command.features);
    for (float& value : values) value = static_cast<float>(random.normal());
    data.add(values, static_cast<int>(random.index(command.classes)));
  }
  return data;
}

// The first sequences of the source: finite differences need two losses for each entry.
Dataset real_data(const GradcheckCommand& command) {
  const Dataset all = load_data(command.source);
  std::vector<std::size_t> first(std::min(command.sequences, all.size()));
  std::iota(first.begin(), first.end(), std::size_t{0});
  return all.subset(first);
}

std::string gradcheck_text(const std::vector<GradientError>& errors, const Network& network) {
  std::string text = format("%zu features, ", network.features) + layers_text(network) +
                     format(", %zu classes, backend ", network.outputs) +
                     std::string(active_backend().name) +
                     "\n\ntensor                    largest gradient  analytic error  fast error\n";
  for (const GradientError& e : errors) {
    text +=
        pad(e.tensor, 24) + format("  %16.6g  %14.2e  %10.2e  %s\n", e.largest_gradient,
                                   e.analytic_error, e.fast_error, is_sound(e) ? "ok" : "WRONG");
  }
  return text + format("bound                                         %14.2e  %10.2e\n",
                       kAnalyticErrorBound, kFastErrorBound);
}

}  // namespace

int run_gradcheck(const GradcheckCommand& command) {
  select_backend(command.backend);
  Dataset data = command.source.empty() ? random_data(command) : real_data(command);
  Options options = command.options;
  options.init = Initializer::xavier;
  const Model model = about(command.source.name(), [&] { return Model(data, options); });
  model.normalization().apply(data);
  const std::vector<GradientError> errors =
      check_gradients(model.parameters(), data, options, command.epsilon, command.entries);
  print(command.json ? gradcheck_json(errors)
                     : gradcheck_text(errors, model.parameters().network()));
  return std::ranges::all_of(errors, is_sound) ? 0 : 1;
}

}  // namespace lockstep::command
