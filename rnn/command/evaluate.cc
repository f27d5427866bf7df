#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "inputs.h"
#include "json_output.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

std::string class_table(const std::vector<ClassResult>& classes, std::size_t width) {
  std::string text = "    " + pad("class", width) + "  precision  recall      f1  sequences\n";
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const ClassResult& row = classes[c];
    text += format("%3zu ", c) + pad(printable(row.name), width) +
            format("     %6s  %6s  %6s  %9zu\n", number_text(row.precision).c_str(),
                   number_text(row.recall).c_str(), number_text(row.f1).c_str(), row.sequences);
  }
  return text;
}

std::string confusion_table(const std::vector<ClassResult>& classes, std::size_t largest,
                            const std::string& corner, std::size_t width) {
  const int cell = static_cast<int>(std::max<std::size_t>(3, std::to_string(largest).size())) + 1;
  std::string text = "    " + pad(corner, width);
  for (std::size_t c = 0; c < classes.size(); ++c) text += format("%*zu", cell, c);
  text += "\n";
  for (std::size_t c = 0; c < classes.size(); ++c) {
    text += format("%3zu ", c) + pad(printable(classes[c].name), width);
    for (const std::size_t count : classes[c].predicted) text += format("%*zu", cell, count);
    text += "\n";
  }
  return text;
}

std::string evaluation_text(const Evaluation& evaluation,
                            const std::vector<std::string>& class_names) {
  const std::string corner = "true \\ predicted";
  const std::vector<ClassResult> classes = class_results(evaluation, class_names);
  std::size_t width = text_width(corner);
  for (const std::string& name : class_names) width = std::max(width, text_width(name));
  const std::size_t largest = *std::ranges::max_element(evaluation.confusion);
  return evaluation_line(evaluation) + "\n" + class_table(classes, width) + "\n" +
         confusion_table(classes, largest, corner, width);
}

}  // namespace

int run_evaluate(const Command& command) {
  select_backend(command.backend);
  const Model model = Model::load(command.model_file);
  const Dataset data = load_data(command.source);
  const std::string name = command.source.name();
  require_sequences(data, name);
  const Evaluation evaluation =
      about(name, [&] { return model.evaluate(data, command.options.threads); });
  if (std::isnan(evaluation.loss)) {
    throw std::runtime_error(name +
                             ": the model overflows on it: not all probabilities are finite");
  }
  print((command.json ? evaluation_json : evaluation_text)(evaluation, model.class_names()));
  return 0;
}

}  // namespace lockstep::command
