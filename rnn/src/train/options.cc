#include "lockstep/rnn/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <type_traits>
#include <utility>
#include <vector>

#include "data/text_file.h"
#include "heads/loss_settings.h"
#include "lockstep/error.h"
#include "lookup.h"
#include "network/tensors.h"
#include "optimizers/optimizer.h"

namespace lockstep {
namespace {

// What the values of an option may be: numbers from low to high, or one of some words. Without low
// itself if `open`: the smallest denormal as a bound would equal 0 in a mode that flushes.
struct Domain {
  double low = 0;
  bool open = false;
  double high = std::numeric_limits<double>::max();
  std::string text{};
  std::vector<std::string> words{};
  bool (*accepts)(const std::string& text) = nullptr;  // of free text
  bool is_size = false;                                // of bytes, with K, M or G behind it
};

Domain count_from(std::size_t low, std::size_t high = SIZE_MAX) {
  const std::string text = high == SIZE_MAX ? "2^64 - 1" : std::to_string(high);
  return {.low = static_cast<double>(low),
          .high = static_cast<double>(high),
          .text = "from " + std::to_string(low) + " to " + text};
}
Domain positive() { return {.open = true, .text = "above 0"}; }
Domain not_negative() { return {.text = "of 0 or more"}; }
Domain below_one() { return {.high = std::nextafter(1.0, 0.0), .text = "from 0 to less than 1"}; }
// Without a value, or one of a domain.
Domain or_auto(Domain domain) {
  domain.text += " or auto";
  return domain;
}
Domain bytes() {
  return {.text = "of bytes, or with K, M or G behind it of KiB, MiB or GiB", .is_size = true};
}
Domain one_of(std::vector<std::string> words) {
  return {.text = "one of " + listed(words), .words = std::move(words)};
}

struct Row {
  OptionInfo info;
  Domain domain;
  std::string (*get)(const Row&, const Options&);
  bool (*parse)(const Row&, std::string_view text, Options&);
  bool has_auto = false;
};

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return x == y || ((x == '-' || x == '_') && (y == '-' || y == '_'));
  });
}

