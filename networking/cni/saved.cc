// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/saved.h"

#include <algorithm>

#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

using nlohmann::json;

constexpr std::size_t kIdSizeMax = 200;  // a file name has 255 bytes, with a suffix

// Conversions between the text of a member that may be absent and the member.
void put_object(json& into, const char* name, const std::string& text) {
  if (!text.empty()) into[name] = json::parse(text, nullptr, false);
}
std::string object_text(const json& from, const char* name) {
  const auto found = from.find(name);
  return found == from.end() || !found->is_object() ? std::string() : text_of(*found);
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string saved_text(const Attachment& attachment) {
  json object = json::object();
  object["containerID"] = attachment.container_id;
  object["netns"] = attachment.netns;
  object["args"] = attachment.args;
  put_object(object, "runtime", attachment.runtime);
  put_object(object, "result", attachment.result);
  put_object(object, "conf", conf_text(attachment.conf));
  return text_of(object);
}

Result<Attachment> read_saved(std::string_view text) {
  TRY(const json object, parse_object("the saved attachment", text));
  Attachment attachment;
  attachment.container_id = string_or_empty(object, "containerID");
  if (!is_container_id(attachment.container_id)) {
    return make_error(Errc::invalid_argument, "the saved attachment: containerID is not valid");
  }
  attachment.netns = string_or_empty(object, "netns");
  attachment.args = string_or_empty(object, "args");
  attachment.runtime = object_text(object, "runtime");
  attachment.result = object_text(object, "result");
  Result<NetworkConf> conf = parse_conf(ConfForm::list, object_text(object, "conf"));
  if (!conf.ok()) return std::move(conf).error();
  attachment.conf = std::move(*conf);
  return attachment;
}

bool is_container_id(std::string_view id) {
  if (id.empty() || id.size() > kIdSizeMax || !is_alphanumeric(id[0])) return false;
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

}  // namespace berth::networking::cni
