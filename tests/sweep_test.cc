// Sweeps: by the built command, and their parts in this process.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "command_runs.h"
#include "lockstep/rnn/builtin_data.h"
#include "sweep_run.h"
#include "sweep_table.h"
#include "temporary_directory.h"

namespace lockstep {
namespace {

using namespace command;

std::string content_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<json> results_in(const std::filesystem::path& path) {
  std::vector<json> results;
  for (const std::string& line : lines_of(content_of_file(path))) {
    results.push_back(json::parse(line));
  }
  return results;
}

// By what distinguishes jobs.
std::map<std::string, std::string> hashes_in(const std::filesystem::path& path) {
  std::map<std::string, std::string> hashes;
  for (const json& result : results_in(path)) {
    const std::string job =
        result["settings"].dump() + result["seed"].dump() + result["fold"].dump();
    CHECK(hashes.emplace(job, result["weights_hash"].get<std::string>()).second);
  }
  return hashes;
}

// A small data file, a grid and a file of results that is not there yet.
struct SweepFixture {
  TemporaryDirectory directory;
  std::string data = directory.write("ramps.csv", ramps_csv(24));
  std::string grid = directory.write("grid.json", R"({"hidden": [3, 5], "cell": ["gru", "tanh"]})");
  std::string results = directory / "results.jsonl";

  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& more = {},
                                                   const std::string& epochs = "4") const {
    return std::vector<std::string>{"sweep", data, "--epochs", epochs, "--results", results} + more;
  }
  json sweep(const std::vector<std::string>& more = {}) const {
    return run_json(arguments(more + std::vector<std::string>{"--quiet"}));
  }
};

json row_with(const json& table, const json& settings) {
  for (const json& row : table["points"]) {
    if (row["settings"] == settings) return row;
  }
  FAIL("no row with " << settings);
  return {};
}

TEST_CASE("sweep: each job has the weights of lockstep train, for any --jobs", "[sweep]") {
  const SweepFixture fixture;
  const std::string other = fixture.directory / "other.jsonl";
  const std::vector<std::string> more = {"--grid", fixture.grid, "--seeds", "2"};
  const json table = fixture.sweep(more + std::vector<std::string>{"--jobs", "1"});
  CHECK(table["jobs"] == 8);
  CHECK(table["points"].size() == 4);
  run_json({"sweep", fixture.data, "--epochs", "4", "--results", other, "--jobs", "3", "--grid",
            fixture.grid, "--seeds", "2"});
  CHECK(hashes_in(fixture.results) == hashes_in(other));
  for (const json& result : results_in(fixture.results)) {
    const json summary = run_json(
        {"train", fixture.data, "--epochs", "4", "--hidden", result["settings"]["hidden"].dump(),
         "--cell", result["settings"]["cell"].get<std::string>(), "--seed", result["seed"].dump()});
    CHECK(summary["weights_hash"] == result["weights_hash"]);
    CHECK(summary["train_loss"] == result["train_loss"]);
    CHECK(summary["train_accuracy"] == result["accuracy"]);
    CHECK(result["measured_on"] == "training");
  }
}

TEST_CASE("sweep: jobs with several threads have the same weights", "[sweep]") {
  const SweepFixture fixture;
  const std::vector<std::string> more = {"--seeds", "3", "--jobs", "2"};
  fixture.sweep(more + std::vector<std::string>{"--threads", "1"});
  const std::map<std::string, std::string> expected = hashes_in(fixture.results);
  std::filesystem::remove(fixture.results);
  fixture.sweep(more + std::vector<std::string>{"--threads", "2"});
  CHECK(hashes_in(fixture.results) == expected);
  for (const json& result : results_in(fixture.results)) CHECK(result["threads"] == 2);
}

TEST_CASE("sweep: what is measured on is the test set or what is held out", "[sweep]") {
  const SweepFixture fixture;
  const std::string test = fixture.directory.write("test.csv", ramps_csv(10));
  SECTION("a file") {
    const json table = fixture.sweep({"--test", test});
    const json summary = run_json({"train", fixture.data, "--epochs", "4", "--test", test});
    CHECK(table["measured_on"] == "test");
    CHECK(table["points"][0]["loss"] == summary["test_loss"]);
    CHECK(table["points"][0]["accuracy"] == summary["test_accuracy"]);
  }
  SECTION("the validation part") {
    const json table = fixture.sweep({"--validation", "0.25", "--patience", "1", "--seed", "3"});
    const json summary = run_json({"train", fixture.data, "--epochs", "4", "--validation", "0.25",
                                   "--patience", "1", "--seed", "3"});
    CHECK(table["measured_on"] == "validation");
    CHECK(table["points"][0]["loss"] == summary["validation_loss"]);
    const json result = results_in(fixture.results).at(0);
    CHECK(result["weights_hash"] == summary["weights_hash"]);
    CHECK(result["validation_loss"] == summary["validation_loss"]);
    CHECK(result["epochs"] == summary["epochs"]);
  }
  SECTION("the test part of a built-in set") {
    const std::vector<std::string> set = {"--dataset", "cylinder-bell-funnel", "--epochs", "2"};
    const json table =
        run_json(std::vector<std::string>{"sweep", "--results", fixture.results} + set);
    const json summary = run_json(std::vector<std::string>{"train"} + set);
    CHECK(table["measured_on"] == "test");
    CHECK(table["points"][0]["accuracy"] == summary["test_accuracy"]);
  }
}

TEST_CASE("sweep: one job has no deviation", "[sweep]") {
  const SweepFixture fixture;
  const json table = fixture.sweep({"--seed", "7"});
  CHECK(table["jobs"] == 1);
  CHECK(table["points"][0]["accuracy_deviation"].is_null());
  CHECK(results_in(fixture.results).at(0)["seed"] == 7);
  const Outcome text = run(fixture.arguments({"--seed", "7"}));
  CHECK(text.code == 0);
  CHECK_THAT(text.out, ContainsSubstring("training set itself") && ContainsSubstring("  -  "));
  CHECK_THAT(text.err, ContainsSubstring("1 job, 1 of them in"));
}

TEST_CASE("sweep: seeds are counted from --seed or listed", "[sweep]") {
  const SweepFixture fixture;
  fixture.sweep({"--seeds", "3", "--seed", "5", "--jobs", "1"});
  fixture.sweep({"--seeds", "1,6,9", "--jobs", "1"});
  std::vector<int> seeds;
  for (const json& result : results_in(fixture.results)) seeds.push_back(result["seed"]);
  CHECK(seeds == std::vector{5, 6, 7, 1, 9});
  CHECK(parse_seeds("2", 18446744073709551613u).back() == 18446744073709551614u);
  for (const char* wrong : {"0", "x", "1,", ",1", "1,,2", "-1", "1,1", "2 ", "1000001"}) {
    CHECK_THROWS_AS(parse_seeds(wrong, 1), UsageError);
  }
  CHECK_THROWS_AS(parse_seeds("9", 18446744073709551613u), UsageError);
}

TEST_CASE("sweep: a killed sweep continues, and a torn line is run again", "[sweep]") {
  const SweepFixture fixture;
  const std::vector<std::string> jobs = {"--seeds", "30", "--jobs", "2", "--quiet"};
  {
    Process process(command_line(fixture.arguments(jobs, "300")));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (lines_of(content_of_file(fixture.results)).size() < 3) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send(SIGKILL);
    static_cast<void>(process.wait());
  }
  std::string kept = content_of_file(fixture.results);
  kept = kept.substr(0, kept.rfind('\n') + 1);
  const std::size_t whole = lines_of(kept).size();
  const std::string torn = kept.substr(0, kept.find('\n') / 2);
  std::ofstream(fixture.results, std::ios::binary) << kept << torn;
  const json table = run_json(fixture.arguments(jobs, "300"));
  CHECK(table["jobs"] == 30);
  CHECK(content_of_file(fixture.results).starts_with(kept));
  CHECK(hashes_in(fixture.results).size() == 30);
  CHECK(whole >= 3);
  const std::string all = content_of_file(fixture.results);
  CHECK(run_json(fixture.arguments(jobs, "300")) == table);
  CHECK(content_of_file(fixture.results) == all);
}

TEST_CASE("sweep: Ctrl-C keeps what is done and abandons what runs", "[sweep]") {
  const SweepFixture fixture;
  const std::string grid =
      fixture.directory.write("long.json", R"([{"epochs": [1]}, {"epochs": [1000000000]}])");
  Process process(command_line(
      {"sweep", fixture.data, "--results", fixture.results, "--grid", grid, "--jobs", "2"}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (content_of_file(fixture.results).empty()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.send(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(process.out().empty());
  CHECK_THAT(process.err(), ContainsSubstring("stopped by SIGINT; 1 of 2 jobs are done"));
  CHECK(results_in(fixture.results).size() == 1);
}

TEST_CASE("sweep: a diverged or failed job is a result", "[sweep]") {
  const SweepFixture fixture;
  const std::string grid = fixture.directory.write("odd.json",
                                                   R"([{"epochs": [2]},
          {"learning_rate": [1e30], "optimizer": ["sgd"], "clip_norm": [0], "cell": ["relu"]},
          {"class_weights": ["sideways=2"]}])");
  const json table = fixture.sweep({"--grid", grid});
  CHECK(table["jobs"] == 3);
  CHECK(row_with(table, {{"epochs", 2}})["failed"] == 0);
  const json failed = row_with(table, {{"class_weights", "sideways=2"}});
  CHECK(failed["failed"] == 1);
  CHECK(failed["accuracy"].is_null());
  CHECK(row_with(table, {{"cell", "relu"},
                         {"clip_norm", 0},
                         {"learning_rate", 1e30},
                         {"optimizer", "sgd"}})["diverged"] == 1);
  CHECK(table["points"][0]["settings"] == json({{"epochs", 2}}));
  CHECK_THAT(table["first_error"].get<std::string>(), ContainsSubstring("sideways"));
  const std::string all = content_of_file(fixture.results);
  CHECK(fixture.sweep({"--grid", grid}) == table);
  CHECK(content_of_file(fixture.results) == all);
}

TEST_CASE("sweep: a sweep whose jobs all diverge fails", "[sweep]") {
  const SweepFixture fixture;
  const Outcome outcome = run(fixture.arguments({"--learning-rate", "1e30", "--optimizer", "sgd",
                                                 "--clip-norm", "0", "--cell", "relu", "--quiet"}));
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.out, ContainsSubstring("diverged"));
  CHECK_THAT(outcome.err, ContainsSubstring("no job ended well"));
}

TEST_CASE("sweep: numbers are compared by their RMSE", "[sweep]") {
  const SweepFixture fixture;
  const std::string grid =
      fixture.directory.write("epochs.json", R"({"epochs": [30, 1], "hidden": [8]})");
  const std::vector<std::string> arguments = {"sweep", "--dataset", "adding-sum",    "--grid",
                                              grid,    "--results", fixture.results, "--seeds",
                                              "2",     "--quiet"};
  const json table = run_json(arguments);
  CHECK(table["measure"] == "rmse");
  const json& rows = table["points"];
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["rmse"] < rows[1]["rmse"]);
  CHECK(rows[0]["rmse_deviation"].is_number());
  CHECK(rows[0]["r2"].is_number());
  const std::string text = run(arguments).out;
  CHECK_THAT(text, ContainsSubstring("RMSE on the test set") && ContainsSubstring("epochs"));
  CHECK_THAT(text, !ContainsSubstring("hidden"));  // it does not vary
}

TEST_CASE("sweep: wrong grids are refused in a sentence before anything is trained", "[sweep]") {
  const SweepFixture fixture;
  const auto refused = [&](int code, const std::string& grid, const std::string& part,
                           const std::vector<std::string>& more = {}) {
    CAPTURE(grid);
    const std::string path = fixture.directory.write("wrong.json", grid);
    require_failure(code, part, fixture.arguments({"--grid", path}) + more);
    require_failure(code, code == 2 ? "wrong.json'" : "",
                    fixture.arguments({"--grid", path}) + more);
    CHECK(!std::filesystem::exists(fixture.results));
  };
  refused(1, "", "malformed");
  refused(1, "{\"hidden\": [8]", "malformed");
  refused(1, R"({"hidden": [8], "hidden": [9]})", "twice");
  refused(2, R"({"hidden": [8], "batch-size": [9], "batch_size": [9]})",
          "batch_size: it is set twice");
  refused(2, "{}", "no option to set");
  refused(2, "[]", "no option to set");
  refused(2, "[{}]", "no option to set");
  refused(2, "8", "expected an object");
  refused(2, "[8]", "expected an object");
  refused(2, R"({"hiden": [8]})", "there is no option 'hiden'");
  refused(2, R"({"hidden": 8})", "hidden: expected a list");
  refused(2, R"({"hidden": []})", "hidden: expected a list");
  refused(2, R"({"hidden": [8, null]})", "hidden: its values must be");
  refused(2, R"({"hidden": [8, -3]})",
          "hidden: expected a whole number from 1 to 16777216, found '-3'");
  refused(2, R"({"hidden": [8.5]})", "found '8.5'");
  refused(2, R"({"cell": ["grue"]})", "cell: expected one of");
  refused(2, R"({"bidirectional": [true], "truncate": [3]})", "bidirectional");
  refused(2, R"({"momentum": [0.5]})",
          "momentum: it has no effect without optimizer sgd or rmsprop");
  refused(2, R"({"delta": [0.5], "loss": ["huber"]})", "no effect with the head classify");
  for (const char* reserved : {"seed", "threads", "memory", "head"}) {
    refused(2, std::string(R"({")") + reserved + R"(": [1]})", "a grid cannot set it");
  }
  refused(2, R"({"hidden": [8]})", "--hidden: it has no effect beside", {"--hidden", "3"});
  require_failure(1, "cannot read the grid", fixture.arguments({"--grid", "/nowhere/grid.json"}));
  require_failure(1, "cannot read the grid", fixture.arguments({"--grid", "/"}));
  require_failure(2, "validation: without --test",
                  fixture.arguments({"--grid", fixture.directory.write(
                                                   "mixed.json", R"({"validation": [0, 0.5]})")}));
}

TEST_CASE("sweep: a grid is a product, and a list of grids their union", "[sweep]") {
  const TemporaryDirectory directory;
  SweepCommand command;
  command.grid_file = directory.write(
      "grid.json",
      R"([{"hidden": [8, "8", 16], "bidirectional": [true, false]}, {"hidden": [16, 32]},
          {"bidirectional": ["false"], "hidden": [16]}, {"hidden": [64]}, {}])");
  command.seeds = "2";
  command.folds = 3;
  const Plan plan = make_plan(command);
  const std::vector<GridPoint>& points = plan.points;
  REQUIRE(points.size() == 6);
  CHECK(points[1].settings == std::vector<Setting>{{"hidden", "8"}, {"bidirectional", "false"}});
  CHECK(points[3].settings == std::vector<Setting>{{"hidden", "16"}, {"bidirectional", "false"}});
  CHECK(points[4].settings == std::vector<Setting>{{"hidden", "32"}});
  CHECK(points[4].options.hidden == 32);
  CHECK(points[5].settings == std::vector<Setting>{{"hidden", "64"}});
  CHECK(plan.jobs.size() == 36);
  CHECK(plan.options_of(plan.jobs[35]).seed == 2);
  CHECK(plan.jobs[35].fold == 3);
  CHECK(plan.grid_options() == std::vector<std::string>{"hidden", "bidirectional"});
  CHECK(parse_grid(R"({"learning-rate": ["auto", 1e-3, 1e3]})", "'grid'")[2][0].value == "1000");
  // More combinations than there is memory for.
  std::string values = "[1";
  for (int i = 2; i <= 1000; ++i) values += "," + std::to_string(i);
  const std::string json =
      "{\"hidden\":" + values + "],\"epochs\":" + values + "],\"batch_size\":" + values + "]}";
  CHECK_THROWS_AS(parse_grid(json, "'grid'"), UsageError);
}

TEST_CASE("sweep: bad usage is refused", "[sweep]") {
  const SweepFixture fixture;
  require_failure(2, "--results", {"sweep", fixture.data});
  require_failure(2, "give a data file", {"sweep", "--results", fixture.results});
  require_failure(2, "--folds: expected at most as many folds as sequences, 24, found 25",
                  fixture.arguments({"--folds", "25"}));
  require_failure(2, "--folds", fixture.arguments({"--folds", "1"}));
  require_failure(2, "excludes", fixture.arguments({"--folds", "2", "--test", fixture.data}));
  require_failure(2, "--seeds", fixture.arguments({"--seeds", ""}));
  require_failure(2, "--seed: it has no effect",
                  fixture.arguments({"--seeds", "1,2", "--seed", "1"}));
  require_failure(2, "--momentum: it has no effect", fixture.arguments({"--momentum", "0.5"}));
  require_failure(2, "no effect with the head", fixture.arguments({"--loss", "mae"}));
  require_failure(2, "--jobs", fixture.arguments({"--jobs", "0"}));
  require_failure(2, "is a file of the data", {"sweep", fixture.data, "--results", fixture.data});
  require_failure(2, "is a file of the data",
                  fixture.arguments({"--grid", fixture.results, "--quiet"}));
  CHECK(!std::filesystem::exists(fixture.results));
}

TEST_CASE("sweep: data that no job can use are refused", "[sweep]") {
  const SweepFixture fixture;
  const std::string one_class =
      fixture.directory.write("one.csv", "sample,step,label,x\n0,0,a,1\n");
  require_failure(1, "at least two", {"sweep", one_class, "--results", fixture.results});
  const std::string test =
      fixture.directory.write("test.csv", "sample,step,label,x\n0,0,left,1\n1,0,up,1\n");
  require_failure(1, "left", fixture.arguments({"--test", test}));
  CHECK(!std::filesystem::exists(fixture.results));
}

TEST_CASE("sweep: results that cannot be written or are others are refused", "[sweep]") {
  const SweepFixture fixture;
  const auto refused = [&](const std::string& part, const std::vector<std::string>& more) {
    require_failure(1, part, fixture.arguments(more));
  };
  require_failure(1, "cannot write the results",
                  {"sweep", fixture.data, "--results", fixture.directory / "nowhere" / "r.jsonl"});
  require_failure(1, "cannot write the results", {"sweep", fixture.data, "--results", "/"});
  require_failure(1, "no regular file", {"sweep", fixture.data, "--results", "/dev/null"});
  fixture.sweep();
  const std::string all = content_of_file(fixture.results);
  refused("--hidden is '64' there and '9' here", {"--hidden", "9"});
  refused("measured on training, those here on folds", {"--folds", "2"});
  const std::string data = fixture.directory.write("other.csv", ramps_csv(24, "higher"));
  require_failure(1, "its data are others",
                  {"sweep", data, "--epochs", "4", "--results", fixture.results});
  CHECK(content_of_file(fixture.results) == all);
  for (const std::string& foreign : {std::string("some text\n"), std::string("some text"),
                                     std::string("{}\n"), all + "{}\n", all + "some text"}) {
    std::ofstream(fixture.results, std::ios::binary) << foreign;
    refused("no result of a sweep", {});
    CHECK(content_of_file(fixture.results) == foreign);
  }
}

TEST_CASE("sweep: folds are drawn by --seed, and another seed is another sweep", "[sweep]") {
  const SweepFixture fixture;
  const json table = fixture.sweep({"--folds", "4", "--seeds", "1,2"});
  CHECK(table["jobs"] == 8);
  CHECK(table["folds"] == 4);
  CHECK(table["points"][0]["accuracy_deviation"].is_number());
  require_failure(1, "--seed is '1' there and '2' here",
                  fixture.arguments({"--folds", "4", "--seed", "2"}));
  require_failure(1, "the number of folds is '4' there and '3' here",
                  fixture.arguments({"--folds", "3"}));
}

TEST_CASE("sweep: folds are of one size and alike", "[sweep]") {
  const auto count = static_cast<std::size_t>(GENERATE(2, 3, 7, 20));
  Dataset data(1, {"a", "b", "c"});
  for (int i = 0; i < 20; ++i) {
    const auto value = static_cast<float>(i);
    data.add(std::span(&value, 1), i < 12 ? 0 : i < 19 ? 1 : 2);
  }
  const std::vector<ValidationSplit> folds = make_folds(data, count, 1);
  REQUIRE(folds.size() == count);
  std::set<float> seen;
  for (const auto& [rest, part] : folds) {
    CHECK(rest.size() + part.size() == 20);
    CHECK(part.size() >= 20 / count);
    CHECK(part.size() <= 20 / count + 1);
    for (const int c : {0, 1, 2}) {
      const auto all = static_cast<std::size_t>(std::ranges::count(data.labels(), c));
      const auto of_class = static_cast<std::size_t>(std::ranges::count(part.labels(), c));
      CHECK(of_class >= all / count);
      CHECK(of_class <= all / count + 1);
    }
    for (std::size_t i = 0; i < part.size(); ++i) CHECK(seen.insert(part.sequence(i)[0]).second);
  }
  CHECK(seen.size() == 20);
  CHECK_THROWS_AS(make_folds(data, 21, 1), UsageError);
  const auto first = [](const std::vector<ValidationSplit>& all) {
    const auto values = all[0].validation.sequence(0);
    return std::vector(values.begin(), values.end());
  };
  CHECK(first(make_folds(data, count, 1)) == first(folds));
}

TEST_CASE("sweep: mean and deviation", "[sweep]") {
  CHECK(std::isnan(spread_of({}).mean));
  CHECK(spread_of({3}).mean == 3);
  CHECK(std::isnan(spread_of({3}).deviation));
  CHECK(spread_of({1, 2, 3}).mean == 2);
  CHECK(spread_of({1, 2, 3}).deviation == 1);
}

// A sweep of ten jobs in this process.
Sweep small_sweep() {
  auto [train, test] = make_builtin_dataset("cylinder-bell-funnel", 1);
  SweepCommand command;
  command.options.epochs = 2;
  command.options.hidden = 4;
  command.seeds = "5";
  Plan plan = make_plan(command);
  const std::vector<Setting> sgd = {{"optimizer", "sgd"}};
  plan.points.push_back({sgd, command.options});
  plan.points[1].options.set("optimizer", "sgd");
  for (std::size_t i = 0; i < 5; ++i) plan.jobs.push_back({1, i + 1, 0});
  return make_sweep(std::move(plan), std::move(train), std::move(test));
}

// The table without times.
std::string table_of(const Sweep& sweep, const Results& results) {
  Table table = make_table(sweep, results);
  for (TableRow& row : table.rows) row.seconds = 0;
  return table_json(sweep, table, "");
}

TEST_CASE("sweep: processes that share a sweep make the table of one", "[sweep]") {
  const TemporaryDirectory directory;
  const Sweep sweep = small_sweep();
  const std::filesystem::path one = directory / "one.jsonl";
  run_share(sweep, one, {.at_a_time = 2});
  const std::string expected = table_of(sweep, gather_results(one, sweep.identity));
  CHECK(gather_results(one, sweep.identity).size() == 10);

  const std::filesystem::path path = directory / "shared.jsonl";
  CHECK(gather_results(path, sweep.identity).empty());
  for (const int rank : {0, 1, 2}) {
    const Share share{rank, 3};
    CHECK(jobs_left(sweep, share, {}).size() == (rank == 0 ? 4 : 3));
    run_share(sweep, path, {.share = share});
    CHECK(lines_of(content_of_file(results_path(path, share))).size() == (rank == 0 ? 4 : 3));
  }
  CHECK(results_path(path, {2, 3}) == directory / "shared.jsonl.rank2");
  CHECK(table_of(sweep, gather_results(path, sweep.identity)) == expected);
  CHECK(lines_of(content_of_file(path)).size() == 10);
  CHECK(!std::filesystem::exists(results_path(path, {1, 3})));
  CHECK(!std::filesystem::exists(results_path(path, {2, 3})));
}

TEST_CASE("sweep: what is left over of other processes is gathered once", "[sweep]") {
  const TemporaryDirectory directory;
  const Sweep sweep = small_sweep();
  const std::filesystem::path path = directory / "results.jsonl";
  run_share(sweep, path, {.share = {2, 3}});
  const std::filesystem::path left_over = results_path(path, {2, 3});
  const std::string lines = content_of_file(left_over);
  // As a kill leaves it that comes between the copy and the removal, and one within a line.
  std::ofstream(path, std::ios::binary) << lines;
  std::ofstream(left_over, std::ios::binary | std::ios::app) << lines.substr(0, 30);
  CHECK(gather_results(path, sweep.identity).size() == 3);
  CHECK(content_of_file(path) == lines);
  CHECK(!std::filesystem::exists(left_over));
  const std::filesystem::path foreign = directory.write("results.jsonl.ranking", "other");
  run_share(sweep, path, {});
  CHECK(gather_results(path, sweep.identity).size() == 10);
  CHECK(std::filesystem::exists(foreign));
}

TEST_CASE("sweep: two sweeps do not write one file", "[sweep]") {
  const TemporaryDirectory directory;
  const Sweep sweep = small_sweep();
  const std::filesystem::path path = directory / "results.jsonl";
  const ResultsFile file(path, sweep.identity);
  CHECK_THROWS_WITH(run_share(sweep, path, {}), ContainsSubstring("another sweep is writing it"));
}

TEST_CASE("sweep: results are read as they were written", "[sweep]") {
  const TemporaryDirectory directory;
  const Sweep sweep = small_sweep();
  const std::filesystem::path path = directory / "results.jsonl";
  const JobResult result{.settings = {{"hidden", "9"}, {"learning_rate", "auto"}},
                         .seed = 18446744073709551615u,
                         .fold = 3,
                         .status = "failed",
                         .error = "a \"sentence\" with \xff and\nlines",
                         .loss = 0.1,
                         .train_loss = std::numeric_limits<double>::infinity()};
  ResultsFile(path, sweep.identity).add(result);
  const Results results = read_results(path, sweep.identity);
  REQUIRE(results.size() == 1);
  const JobResult& found = results.begin()->second;
  CHECK(found.settings == result.settings);
  CHECK(found.seed == result.seed);
  CHECK(found.fold == 3);
  CHECK(found.error == "a \"sentence\" with ? and\nlines");
  CHECK(found.loss == 0.1);
  CHECK(std::isnan(found.train_loss));
  CHECK(std::isnan(found.accuracy));
}

TEST_CASE("sweep: work that is interrupted or cannot write ends at once", "[sweep]") {
  const TemporaryDirectory directory;
  const Sweep sweep = small_sweep();
  const std::filesystem::path path = directory / "results.jsonl";
  std::size_t ended = 0;
  Work work{.is_interrupted = [&] { return ended == 2; },
            .on_result = [&](const Job&, const JobResult&) { ++ended; }};
  run_share(sweep, path, work);
  CHECK(read_results(path, sweep.identity).size() == 2);
  work = {.at_a_time = 3, .on_result = [](const Job&, const JobResult&) {
            throw std::runtime_error("it cannot be said");
          }};
  CHECK_THROWS_WITH(run_share(sweep, path, work), ContainsSubstring("it cannot be said"));
  CHECK(read_results(path, sweep.identity).size() >= 3);
}

}  // namespace
}  // namespace lockstep
