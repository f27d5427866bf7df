#include "files/strict_json.h"

#include <map>
#include <set>
#include <stdexcept>

namespace lockstep {

nlohmann::json parse_strict_json(std::string_view text) {
  using nlohmann::json;
  using Event = json::parse_event_t;
  constexpr int kMaxDepth = 4;
  std::map<int, std::set<std::string>> keys;  // of the object last opened at each depth
  const auto check = [&keys](int depth, Event event, const json& parsed) {
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= kMaxDepth) throw std::runtime_error("its JSON is nested too deep");
    if (opens) keys[depth + 1].clear();
    if (event == Event::key && !keys[depth].insert(parsed.get<std::string>()).second) {
      throw std::runtime_error("its JSON holds the key " + quote(parsed.get<std::string>()) +
                               " twice");
    }
    return true;
  };
  json parsed = json::parse(text, check, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw std::runtime_error("its JSON text is malformed");
  return parsed;
}

std::string quote(std::string_view text) {
  using nlohmann::json;
  constexpr std::size_t kMaxLength = 80;
  return json(text.substr(0, kMaxLength)).dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace lockstep
