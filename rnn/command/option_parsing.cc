#include "option_parsing.h"

#include <algorithm>

#include "lockstep/backend.h"
#include "text.h"

namespace lockstep::command {
namespace {

const OptionInfo& info_of(std::string_view name) {
  return *std::ranges::find(options_table(), name, &OptionInfo::name);
}

const char* type_name(OptionKind kind) {
  return kind == OptionKind::choice ? "WORD" : kind == OptionKind::number ? "NUMBER" : "COUNT";
}

std::string help_of(const OptionInfo& info) {
  const std::string needs = info.needs.empty() ? "" : "; with " + flag_of(info.needs);
  return info.help + " (" + info.expected + needs + ")";
}

}  // namespace

std::string flag_of(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

void add_option(CLI::App& app, Options& options, std::string_view name) {
  const OptionInfo& info = info_of(name);
  const std::string flag = flag_of(name);
  const auto set = [&options, &info, flag](const std::string& text) {
    try {
      options.set(info.name, text);
    } catch (const std::invalid_argument& error) {  // "NAME: expected ..."
      throw UsageError(flag + (error.what() + info.name.size()));
    }
  };
  CLI::Option* option = nullptr;
  if (info.kind == OptionKind::flag) {
    const auto set_flag = [set](std::int64_t value) { set(value > 0 ? "true" : "false"); };
    option = app.add_flag_function(flag + ",!--no-" + flag.substr(2), set_flag, help_of(info));
  } else {
    option = app.add_option_function<std::string>(flag, set, help_of(info))
                 ->type_name(type_name(info.kind))
                 ->default_str(options.get(info.name));
  }
  option->group(info.group);
}

void add_backend_option(CLI::App& app, std::string& backend) {
  app.add_option("--backend", backend, "Force a backend; `lockstep info` lists them");
}

void select_backend(const std::string& name) {
  try {
    if (!name.empty()) set_backend(name);
    static_cast<void>(active_backend());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

}  // namespace lockstep::command
