#include "evaluation_output.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "text.h"

namespace lockstep::command {
namespace {

using nlohmann::ordered_json;

std::vector<std::size_t> confusion_row(const Evaluation& e, std::size_t c) {
  const std::size_t classes = e.recall.size();
  const auto* row = e.confusion.data() + c * classes;
  return {row, row + classes};
}

std::string class_table(const Evaluation& e, const std::vector<std::string>& names,
                        std::size_t width) {
  std::string text = "    " + pad("class", width) + "  precision  recall      f1  sequences\n";
  for (std::size_t c = 0; c < names.size(); ++c) {
    text +=
        format("%3zu ", c) + pad(names[c], width) +
        format("     %6s  %6s  %6s  %9zu\n", number_text(e.precision[c]).c_str(),
               number_text(e.recall[c]).c_str(), number_text(e.f1[c]).c_str(), class_size(e, c));
  }
  return text;
}

std::string confusion_table(const Evaluation& e, const std::vector<std::string>& names,
                            std::size_t width) {
  const std::size_t largest = *std::max_element(e.confusion.begin(), e.confusion.end());
  const int cell = static_cast<int>(std::max<std::size_t>(3, std::to_string(largest).size())) + 1;
  std::string text = "    " + pad("true \\ predicted", width);
  for (std::size_t c = 0; c < names.size(); ++c) text += format("%*zu", cell, c);
  text += "\n";
  for (std::size_t c = 0; c < names.size(); ++c) {
    text += format("%3zu ", c) + pad(names[c], width);
    for (const std::size_t count : confusion_row(e, c)) text += format("%*zu", cell, count);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string json_line(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::size_t class_size(const Evaluation& evaluation, std::size_t c) {
  const std::vector<std::size_t> row = confusion_row(evaluation, c);
  return std::accumulate(row.begin(), row.end(), std::size_t{0});
}

std::string number_text(double value) { return std::isnan(value) ? "-" : format("%.4f", value); }

ordered_json evaluation_json(const Evaluation& e, const std::vector<std::string>& class_names) {
  ordered_json classes = ordered_json::array();
  ordered_json confusion = ordered_json::array();
  for (std::size_t c = 0; c < class_names.size(); ++c) {
    classes.push_back({{"class", class_names[c]},
                       {"precision", e.precision[c]},
                       {"recall", e.recall[c]},
                       {"f1", e.f1[c]},
                       {"sequences", class_size(e, c)}});
    confusion.push_back(confusion_row(e, c));
  }
  return {{"accuracy", e.accuracy},
          {"loss", e.loss},
          {"sequences", e.samples},
          {"classes", classes},
          {"confusion", confusion}};
}

std::string evaluation_text(const Evaluation& e, const std::vector<std::string>& class_names) {
  std::vector<std::string> names;
  std::size_t width = text_width("true \\ predicted");
  for (const std::string& name : class_names) {
    names.push_back(printable(name));
    width = std::max(width, text_width(name));
  }
  return format("accuracy  %.4f   loss %.4f   (%zu sequences)\n\n", e.accuracy, e.loss, e.samples) +
         class_table(e, names, width) + "\n" + confusion_table(e, names, width);
}

}  // namespace lockstep::command
