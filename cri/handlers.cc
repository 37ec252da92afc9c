// SPDX-License-Identifier: Apache-2.0
#include "cri/handlers.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "cri/field.h"

namespace berth::cri {

namespace {

void append(std::string& list, const std::string& name) {
  list += (list.empty() ? "" : ", ") + name;
}

}  // namespace

void Networks::add(plugins::Network& network) {
  by_name_[std::string(network.name())] = &network;
}

plugins::Network& Networks::standard() const {
  CHECK(!defaults_.empty());
  for (plugins::Network* const network : defaults_) {
    if (network->status().configured) return *network;
  }
  return *defaults_.back();
}

std::string Networks::why_passed_over() const {
  std::string text;
  const plugins::Network& used = standard();
  for (plugins::Network* const network : defaults_) {
    if (network == &used) break;
    text += std::string(network->name()) + ": " + network->status().message + "; ";
  }
  return text;
}

Task<void> Networks::configure(plugins::NetworkConfig config) const {
  for (const auto& [name, network] : by_name_) {
    Result<void> configured = co_await network->configure(config).result();
    if (!configured.ok()) co_await fail(std::move(configured).error().with("network " + name));
  }
}

Result<plugins::Network*> Networks::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  std::string known;
  for (const auto& [each, network] : by_name_) append(known, each);
  return make_error(Errc::failed_precondition,
                    "no network `" + shown(name) + "` is configured; known are: " + known);
}

Status Handlers::add(Handler handler) {
  if (find_if_exists(handler.name) != nullptr) {
    return make_error(Errc::already_exists,
                      "two runtime handlers are named `" + shown(handler.name) + "`");
  }
  handlers_.push_back(std::move(handler));
  return {};
}

const Handler* Handlers::find_if_exists(std::string_view name) const {
  if (name.empty()) return handlers_.empty() ? nullptr : &handlers_.front();
  const auto is_named = [name](const Handler& handler) { return handler.name == name; };
  const auto found = std::find_if(handlers_.begin(), handlers_.end(), is_named);
  return found == handlers_.end() ? nullptr : &*found;
}

std::string Handlers::names() const {
  std::string known;
  for (const Handler& handler : handlers_) append(known, handler.name);
  return known;
}

Result<const Handler*> Handlers::find(std::string_view name) const {
  const Handler* found = find_if_exists(name);
  if (found != nullptr) return found;
  return make_error(Errc::not_found, "runtime_handler: no handler `" + shown(name) +
                                         "` is configured; known are: " + names());
}

Result<plugins::RuntimeHandler*> Handlers::runtime(std::string_view name) const {
  const Handler* found = find_if_exists(name);
  if (found != nullptr) return found->runtime;
  return make_error(Errc::failed_precondition,
                    "the sandbox's runtime handler `" + shown(name) +
                        "` is not configured any more; known are: " + names());
}

std::vector<plugins::RuntimeHandler*> Handlers::runtimes() const {
  std::vector<plugins::RuntimeHandler*> distinct;
  for (const Handler& handler : handlers_) {
    if (std::find(distinct.begin(), distinct.end(), handler.runtime) == distinct.end()) {
      distinct.push_back(handler.runtime);
    }
  }
  return distinct;
}

}  // namespace berth::cri
