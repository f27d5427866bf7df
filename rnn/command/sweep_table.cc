#include "sweep_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "files/strict_json.h"
#include "text.h"

namespace lockstep::command {
namespace {

// By point of the grid.
std::vector<std::vector<const JobResult*>> by_point(const Sweep& sweep, const Results& results) {
  std::vector<std::vector<const JobResult*>> points(sweep.plan.points.size());
  for (const Job& job : sweep.plan.jobs) {
    const auto found = results.find(job_key(sweep.plan.options_of(job), job.fold));
    if (found != results.end()) points[job.point].push_back(&found->second);
  }
  return points;
}

Spread spread_over(const std::vector<const JobResult*>& results, double JobResult::* member) {
  std::vector<double> numbers;
  for (const JobResult* result : results) {
    if (result->has_ended_well()) numbers.push_back(result->*member);
  }
  return spread_of(numbers);
}

std::size_t count_of(const std::vector<const JobResult*>& results, const std::string& status) {
  const auto has_status = [&](const JobResult* result) { return result->status == status; };
  return static_cast<std::size_t>(std::ranges::count_if(results, has_status));
}

TableRow row_of(std::size_t point, const std::vector<const JobResult*>& results, bool has_numbers) {
  return {.point = point,
          .jobs = results.size(),
          .diverged = count_of(results, "diverged"),
          .failed = count_of(results, "failed"),
          .measure = spread_over(results, has_numbers ? &JobResult::rmse : &JobResult::accuracy),
          .mae = spread_over(results, &JobResult::mae),
          .r2 = spread_over(results, &JobResult::r2),
          .loss = spread_over(results, &JobResult::loss),
          .seconds = spread_over(results, &JobResult::seconds).mean};
}

// The options whose values differ among the points.
std::vector<std::string> varying_options(const Plan& plan) {
  std::vector<std::string> names = plan.grid_options();
  std::erase_if(names, [&](const std::string& name) {
    const std::string first = plan.points[0].options.get(name);
    return std::ranges::all_of(
        plan.points, [&](const GridPoint& point) { return point.options.get(name) == first; });
  });
  return names;
}

std::string heading(const Sweep& sweep, const Table& table, const std::string& data_name) {
  const std::string& on = sweep.identity.measured_on;
  const std::string where =
      on == "folds"        ? format("each of %zu folds of ", sweep.identity.folds) + data_name
      : on == "test"       ? "the test set of " + data_name
      : on == "validation" ? "the held-out validation part of " + data_name
                           : "the training set itself (" + data_name + "), not on new sequences";
  return (table.has_numbers ? "RMSE on " : "accuracy on ") + where + ", " +
         counted(table.jobs(), "job") + ", the best first:\n\n";
}

std::string measure_text(double value, bool has_numbers) {
  if (std::isnan(value)) return "-";
  return has_numbers ? format("%.6g", value) : format("%.4f", value);
}

std::string seconds_text(double seconds) {
  return std::isnan(seconds) ? "-" : format("%.2f", seconds);
}

// Cells, row by row, the first of them the names of the columns.
using Cells = std::vector<std::vector<std::string>>;

Cells cells_of(const Sweep& sweep, const Table& table) {
  const std::vector<std::string> varying = varying_options(sweep.plan);
  const bool all_well = table.ended_well() == table.jobs();
  Cells cells(1, varying);
  for (const char* name : {"jobs", table.has_numbers ? "RMSE" : "accuracy", "deviation"}) {
    cells[0].emplace_back(name);
  }
  if (table.has_numbers) cells[0].emplace_back("R2");
  for (const char* name : {"loss", "seconds"}) cells[0].emplace_back(name);
  if (!all_well) cells[0].insert(cells[0].end(), {"diverged", "failed"});
  for (const TableRow& row : table.rows) {
    std::vector<std::string>& line = cells.emplace_back();
    for (const std::string& name : varying) {
      line.push_back(printable(sweep.plan.points[row.point].options.get(name)));
    }
    line.push_back(std::to_string(row.jobs));
    line.push_back(measure_text(row.measure.mean, table.has_numbers));
    line.push_back(measure_text(row.measure.deviation, table.has_numbers));
    if (table.has_numbers) line.push_back(number_text(row.r2.mean));
    line.push_back(number_text(row.loss.mean));
    line.push_back(seconds_text(row.seconds));
    if (all_well) continue;
    line.push_back(std::to_string(row.diverged));
    line.push_back(std::to_string(row.failed));
  }
  return cells;
}

std::string aligned(const Cells& cells) {
  std::vector<std::size_t> widths(cells[0].size());
  for (const std::vector<std::string>& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], text_width(line[i]));
    }
  }
  std::string text;
  for (const std::vector<std::string>& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i > 0) text += "  ";
      text.append(widths[i] - text_width(line[i]), ' ').append(line[i]);
    }
    text += '\n';
  }
  return text;
}

std::string settings_object(const std::vector<Setting>& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    text += (text.empty() ? "" : ",") + json_text(setting.option) + ":" + setting_json(setting);
  }
  return "{" + text + "}";
}

