#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "chart.h"
#include "commands.h"
#include "lockstep/version.h"
#include "report_css.h"
#include "results.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr const char* kHead = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lockstep training report</title>
)html";

using Row = std::vector<std::string>;

// `tag` may have attributes.
std::string element(const std::string& tag, const std::string& text) {
  return "<" + tag + ">" + escape_html(text) + "</" + tag.substr(0, tag.find(' ')) + ">";
}

std::string table_row(const Row& cells, const char* first, const char* rest) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) html += element(&cell == cells.data() ? first : rest, cell);
  return html + "</tr>\n";
}

// Scrolls where it is too wide, by keyboard too.
std::string table_of(const char* style, const std::string& rows) {
  return format("<div class=\"scroll\" tabindex=\"0\"><table class=\"%s\">\n", style) + rows +
         "</table></div>\n";
}

// The first column of the body names its row.
std::string table(const Row& head, const std::vector<Row>& body, const char* style = "") {
  constexpr const char* kColumn = "th scope=\"col\"";
  std::string html;
  if (!head.empty()) html += "<thead>" + table_row(head, kColumn, kColumn) + "</thead>\n";
  html += "<tbody>\n";
  for (const Row& row : body) html += table_row(row, "th scope=\"row\"", "td");
  return table_of(style, html + "</tbody>\n");
}

std::string section(const std::string& title, const std::string& content) {
  return "<section>\n" + element("h2", title) + "\n" + content + "</section>\n";
}

std::string figure(const std::string& value, const std::string& meaning) {
  return "<div class=\"figure\">" + element("b", value) + element("span", meaning) + "</div>\n";
}

std::string capitalized(std::string word) {
  word[0] = static_cast<char>(word[0] - 'a' + 'A');
  return word;
}

// The set that counts: the test set if there is one, otherwise the next best.
std::pair<std::string, const Evaluation&> main_evaluation(const TrainingRun& run) {
  if (run.test) return {"test", *run.test};
  if (run.validation) return {"validation", *run.validation};
  return {"training", run.train};
}

std::string figures(const TrainingRun& run) {
  const auto& [name, evaluation] = main_evaluation(run);
  return "<div class=\"row figures\">\n" +
         (std::isnan(evaluation.rmse)
              ? figure(format("%.2f %%", 100 * evaluation.accuracy), name + " accuracy") +
                    figure(format("%.4f", evaluation.loss), name + " loss (nats)")
              : figure(format("%.4g", evaluation.rmse), name + " RMSE") +
                    figure(number_text(evaluation.r2), name + " R2")) +
         figure(std::to_string(run.fit.history.size()), "epochs") +
         figure(with_unit(run.fit.timesteps_per_second()), "timesteps per second") + "</div>\n";
}

std::string curve_section(const TrainingRun& run, const char* title, const char* meaning,
                          double top, double EpochResult::* training,
                          double EpochResult::* validation) {
  std::vector<Series> series{{"training", {}}};
  if (run.validation) series.push_back({"validation", {}});
  for (const EpochResult& epoch : run.fit.history) {
    series.front().values.push_back(epoch.*training);
    if (run.validation) series.back().values.push_back(epoch.*validation);
  }
  return section(title, line_chart(meaning, series, top));
}

std::string curves(const TrainingRun& run) {
  const std::string loss = curve_section(run, "Loss", "Mean loss over the epochs", 0,
                                         &EpochResult::loss, &EpochResult::validation_loss);
  if (std::isnan(run.train.accuracy)) return "<div class=\"row\">\n" + loss + "</div>\n";
  return "<div class=\"row\">\n" + loss +
         curve_section(run, "Accuracy", "Share of sequences classified right over the epochs", 1,
                       &EpochResult::accuracy, &EpochResult::validation_accuracy) +
         "</div>\n";
}

std::string class_table(const Evaluation& e, const std::vector<std::string>& names,
                        const char* head) {
  std::vector<Row> rows;
  for (const std::size_t c : shown_classes(e)) {
    rows.push_back({names[c], number_text(e.precision[c]), number_text(e.recall[c]),
                    number_text(e.f1[c]), std::to_string(e.support[c])});
  }
  return table({head, "Precision", "Recall", "F1", "Number"}, rows);
}

// Shades each cell by its share of its row, of which the style sheet makes a picture.
std::string confusion_table(const Evaluation& e, const std::vector<std::string>& names) {
  std::string head = "<tr>" + element("th scope=\"col\"", "true \\ predicted");
  std::string body;
  for (std::size_t c = 0; c < names.size(); ++c) {
    head += "<th scope=\"col\">" + element("span", names[c]) + "</th>";
    body += "<tr>" + element("th scope=\"row\"", names[c]);
    const auto total = static_cast<double>(std::max<std::size_t>(1, e.support[c]));
    for (const std::size_t count : confusion_row(e, c)) {
      const double share = static_cast<double>(count) / total;
      body += format("<td style=\"--share:%.3f\">%zu</td>", share, count);
    }
    body += "</tr>\n";
  }
  return table_of("shares", "<thead>" + head + "</tr></thead>\n<tbody>\n" + body + "</tbody>\n");
}

std::string frequent_table(const Evaluation& e, const std::vector<std::string>& names) {
  std::vector<Row> rows;
  for (const auto& [actual, predicted, count] : frequent_confusions(e)) {
    rows.push_back({names[actual], names[predicted], std::to_string(count)});
  }
  return table({"True", "Predicted", "Number"}, rows);
}

