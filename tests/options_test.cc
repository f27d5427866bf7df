// The table of options, and what comes from it.
#include "lockstep/rnn/options.h"

#include <clocale>
#include <stdexcept>

#include "catch.h"

namespace lockstep {
namespace {

TEST_CASE("every option of the table is set and got as text, and its default is that of Options") {
  CHECK(options_table().size() >= 19);
  for (const OptionInfo& info : options_table()) {
    CAPTURE(info.name);
    CHECK(Options().get(info.name) == info.default_text);
    Options options;
    options.set(info.name, info.default_text);
    CHECK(options == Options());
    CHECK_FALSE(info.help.empty());
    CHECK_THROWS_AS(options.set(info.name, "?"), std::invalid_argument);
    CHECK_THROWS_WITH(options.set(info.name, ""),
                      info.name + ": expected " + info.expected + ", found ''");
    CHECK(options == Options());
  }
}

TEST_CASE("options take numbers, words and truth values") {
  Options options;
  options.set("learning-rate", "1e-3");
  options.set("epochs", "010");
  options.set("schedule", "step");
  options.set("shuffle", "false");
  options.set("seed", "18446744073709551615");
  CHECK(options.learning_rate == 1e-3);
  CHECK(options.epochs == 10);
  CHECK(options.schedule == LearningRateSchedule::step);
  CHECK_FALSE(options.shuffle);
  CHECK(options.get("seed") == "18446744073709551615");
  CHECK(options.get("learning_rate") == "0.001");
}

TEST_CASE("sizes of memory are bytes, or have a unit behind them") {
  Options options;
  const std::vector<std::pair<const char*, std::size_t>> good{
      {"0", 0},           {"1000", 1000},
      {"3K", 3 << 10},    {"20M", 20u << 20},
      {"2G", 2ull << 30}, {"0G", 0},
      {"007K", 7 << 10},  {"16777215G", ((std::size_t{1} << 24) - 1) << 30}};
  for (const auto& [text, bytes] : good) {
    options.set("memory", text);
    CHECK(options.memory == bytes);
    CHECK(options.get("memory") == std::to_string(bytes));
  }
  for (const char* text : {"K", "1.5G", "-1", "1T", "1k", "1 K", "1KK", "17179869184G"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(Options().set("memory", text), ContainsSubstring("with K, M or G behind it"));
  }
  CHECK_THROWS_WITH(Options().set("hidden", "1K"), ContainsSubstring("found '1K'"));
}

TEST_CASE("weights of classes are a word or a list") {
  for (const char* text : {"none", "balanced", "a=2", "a=0.5,b=0", "x=y=1", "b c=1e3"}) {
    Options options;
    options.set("class_weights", text);
    CHECK(options.get("class-weights") == text);
  }
  for (const char* text : {"=1", "a", "a=", "a=x", "a=-1", "a=inf", "a=nan", "a=1,", ",a=1",
                           "a=1,a=2", "Balanced", "1,2"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(Options().set("class_weights", text), ContainsSubstring("NAME=WEIGHT"));
  }
}

TEST_CASE("values out of their range are refused as text and in the structure") {
  const std::vector<std::pair<const char*, const char*>> bad{
      {"hidden", "0"},        {"hidden", "1.5"},
      {"hidden", "16777217"}, {"batch_size", "0"},
      {"epochs", "0"},        {"threads", "-1"},
      {"threads", "1025"},    {"momentum", "1"},
      {"learning_rate", "0"}, {"clip_norm", "-1"},
      {"sigma", "inf"},       {"sigma", "nan"},
      {"epochs", "0x10"},     {"epochs", " 1"},
      {"epochs", "1 "},       {"seed", "-1"},
      {"decay", "x"},         {"validation", "1"},
      {"schedule", "steps"},  {"init", "zero"},
      {"layers", "0"},        {"layers", "65"},
      {"dropout", "1"},       {"dropout_kind", "unit"},
      {"bidirectional", "2"}, {"seed", "18446744073709551616"}};
  for (const auto& [name, value] : bad) {
    CAPTURE(name, value);
    CHECK_THROWS_WITH(Options().set(name, value), ContainsSubstring(value));
  }
  CHECK_NOTHROW(validate({}));
  CHECK_NOTHROW(validate({.hidden = kMaxUnits}));  // as of a model from a file
  CHECK_THROWS_WITH(validate({.threads = -1}),
                    "threads: expected a whole number from 0 to 1024, found '-1'");
  CHECK_THROWS_WITH(validate({.cell = "none"}), ContainsSubstring("cell: expected one of"));
  CHECK_THROWS_WITH(validate({.init = static_cast<Initializer>(4)}), ContainsSubstring("init"));
  CHECK_NOTHROW(validate({.truncate = 3}));
  CHECK_THROWS_WITH(validate({.bidirectional = true, .truncate = 3}),
                    ContainsSubstring("truncate: a bidirectional network"));
}

TEST_CASE("an unknown option is refused with the names of all") {
  CHECK_THROWS_WITH(Options().get("speed"), ContainsSubstring("'speed'") &&
                                                ContainsSubstring("cell, hidden") &&
                                                ContainsSubstring("patience"));
}

TEST_CASE("an option is used where what it needs is set") {
  CHECK_FALSE(Options().uses("sigma"));
  CHECK_FALSE(Options().uses("patience"));
  CHECK(Options().uses("hidden"));
  CHECK(Options{.init = Initializer::gaussian}.uses("sigma"));
  CHECK(Options{.validation = 0.1}.uses("patience"));
  CHECK(Options{.schedule = LearningRateSchedule::step}.uses("decay-epochs"));
}

TEST_CASE("an option can be left to what is usual for another") {
  Options options;
  CHECK_FALSE(options.momentum.has_value());
  CHECK(options.get("momentum") == "auto");
  options.set("momentum", "0");
  CHECK(options.momentum == 0);
  options.set("momentum", "auto");
  CHECK(options == Options());
  CHECK_THROWS_WITH(options.set("hidden", "auto"), ContainsSubstring("found 'auto'"));
  CHECK_THROWS_WITH(options.set("weight_decay", "-1"), ContainsSubstring("of 0 or more or auto"));
}

TEST_CASE("an option can need one of several values of another") {
  Options options;
  CHECK(options.uses("beta1"));
  CHECK(options.uses("eps"));
  CHECK_FALSE(options.uses("momentum"));
  options.optimizer = "sgd";
  CHECK(options.uses("momentum"));
  CHECK_FALSE(options.uses("beta1"));
  options.schedule = LearningRateSchedule::plateau;
  CHECK(options.uses("decay"));
}

TEST_CASE("an option that needs another has no effect where that one has none") {
  CHECK_FALSE(Options{.dropout = 0.5}.uses("dropout"));
  CHECK_FALSE(Options{.dropout = 0.5}.uses("dropout_kind"));
  CHECK(Options{.layers = 2, .dropout = 0.5}.uses("dropout_kind"));
  CHECK_FALSE(Options{.layers = 2}.uses("dropout_kind"));
}

TEST_CASE("texts of options do not depend on the locale", "[optional]") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  if (std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) {
    LOCKSTEP_SKIP("no locale with another decimal sign is installed");
  }
  Options options;
  options.set("momentum", "0.5");
  const std::string text = options.get("momentum");
  std::setlocale(LC_ALL, before.c_str());
  CHECK(text == "0.5");
}

}  // namespace
}  // namespace lockstep
