// What a step over several ranks is said to send and to take.
#include "ranks/cost_model.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "command_runs.h"
#include "networks.h"
#include "ranks/gradient_sum.h"
#include "ranks/slices.h"
#include "thread_ranks.h"
#include "train/step_trial.h"
#include "train/training_step.h"

namespace lockstep {
namespace {

// Of a rank, one after another.
struct Sent {
  Ranks::Traffic sum;
  Ranks::Traffic notes;
  Ranks::Traffic weights;
};

Ranks::Traffic since(const Ranks::Traffic& before, const Ranks::Traffic& now) {
  return {now.messages - before.messages, now.bytes - before.bytes};
}

// What a rank really sends with a minibatch.
Sent sent_by(Ranks& ranks, const Network& network, std::size_t leaves) {
  WithMemory<GradientSum> sum(network, &ranks, leaves);
  const std::size_t parameters = Parameters(network).values().size();
  std::vector<std::vector<float>> sums;
  std::vector<Range> ranges;
  for (Range left = sum->own_leaves(leaves); left.size() > 0;) {
    ranges.push_back(first_subtree(left, left.size()));
    sums.emplace_back(parameters);
    left.begin = ranges.back().end;
  }
  std::vector<Subtree> subtrees;
  subtrees.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) subtrees.push_back({ranges[i], sums[i].data()});
  std::vector<float> gradient(parameters);
  std::vector<double> of_rows(sum->slices().row_count());
  std::vector<double> of_leaves(leaves * kLeafNumbers);
  std::uint64_t notices = 0;
  sum->add(subtrees, leaves, gradient, Team());
  const Ranks::Traffic with_sum = ranks.sent();
  sum->gather(of_rows, of_leaves, leaves, notices);
  const Ranks::Traffic with_notes = ranks.sent();
  sum->gather(gradient);
  sum->rethrow();
  return {with_sum, since(with_sum, with_notes), since(with_notes, ranks.sent())};
}

Ranks::Traffic all_sent(const std::vector<Round>& rounds) {
  Ranks::Traffic all;
  for (const Round& round : rounds) {
    all.messages += round.sent.messages;
    all.bytes += round.sent.bytes;
  }
  return all;
}

Ranks::Traffic all_sent(const std::vector<std::vector<Round>>& sections) {
  Ranks::Traffic all;
  for (const std::vector<Round>& rounds : sections) {
    all.messages += all_sent(rounds).messages;
    all.bytes += all_sent(rounds).bytes;
  }
  return all;
}

std::uint64_t all_received(const std::vector<Round>& rounds) {
  std::uint64_t bytes = 0;
  for (const Round& round : rounds) bytes += round.received.bytes;
  return bytes;
}

std::uint64_t all_received(const std::vector<std::vector<Round>>& sections) {
  std::uint64_t bytes = 0;
  for (const std::vector<Round>& rounds : sections) bytes += all_received(rounds);
  return bytes;
}

bool is_same(const Ranks::Traffic& a, const Ranks::Traffic& b) {
  return a.messages == b.messages && a.bytes == b.bytes;
}

void check_traffic(const Network& network, int size, std::size_t leaves) {
  std::vector<Sent> sent(static_cast<std::size_t>(size));
  require_well(on_ranks(size, [&](Ranks& ranks) {
    sent[static_cast<std::size_t>(ranks.rank())] = sent_by(ranks, network, leaves);
  }));
  const std::vector<StepTraffic> traffic = step_traffic(network, size, leaves);
  REQUIRE(traffic.size() == sent.size());
  for (std::size_t rank = 0; rank < sent.size(); ++rank) {
    CAPTURE(size, leaves, rank);
    CHECK(is_same(all_sent(traffic[rank].sum), sent[rank].sum));
    CHECK(is_same(all_sent(traffic[rank].notes), sent[rank].notes));
    CHECK(is_same(all_sent(traffic[rank].weights), sent[rank].weights));
  }
}

std::vector<int> sizes() {
  std::vector<int> sizes(17);
  std::iota(sizes.begin(), sizes.end(), 1);
  sizes.push_back(32);
  sizes.push_back(64);
  return sizes;
}

// With everything that it needs.
std::vector<std::string> scaling(const std::vector<std::string>& more) {
  return std::vector<std::string>{"info",       "--hidden", "4",         "--length", "3",
                                  "--features", "2",        "--threads", "1"} +
         more;
}

StepCost cost_of(int ranks, double compute, double exchange, double latency) {
  return {.ranks = ranks, .compute = compute, .sum = exchange, .latency = latency};
}

}  // namespace

