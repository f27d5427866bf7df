#include "lockstep/rnn/predict.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "inputs.h"
#include "process.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

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

// What the rows of a model's head have.
struct Columns {
  Columns(const Model& model, const Dataset& of)
      : data(of),
        names(model.class_names()),
        head(model.parameters().network().head),
        has_steps(is_of_steps(targets_of_head(head))),
        has_classes(is_label(targets_of_head(head))),
        has_probabilities(has_classes || head == "multilabel") {}

  [[nodiscard]] std::string header() const {
    std::string text = "index";
    if (data.has_ids()) text += ",sample";
    if (has_steps) text += ",step";
    if (has_classes) text += ",class";
    for (const std::string& name : names) {
      text += "," + csv_field(has_probabilities ? "p(" + name + ")" : name);
    }
    return text + "\n";
  }

  // Of a sequence, or of its timestep.
  [[nodiscard]] std::string row(bool json, std::size_t index, std::size_t step,
                                std::span<const float> outputs) const {
    const std::string number = std::to_string(index);
    const std::string step_number = std::to_string(step);
    const auto best = std::ranges::max_element(outputs) - outputs.begin();
    const std::string& class_name = names[static_cast<std::size_t>(best)];
    const std::string list = probability_list(outputs);
    if (!json) {
      return number + (data.has_ids() ? "," + csv_field(data.id(index)) : "") +
             (has_steps ? "," + step_number : "") +
             (has_classes ? "," + csv_field(class_name) : "") + "," + list + "\n";
    }
    return "{\"index\":" + number +
           (data.has_ids() ? ",\"sample\":" + json_string(data.id(index)) : "") +
           (has_steps ? ",\"step\":" + step_number : "") +
           (has_classes ? ",\"class\":" + json_string(class_name) : "") + ",\"" +
           (has_probabilities ? "probabilities" : "values") + "\":[" + list + "]}\n";
  }

  const Dataset& data;
  const std::vector<std::string>& names;
  std::string head;
  bool has_steps;
  bool has_classes;
  bool has_probabilities;
};

void require_finite(std::span<const float> probabilities, std::size_t classes,
                    const std::string& name) {
  const auto bad =
      std::ranges::find_if_not(probabilities, [](float p) { return std::isfinite(p); });
  if (bad == probabilities.end()) return;
  const auto sequence = static_cast<std::size_t>(bad - probabilities.begin()) / classes;
  throw std::runtime_error(name + ": the model overflows on row " + std::to_string(sequence) +
                           " (counted from 0): its outputs are not finite");
}

}  // namespace

int run_predict(const Command& command) {
  select_backend(command.backend);
  require_no_standard_input(command.source.file);
  Model model = on_all_ranks([&] { return Model::load(command.model_file); });
  model.set_ranks(process_ranks());
  ReadOptions reading = command.source.reading;
  reading.ignores_targets = true;
  reading.allow_missing = model.missing().kind != MissingKind::fail;
  const Dataset data = on_all_ranks([&] { return load_data(command.source, reading).data; });
  const std::string name = command.source.name();
  const std::vector<float> all =
      about(name, [&] { return model.predict_proba(data, command.options.threads); });
  const std::size_t outputs = model.class_names().size();
  require_finite(all, outputs, name);
  const Columns columns(model, data);
  if (!command.json) print(columns.header());
  std::size_t row = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t rows = columns.has_steps ? data.length(i) : 1;
    for (std::size_t step = 0; step < rows; ++step, ++row) {
      print(columns.row(command.json, i, step, std::span(all).subspan(row * outputs, outputs)));
    }
  }
  return 0;
}

}  // namespace lockstep::command
