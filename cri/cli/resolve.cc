// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/resolve.h"

#include <utility>

#include "cri/cli/display.h"
#include "cri/cli/pod_config.h"

namespace berth::cli {

namespace {

using Matches = std::vector<Target>;

template <typename Predicate>
Matches matches_in(const Inventory& inventory, Predicate matches) {
  Matches found;
  for (const Target& pod : inventory.pods) {
    if (matches(pod)) found.push_back(pod);
  }
  for (const Target& container : inventory.containers) {
    if (matches(container)) found.push_back(container);
  }
  return found;
}

bool all_in_pod(const Matches& found, const std::string& pod_id) {
  for (const Target& target : found) {
    if (target.pod_id != pod_id) return false;
  }
  return true;
}

Error ambiguous(const std::string& typed, const Matches& found) {
  std::string list;
  for (const Target& target : found) {
    if (!list.empty()) list += ", ";
    list += target.kind == Kind::pod ? "pod " : "container ";
    list += short_id(target.id) + " (" + target.name + ")";
  }
  return make_error(Errc::invalid_argument, "`" + typed + "` is ambiguous: " + list);
}

Result<Target> only(const std::string& typed, const Matches& found) {
  if (found.size() == 1) return found.front();
  return ambiguous(typed, found);
}

Result<Target> by_name(const std::string& typed, const Matches& found) {
  if (found.front().kind == Kind::pod && all_in_pod(found, found.front().id)) return found.front();
  return only(typed, found);
}

}  // namespace

std::vector<Target> containers_of(const Inventory& inventory, const std::string& pod_id) {
  Matches found;
  for (const Target& container : inventory.containers) {
    if (container.pod_id == pod_id) found.push_back(container);
  }
  return found;
}

Result<Inventory> list_inventory(Client& client) {
  Inventory inventory;
  TRY(const auto pods, client.call(&Runtime::Stub::ListPodSandbox, cri::ListPodSandboxRequest()));
  for (const auto& pod : pods.items()) {
    inventory.pods.push_back({Kind::pod, pod.id(), pod.metadata().name(), pod.id(),
                              pod.labels().count(kMadeByRunLabel) > 0, false});
  }
  TRY(const auto containers,
      client.call(&Runtime::Stub::ListContainers, cri::ListContainersRequest()));
  for (const auto& container : containers.containers()) {
    inventory.containers.push_back({Kind::container, container.id(), container.metadata().name(),
                                    container.pod_sandbox_id(),
                                    container.labels().count(kMadeByRunLabel) > 0,
                                    container.state() == cri::CONTAINER_RUNNING});
  }
  for (Target& pod : inventory.pods) {
    for (const Target& container : containers_of(inventory, pod.id)) {
      pod.running = pod.running || container.running;
    }
  }
  return inventory;
}

Result<Target> resolve(const Inventory& inventory, const std::string& typed) {
  if (typed.empty()) return make_error(Errc::invalid_argument, "an empty name names nothing");
  const Matches by_id = matches_in(inventory, [&](const Target& t) { return t.id == typed; });
  if (!by_id.empty()) return by_id.front();
  const Matches named = matches_in(inventory, [&](const Target& t) { return t.name == typed; });
  if (!named.empty()) return by_name(typed, named);
  const Matches begun =
      matches_in(inventory, [&](const Target& t) { return t.id.starts_with(typed); });
  if (!begun.empty()) return only(typed, begun);
  return make_error(Errc::not_found, "no pod or container `" + typed + "`");
}

Result<Target> resolve_container(const Inventory& inventory, const std::string& typed) {
  // Containers are searched first, because the name may also be that of another pod.
  Inventory containers;
  containers.containers = inventory.containers;
  Result<Target> direct = resolve(containers, typed);
  if (direct.ok() || direct.error().code != Errc::not_found) return direct;
  TRY(const Target pod, resolve(inventory, typed));
  const Matches inside = containers_of(inventory, pod.id);
  if (inside.size() == 1) return inside.front();
  if (inside.empty()) return make_error(Errc::not_found, "pod `" + typed + "` has no container");
  return ambiguous(typed, inside);
}

Result<Target> resolve_pod(const Inventory& inventory, const std::string& typed) {
  Inventory pods;
  pods.pods = inventory.pods;
  Result<Target> direct = resolve(pods, typed);
  if (direct.ok() || direct.error().code != Errc::not_found) return direct;
  TRY(const Target container, resolve(inventory, typed));
  for (const Target& pod : inventory.pods) {
    if (pod.id == container.pod_id) return pod;
  }
  return make_error(Errc::not_found, "the pod of container `" + typed + "` is gone");
}

}  // namespace berth::cli