TEST_CASE("the cost model's bytes and messages are those of a step") {
  const Sizes network{.features = 3, .hidden = 11, .classes = 3};
  for (const int size : sizes()) {
    for (const std::size_t leaves : {1U, 2U, 8U, 16U, 128U}) check_traffic(network, size, leaves);
  }
}

TEST_CASE("the cost model's bytes are right of ranks without a slice, and of stacks") {
  for (const int size : {8, 13, 16}) {
    check_traffic(Sizes{.features = 1, .hidden = 1, .classes = 2}, size, 4);
    check_traffic(Sizes{.features = 1, .hidden = 1, .classes = 2}, size, 32);
  }
  const Sizes stack{
      .features = 3, .hidden = 7, .classes = 2, .cell = "lstm", .layers = 2, .bidirectional = true};
  for (const int size : {2, 3, 8}) check_traffic(stack, size, 8);
  const Sizes sections{.features = 3,
                       .hidden = 310,
                       .classes = 2,
                       .cell = "gru",
                       .layers = 2,
                       .bidirectional = true};
  REQUIRE(Slices(sections, 8).section_count() == 2);
  for (const int size : {2, 3, 8, 16}) check_traffic(sections, size, 8);
}

// Of the whole step of all ranks, written down anew.
TEST_CASE("what ranks send is what ranks receive, and has the bytes of the formula") {
  const Network network = Sizes{.features = 5, .hidden = 20, .classes = 3, .cell = "gru"};
  const Parameters parameters(network);
  const std::uint64_t floats = parameters.values().size();
  std::uint64_t rows = 0;
  for (const Tensor& tensor : parameters.tensors()) rows += tensor.rows;
  for (const std::size_t leaves : {4U, 16U}) {
    for (const int size : sizes()) {
      CAPTURE(size, leaves);
      const auto others = static_cast<std::uint64_t>(size - 1);
      const bool halves =
          std::has_single_bit(others + 1) && leaves >= static_cast<std::size_t>(size);
      std::uint64_t messages = 0;
      std::uint64_t sum = 0;
      std::uint64_t expected_sum = halves ? others * floats * 4 : 0;
      std::uint64_t expected_messages = 0;
      std::uint64_t received = 0;
      std::uint64_t notes = 0;
      std::uint64_t weights = 0;
      std::size_t slices = 0;
      bool all_have_slices = true;
      const std::vector<StepTraffic> traffic = step_traffic(network, size, leaves);
      for (int rank = 0; rank < size; ++rank) {
        const StepTraffic& each = traffic[static_cast<std::size_t>(rank)];
        messages += all_sent(each.sum).messages;
        sum += all_sent(each.sum).bytes;
        received += all_received(each.sum) + all_received(each.notes) + all_received(each.weights);
        notes += all_sent(each.notes).bytes;
        weights += all_sent(each.weights).bytes;
        slices += each.slice;
        all_have_slices = all_have_slices && each.slice > 0;
        const std::uint64_t subtrees = subtree_count(share(leaves, rank, size));
        if (!halves) expected_sum += subtrees * (floats - each.slice) * 4;
        expected_messages += halves ? std::bit_width(others) : subtrees * others;
      }
      CHECK(slices == floats);
      CHECK(sum == expected_sum);
      if (all_have_slices) CHECK(messages == expected_messages);
      CHECK(weights == others * floats * 4);
      CHECK(notes == others * (rows * 8 + leaves * 48 + (others + 1) * 8));
      CHECK(received == sum + notes + weights);
    }
  }
}

