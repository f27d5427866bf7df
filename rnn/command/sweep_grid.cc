#include "sweep_grid.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <variant>

#include "files/strict_json.h"
#include "inputs.h"
#include "sweep_results.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr std::size_t kMostJobs = 100'000;

// What no grid may set, and why.
struct Reserved {
  std::string_view option;
  const char* reason;
};
constexpr Reserved kReserved[] = {
    {"head", "the data are read by it, so give --head"},
    {"seed", "give --seeds"},
    {"threads", "it changes no result, so give --threads"},
    {"memory", "it changes no result, so give --memory"},
};

// What the table of options calls it.
const OptionInfo& option_called(std::string_view key, const std::string& name) {
  std::string word(key);
  std::ranges::replace(word, '-', '_');
  const auto found = std::ranges::find(options_table(), word, &OptionInfo::name);
  if (found != options_table().end()) return *found;
  try {
    static_cast<void>(Options().get(word));
  } catch (const std::invalid_argument& error) {  // with the names that there are
    throw UsageError(name + ": " + error.what());
  }
  throw std::logic_error("an option without a row");
}

std::string text_of(const Json& value, const std::string& where) {
  if (const auto* const text = std::get_if<std::string>(&value.value)) return *text;
  if (const auto* const truth = std::get_if<bool>(&value.value)) return *truth ? "true" : "false";
  char digits[40];
  const auto written = [&digits](auto number) {
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  };
  if (const auto* const whole = std::get_if<std::uint64_t>(&value.value)) return written(*whole);
  if (const auto* const number = std::get_if<double>(&value.value)) return written(*number);
  throw UsageError(where + ": its values must be numbers, texts or true or false");
}

// An option with all the values that it may have.
struct Axis {
  const OptionInfo* option;
  std::vector<std::string> values;
};

std::string checked_value(const OptionInfo& option, const Json& value, const std::string& name) {
  Options options;
  try {
    options.set(option.name, text_of(value, name + ": " + option.name));
  } catch (const std::invalid_argument& error) {  // "NAME: expected ..., found ..."
    throw UsageError(name + ": " + error.what());
  }
  return options.get(option.name);
}

Axis read_axis(const Json::Member& member, const std::string& name) {
  const OptionInfo& option = option_called(member.key, name);
  const std::string where = name + ": " + option.name;
  for (const auto& [reserved, reason] : kReserved) {
    if (option.name == reserved) throw UsageError(where + ": a grid cannot set it; " + reason);
  }
  const auto* const items = std::get_if<Json::Items>(&member.value.value);
  if (items == nullptr || items->empty()) {
    throw UsageError(where + ": expected a list of values, such as [1, 2]");
  }
  Axis axis{&option, {}};
  for (const Json& item : *items) axis.values.push_back(checked_value(option, item, name));
  return axis;
}

std::vector<Axis> read_axes(const Json& object, const std::string& name) {
  std::vector<Axis> axes;
  for (const Json::Member& member : object.members()) axes.push_back(read_axis(member, name));
  std::ranges::sort(axes, {}, &Axis::option);  // as they lie in the table
  const auto twice = std::ranges::adjacent_find(axes, {}, &Axis::option);
  if (twice != axes.end())
    throw UsageError(name + ": " + twice->option->name + ": it is set twice");
  return axes;
}

// All combinations; the last option changes fastest.
std::vector<std::vector<Setting>> combinations(const std::vector<Axis>& axes,
                                               const std::string& name) {
  std::vector<std::vector<Setting>> points(1);
  for (const Axis& axis : axes) {
    if (points.size() > kMostJobs / axis.values.size()) {
      throw UsageError(name + ": " + axis.option->name +
                       format(": its values make more than %zu combinations", kMostJobs));
    }
    std::vector<std::vector<Setting>> longer;
    longer.reserve(points.size() * axis.values.size());
    for (const std::vector<Setting>& point : points) {
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back({axis.option->name, value});
      }
    }
    points = std::move(longer);
  }
  return points;
}

GridPoint point_of(std::vector<Setting> settings, const Options& base, const std::string& name) {
  GridPoint point{std::move(settings), base};
  for (const auto& [option, value] : point.settings) point.options.set(option, value);
  try {
    validate(point.options);
  } catch (const std::invalid_argument& error) {
    throw UsageError((name.empty() ? "--" : name + ": ") + error.what());
  }
  return point;
}

bool sets(const GridPoint& point, const std::string& option) {
  return std::ranges::find(point.settings, option, &Setting::option) != point.settings.end();
}

// Options that were given, here or in the grid, and have no effect at any point.
void require_sense(const Plan& plan, const SweepCommand& command, const std::string& grid) {
  const auto is_used = [&](const std::string& option, bool by_grid) {
    return std::ranges::any_of(plan.points, [&](const GridPoint& point) {
      return sets(point, option) == by_grid && point.options.uses(option);
    });
  };
  const auto needs = [](const std::string& option) {
    return std::ranges::find(options_table(), option, &OptionInfo::name)->needs;
  };
  for (const std::string& option : command.given_options) {
    if (is_used(option, false)) continue;
    const bool is_replaced =
        std::ranges::all_of(plan.points, [&](const GridPoint& p) { return sets(p, option); });
    throw UsageError(flag_of(option) +
                     (is_replaced ? ": it has no effect beside " + grid
                                  : ": it has no effect without " + flag_of(needs(option))));
  }
  for (const std::string& option : plan.grid_options()) {
    if (is_used(option, true)) continue;
    std::string where = grid;
    where.append(": ").append(option);
    throw UsageError(where + ": it has no effect without " + needs(option));
  }
}

