#include "lockstep/rnn/predict.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "data_source.h"
#include "evaluation_output.h"
#include "lockstep/rnn/model.h"
#include "text.h"

namespace lockstep::command {
namespace {

struct PredictCommand {
  std::string model_file;
  DataSource source;
  std::string backend;
  Options options;
  bool json = false;
};

// Nine significant digits give back the same float.
std::string probability_list(std::span<const float> probabilities) {
  std::string text;
  for (const float p : probabilities) {
    text += (text.empty() ? "" : ",") + format("%.9g", static_cast<double>(p));
  }
  return text;
}

// RFC 4180: quotes where a comma, a quote or a line end would be misread.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_header(const std::vector<std::string>& class_names) {
  std::string header = "index,class";
  for (const std::string& name : class_names) header += "," + csv_field("p(" + name + ")");
  return header + "\n";
}

std::string csv_row(std::size_t index, const std::string& class_name,
                    std::span<const float> probabilities) {
  return std::to_string(index) + "," + csv_field(class_name) + "," +
         probability_list(probabilities) + "\n";
}

std::string json_row(std::size_t index, const std::string& class_name,
                     std::span<const float> probabilities) {
  std::string name = json_line(class_name);
  name.pop_back();
  return "{\"index\":" + std::to_string(index) + ",\"class\":" + name + ",\"probabilities\":[" +
         probability_list(probabilities) + "]}\n";
}

void require_finite(std::span<const float> probabilities, std::size_t classes,
                    const std::string& name) {
  const auto bad = std::find_if_not(probabilities.begin(), probabilities.end(),
                                    [](float p) { return std::isfinite(p); });
  if (bad == probabilities.end()) return;
  const auto sequence = static_cast<std::size_t>(bad - probabilities.begin()) / classes;
  throw std::runtime_error(name + ": the model overflows on sequence " + std::to_string(sequence) +
                           " (counted from 0): its probabilities are not finite");
}

int run_predict(const PredictCommand& command) {
  require_data_source(command.source, "predict");
  select_backend(command.backend);
  const Model model = Model::load(command.model_file);
  const Dataset data = load_data(command.source);
  const std::string name = command.source.name();
  const std::vector<float> all =
      about(name, [&] { return model.predict_proba(data, command.options.threads); });
  const std::size_t classes = model.class_names().size();
  require_finite(all, classes, name);
  if (!command.json) print(csv_header(model.class_names()));
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto probabilities = std::span(all).subspan(i * classes, classes);
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    const std::string& class_name =
        model.class_names()[static_cast<std::size_t>(best - probabilities.begin())];
    print(command.json ? json_row(i, class_name, probabilities)
                       : csv_row(i, class_name, probabilities));
  }
  return 0;
}

}  // namespace

Verb add_predict(CLI::App& command) {
  const auto options = std::make_shared<PredictCommand>();
  CLI::App* app = command.add_subcommand("predict", "Classify sequences with a model");
  app->add_option("MODEL", options->model_file, "Model file (safetensors)")->required();
  add_data_source(*app, options->source);
  add_option(*app, options->options, "threads");
  add_backend_option(*app, options->backend);
  app->add_flag("--json", options->json, "One JSON object per sequence instead of CSV");
  app->footer(
      "Prints the class and the probability of every class for each sequence, as CSV with a "
      "header\n"
      "or as JSON lines. Labels in the data are ignored and may be missing ('?' or empty); in .tsv "
      "and\n"
      ".txt files the first field is always the label. A built-in set means its test part.\n\n"
      "Examples:\n"
      "  lockstep predict model.safetensors new.csv > predictions.csv\n"
      "  lockstep predict model.safetensors new.npz --json");
  return {app, [options] { return run_predict(*options); }};
}

}  // namespace lockstep::command