TEST_CASE("seconds of leaves are known, between what is known, or in proportion") {
  const StepWork work{.leaves = {1, 1.5, 4}};
  CHECK(seconds_of_leaves(work, 0) == 0);
  CHECK(seconds_of_leaves(work, 1) == 1);
  CHECK(seconds_of_leaves(work, 2) == 1.5);
  CHECK(seconds_of_leaves(work, 3) == 2.75);
  CHECK(seconds_of_leaves(work, 4) == 4);
  CHECK(seconds_of_leaves(work, 6) == 6);
  CHECK(seconds_of_leaves(work, 32) == 32);
  CHECK(seconds_of_leaves({.leaves = {2}}, 5) == 10);
}

// 2 inputs, 2 units, 2 classes: 16 floats, of which half is a slice of whole rows.
TEST_CASE("the cost of a step is that of its slowest rank in each round") {
  const Network network = Sizes{.features = 2, .hidden = 2, .classes = 2};
  const StepWork work{.leaves = {3, 5}, .adding = 0.25, .updating = 0.5};
  const StepCost alone = step_cost(network, 4, 1, {.latency = 1, .bandwidth = 1}, work);
  CHECK(alone.leaves == 4);
  CHECK(alone.seconds() == 10 + 0.5);
  CHECK(alone.exchange() == 0);
  const StepCost two = step_cost(network, 4, 2, {.latency = 7, .bandwidth = 2}, work);
  CHECK(two.leaves == 2);
  CHECK(two.working_ranks == 1);
  CHECK(two.compute == 5 + 0.125 + 0.25);
  CHECK(two.sum == 7 + 8 * 4 / 2.0);
  CHECK(two.weights == 7 + 8 * 4 / 2.0);
  // 8 rows in all, b and by among them, of which a slice of 8 floats has 4.
  CHECK(two.notes == 7 + (4 * 8 + 2 * 48 + 8) / 2.0);
  CHECK(two.latency == 21);
  CHECK(two.seconds() == two.compute + two.sum + two.notes + two.weights);
  // Three messages of each subtree and of each gather where there are more ranks than leaves.
  const StepCost four = step_cost(network, 2, 4, {.latency = 1, .bandwidth = 1e15}, work);
  CHECK(four.leaves == 1);
  CHECK(four.working_ranks == 0.5);
  CHECK(four.latency == 3 + 2 + 2);
}

TEST_CASE("gradients of upper layers take no time while lower layers are computed") {
  const Sizes stack{.features = 310, .hidden = 310, .classes = 2, .cell = "gru", .layers = 2};
  const Sizes one{.features = 310, .hidden = 310, .classes = 2, .cell = "gru"};
  const auto cost_of_leaf = [](const Network& network, double seconds, double bandwidth) {
    return step_cost(network, 2, 2, {.latency = 0, .bandwidth = bandwidth}, {.leaves = {seconds}});
  };
  const StepCost slow = cost_of_leaf(stack, 0, 1e9);
  CHECK(slow.hidden == 0);
  CHECK(std::abs(slow.sum / slow.weights - 1) < 1e-3);
  const StepCost fast = cost_of_leaf(stack, 1, 1e9);
  CHECK(fast.hidden > 0.49 * slow.sum);
  CHECK(std::abs(fast.hidden + fast.sum - slow.sum) < 1e-12);
  // A leaf's second of which 3 of 11 parts are on the way back through the first layer.
  const StepCost late = cost_of_leaf(stack, 1, 1e6);
  CHECK(std::abs(late.hidden - 3.0 / 11) < 1e-9);
  CHECK(cost_of_leaf(one, 1, 1e9).hidden == 0);
  // Of 8 leaves three ranks have 2, 3 and 3; the latter no subtree, so they do not begin early.
  const Link link{.latency = 0, .bandwidth = 1e9};
  CHECK(step_cost(stack, 8, 3, link, {.leaves = {1}}).hidden == 0);
  CHECK(step_cost(stack, 6, 3, link, {.leaves = {1}}).hidden > 0);
}

