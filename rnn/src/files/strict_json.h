#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// JSON in files. nlohmann's parser and its escapes of text are used, but not its values, whose
/// destructors take memory and end the process where there is none.
namespace lockstep {

/// A value lacks a part or is of a wrong type, or text is not UTF-8.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A value that was read. What is asked of it throws JsonError where it is not so.
class Json {
 public:
  struct Member;
  using Items = std::vector<Json>;
  using Members = std::vector<Member>;  ///< by key
  using Value =
      std::variant<std::monostate, bool, std::uint64_t, double, std::string, Items, Members>;

  Json() noexcept;
  explicit Json(Value of) noexcept;
  ~Json();
  Json(Json&&) noexcept;
  Json& operator=(Json&&) noexcept;

  [[nodiscard]] bool is_object() const { return std::holds_alternative<Members>(value); }
  [[nodiscard]] const Members& members() const { return as<Members>(); }
  [[nodiscard]] const Items& items() const { return as<Items>(); }
  /// Null if the object has no such member.
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] const Json& at(std::string_view key) const;

  /// As std::string, bool, a number or a vector of these; for std::size_t and std::uint64_t a whole
  /// number that is not negative.
  template <class T>
  [[nodiscard]] T get() const {
    if constexpr (std::is_same_v<T, std::uint64_t>) {
      return whole();
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(number());
    } else if constexpr (requires { typename T::value_type; } && !std::is_same_v<T, std::string>) {
      T values;
      values.reserve(items().size());
      for (const Json& item : items()) values.push_back(item.get<typename T::value_type>());
      return values;
    } else {
      return as<T>();
    }
  }
  /// get(), or `fallback` if the object has no such member.
  template <class T>
  [[nodiscard]] T value_or(std::string_view key, T fallback) const {
    const Json* const found = find(key);
    return found == nullptr ? std::move(fallback) : found->get<T>();
  }

  Value value;

 private:
  template <class T>
  [[nodiscard]] const T& as() const {
    const T* const held = std::get_if<T>(&value);
    if (held == nullptr) throw JsonError("a value of its JSON is of a wrong type");
    return *held;
  }
  [[nodiscard]] double number() const;
  [[nodiscard]] std::uint64_t whole() const;
};

struct Json::Member {
  std::string key;
  Json value;
};

/// Parses JSON that may come from anyone. Throws std::runtime_error, with a reason to follow the
/// name of the file, if it is not JSON, if an object holds a key twice (readers disagree about
/// which one counts) or if objects and arrays are nested more than four deep.
[[nodiscard]] Json parse_strict_json(std::string_view text);

/// The JSON text of a value. Text must be UTF-8 and numbers finite.
///@{
[[nodiscard]] std::string json_text(std::string_view text);
[[nodiscard]] std::string json_text(double number);
[[nodiscard]] std::string json_text(std::uint64_t number);
template <std::same_as<bool> T>  // or a pointer would be one
[[nodiscard]] std::string json_text(T truth) {
  return truth ? "true" : "false";
}
template <class T>
[[nodiscard]] std::string json_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) {
    if (text.size() > 1) text += ',';
    text += json_text(value);
  }
  return text += ']';
}
///@}

/// An object that is written: JSON texts by key.
using JsonTexts = std::map<std::string, std::string>;
[[nodiscard]] std::string json_object(const JsonTexts& members);

/// `text` in quotes for an error message: printable ASCII and of bounded length, whatever it holds.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace lockstep