// Folds are drawn by it, and seeds counted from it.
bool is_in_vain_seed(const SweepCommand& command) {
  const bool is_list = command.seeds.find(',') != std::string::npos;
  const auto& given = command.given_options;
  return is_list && command.folds == 0 && std::ranges::find(given, "seed") != given.end();
}

std::vector<Job> jobs_of(const Plan& plan) {
  const std::size_t folds = std::max<std::size_t>(plan.folds, 1);
  if (plan.points.size() > kMostJobs / folds / plan.seeds.size()) {
    throw UsageError(format("sweep: %zu points with %zu seeds on %zu folds are more than %zu jobs",
                            plan.points.size(), plan.seeds.size(), folds, kMostJobs));
  }
  std::vector<Job> jobs;
  for (std::size_t point = 0; point < plan.points.size(); ++point) {
    for (const std::uint64_t seed : plan.seeds) {
      for (std::size_t fold = 0; fold < folds; ++fold) {
        jobs.push_back({point, seed, plan.folds == 0 ? 0 : fold + 1});
      }
    }
  }
  return jobs;
}

}  // namespace

Options Plan::options_of(const Job& job) const {
  Options options = points[job.point].options;
  options.seed = job.seed;
  return options;
}

std::vector<std::string> Plan::grid_options() const {
  std::vector<std::string> names;
  for (const OptionInfo& info : options_table()) {
    const auto is_set = [&](const GridPoint& point) { return sets(point, info.name); };
    if (std::ranges::any_of(points, is_set)) names.push_back(info.name);
  }
  return names;
}

std::vector<std::vector<Setting>> parse_grid(std::string_view json, const std::string& name) {
  const Json grid = [&] {
    try {
      return parse_strict_json(json);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(name + ": " + error.what());
    }
  }();
  const auto* const list = std::get_if<Json::Items>(&grid.value);
  const bool is_list_of_objects = list != nullptr && std::ranges::all_of(*list, &Json::is_object);
  if (!grid.is_object() && !is_list_of_objects) {
    throw UsageError(name +
                     ": expected an object such as {\"hidden\": [32, 64]}, or a list of them");
  }
  std::vector<std::vector<Setting>> points;
  const auto add = [&](const Json& object) {
    std::ranges::move(combinations(read_axes(object, name), name), std::back_inserter(points));
  };
  if (list == nullptr) {
    add(grid);
  } else {
    for (const Json& object : *list) add(object);
  }
  if (std::ranges::all_of(points, &std::vector<Setting>::empty)) {
    throw UsageError(name + ": it has no option to set, such as {\"hidden\": [32, 64]}");
  }
  return points;
}

std::vector<std::uint64_t> parse_seeds(const std::string& text, std::uint64_t first) {
  std::vector<std::uint64_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool goes_on = true; goes_on;) {
    const auto [stop, error] = std::from_chars(at, end, numbers.emplace_back());
    goes_on = stop != end && *stop == ',';
    at = stop + (goes_on ? 1 : 0);
    if (error == std::errc{} && (goes_on || stop == end)) continue;
    throw UsageError(
        "--seeds: expected a number of seeds, or seeds with commas between them, found '" + text +
        "'");
  }
  if (numbers.size() > 1) {
    if (std::set(numbers.begin(), numbers.end()).size() == numbers.size()) return numbers;
    throw UsageError("--seeds: a seed occurs twice in '" + text + "'");
  }
  const std::uint64_t count = numbers[0];
  if (count == 0 || count > kMostJobs || first + count < first) {
    throw UsageError(
        format("--seeds: expected a number of seeds from 1 to %zu, found '", kMostJobs) + text +
        "'");
  }
  numbers.resize(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = first + i;
  return numbers;
}

Plan make_plan(const SweepCommand& command) {
  const std::string grid = command.grid_file.empty() ? "" : "'" + command.grid_file + "'";
  std::vector<std::vector<Setting>> points(1);
  if (!grid.empty()) {
    const std::string text = about<std::system_error>(
        "cannot read the grid " + grid, [&] { return read_bytes(command.grid_file); });
    points = parse_grid(text, grid);
  }
  Plan plan{.base = command.options,
            .points = {},
            .seeds = {command.options.seed},
            .folds = command.folds,
            .jobs = {}};
  if (!command.seeds.empty()) plan.seeds = parse_seeds(command.seeds, command.options.seed);
  if (is_in_vain_seed(command))
    throw UsageError("--seed: it has no effect beside a list of --seeds");
  std::set<std::string> known;
  for (std::vector<Setting>& settings : points) {
    GridPoint point = point_of(std::move(settings), command.options, grid);
    if (known.insert(job_key(point.options, 0)).second) plan.points.push_back(std::move(point));
  }
  require_sense(plan, command, grid);
  plan.jobs = jobs_of(plan);
  return plan;
}

}  // namespace lockstep::command
