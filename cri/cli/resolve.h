// SPDX-License-Identifier: Apache-2.0
// Turns what a person typed into an id: a whole id, a name, or the start of an id, in that order.
// Several matches are an error that lists them.
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

// Every pod and container the runtime knows.
Result<Inventory> list_inventory(Client& client);

std::vector<Target> containers_of(const Inventory& inventory, const std::string& pod_id);

// Pure, so that the rules can be tested as a table. A pod is preferred to a container of the same
// name inside it, which is what `berth run --name` makes.
Result<Target> resolve(const Inventory& inventory, const std::string& typed);
// A pod that was named stands for its container when it has exactly one.
Result<Target> resolve_container(const Inventory& inventory, const std::string& typed);
// A container that was named stands for its pod.
Result<Target> resolve_pod(const Inventory& inventory, const std::string& typed);

}  // namespace berth::cli
