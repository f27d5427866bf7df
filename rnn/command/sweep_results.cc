#include "sweep_results.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "files/strict_json.h"
#include "files/system_call.h"
#include "inputs.h"
#include "text.h"

namespace lockstep::command {
namespace {

// The first member of each line, by which a torn one is known too.
constexpr std::string_view kBegin = "{\"lockstep_sweep\":";
constexpr std::uint64_t kVersion = 1;

// An object whose members stay in order.
class ObjectText {
 public:
  void add(std::string_view key, const std::string& json) {
    text_ += (text_.size() > 1 ? "," : "") + json_text(key) + ":" + json;
  }
  [[nodiscard]] std::string end() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

// Threads and memory change no result.
bool is_of_results(const OptionInfo& info) {
  return info.name != "threads" && info.name != "memory";
}

std::string options_json(const Options& options) {
  ObjectText object;
  for (const OptionInfo& info : options_table()) {
    if (is_of_results(info)) object.add(info.name, any_text_json(options.get(info.name)));
  }
  return object.end();
}

// Calls visit(key, number) for all numbers of a result.
template <class Result, class Visit>
void visit_numbers(Result& result, const Visit& visit) {
  visit("accuracy", result.accuracy);
  visit("rmse", result.rmse);
  visit("mae", result.mae);
  visit("r2", result.r2);
  visit("loss", result.loss);
  visit("train_loss", result.train_loss);
  visit("validation_loss", result.validation_loss);
  visit("seconds", result.seconds);
}

std::string null_or(bool is_null, const std::string& json) { return is_null ? "null" : json; }

bool is_null(const Json& json) { return std::holds_alternative<std::monostate>(json.value); }

std::string text_or_none(const Json& json) { return is_null(json) ? "" : json.get<std::string>(); }
std::size_t count_or_none(const Json& json) {
  return is_null(json) ? 0 : json.get<std::uint64_t>();
}

std::string option_text(const Json& json) {
  if (const auto* const truth = std::get_if<bool>(&json.value)) return *truth ? "true" : "false";
  if (const auto* const text = std::get_if<std::string>(&json.value)) return *text;
  if (const auto* const whole = std::get_if<std::uint64_t>(&json.value)) return json_text(*whole);
  return json_text(json.get<double>());
}

std::vector<Setting> read_settings(const Json& json) {
  std::vector<Setting> settings;
  for (const OptionInfo& info : options_table()) {
    const Json* const value = json.find(info.name);
    if (value == nullptr) continue;
    Options options;
    options.set(info.name, option_text(*value));
    settings.push_back({info.name, options.get(info.name)});
  }
  if (settings.size() < json.members().size()) throw JsonError("it sets an unknown option");
  return settings;
}

struct Line {
  SweepIdentity sweep;
  JobResult result;
};

// Throws std::exception if it is no such line.
Line parse_line(std::string_view text) {
  const Json json = parse_strict_json(text);
  if (json.at("lockstep_sweep").get<std::uint64_t>() != kVersion) {
    throw std::runtime_error("another version of Lockstep wrote it");
  }
  Line line;
  line.sweep = {.data_hash = json.at("data_hash").get<std::string>(),
                .measured_on = json.at("measured_on").get<std::string>(),
                .folds = count_or_none(json.at("folds")),
                .rounding = json.at("rounding").get<std::string>(),
                .bits = json.at("bits").get<std::uint64_t>()};
  for (const auto& [name, value] : json.at("options").members()) {
    line.sweep.base.set(name, value.get<std::string>());
  }
  JobResult& result = line.result;
  result.settings = read_settings(json.at("settings"));
  result.seed = json.at("seed").get<std::uint64_t>();
  result.fold = count_or_none(json.at("fold"));
  result.status = json.at("status").get<std::string>();
  result.error = text_or_none(json.at("error"));
  result.epochs = json.at("epochs").get<std::uint64_t>();
  result.kept_epoch = json.at("kept_epoch").get<std::uint64_t>();
  visit_numbers(result, [&](const char* key, double& number) {
    const Json& value = json.at(key);
    number = is_null(value) ? JobResult::kNone : value.get<double>();
  });
  result.threads = static_cast<int>(json.at("threads").get<std::uint64_t>());
  result.weights_hash = text_or_none(json.at("weights_hash"));
  return line;
}

// The first thing that two sweeps differ in, "" if they do not. The seed of all counts where the
// folds are drawn by it.
std::string difference(const SweepIdentity& there, const SweepIdentity& here) {
  const auto differ = [](const std::string& what, const std::string& a, const std::string& b) {
    return what + " is '" + a + "' there and '" + b + "' here";
  };
  if (there.measured_on != here.measured_on) {
    return "its jobs are measured on " + there.measured_on + ", those here on " + here.measured_on;
  }
  if (there.folds != here.folds) {
    return differ("the number of folds", std::to_string(there.folds), std::to_string(here.folds));
  }
  if (there.data_hash != here.data_hash) return "its data are others";
  if (there.bits != here.bits)
    return "another version of Lockstep wrote it, which rounds otherwise";
  if (there.rounding != here.rounding) {
    return differ("the rounding of the backend", there.rounding, here.rounding);
  }
  for (const OptionInfo& info : options_table()) {
    const std::string a = there.base.get(info.name);
    const std::string b = here.base.get(info.name);
    const bool counts = is_of_results(info) && (info.name != "seed" || here.folds > 0);
    if (counts && a != b) return differ(flag_of(info.name), a, b);
  }
  return "";
}

Options options_of(const Line& line) {
  Options options = line.sweep.base;
  for (const auto& [option, value] : line.result.settings) options.set(option, value);
  options.seed = line.result.seed;
  return options;
}

// All results of text whose lines are whole.
Results parse_lines(std::string_view text, const std::string& name, const SweepIdentity& sweep) {
  Results results;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    Line line;
    try {
      line = parse_line(text.substr(0, end));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(name + format(", line %zu: no result of a sweep: ", number) +
                               error.what());
    } catch (const std::invalid_argument& error) {  // of an option
      throw std::runtime_error(name + format(", line %zu: no result of a sweep: ", number) +
                               error.what());
    }
    const std::string other = difference(line.sweep, sweep);
    if (!other.empty()) {
      std::string sentence = name + " is of another sweep: ";
      throw std::runtime_error(
          sentence.append(other).append("; name another file for the results"));
    }
    results.emplace(job_key(options_of(line), line.result.fold), std::move(line.result));
    text.remove_prefix(end + 1);
  }
  return results;
}

struct Content {
  Results results;
  std::size_t whole_bytes = 0;  // without a last line that is torn
};

// A file of another kind is not one whose end was torn.
Content parse_content(std::string_view text, const std::string& name, const SweepIdentity& sweep) {
  const std::size_t last = text.rfind('\n');
  const std::size_t whole = last == std::string_view::npos ? 0 : last + 1;
  const std::string_view torn = text.substr(whole);
  const std::size_t known = std::min(torn.size(), kBegin.size());
  Results results = parse_lines(text.substr(0, whole), name, sweep);
  if (torn.substr(0, known) != kBegin.substr(0, known)) {
    throw std::runtime_error(name + ": its last line is no result of a sweep");
  }
  return {std::move(results), whole};
}

std::string read_results_file(const std::filesystem::path& path) {
  return about<std::system_error>("cannot read the results '" + path.string() + "'",
                                  [&] { return read_bytes(path); });
}

[[noreturn]] void throw_unwritable(const std::filesystem::path& path, const std::string& reason) {
  throw std::runtime_error("cannot write the results '" + path.string() + "': " + reason);
}

std::string reason_of(int error) { return std::generic_category().message(error); }

// Systems of files without locks let anyone write.
int open_alone(const std::filesystem::path& path) {
  const int descriptor = uninterrupted([&] {
    return ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  });
  if (descriptor < 0) throw_unwritable(path, reason_of(errno));
  struct stat status{};
  const bool is_regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const bool is_taken =
      is_regular && ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (is_regular && !is_taken) return descriptor;
  ::close(descriptor);
  throw_unwritable(path, is_taken ? "another sweep is writing it" : "it is no regular file");
}

}  // namespace

std::string any_text_json(std::string_view text) {
  try {
    return json_text(text);
  } catch (const JsonError&) {
    std::string ascii(text);
    std::ranges::replace_if(
        ascii, [](char c) { return static_cast<unsigned char>(c) > 0x7e; }, '?');
    return json_text(ascii);
  }
}

std::string any_number_json(double number) {
  return std::isfinite(number) ? json_text(number) : "null";
}

std::string setting_json(const Setting& setting) {
  const OptionInfo& info = *std::ranges::find(options_table(), setting.option, &OptionInfo::name);
  const bool is_number = info.kind == OptionKind::whole_number || info.kind == OptionKind::number;
  const bool is_word = setting.value.empty() || !is_number || setting.value == "auto";
  return is_word && info.kind != OptionKind::flag ? any_text_json(setting.value) : setting.value;
}

std::string result_line(const SweepIdentity& sweep, const JobResult& result) {
  ObjectText settings;
  for (const Setting& setting : result.settings) {
    settings.add(setting.option, setting_json(setting));
  }
  const auto count = [](std::size_t number) { return std::to_string(number); };
  ObjectText line;
  line.add("lockstep_sweep", count(kVersion));
  line.add("settings", settings.end());
  line.add("seed", json_text(result.seed));
  line.add("fold", null_or(result.fold == 0, count(result.fold)));
  line.add("status", json_text(result.status));
  line.add("error", null_or(result.error.empty(), any_text_json(result.error)));
  line.add("epochs", count(result.epochs));
  line.add("kept_epoch", count(result.kept_epoch));
  line.add("measured_on", json_text(sweep.measured_on));
  visit_numbers(result,
                [&](const char* key, double number) { line.add(key, any_number_json(number)); });
  line.add("threads", count(static_cast<std::size_t>(result.threads)));
  line.add("weights_hash", null_or(result.weights_hash.empty(), json_text(result.weights_hash)));
  line.add("folds", null_or(sweep.folds == 0, count(sweep.folds)));
  line.add("data_hash", json_text(sweep.data_hash));
  line.add("rounding", json_text(sweep.rounding));
  line.add("bits", json_text(sweep.bits));
  line.add("options", options_json(sweep.base));
  return line.end() + "\n";
}

std::string job_key(const Options& options, std::size_t fold) {
  std::string key = std::to_string(fold);
  for (const OptionInfo& info : options_table()) {
    if (is_of_results(info)) key.append(1, '\0').append(options.get(info.name));
  }
  return key;
}

Results read_results(const std::filesystem::path& path, const SweepIdentity& sweep) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return {};
  return parse_content(read_results_file(path), "'" + path.string() + "'", sweep).results;
}

ResultsFile::ResultsFile(std::filesystem::path path, SweepIdentity sweep)
    : path_(std::move(path)), sweep_(std::move(sweep)), descriptor_(open_alone(path_)) {
  try {
    const std::string text = read_results_file(path_);
    auto [results, whole_bytes] = parse_content(text, "'" + path_.string() + "'", sweep_);
    results_ = std::move(results);
    const auto cut = [&] { return ::ftruncate(descriptor_, static_cast<off_t>(whole_bytes)); };
    if (whole_bytes < text.size() && uninterrupted(cut) != 0) {
      throw_unwritable(path_, reason_of(errno));
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

ResultsFile::~ResultsFile() { ::close(descriptor_); }

void ResultsFile::add(const JobResult& result) {
  const std::string line = result_line(sweep_, result);
  const std::lock_guard lock(mutex_);
  const ssize_t written =
      uninterrupted([&] { return ::write(descriptor_, line.data(), line.size()); });
  if (written < 0) throw_unwritable(path_, reason_of(errno));
  if (static_cast<std::size_t>(written) < line.size()) throw_unwritable(path_, reason_of(ENOSPC));
}

}  // namespace lockstep::command
