#include <algorithm>

#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kCorner = "true \\ predicted";

std::string class_table(const Evaluation& e, const Names& names, std::size_t width,
                        const Network& network) {
  const char* const head = network.head == "multilabel" ? "label" : "class";
  std::string text =
      "    " + pad(head, width) + "  precision  recall      f1  " + samples_text(network) + "\n";
  for (const std::size_t c : shown_classes(e)) {
    text += format("%3zu ", c) + pad(names[c], width) +
            format("     %6s  %6s  %6s  %9zu\n", number_text(e.precision[c]).c_str(),
                   number_text(e.recall[c]).c_str(), number_text(e.f1[c]).c_str(), e.support[c]);
  }
  return text;
}

std::string confusion_table(const Evaluation& e, const Names& names, std::size_t width) {
  std::size_t most = 0;
  for (const ConfusionCount& c : e.confusion) most = std::max(most, c.count);
  const std::size_t digits = std::to_string(most).size();
  const int cell = static_cast<int>(std::max<std::size_t>(3, digits)) + 1;
  std::string head = "    " + pad(kCorner, width);
  std::string body;
  for (std::size_t c = 0; c < names.size(); ++c) {
    head += format("%*zu", cell, c);
    body += format("%3zu ", c) + pad(names[c], width);
    for (const std::size_t count : confusion_row(e, c)) body += format("%*zu", cell, count);
    body += "\n";
  }
  return head + "\n" + body;
}

std::string frequent_table(const Evaluation& e, const Names& names, const Network& network) {
  std::string text =
      format("%10s  the most frequent confusions: true -> predicted\n", samples_text(network));
  for (const auto& [actual, predicted, count] : frequent_confusions(e)) {
    text += format("%10zu  ", count) + names[actual] + " -> " + names[predicted] + "\n";
  }
  return text;
}

}  // namespace

std::string evaluation_text(const Evaluation& evaluation, const Model& model) {
  const Names& class_names = model.class_names();
  std::string line = evaluation_line(evaluation, model.parameters().network());
  if (evaluation.support.empty()) return line;
  Names names;
  std::size_t width = text_width(kCorner);
  for (const std::string& name : class_names) names.push_back(printable(name));
  for (const std::size_t c : shown_classes(evaluation)) {
    width = std::max(width, text_width(names[c]));
  }
  const Network& network = model.parameters().network();
  const bool shows_all = names.size() <= kMostShown;
  std::string text = line + "\n";
  if (!shows_all) {
    text += format("%zu of %zu %s, those with the smallest F1\n", shown_classes(evaluation).size(),
                   names.size(), outputs_text(network));
  }
  text += class_table(evaluation, names, width, network);
  if (!confuses_classes(network)) return text;
  return text + "\n" +
         (shows_all ? confusion_table(evaluation, names, width)
                    : frequent_table(evaluation, names, network));
}

}  // namespace lockstep::command