std::string row_json(const Sweep& sweep, const Table& table, const TableRow& row) {
  std::string text = "{\"settings\":" + settings_object(sweep.plan.points[row.point].settings);
  const auto add = [&](const char* key, const std::string& json) {
    text.append(",\"").append(key).append("\":").append(json);
  };
  const auto add_spread = [&](const std::string& key, const Spread& spread) {
    add(key.c_str(), any_number_json(spread.mean));
    add((key + "_deviation").c_str(), any_number_json(spread.deviation));
  };
  add("jobs", std::to_string(row.jobs));
  add("diverged", std::to_string(row.diverged));
  add("failed", std::to_string(row.failed));
  add_spread(table.has_numbers ? "rmse" : "accuracy", row.measure);
  if (table.has_numbers) add_spread("mae", row.mae);
  if (table.has_numbers) add_spread("r2", row.r2);
  add_spread("loss", row.loss);
  add("seconds", any_number_json(row.seconds));
  return text + "}";
}

}  // namespace

Spread spread_of(const std::vector<double>& numbers) {
  const auto count = static_cast<double>(numbers.size());
  if (numbers.empty()) return {};
  const double mean = std::accumulate(numbers.begin(), numbers.end(), 0.0) / count;
  if (numbers.size() < 2) return {mean, JobResult::kNone};
  double squares = 0;
  for (const double number : numbers) squares += (number - mean) * (number - mean);
  return {mean, std::sqrt(squares / (count - 1))};
}

std::size_t Table::jobs() const {
  std::size_t sum = 0;
  for (const TableRow& row : rows) sum += row.jobs;
  return sum;
}

std::size_t Table::ended_well() const {
  std::size_t sum = 0;
  for (const TableRow& row : rows) sum += row.jobs - row.diverged - row.failed;
  return sum;
}

Table make_table(const Sweep& sweep, const Results& results) {
  const auto points = by_point(sweep, results);
  Table table;
  for (const auto& of_point : points) {
    for (const JobResult* result : of_point) {
      if (!std::isnan(result->rmse)) table.has_numbers = true;
      if (result->error.empty() || !table.first_error.empty()) continue;
      table.first_error = job_text(*result) + ": " + result->error;
    }
  }
  for (std::size_t point = 0; point < points.size(); ++point) {
    table.rows.push_back(row_of(point, points[point], table.has_numbers));
  }
  const auto is_better = [&](const TableRow& a, const TableRow& b) {
    const double x = a.measure.mean;
    const double y = b.measure.mean;
    if (std::isnan(x) && std::isnan(y)) return a.point < b.point;
    if (std::isnan(x) || std::isnan(y)) return std::isnan(y);
    if (x != y) return table.has_numbers ? x < y : x > y;
    if (a.loss.mean != b.loss.mean) return a.loss.mean < b.loss.mean;
    return a.point < b.point;
  };
  std::ranges::sort(table.rows, is_better);
  return table;
}

std::string job_text(const JobResult& result) {
  std::string text;
  for (const auto& [option, value] : result.settings) {
    text.append(option).append(" ").append(value).append(", ");
  }
  text += "seed " + std::to_string(result.seed);
  return result.fold == 0 ? text : text + ", fold " + std::to_string(result.fold);
}

std::string outcome_text(const JobResult& result) {
  if (result.status == "failed") return "failed: " + result.error;
  const std::string seconds =
      ", " + counted(result.epochs, "epoch") + format(" in %.2f s", result.seconds);
  if (result.status == "diverged") return "diverged" + seconds;
  const bool has_numbers = !std::isnan(result.rmse);
  return (has_numbers ? "RMSE " + measure_text(result.rmse, true)
                      : "accuracy " + measure_text(result.accuracy, false)) +
         seconds;
}

std::string table_text(const Sweep& sweep, const Table& table, const std::string& data_name) {
  std::string text = heading(sweep, table, printable(data_name)) + aligned(cells_of(sweep, table));
  if (table.first_error.empty()) return text;
  return text + "\nthe first that failed: " + printable(table.first_error) + "\n";
}

std::string table_json(const Sweep& sweep, const Table& table, const std::string& results_file) {
  std::string rows;
  for (const TableRow& row : table.rows) {
    rows += (rows.empty() ? "" : ",") + row_json(sweep, table, row);
  }
  const std::size_t folds = sweep.identity.folds;
  return "{\"measured_on\":" + json_text(sweep.identity.measured_on) +
         ",\"folds\":" + (folds == 0 ? "null" : std::to_string(folds)) +
         ",\"measure\":" + (table.has_numbers ? "\"rmse\"" : "\"accuracy\"") +
         ",\"jobs\":" + std::to_string(table.jobs()) + ",\"first_error\":" +
         (table.first_error.empty() ? "null" : any_text_json(table.first_error)) +
         ",\"results\":" + any_text_json(results_file) + ",\"points\":[" + rows + "]}\n";
}

}  // namespace lockstep::command
