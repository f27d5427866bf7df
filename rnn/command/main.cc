// The `lockstep` command. Exit codes: see kHelp.
#include <algorithm>
#include <cstdio>
#include <new>
#include <sstream>

#include "lockstep/version.h"
#include "option_parsing.h"
#include "text.h"

namespace lockstep::command {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

constexpr const char* kHelp =
    "Examples:\n"
    "  lockstep train --dataset synthetic-control\n"
    "  lockstep train train.ts --test test.ts --model model.safetensors --report report.html\n"
    "  lockstep evaluate model.safetensors test.ts\n"
    "  lockstep predict model.safetensors new.csv > predictions.csv\n"
    "  lockstep info\n"
    "  lockstep gradcheck\n\n"
    "`lockstep VERB --help` explains a verb.\n\n"
    "Exit codes: 0 done; 1 failed; 2 bad usage; 130 or 143 a training that SIGINT or SIGTERM\n"
    "stopped in good order, its model saved if one was asked for.\n\n"
    "LOCKSTEP_BACKEND names a backend where --backend does not; OMP_NUM_THREADS bounds the\n"
    "default number of threads.";

void complain(const std::string& sentence) {
  std::fputs(("lockstep: " + printable(sentence) + "\n").c_str(), stderr);
}

// Requests for help and version arrive as exceptions too.
int end_of_parsing(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) throw UsageError(error.what());
  std::ostringstream text;
  app.exit(error, text, text);
  print(text.str());
  flush_output();
  return 0;
}

// CLI11 would say of an unknown verb only that a verb is missing.
void require_verb(const std::string& word, const std::vector<Verb>& verbs) {
  if (word.starts_with('-')) return;
  std::vector<std::string> names;
  for (const Verb& verb : verbs) names.push_back(verb.app->get_name());
  if (std::find(names.begin(), names.end(), word) != names.end()) return;
  throw UsageError((word.empty() ? "no verb" : "unknown verb '" + word + "'") +
                   ", expected one of " + join(names, ", "));
}

int run(int argc, char** argv) {
  CLI::App app{"Trains recurrent networks on sequences, fast, and the same to the last bit."};
  app.name("lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.footer(kHelp);
  app.require_subcommand(1);
  const std::vector<Verb> verbs = {add_train(app), add_evaluate(app), add_predict(app),
                                   add_info(app), add_gradcheck(app)};
  require_verb(argc > 1 ? argv[1] : "", verbs);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error);
  }
  int code = 0;
  for (const Verb& verb : verbs) {
    if (verb.app->parsed()) code = verb.run();
  }
  flush_output();
  return code;
}

int run_and_report(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    complain(std::string(error.what()) + " (see lockstep --help)");
    return kBadUsage;
  } catch (const std::bad_alloc&) {
    complain("not enough memory for a problem of this size");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kFailed;
}

}  // namespace
}  // namespace lockstep::command

int main(int argc, char** argv) { return lockstep::command::run_and_report(argc, argv); }
