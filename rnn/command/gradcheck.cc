#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <numeric>

#include "data_source.h"
#include "evaluation_output.h"
#include "lockstep/backend.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/random.h"
#include "text.h"

namespace lockstep::command {
namespace {

using nlohmann::ordered_json;

struct GradcheckCommand {
  DataSource source;
  Options options{.hidden = 17};
  std::size_t features = 3;
  std::size_t classes = 4;
  std::size_t sequences = 6;
  std::size_t length = 12;
  std::size_t entries = 50;
  double epsilon = 1e-5;
  std::string backend;
  bool json = false;
};

// Accepts whole numbers written in decimal digits alone. For Option::transform: it drops leading
// zeros, which CLI11 would read as the sign of octal digits.
CLI::Validator whole_number(std::uint64_t low, std::uint64_t high) {
  const auto check = [=](std::string& text) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value < low || value > high) {
      return "expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
             ", found '" + text + "'";
    }
    text = std::to_string(value);
    return std::string();
  };
  return {check, ""};
}

// Accepts finite numbers above 0.
CLI::Validator positive() {
  const auto check = [](std::string& text) {
    double value = 0;
    const bool is_number = CLI::detail::lexical_cast(text, value);
    if (is_number && value > 0 && std::isfinite(value)) return std::string();
    return "expected a number above 0, found '" + text + "'";
  };
  return {check, ""};
}

// Normal values and unequal lengths up to `length`.
Dataset random_data(const GradcheckCommand& command) {
  Random random(command.options.seed);
  std::vector<std::string> class_names;
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

bool is_sound(const GradientError& error) {
  return error.analytic_error < kAnalyticErrorBound && error.fast_error < kFastErrorBound;
}

ordered_json gradcheck_json(const std::vector<GradientError>& errors) {
  auto tensors = ordered_json::array();
  for (const GradientError& e : errors) {
    tensors.push_back({{"tensor", e.tensor},
                       {"largest_gradient", e.largest_gradient},
                       {"analytic_error", e.analytic_error},
                       {"fast_error", e.fast_error},
                       {"sound", is_sound(e)}});
  }
  return {{"backend", active_backend().name},
          {"analytic_bound", kAnalyticErrorBound},
          {"fast_bound", kFastErrorBound},
          {"tensors", tensors}};
}

std::string gradcheck_text(const std::vector<GradientError>& errors, const Network& network) {
  std::string text = format("%zu features, %zu hidden, %zu classes, backend ", network.features,
                            network.layers[0].hidden, network.outputs) +
                     std::string(active_backend().name) +
                     "\n\ntensor            largest gradient  analytic error  fast error\n";
  for (const GradientError& e : errors) {
    text +=
        pad(e.tensor, 16) + format("  %16.6g  %14.2e  %10.2e  %s\n", e.largest_gradient,
                                   e.analytic_error, e.fast_error, is_sound(e) ? "ok" : "WRONG");
  }
  return text + format("bound                                 %14.2e  %10.2e\n",
                       kAnalyticErrorBound, kFastErrorBound);
}

int run_gradcheck(const GradcheckCommand& command) {
  select_backend(command.backend);
  const bool is_random = command.source.file.empty() && command.source.dataset.empty();
  Dataset data = is_random ? random_data(command) : real_data(command);
  Options options = command.options;
  options.init = Initializer::xavier;
  const Model model = about(command.source.name(), [&] { return Model(data, options); });
  model.normalization().apply(data);
  const std::vector<GradientError> errors = check_gradients(
      model.parameters(), data, command.epsilon, command.entries, options.seed, options.truncate);
  print(command.json ? json_line(gradcheck_json(errors))
                     : gradcheck_text(errors, model.parameters().network()));
  return std::all_of(errors.begin(), errors.end(), is_sound) ? 0 : 1;
}

}  // namespace

Verb add_gradcheck(CLI::App& command) {
  const auto options = std::make_shared<GradcheckCommand>();
  CLI::App* app = command.add_subcommand("gradcheck", "Check the gradients of the fast path");
  const auto add_size = [app](const char* flag, std::size_t& size, const char* help,
                              std::uint64_t least = 1) {
    constexpr std::uint64_t kMost = 65536;
    app->add_option(flag, size, help)->transform(whole_number(least, kMost))->capture_default_str();
  };
  add_data_source(*app, options->source);
  add_size("--features", options->features, "Channels of the random problem");
  add_size("--classes", options->classes, "Classes of the random problem", 2);
  add_size("--sequences", options->sequences, "Sequences, of DATA the first ones");
  add_size("--length", options->length, "Longest sequence of the random problem");
  add_size("--entries", options->entries, "Entries of each tensor to take finite differences of");
  for (const char* name : {"cell", "hidden", "truncate", "seed"})
    add_option(*app, options->options, name);
  app->add_option("--epsilon", options->epsilon, "Step of the finite differences")
      ->check(positive())
      ->capture_default_str();
  add_backend_option(*app, options->backend);
  app->add_flag("--json", options->json, "One JSON object instead of a table");
  app->footer(
      "Compares plain backpropagation in double precision with finite differences (analytic "
      "error)\n"
      "and the fast path with plain backpropagation (fast error), relative to each tensor's "
      "largest\n"
      "gradient. Exits with 1 if an error is beyond its bound.\n\n"
      "Examples:\n"
      "  lockstep gradcheck\n"
      "  lockstep gradcheck --hidden 100 --features 16 --length 200 --backend reference\n"
      "  lockstep gradcheck train.ts --sequences 10");
  return {app, [options] { return run_gradcheck(*options); }};
}

}  // namespace lockstep::command