template <class T>
constexpr bool kIsOptional = std::is_same_v<T, std::optional<double>>;
template <class T>
constexpr bool kIsNumber = (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || kIsOptional<T>;
template <auto member>
using ValueOf = std::remove_reference_t<decltype(std::declval<Options&>().*member)>;
constexpr std::string_view kAuto = "auto";

template <class T>
std::string text_of(T number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

template <class T>
bool parse_number(std::string_view text, T& number) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  return error == std::errc{} && stop == end;
}

bool parse_bytes(std::string_view text, std::size_t& bytes) {
  constexpr std::string_view kUnits = "KMG";
  const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  if (unit == std::string_view::npos) return parse_number(text, bytes);
  const std::size_t shift = 10 * (unit + 1);
  if (!parse_number(text.substr(0, text.size() - 1), bytes)) return false;
  if (bytes > SIZE_MAX >> shift) return false;
  bytes <<= shift;
  return true;
}

template <auto member>
std::string get(const Row& row, const Options& options) {
  const auto& value = options.*member;
  if constexpr (kIsOptional<ValueOf<member>>) {
    return value ? text_of(*value) : std::string(kAuto);
  } else if constexpr (kIsNumber<ValueOf<member>>) {
    return text_of(value);
  } else if constexpr (std::is_same_v<ValueOf<member>, std::string>) {
    return value;
  } else {
    const auto index = static_cast<std::size_t>(value);
    return index < row.domain.words.size() ? row.domain.words[index] : std::to_string(index);
  }
}

template <auto member>
bool parse(const Row& row, std::string_view text, Options& options) {
  auto& value = options.*member;
  if constexpr (kIsOptional<ValueOf<member>>) {
    value.reset();
    return same_word(text, kAuto) || parse_number(text, value.emplace());
  } else if constexpr (kIsNumber<ValueOf<member>>) {
    if constexpr (std::is_same_v<ValueOf<member>, std::size_t>) {
      if (row.domain.is_size) return parse_bytes(text, value);
    }
    return parse_number(text, value);
  } else {
    const auto& words = row.domain.words;
    if constexpr (std::is_same_v<ValueOf<member>, std::string>) {
      if (words.empty()) {
        value = text;
        return true;
      }
    }
    const auto found =
        std::ranges::find_if(words, [&](auto& word) { return same_word(word, text); });
    if (found == words.end()) return false;
    if constexpr (std::is_same_v<ValueOf<member>, std::string>) {
      value = *found;
    } else {
      value = static_cast<ValueOf<member>>(found - words.begin());
    }
    return true;
  }
}

template <auto member>
Row row(const std::string& name, const std::string& group, Domain domain, const std::string& help,
        const std::string& needs = "") {
  using Value = ValueOf<member>;
  OptionKind kind = OptionKind::choice;
  if (std::is_same_v<Value, bool>) kind = OptionKind::flag;
  if (domain.accepts != nullptr) kind = OptionKind::text;
  if (kIsNumber<Value>) {
    kind = std::is_integral_v<Value> ? OptionKind::whole_number : OptionKind::number;
    domain.text = (std::is_integral_v<Value> ? "a whole number " : "a number ") + domain.text;
  }
  Row result{{.name = name,
              .group = group,
              .kind = kind,
              .expected = domain.text,
              .default_text = {},
              .help = help,
              .needs = needs,
              .may_change = name == "epochs" || name == "threads" || name == "memory"},
             std::move(domain),
             get<member>,
             parse<member>,
             kIsOptional<Value>};
  result.info.default_text = result.get(result, Options{});
  return result;
}

std::vector<std::string> heads_or_auto() {
  std::vector<std::string> names = head_names();
  names.insert(names.begin(), std::string(kAuto));
  return names;
}

// THE table of options: whatever sets, checks, lists or explains them reads it.
const std::vector<Row>& rows() {
  constexpr unsigned kMostThreads = 1024;  // far more than help, and few enough to start
  constexpr const char* kModel = "Model";
  constexpr const char* kTraining = "Training";
  constexpr const char* kStopping = "Validation";
  using O = Options;
  static const std::vector<Row> table = {
      row<&O::cell>("cell", kModel, one_of(cell_names()), "Kind of the recurrent layers"),
      row<&O::hidden>("hidden", kModel, count_from(1, kMaxUnits),
                      "Recurrent units of each layer and direction"),
      row<&O::layers>("layers", kModel, count_from(1, kMaxLayers), "Recurrent layers"),
      row<&O::bidirectional>("bidirectional", kModel, one_of({"false", "true"}),
                             "Layers that read the sequences backwards too"),
      row<&O::head>("head", kModel, one_of(heads_or_auto()),
                    "What the network does with its outputs; auto: by the data"),
      row<&O::pool>("pool", kModel, one_of({"last", "mean", "max"}),
                    "What the head reads: the last outputs, or their mean or maximum over "
                    "the timesteps"),
      row<&O::init>("init", kModel, one_of({"gaussian", "xavier", "orthogonal", "pytorch"}),
                    "Initial weights"),
      row<&O::sigma>("sigma", kModel, positive(), "Standard deviation of the initial weights",
                     "init gaussian"),
      row<&O::normalize>("normalize", kModel, one_of({"none", "channel", "series"}),
                         "Standardise inputs: each channel over the training set, or each series "
                         "on its own"),
      row<&O::missing>("missing", kModel, one_of({"fail", "carry", "mean", "mask"}),
                       "Values that are missing: refuse them, carry the last one on, take the "
                       "channel's mean, or carry and mark them in a further channel"),
      row<&O::normalize_targets>("normalize_targets", kModel, one_of({"false", "true"}),
                                 "Standardise the numbers that are learnt"),
      row<&O::epochs>("epochs", kTraining, count_from(1), "Passes over the training set"),
      row<&O::batch_size>("batch_size", kTraining, count_from(1), "Sequences per minibatch"),
      row<&O::accumulate>("accumulate", kTraining, count_from(1, kMaxUnits),
                          "Minibatches of this many times as many sequences, in the memory of one"),
      row<&O::leaf_rows>("leaf_rows", kTraining, count_from(0, kMaxUnits),
                         "Sequences of which a minibatch sums gradients apart, at least, which is "
                         "what several machines can share; 0: by the size of the layers"),
      row<&O::learning_rate>("learning_rate", kTraining, or_auto(positive()),
                             "Step along the minibatch's mean gradient"),
      row<&O::schedule>("schedule", kTraining,
                        one_of({"constant", "step", "cosine", "one_cycle", "plateau"}),
                        "How the learning rate changes"),
      row<&O::warmup_epochs>("warmup_epochs", kTraining, not_negative(),
                             "Epochs over which the learning rate rises at first"),
      row<&O::decay>("decay", kTraining, positive(), "Factor of the falls",
                     "schedule step or plateau"),
      row<&O::decay_epochs>("decay_epochs", kTraining, count_from(1),
                            "Epochs between the falls, or without a better loss before one",
                            "schedule step or plateau"),
      row<&O::optimizer>("optimizer", kTraining, one_of(names_of(kOptimizers)),
                         "How weights follow their gradient"),
      row<&O::momentum>("momentum", kTraining, or_auto(below_one()), "Share of the last step",
                        "optimizer sgd or rmsprop"),
      row<&O::nesterov>("nesterov", kTraining, one_of({"false", "true"}),
                        "The momentum looks one step ahead", "optimizer sgd"),
      row<&O::beta1>("beta1", kTraining, below_one(), "Decay of the mean gradient",
                     "optimizer adam or adamw"),
      row<&O::beta2>("beta2", kTraining, below_one(), "Decay of the mean squared gradient",
                     "optimizer adam or adamw"),
      row<&O::alpha>("alpha", kTraining, below_one(), "Decay of the mean squared gradient",
                     "optimizer rmsprop"),
      row<&O::centered>("centered", kTraining, one_of({"false", "true"}),
                        "Divide by the deviation of the gradient", "optimizer rmsprop"),
      row<&O::eps>("eps", kTraining, positive(), "Added to what the gradient is divided by",
                   "optimizer adam or adamw or rmsprop"),
      row<&O::weight_decay>("weight_decay", kTraining, or_auto(not_negative()),
                            "Pull of the weights towards 0"),
      row<&O::decay_biases>("decay_biases", kTraining, one_of({"false", "true"}),
                            "Biases decay too"),
      row<&O::ema>("ema", kTraining, below_one(),
                   "Decay of the moving average of the weights that the model gets; 0: none"),
      row<&O::loss>("loss", kTraining, one_of({"mse", "huber", "mae"}), "Loss of numbers"),
      row<&O::delta>("delta", kTraining, positive(), "Where the loss becomes linear", "loss huber"),
      row<&O::class_weights>("class_weights", kTraining,
                             {.text = "none, balanced or NAME=WEIGHT,... with weights of 0 or more",
                              .accepts = is_class_weights},
                             "Classes count alike, the rarer the more, or as given"),
      row<&O::label_smoothing>("label_smoothing", kTraining, below_one(),
                               "Share of a label that counts as every class"),
      row<&O::clip_norm>("clip_norm", kTraining, or_auto(not_negative()),
                         "Largest L2 norm of the mean gradient; 0: no limit"),
      row<&O::truncate>("truncate", kTraining, count_from(0),
                        "Go back over this number of last timesteps of each sequence; 0: over all"),
      row<&O::on_nan>("on_nan", kTraining, one_of({"stop", "skip"}),
                      "What to do about a minibatch without a finite loss and gradient"),
      row<&O::dropout>("dropout", kTraining, below_one(),
                       "Share of the outputs between layers to drop; 0: none", "layers"),
      row<&O::dropout_kind>("dropout_kind", kTraining, one_of({"step", "sequence"}),
                            "Draw what is dropped at every timestep, or once for a sequence",
                            "dropout"),
      row<&O::shuffle>("shuffle", kTraining, one_of({"false", "true"}),
                       "A new order of the data in every epoch"),
      row<&O::seed>("seed", kTraining, count_from(0),
                    "Seed of weights, orders and validation split"),
      row<&O::threads>("threads", kTraining, count_from(0, kMostThreads),
                       "Threads; 0: as many CPUs as the process may use"),
      row<&O::memory>("memory", kTraining, bytes(),
                      "Most work memory of a training step; with less, states are computed a "
                      "second time; 0: as much as keeps all states"),
      row<&O::validation>("validation", kStopping, below_one(),
                          "Share of the training data to hold out, drawn by the seed; 0: none"),
      row<&O::patience>("patience", kStopping, count_from(0),
                        "Stop after this number of epochs without a better validation loss, and "
                        "keep the best weights; 0: never",
                        "validation"),
  };
  return table;
}

const Row& row_of(std::string_view name) {
  const auto name_of = [](const Row& row) -> std::string_view { return row.info.name; };
  const auto found = std::ranges::find_if(
      rows(), [name](std::string_view word) { return same_word(word, name); }, name_of);
  if (found != rows().end()) return *found;
  throw InvalidArgument("there is no option " + data_file::in_quotes(name) + ", expected one of " +
                        listed(rows(), name_of));
}

bool is_valid(const Row& row, const Options& options) {
  const std::string text = row.get(row, options);
  const auto& words = row.domain.words;
  if (!words.empty()) return std::ranges::find(words, text) != words.end();
  if (row.domain.accepts != nullptr) return row.domain.accepts(text);
  if (row.has_auto && text == kAuto) return true;
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  const Domain& d = row.domain;
  return (d.open ? value > d.low : value >= d.low) && value <= d.high;
}

// "schedule step or plateau": the words, without "or".
std::vector<std::string> words_of(const std::string& needs) {
  std::istringstream text(needs);
  std::vector<std::string> words;
  for (std::string word; text >> word;) {
    if (word != "or") words.push_back(word);
  }
  return words;
}

[[noreturn]] void refuse(const Row& row, std::string_view found) {
  throw InvalidArgument(row.info.name + ": expected " + row.info.expected + ", found " +
                        data_file::in_quotes(found));
}

}  // namespace

