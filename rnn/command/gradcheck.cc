#include <algorithm>
#include <numeric>

#include "inputs.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/random.h"
#include "process.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

// Appends a sequence with random targets of the data's kind.
void add_random(Dataset& data, std::span<const float> values, bool are_shares, Random& random) {
  const std::size_t steps = values.size() / data.channels();
  const std::size_t rows = is_of_steps(data.target_kind()) ? steps : 1;
  if (is_label(data.target_kind())) {
    std::vector<int> labels(rows);
    for (int& label : labels) label = static_cast<int>(random.index(data.classes()));
    return rows == steps && is_of_steps(data.target_kind()) ? data.add_steps(values, labels)
                                                            : data.add(values, labels[0]);
  }
  std::vector<float> targets(rows * data.classes());
  for (float& target : targets) {
    target =
        static_cast<float>(are_shares ? static_cast<double>(random.index(2)) : random.normal());
  }
  data.add_values(values, targets);
}

// Normal values and unequal lengths up to `length`.
Dataset random_data(const GradcheckCommand& command) {
  Random random(command.options.seed);
  std::vector<std::string> class_names;
  class_names.reserve(command.classes);
  for (std::size_t c = 0; c < command.classes; ++c) class_names.push_back(std::to_string(c));
  const std::string& head = command.options.head;
  Dataset data(command.features, targets_for(head).value_or(TargetKind::label), class_names);
  for (std::size_t i = 0; i < command.sequences; ++i) {
    const std::size_t steps = command.length - random.index((command.length + 1) / 2);
    std::vector<float> values(steps * command.features);
    for (float& value : values) value = static_cast<float>(random.normal());
    add_random(data, values, head == "multilabel", random);
  }
  return data;
}

// The first sequences of the source: finite differences need two losses for each entry.
Dataset real_data(const GradcheckCommand& command) {
  const Dataset all =
      load_data(command.source, reading_for(command.source, command.options.head)).data;
  std::vector<std::size_t> first(std::min(command.sequences, all.size()));
  std::iota(first.begin(), first.end(), std::size_t{0});
  return all.subset(first);
}

std::string gradcheck_text(const GradientCheck& check, const Network& network) {
  std::string text = format("%zu features, ", network.features) + layers_text(network) +
                     format(", %zu classes, backend ", network.outputs) +
                     std::string(active_backend().name) +
                     "\n\ntensor                    largest gradient  analytic error  fast error\n";
  for (const GradientError& e : check.errors) {
    text += pad(e.tensor, 24) + format("  %16.6g  %14.2e  %10.2e  %s\n", e.largest_gradient,
                                       e.analytic_error, e.fast_error,
                                       check.is_sound(e) ? "ok" : "WRONG");
  }
  return text + format("bound                                         %14.2e  %10.2e\n",
                       kAnalyticErrorBound, check.fast_bound);
}

}  // namespace

int run_gradcheck(const GradcheckCommand& command) {
  if (!speaks()) return 0;
  select_backend(command.backend);
  Dataset data = command.source.empty() ? random_data(command) : real_data(command);
  Options options = command.options;
  options.init = Initializer::xavier;
  const Model model = about(command.source.name(), [&] { return Model(data, options); });
  model.normalization().apply(data);
  const Network& network = model.parameters().network();
  const GradientCheck check{
      check_gradients(model.parameters(), data, options, command.epsilon, command.entries),
      fast_error_bound(network, data)};
  print(command.json ? gradcheck_json(check) : gradcheck_text(check, network));
  const auto is_sound = [&](const GradientError& error) { return check.is_sound(error); };
  return std::ranges::all_of(check.errors, is_sound) ? 0 : 1;
}

}  // namespace lockstep::command
