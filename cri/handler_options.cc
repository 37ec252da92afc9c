// SPDX-License-Identifier: Apache-2.0
#include "cri/handler_options.h"

#include <charconv>
#include <utility>

#include "cri/field.h"

namespace berth::cri {

namespace {

Error invalid(std::string_view text, const std::string& why) {
  return make_error(Errc::invalid_argument, "--runtime-handler: `" + shown(text) + "`: " + why);
}

struct Assignment {
  std::string_view name;
  std::string_view value;
};

// Takes "name=value" off the front of `rest`, up to the next ','.
Result<Assignment> next_assignment(std::string_view text, std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find(','));
  rest.remove_prefix(part.size() == rest.size() ? part.size() : part.size() + 1);
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == part.size()) {
    return invalid(text, "takes NAME=PLUGIN[,network=NETWORK][,pids-limit=N]");
  }
  return Assignment{part.substr(0, equals), part.substr(equals + 1)};
}

}  // namespace

Result<HandlerOptions> parse_handler(std::string_view text) {
  std::string_view rest = text;
  TRY(const Assignment first, next_assignment(text, rest));
  TRY_(check_name("--runtime-handler", first.name));
  HandlerOptions options;
  options.name = first.name;
  options.plugin = first.value;
  while (!rest.empty()) {
    TRY(const Assignment option, next_assignment(text, rest));
    if (option.name == "network") {
      options.network = std::string(option.value);
    } else if (option.name == "pids-limit") {
      std::int64_t limit = 0;
      const char* const end = option.value.data() + option.value.size();
      const auto [parsed, failed] = std::from_chars(option.value.data(), end, limit);
      if (failed != std::errc() || parsed != end || limit < 0) {
        return invalid(text, "pids-limit is no number");
      }
      options.pids_limit = limit;
    } else {
      return invalid(text, "has no option `" + shown(option.name) + "`");
    }
  }
  return options;
}

}  // namespace berth::cri