TEST_CASE("the gain ends where a doubling is not worth it, by what hinders it") {
  const StepCost one = cost_of(1, 8, 0, 0);
  CHECK(gain_of(std::vector{one, cost_of(2, 4, 0.1, 0)}).limit == GainLimit::none);
  CHECK(gain_of(std::vector{one, cost_of(2, 4, 4, 3)}).limit == GainLimit::latency);
  CHECK(gain_of(std::vector{one, cost_of(2, 4, 4, 1)}).limit == GainLimit::bandwidth);
  CHECK(gain_of(std::vector{one, cost_of(2, 8, 3, 3)}).limit == GainLimit::leaves);
  const Gain gain =
      gain_of(std::vector{one, cost_of(2, 4, 0, 0), cost_of(4, 4, 0, 0), cost_of(8, 1, 0, 0)});
  CHECK(gain.ranks == 2);
  CHECK(gain.speed_up == 2);
  CHECK(gain.limit == GainLimit::leaves);
  // Three ranks are no doubling.
  const Gain of_three = gain_of(std::vector{one, cost_of(2, 4, 0, 0), cost_of(3, 4, 0, 0)});
  CHECK(of_three.ranks == 2);
  CHECK(of_three.limit == GainLimit::none);
}

TEST_CASE("steps are timed of leaves that double, in full or of fewer timesteps") {
  Options options;
  options.threads = 2;
  const Network network = Sizes{.features = 2, .hidden = 5, .classes = 3, .cell = "lstm"};
  for (const std::size_t rows : {1U, 8U, 20U, 31U, 70U}) {
    const StepTrial trial{network, options, rows, 6};
    CHECK(trial.leaves() == leaf_count(8, rows));
    const TimedStep timed = time_step(trial);
    CHECK(timed.leaf_rows == rows / trial.leaves());
    CHECK(timed.length >= 1);
    CHECK(timed.length <= 6);
    CHECK_FALSE(timed.work.leaves.empty());
    CHECK(timed.work.leaves.size() <= std::bit_width(trial.leaves()));
    for (const double seconds : timed.work.leaves) CHECK(seconds > 0);
    CHECK(timed.work.adding > 0);
    CHECK(timed.work.updating > 0);
  }
  options.leaf_rows = 5000;
  CHECK(time_step({network, options, 3000, 1}).leaf_rows == 256);
}

TEST_CASE("command: info says what ranks would gain", "[command]") {
  const json info = run_json(scaling({"--ranks", "6", "--batch-size", "64", "--classes", "3"}));
  CHECK(info["leaves"] == 8);
  CHECK(info["bandwidth"] == 1.1e9);
  CHECK(info["latency"] == 15e-6);
  std::vector<int> ranks;
  for (const json& cost : info["ranks"]) {
    ranks.push_back(cost["ranks"]);
    const double exchange =
        cost["sum"].get<double>() + cost["notes"].get<double>() + cost["weights"].get<double>();
    const double seconds = cost["seconds"];
    CHECK(std::abs(seconds - exchange - cost["compute"].get<double>()) <= 1e-9 * seconds);
    CHECK((exchange > 0) == (cost["ranks"] != 1));
  }
  CHECK(ranks == std::vector{1, 2, 4, 6});
  CHECK(info["ranks"][0]["speed_up"] == 1.0);
  CHECK(info["ranks"][3]["leaves"] == 2);
  const std::vector<std::string> text =
      lines_of(run(scaling({"--ranks", "16", "--batch-size", "20"})).out);
  REQUIRE(text.size() == 13);
  CHECK_THAT(text[1], ContainsSubstring("20 sequences of 3 timesteps: 2 leaves"));
  CHECK_THAT(text[10], ContainsSubstring("16          0 or 1"));
}

