#include "report.h"

#include <cmath>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "chart.h"
#include "evaluation_output.h"
#include "files/atomic_file.h"
#include "lockstep/version.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr const char* kHead = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lockstep training report</title>
<style>
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2430; --soft: #5b6675; --rule: #dfe3e8;
  --one: #1f5fa8; --two: #b8500b; --on-one: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b2129; --ink: #e8ecf1; --soft: #a3aebb; --rule: #323b47;
    --one: #6cb0f2; --two: #f0a35e; --on-one: #0d1722;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 12px; }
p { margin: 4px 0 20px; color: var(--soft); }
.row { display: grid; column-gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.figures { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
section, .figure { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 16px; margin-bottom: 16px; min-width: 0; overflow-x: auto; }
.figure b { display: block; font-size: 24px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: 13px; }
svg { display: block; width: 100%; height: auto; margin: 0 auto; font: 12.5px system-ui, sans-serif; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.label { fill: var(--soft); }
.legend { fill: var(--ink); }
.series-1, .series-2 { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.series-1 { stroke: var(--one); }
.series-2 { stroke: var(--two); stroke-dasharray: 6 4; }
.dot-1, .cell { fill: var(--one); }
.dot-2 { fill: var(--two); }
.on-cell { fill: var(--on-one); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
tr > :first-child { text-align: left; }
tbody th { white-space: normal; overflow-wrap: break-word; min-width: 7em; max-width: 18em; }
tr:last-child > td, tr:last-child > th { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.settings th { width: 12em; color: var(--soft); }
summary { cursor: pointer; font-weight: 600; }
svg + details { margin-top: 16px; }
details table { margin-top: 12px; }
@media (max-width: 480px) {
  main { padding: 16px 10px 32px; }
  section, .figure { padding: 12px; }
  table { font-size: 14px; }
  th, td { padding: 5px 4px; }
  tbody th { min-width: 5em; }
  .settings th { width: 9em; }
}
</style>
</head>
<body>
<main>
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

// The first column of the body names its row.
std::string table(const Row& head, const std::vector<Row>& body, const char* style = "") {
  std::string html = format("<table class=\"%s\">\n", style);
  if (!head.empty()) {
    constexpr const char* kColumn = "th scope=\"col\"";
    html += "<thead>" + table_row(head, kColumn, kColumn) + "</thead>\n";
  }
  html += "<tbody>\n";
  for (const Row& row : body) html += table_row(row, "th scope=\"row\"", "td");
  return html + "</tbody>\n</table>\n";
}

std::string section(const std::string& title, const std::string& content) {
  return "<section>\n<h2>" + escape_html(title) + "</h2>\n" + content + "</section>\n";
}

std::string folded(const std::string& title, const std::string& content) {
  return "<details>\n<summary>" + escape_html(title) + "</summary>\n" + content + "</details>\n";
}

std::string figure(const std::string& value, const std::string& meaning) {
  return "<div class=\"figure\"><b>" + escape_html(value) + "</b><span>" + escape_html(meaning) +
         "</span></div>\n";
}

// The set that counts: the test set if there is one, else the best stand-in.
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

std::string curves(const TrainingRun& run) {
  Series loss{"training", {}};
  Series accuracy{"training", {}};
  Series validation_loss{"validation", {}};
  Series validation_accuracy{"validation", {}};
  for (const EpochResult& epoch : run.fit.history) {
    loss.values.push_back(epoch.loss);
    accuracy.values.push_back(epoch.accuracy);
    validation_loss.values.push_back(epoch.validation_loss);
    validation_accuracy.values.push_back(epoch.validation_accuracy);
  }
  std::vector<Series> losses{loss};
  std::vector<Series> accuracies{accuracy};
  if (run.validation) {
    losses.push_back(validation_loss);
    accuracies.push_back(validation_accuracy);
  }
  return "<div class=\"row\">\n" +
         section("Loss", line_chart("Mean cross-entropy in nats over the epochs", losses, 0)) +
         section("Accuracy",
                 line_chart("Share of sequences classified right over the epochs", accuracies, 1)) +
         "</div>\n";
}

std::string class_table(const Evaluation& e, const std::vector<std::string>& names) {
  std::vector<Row> rows;
  for (std::size_t c = 0; c < names.size(); ++c) {
    rows.push_back({names[c], ratio_text(e.precision[c]), ratio_text(e.recall[c]),
                    ratio_text(e.f1[c]), std::to_string(class_size(e, c))});
  }
  return table({"Class", "Precision", "Recall", "F1", "Sequences"}, rows);
}

std::string confusion_table(const Evaluation& e, const std::vector<std::string>& names) {
  Row head{"true \\ predicted"};
  head.insert(head.end(), names.begin(), names.end());
  std::vector<Row> rows;
  for (std::size_t row = 0; row < names.size(); ++row) {
    rows.push_back({names[row]});
    for (std::size_t column = 0; column < names.size(); ++column) {
      rows.back().push_back(std::to_string(e.confusion[row * names.size() + column]));
    }
  }
  return table(head, rows);
}

std::string classes(const TrainingRun& run) {
  const auto& [name, evaluation] = main_evaluation(run);
  const std::vector<std::string>& names = run.model.class_names;
  return "<div class=\"row\">\n" +
         section("Confusion matrix, " + name + " set",
                 confusion_chart(evaluation.confusion, names) +
                     folded("As a table", confusion_table(evaluation, names))) +
         section("Classes, " + name + " set", class_table(evaluation, names)) + "</div>\n";
}

std::string data_text(const TrainingRun& run) {
  std::string text = counted(run.train.samples, "sequence", "sequences") + " trained on";
  if (run.validation) text += format(", %zu held out for validation", run.validation->samples);
  if (run.test) text += format(", %zu tested on", run.test->samples);
  return text;
}

std::string learning_rate_text(const Options& t) {
  std::string text = format("%g, ", t.learning_rate) + choice_name(kSchedules, t.schedule);
  if (t.schedule != LearningRateSchedule::step) return text;
  return text + format(" by %g every %zu epochs", t.decay, t.decay_epochs);
}

std::string gradients_text(const Options& t) {
  if (t.truncate == 0) return "back over whole sequences";
  return "back over the last " + counted(t.truncate, "timestep", "timesteps");
}

std::string settings(const TrainingRun& run) {
  const TrainCommand& c = run.command;
  const Options& t = c.options;
  const Network& network = run.model.parameters.network();
  return section(
      "Settings",
      table({},
            {{"Data", data_text(run)},
             {"Network",
              counted(network.features, "feature", "features") + ", " + network.layers[0].cell +
                  format(", %zu hidden, %zu classes", network.layers[0].hidden, network.outputs)},
             {"Normalization", choice_name(kNormalizations, t.normalize)},
             {"Initial weights", choice_name(kInitializers, t.init)},
             {"Learning rate", learning_rate_text(t)},
             {"Momentum", format("%g", t.momentum)},
             {"Clip norm", t.clip_norm > 0 ? format("%g", t.clip_norm) : "off"},
             {"Batch size", std::to_string(t.batch_size)},
             {"Gradients", gradients_text(t)},
             {"Order", t.shuffle ? "shuffled in every epoch" : "as in the data"},
             {"Weights kept", format("those of epoch %zu", run.fit.kept_epoch)},
             {"Seed", std::to_string(t.seed)},
             {"Backend", run.backend},
             {"Threads", std::to_string(run.fit.threads)},
             {"Weights hash", hash_text(weights_hash(run.model.parameters))},
             {"Version", LOCKSTEP_VERSION}},
            "settings"));
}

std::string number_text(double value) { return std::isnan(value) ? "-" : format("%.4f", value); }

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
  return "<section>\n" + folded("All epochs", table(head, rows)) + "</section>\n";
}

std::string page(const TrainingRun& run) {
  const DataSource& source = run.command.source;
  std::string html = kHead;
  html += "<h1>Training on " + escape_html(source.dataset.empty() ? source.file : source.dataset) +
          "</h1>\n<p>" + escape_html(data_text(run)) +
          (run.fit.signal != 0 ? "; interrupted before its end" : "") + "</p>\n";
  html += figures(run);
  if (!run.fit.history.empty()) html += curves(run);
  html += classes(run) + settings(run) + epoch_table(run);
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace

void write_report(const TrainingRun& run, const std::filesystem::path& path) {
  try {
    write_file_atomically(path, page(run));
  } catch (const std::system_error& error) {
    throw std::runtime_error("cannot write the report '" + path.string() + "': " + error.what());
  }
}

}  // namespace lockstep::command
