// SPDX-License-Identifier: Apache-2.0
// Resolves the text that a user typed to an id. The text is tried as a complete id, as a name, and
// as the start of an id, in this order. Several matches are an error that lists them.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::cli {

enum class Kind { pod, container };

struct Target {
  Kind kind = Kind::pod;
  std::string id;
  std::string name;
  std::string pod_id;        // the container's pod, or the pod itself
  bool made_by_run = false;  // `berth run` made this pod for its one container
  bool running = false;      // the container runs, or one of the pod's does
};

struct Inventory {
  std::vector<Target> pods;
  std::vector<Target> containers;
};

// Lists all pods and containers of the runtime.
Result<Inventory> list_inventory(Client& client);

std::vector<Target> containers_of(const Inventory& inventory, const std::string& pod_id);

// A pod is preferred to a container of the same name in it: `berth run --name` makes such pairs.
// Pure.
Result<Target> resolve(const Inventory& inventory, const std::string& typed);
// A container. The name of a pod with exactly one container resolves to that container.
Result<Target> resolve_container(const Inventory& inventory, const std::string& typed);
// A pod. The name of a container resolves to its pod.
Result<Target> resolve_pod(const Inventory& inventory, const std::string& typed);

}  // namespace berth::cli