TEST_CASE("command: info says what ends the gain of ranks", "[command]") {
  const auto gain_with = [](const std::vector<std::string>& more) {
    return run_json(scaling(std::vector<std::string>{"--ranks", "8"} + more))["gain"];
  };
  const json by_latency = gain_with({"--batch-size", "64", "--latency", "9"});
  CHECK(by_latency["limit"] == "latency");
  CHECK(by_latency["ranks"] == 1);
  CHECK_THAT(by_latency["advice"].get<std::string>(), ContainsSubstring("lockstep sweep"));
  const json by_bandwidth = gain_with({"--batch-size", "64", "--latency", "0", "--bandwidth", "1"});
  CHECK(by_bandwidth["limit"] == "bandwidth");
  CHECK_THAT(by_bandwidth["advice"].get<std::string>(), ContainsSubstring("faster link"));
  const std::vector<std::string> free = {"--latency", "0", "--bandwidth", "1e15"};
  const json by_leaves =
      gain_with(free + std::vector<std::string>{"--batch-size", "64", "--leaf-rows", "64"});
  CHECK(by_leaves["limit"] == "leaves");
  CHECK_THAT(by_leaves["advice"].get<std::string>(),
             ContainsSubstring("1 leaf; --leaf-rows 8 would let 8 ranks share it"));
  CHECK_THAT(
      gain_with(free + std::vector<std::string>{"--batch-size", "8"})["advice"].get<std::string>(),
      ContainsSubstring("a larger --batch-size"));
}

TEST_CASE("command: info refuses ranks and links that cannot be", "[command]") {
  for (const char* flag : {"--ranks", "--latency", "--bandwidth", "--features", "--length",
                           "--classes", "--batch-size", "--hidden"}) {
    for (const char* value : {"-1", "many", "", "nan", "1e999", "99999999999999999999999"}) {
      const std::string given = std::string(flag) + "=" + value;
      CAPTURE(given);
      std::vector<std::string> arguments = {"info"};
      if (flag != std::string("--ranks")) arguments.emplace_back("--ranks=2");
      const Outcome outcome = run(arguments + std::vector<std::string>{given});
      CHECK(outcome.code == 2);
      CHECK(outcome.out.empty());
      CHECK(lines_of(outcome.err).size() == 1);
      CHECK_THAT(outcome.err, ContainsSubstring(flag));
    }
  }
  require_failure(2, "--ranks: expected a whole number from 2 to 4096, found '1'",
                  {"info", "--ranks", "1"});
  require_failure(2, "--ranks: expected a whole number from 2 to 4096, found '4097'",
                  {"info", "--ranks", "4097"});
  require_failure(2, "--bandwidth: expected a number of bytes per second from 1 to 1e15, found '0'",
                  {"info", "--ranks", "2", "--bandwidth", "0"});
  require_failure(2, "--latency: expected a number of seconds from 0 to 1000, found 'inf'",
                  {"info", "--ranks", "2", "--latency", "inf"});
  require_failure(2, "--batch-size: with --ranks at most 65536, found '65537'",
                  {"info", "--ranks", "2", "--batch-size", "65537"});
  for (const char* flag : {"--latency", "--bandwidth", "--features", "--hidden", "--threads"}) {
    require_failure(2, std::string(flag) + ": it has no effect without --ranks",
                    {"info", flag, "2"});
  }
  require_failure(2, "--ranks: it has no effect with a model",
                  {"info", "model.safetensors", "--ranks", "2"});
}

}  // namespace lockstep
