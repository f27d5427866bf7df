#include "report.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "chart.h"
#include "command_line.h"
#include "files/atomic_file.h"
#include "lockstep/version.h"
#include "report_css.h"
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

std::string table_row(const Row& cells, const char* first, const char* rest) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) {
    const bool is_first = &cell == &cells.front();
    const std::string tag = is_first ? first : rest;
    html += "<" + tag + ">" + escape_html(cell) + "</" + tag.substr(0, 2) + ">";
  }
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
  return "<section>\n<h2>" + escape_html(title) + "</h2>\n" + content + "</section>\n";
}

std::string figure(const std::string& value, const std::string& meaning) {
  return "<div class=\"figure\"><b>" + escape_html(value) + "</b><span>" + escape_html(meaning) +
         "</span></div>\n";
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
         figure(format("%.2f %%", 100 * evaluation.accuracy), name + " accuracy") +
         figure(format("%.4f", evaluation.loss), name + " loss (nats)") +
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
  return "<div class=\"row\">\n" +
         curve_section(run, "Loss", "Mean cross-entropy in nats over the epochs", 0,
                       &EpochResult::loss, &EpochResult::validation_loss) +
         curve_section(run, "Accuracy", "Share of sequences classified right over the epochs", 1,
                       &EpochResult::accuracy, &EpochResult::validation_accuracy) +
         "</div>\n";
}

std::string class_table(const std::vector<ClassResult>& classes) {
  std::vector<Row> rows;
  for (const ClassResult& c : classes) {
    rows.push_back({c.name, number_text(c.precision), number_text(c.recall), number_text(c.f1),
                    std::to_string(c.sequences)});
  }
  return table({"Class", "Precision", "Recall", "F1", "Sequences"}, rows);
}

// Shades each cell by its share of its row, of which the style sheet makes a picture.
std::string confusion_table(const std::vector<ClassResult>& classes) {
  std::string head = "<tr><th scope=\"col\">true \\ predicted</th>";
  std::string body;
  for (const ClassResult& c : classes) {
    head += "<th scope=\"col\"><span>" + escape_html(c.name) + "</span></th>";
    body += "<tr><th scope=\"row\">" + escape_html(c.name) + "</th>";
    const auto total = static_cast<double>(std::max<std::size_t>(1, c.sequences));
    for (const std::size_t count : c.predicted) {
      body +=
          format("<td style=\"--share:%.3f\">%zu</td>", static_cast<double>(count) / total, count);
    }
    body += "</tr>\n";
  }
  return table_of("shares", "<thead>" + head + "</tr></thead>\n<tbody>\n" + body + "</tbody>\n");
}

std::string classes(const TrainingRun& run) {
  const auto& [name, evaluation] = main_evaluation(run);
  const std::vector<ClassResult> results = class_results(evaluation, run.model.class_names());
  return "<div class=\"row\">\n" +
         section("Confusion matrix, " + name + " set", confusion_table(results)) +
         section("Classes, " + name + " set", class_table(results)) + "</div>\n";
}

std::string data_text(const TrainingRun& run) {
  std::string text = counted(run.train.samples, "sequence") + " trained on";
  if (run.validation) text += format(", %zu held out for validation", run.validation->samples);
  if (run.test) text += format(", %zu tested on", run.test->samples);
  return text;
}

// The options that have an effect have the names by which they are set.
std::string settings(const TrainingRun& run) {
  const Options& options = run.command.options;
  const Network& network = run.model.parameters().network();
  std::vector<Row> rows = {{"Data", data_text(run)},
                           {"Features", std::to_string(network.features)},
                           {"Classes", std::to_string(network.outputs)}};
  for (const OptionInfo& info : options_table()) {
    if (options.uses(info.name)) rows.push_back({flag_of(info.name), options.get(info.name)});
  }
  rows.insert(rows.end(), {{"Weights kept", format("those of epoch %zu", run.fit.kept_epoch)},
                           {"Backend", run.backend},
                           {"Threads", std::to_string(run.fit.threads)},
                           {"Weights hash", hash_text(run.model.weights_hash())},
                           {"Version", LOCKSTEP_VERSION}});
  return section("Settings", table({}, rows, "settings"));
}

std::string epoch_table(const TrainingRun& run) {
  Row head{"Epoch", "Loss", "Accuracy"};
  if (run.validation) head.insert(head.end(), {"Validation loss", "Validation accuracy"});
  head.insert(head.end(), {"Learning rate", "Timesteps/s"});
  std::vector<Row> rows;
  for (const EpochResult& e : run.fit.history) {
    Row row{std::to_string(e.epoch), number_text(e.loss), number_text(e.accuracy)};
    if (run.validation) {
      row.insert(row.end(), {number_text(e.validation_loss), number_text(e.validation_accuracy)});
    }
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

std::string page(const TrainingRun& run) {
  const DataSource& source = run.command.source;
  std::string html = kHead;
  html += std::string("<style>\n") + kReportCss +
          "</style>\n</head>\n<body>\n<main>\n<h1>Training on " +
          escape_html(source.dataset.empty() ? source.file : source.dataset) + "</h1>\n<p>" +
          escape_html(data_text(run)) + end_text(run) + "</p>\n";
  html += figures(run);
  if (!run.fit.history.empty()) html += curves(run);
  html += classes(run) + settings(run) + epoch_table(run);
  return html + "</main>\n</body>\n</html>\n";
}

// An error of the file names it.
template <class Work>
void about_file(const std::filesystem::path& path, const Work& work) {
  try {
    work();
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot write the report '" + path.string() + "': " + error.what());
  }
}

}  // namespace

void require_report_writable(const std::filesystem::path& path) {
  about_file(path, [&] { require_replaceable(path); });
}

void write_report(const TrainingRun& run, const std::filesystem::path& path) {
  about_file(path, [&] { write_file_atomically(path, page(run)); });
}

}  // namespace lockstep::command