std::span<const OptionInfo> options_table() {
  static const std::vector<OptionInfo> table = [] {
    std::vector<OptionInfo> infos;
    for (const Row& row : rows()) infos.push_back(row.info);
    return infos;
  }();
  return table;
}

void Options::set(std::string_view name, std::string_view text) {
  const Row& row = row_of(name);
  Options changed = *this;
  if (!row.parse(row, text, changed) || !is_valid(row, changed)) refuse(row, text);
  *this = std::move(changed);
}

std::string Options::get(std::string_view name) const {
  const Row& row = row_of(name);
  return row.get(row, *this);
}

bool Options::uses(std::string_view name) const {
  const std::string& needs = row_of(name).info.needs;
  if (needs.empty()) return true;
  const std::vector<std::string> words = words_of(needs);
  const Row& other = row_of(words[0]);
  const std::string value = other.get(other, *this);
  const bool is_set = words.size() == 1
                          ? value != other.info.default_text
                          : std::ranges::find(words.begin() + 1, words.end(), value) != words.end();
  return is_set && uses(other.info.name);
}

void validate(const Options& options) {
  for (const Row& row : rows()) {
    if (!is_valid(row, options)) refuse(row, row.get(row, options));
  }
  require_whole_sequences(options.bidirectional, options.truncate);
}

}  // namespace lockstep
