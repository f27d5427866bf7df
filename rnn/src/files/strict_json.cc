#include "files/strict_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using Parser = nlohmann::json;

// Makes a value of the events of the parser.
class Builder final : public nlohmann::json_sax<Parser> {
 public:
  Json take() { return std::move(root_); }

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(static_cast<double>(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string& /*text*/) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Parser::binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Json::Members()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::Items()); }
  bool end_array() override { return close(); }
  bool key(std::string& value) override {
    std::get<Json::Members>(open_.back()->value).push_back({std::move(value), Json()});
    return true;
  }
  bool end_object() override {
    auto& members = std::get<Json::Members>(open_.back()->value);
    std::ranges::sort(members, {}, &Json::Member::key);
    const auto twice = std::ranges::adjacent_find(members, {}, &Json::Member::key);
    if (twice != members.end()) {
      throw std::runtime_error("its JSON holds the key " + quote(twice->key) + " twice");
    }
    return close();
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const Parser::exception& /*error*/) override {
    return false;
  }

 private:
  bool add(Json::Value value) {
    put(Json(std::move(value)));
    return true;
  }
  bool open(Json::Value value) {
    constexpr std::size_t kMaxDepth = 4;
    if (open_.size() >= kMaxDepth) throw std::runtime_error("its JSON is nested too deep");
    open_.push_back(&put(Json(std::move(value))));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  Json& put(Json value) {
    if (open_.empty()) return root_ = std::move(value);
    Json& parent = *open_.back();
    if (auto* const items = std::get_if<Json::Items>(&parent.value)) {
      return items->emplace_back(std::move(value));
    }
    return std::get<Json::Members>(parent.value).back().value = std::move(value);
  }

  Json root_;
  std::vector<Json*> open_;  // each is the last part of the one before, so none is moved
};

template <class Number>
std::string number_text(Number number) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

}  // namespace

Json::Json() noexcept = default;
Json::Json(Value of) noexcept : value(std::move(of)) {}
Json::~Json() = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(Json&&) noexcept = default;

const Json* Json::find(std::string_view key) const {
  const Members& all = members();
  const auto found = std::ranges::lower_bound(all, key, {}, &Member::key);
  return found != all.end() && found->key == key ? &found->value : nullptr;
}

const Json& Json::at(std::string_view key) const {
  const Json* const found = find(key);
  if (found == nullptr) throw JsonError("its JSON has no " + quote(key));
  return *found;
}

std::uint64_t Json::whole() const {
  constexpr double kLargest = 0x1p53;
  const auto* const number = std::get_if<double>(&value);
  if (number == nullptr) return as<std::uint64_t>();
  if (*number >= 0 && *number <= kLargest && *number == std::floor(*number)) {
    return static_cast<std::uint64_t>(*number);
  }
  throw JsonError("a value of its JSON is of a wrong type");
}

double Json::number() const {
  const auto* const whole = std::get_if<std::uint64_t>(&value);
  return whole == nullptr ? as<double>() : static_cast<double>(*whole);
}

Json parse_strict_json(std::string_view text) {
  Builder builder;
  if (!Parser::sax_parse(text.begin(), text.end(), &builder)) {
    throw std::runtime_error("its JSON text is malformed");
  }
  return builder.take();
}

std::string json_text(std::string_view text) {
  try {
    return Parser(text).dump();
  } catch (const Parser::exception&) {
    throw JsonError("it is not UTF-8");
  }
}

// Never a whole number to the parser, which would lose the sign of -0.
std::string json_text(double number) {
  std::string text = number_text(number);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}
std::string json_text(std::uint64_t number) { return number_text(number); }

std::string json_object(const JsonTexts& members) {
  std::string text = "{";
  for (const auto& [key, value] : members) {
    if (text.size() > 1) text += ',';
    text += json_text(key);
    text.append(":").append(value);
  }
  return text += '}';
}

std::string quote(std::string_view text) {
  constexpr std::size_t kMaxLength = 80;
  return Parser(text.substr(0, kMaxLength)).dump(-1, ' ', true, Parser::error_handler_t::replace);
}

}  // namespace lockstep