std::string classes(const TrainingRun& run) {
  const auto& [name, evaluation] = main_evaluation(run);
  if (evaluation.support.empty()) return "";
  const std::vector<std::string>& names = run.model.class_names();
  const bool has_labels = !confuses_classes(run.model.parameters().network());
  const bool shows_all = names.size() <= kMostShown;
  const std::string of_all = has_labels ? "Labels, " : "Classes, ";
  const std::string of_worst = format("The worst %zu of %zu %s, ", shown_classes(evaluation).size(),
                                      names.size(), outputs_text(run.model.parameters().network()));
  std::string each = section((shows_all ? of_all : of_worst) + name + " set",
                             class_table(evaluation, names, has_labels ? "Label" : "Class"));
  if (has_labels) return each;
  const std::string confusions =
      shows_all ? section("Confusion matrix, " + name + " set", confusion_table(evaluation, names))
                : section("The most frequent confusions, " + name + " set",
                          frequent_table(evaluation, names));
  return "<div class=\"row\">\n" + confusions + each + "</div>\n";
}

// Of the known numbers of an output.
std::string number_charts(const Numbers& numbers, std::size_t output, std::size_t outputs,
                          const std::string& title) {
  std::vector<Point> points;
  std::vector<double> errors;
  for (std::size_t i = output; i < numbers.targets.size(); i += outputs) {
    const auto target = static_cast<double>(numbers.targets[i]);
    const auto predicted = static_cast<double>(numbers.predicted[i]);
    if (!std::isfinite(target) || !std::isfinite(predicted)) continue;
    points.push_back({target, predicted});
    errors.push_back(predicted - target);
  }
  if (points.empty()) return "";
  return "<div class=\"row\">\n" +
         section("Predicted and true " + title,
                 scatter_chart("Predicted against true values", points)) +
         section("Errors of " + title, histogram_chart("How often errors occur", errors)) +
         "</div>\n";
}

std::string numbers(const TrainingRun& run) {
  constexpr std::size_t kMostOutputs = 8;
  const std::vector<std::string>& names = run.model.class_names();
  const std::string set = ", " + main_evaluation(run).first + " set";
  std::string html;
  for (std::size_t i = 0; i < std::min(kMostOutputs, names.size()); ++i) {
    html += number_charts(run.numbers, i, names.size(), names[i] + set);
  }
  if (names.size() > kMostOutputs && !html.empty()) {
    html += format("<p>The first %zu of %zu outputs are drawn.</p>\n", kMostOutputs, names.size());
  }
  return html;
}

std::string data_text(const TrainingRun& run) {
  const bool has_steps = std::string(samples_text(run.model.parameters().network())) == "timesteps";
  std::string text =
      counted(run.train.samples, has_steps ? "timestep" : "sequence") + " trained on";
  if (run.validation) text += format(", %zu held out for validation", run.validation->samples);
  if (run.test) text += format(", %zu tested on", run.test->samples);
  return text;
}

// The options that have an effect have the names by which they are set.
std::string settings(const TrainingRun& run, const OptionName& option_name) {
  const Options& options = run.command.options;
  const Network& network = run.model.parameters().network();
  std::vector<Row> rows = {{"Data", data_text(run)},
                           {"Features", std::to_string(network.features)},
                           {capitalized(outputs_text(network)), std::to_string(network.outputs)}};
  for (const OptionInfo& info : options_table()) {
    const std::string name = options.uses(info.name) ? option_name(info.name) : "";
    if (!name.empty()) rows.push_back({name, options.get(info.name)});
  }
  rows.insert(rows.end(), {{"Weights kept", format("those of epoch %zu", run.fit.kept_epoch)},
                           {"Backend", run.backend},
                           {"Ranks", std::to_string(run.ranks)},
                           {"Threads", std::to_string(run.fit.threads)},
                           {"Weights hash", hash_text(run.model.weights_hash())},
                           {"Version", LOCKSTEP_VERSION}});
  return section("Settings", table({}, rows, "settings"));
}

std::string epoch_table(const TrainingRun& run) {
  const bool has_accuracy = !std::isnan(run.train.accuracy);
  Row head{"Epoch", "Loss"};
  if (has_accuracy) head.emplace_back("Accuracy");
  if (run.validation) head.emplace_back("Validation loss");
  if (run.validation && has_accuracy) head.emplace_back("Validation accuracy");
  head.insert(head.end(), {"Learning rate", "Timesteps/s"});
  std::vector<Row> rows;
  for (const EpochResult& e : run.fit.history) {
    Row row{std::to_string(e.epoch), number_text(e.loss)};
    if (has_accuracy) row.push_back(number_text(e.accuracy));
    if (run.validation) row.push_back(number_text(e.validation_loss));
    if (run.validation && has_accuracy) row.push_back(number_text(e.validation_accuracy));
    row.push_back(format("%g", e.learning_rate));
    row.push_back(with_unit(static_cast<double>(e.timesteps) / e.seconds));
    rows.push_back(row);
  }
  return "<section>\n<details>\n<summary>All epochs</summary>\n" + table(head, rows) +
         "</details>\n</section>\n";
}

const char* end_text(const TrainingRun& run) {
  if (run.fit.status == FitStatus::diverged) return "; diverged";
  return run.fit.status == FitStatus::stopped ? "; interrupted before its end" : "";
}

}  // namespace

std::string report_page(const TrainingRun& run, const OptionName& option_name) {
  const DataSource& source = run.command.source;
  std::string html = kHead;
  html += std::string("<style>\n") + kReportCss +
          "</style>\n</head>\n<body>\n<main>\n<h1>Training on " +
          escape_html(source.dataset.empty() ? source.file : source.dataset) + "</h1>\n<p>" +
          escape_html(data_text(run)) + end_text(run) + "</p>\n";
  html += figures(run);
  if (!run.fit.history.empty()) html += curves(run);
  html += classes(run) + numbers(run) + settings(run, option_name) + epoch_table(run);
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace lockstep::command
