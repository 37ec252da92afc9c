// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/result.h"

#include "core/base/text.h"
#include "networking/cni/cidr.h"
#include "networking/cni/conf.h"
#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

using nlohmann::json;
using plugins::NetworkInterface;
using plugins::NetworkResult;

constexpr std::size_t kEntriesMax = 256;  // of each array of a result
constexpr int kNoInterface = -1;
constexpr std::size_t kErrorTextMax = 1024;

Error refused(const std::string& sentence) {
  return make_error(Errc::invalid_argument, "the result: " + sentence);
}

const json& array_of(const json& object, const char* name) {
  static const json kNone = json::array();
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? kNone : *found;
}

Status check_array(const json& array, const std::string& name) {
  if (!array.is_array()) return refused(name + ": must be an array");
  if (array.size() > kEntriesMax) return refused(name + ": has more than 256 entries");
  for (const json& item : array) {
    if (!item.is_object()) return refused(name + ": has an entry that is not an object");
  }
  return {};
}

int interface_of(const json& ip, std::size_t count) {
  const auto found = ip.find("interface");
  if (found == ip.end() || !found->is_number_integer()) return kNoInterface;
  const auto index = found->get<std::int64_t>();
  return index >= 0 && static_cast<std::size_t>(index) < count ? static_cast<int>(index)
                                                               : kNoInterface;
}

// For each interface of the result its place in `into.interfaces`, or -1 for one of the host.
std::vector<int> read_interfaces(const json& interfaces, NetworkResult& into) {
  std::vector<int> places;
  for (const json& item : interfaces) {
    if (string_or_empty(item, "sandbox").empty()) {
      places.push_back(kNoInterface);
      continue;
    }
    NetworkInterface interface;
    interface.name = printable(string_or_empty(item, "name"));
    interface.mac = printable(string_or_empty(item, "mac"));
    const auto mtu = item.find("mtu");
    if (mtu != item.end() && mtu->is_number_unsigned()) interface.mtu = mtu->get<std::uint32_t>();
    places.push_back(static_cast<int>(into.interfaces.size()));
    into.interfaces.push_back(std::move(interface));
  }
  return places;
}

// The place of the interface `ifname`, added if the result does not list it.
int place_of(const std::string& ifname, NetworkResult& into) {
  for (std::size_t i = 0; i < into.interfaces.size(); ++i) {
    if (into.interfaces[i].name == ifname) return static_cast<int>(i);
  }
  NetworkInterface interface;
  interface.name = ifname;
  into.interfaces.push_back(std::move(interface));
  return static_cast<int>(into.interfaces.size()) - 1;
}

Status read_ips(const json& ips, const std::vector<int>& places, const std::string& ifname,
                NetworkResult& into) {
  for (std::size_t i = 0; i < ips.size(); ++i) {
    const std::string cidr = string_or_empty(ips[i], "address");
    std::string address = address_of(cidr);
    if (address.empty()) {
      return refused("ips[" + std::to_string(i) + "].address: " + berth::quoted(cidr) +
                     " is not an address with a prefix length");
    }
    const int named = interface_of(ips[i], places.size());
    const int place =
        named == kNoInterface ? place_of(ifname, into) : places[static_cast<std::size_t>(named)];
    if (place == kNoInterface) continue;
    NetworkInterface& interface = into.interfaces[static_cast<std::size_t>(place)];
    interface.addresses.push_back(cidr);
    if (interface.name == ifname) into.ips.push_back(std::move(address));
  }
  return {};
}

Status read_routes(const json& routes, NetworkResult& into) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const std::string where = "routes[" + std::to_string(i) + "].";
    plugins::NetworkRoute route;
    route.destination = string_or_empty(routes[i], "dst");
    route.gateway = string_or_empty(routes[i], "gw");
    if (address_of(route.destination).empty()) {
      return refused(where + "dst: " + berth::quoted(route.destination) +
                     " is not an address with a prefix length");
    }
    if (!route.gateway.empty() && !is_address(route.gateway)) {
      return refused(where + "gw: " + berth::quoted(route.gateway) + " is not an address");
    }
    into.routes.push_back(std::move(route));
  }
  return {};
}

// Lines of a resolv.conf are made of these.
std::vector<std::string> printables(std::vector<std::string> all) {
  for (std::string& text : all) text = printable(text);
  return all;
}

void read_dns(const json& object, NetworkResult& into) {
  const auto dns = object.find("dns");
  if (dns == object.end() || !dns->is_object()) return;
  into.dns.nameservers = printables(strings_or_empty(*dns, "nameservers"));
  into.dns.domain = printable(string_or_empty(*dns, "domain"));
  into.dns.search = printables(strings_or_empty(*dns, "search"));
  into.dns.options = printables(strings_or_empty(*dns, "options"));
}

}  // namespace

Result<std::string> convert_result(std::string_view text, std::string_view cni_version) {
  TRY(json object, parse_object("the result", text));
  const std::string own = string_or_empty(object, "cniVersion");
  if (!own.empty() && !is_supported_version(own)) {
    return refused("cniVersion: " + berth::quoted(own) + " is not supported");
  }
  object["cniVersion"] = std::string(cni_version);
  const auto ips = object.find("ips");
  if (ips != object.end() && ips->is_array()) {
    for (json& ip : *ips) {
      if (!ip.is_object()) continue;
      if (cni_version.starts_with("0.")) {
        const bool six = string_or_empty(ip, "address").find(':') != std::string::npos;
        ip["version"] = six ? "6" : "4";
      } else {
        ip.erase("version");
      }
    }
  }
  return text_of(object);
}

Result<NetworkResult> read_result(std::string_view text, const std::string& ifname) {
  TRY(const json object, parse_object("the result", text));
  for (const char* name : {"interfaces", "ips", "routes"}) {
    TRY_(check_array(array_of(object, name), name));
  }
  NetworkResult result;
  const std::vector<int> places = read_interfaces(array_of(object, "interfaces"), result);
  TRY_(read_ips(array_of(object, "ips"), places, ifname, result));
  TRY_(read_routes(array_of(object, "routes"), result));
  read_dns(object, result);
  return result;
}

Result<std::string> with_sandbox(std::string_view text, const std::string& from,
                                 const std::string& to) {
  TRY(json object, parse_object("the result", text));
  const auto interfaces = object.find("interfaces");
  if (interfaces != object.end() && interfaces->is_array()) {
    for (json& item : *interfaces) {
      if (!item.is_object() || from.empty()) continue;
      if (string_or_empty(item, "sandbox") == from) item["sandbox"] = to;
    }
  }
  return text_of(object);
}

PluginError read_error(std::string_view text) {
  PluginError error;
  Result<json> object = parse_object("the error", text);
  if (!object.ok()) return error;
  const auto code = object->find("code");
  if (code == object->end() || !code->is_number_integer()) return error;
  error.code = code->get<std::int64_t>();
  error.msg = shortened(string_or_empty(*object, "msg"), kErrorTextMax);
  error.details = shortened(string_or_empty(*object, "details"), kErrorTextMax);
  return error;
}

std::vector<std::string> read_versions(std::string_view text) {
  Result<json> object = parse_object("the versions", text);
  if (!object.ok()) return {};
  return strings_or_empty(*object, "supportedVersions");
}

}  // namespace berth::networking::cni
