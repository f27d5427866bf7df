#include "files/strict_json.h"

#include <set>
#include <stdexcept>
#include <vector>

namespace lockstep {

nlohmann::json parse_strict_json(std::string_view text) {
  using nlohmann::json;
  constexpr int kMaxDepth = 4;
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto check = [&keys](int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= kMaxDepth) throw std::runtime_error("its JSON is nested too deep");
        break;
      case json::parse_event_t::object_end:
        keys.pop_back();
        break;
      case json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys.back().insert(key).second) {
          throw std::runtime_error("its JSON holds the key " + quote(key) + " twice");
        }
        break;
      }
      default:
        break;
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
