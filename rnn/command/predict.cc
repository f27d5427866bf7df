#include "lockstep/rnn/predict.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "inputs.h"
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

std::string csv_header(const std::vector<std::string>& class_names) {
  std::string header = "index,class";
  for (const std::string& name : class_names) header += "," + csv_field("p(" + name + ")");
  return header + "\n";
}

std::string row_text(bool json, std::size_t index, const std::string& class_name,
                     const std::string& probabilities) {
  const std::string number = std::to_string(index);
  if (!json) return number + "," + csv_field(class_name) + "," + probabilities + "\n";
  return "{\"index\":" + number + ",\"class\":" + json_string(class_name) + ",\"probabilities\":[" +
         probabilities + "]}\n";
}

void require_finite(std::span<const float> probabilities, std::size_t classes,
                    const std::string& name) {
  const auto bad =
      std::ranges::find_if_not(probabilities, [](float p) { return std::isfinite(p); });
  if (bad == probabilities.end()) return;
  const auto sequence = static_cast<std::size_t>(bad - probabilities.begin()) / classes;
  throw std::runtime_error(name + ": the model overflows on sequence " + std::to_string(sequence) +
                           " (counted from 0): its probabilities are not finite");
}

}  // namespace

int run_predict(const Command& command) {
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
    const auto best = std::ranges::max_element(probabilities);
    const std::string& class_name =
        model.class_names()[static_cast<std::size_t>(best - probabilities.begin())];
    print(row_text(command.json, i, class_name, probability_list(probabilities)));
  }
  return 0;
}

}  // namespace lockstep::command
