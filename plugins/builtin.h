// SPDX-License-Identifier: Apache-2.0
// The parts list: the plugins that come with berth. builtin.cc alone names implementations, and
// only the agent links it.
#pragma once

#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/namespaces/namespace_pool.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "plugins/host/registry.h"

namespace berth::plugins {

// Borrowed by the plugins and outlives them.
struct BuiltinParts {
  Ring& ring;
  Log& log;
  const store::Layout& layout;
  std::string keeper_binary;  // path of berth-keeper
  std::string cgroup_parent;
  std::string cni_conf_dir;
  std::vector<std::string> cni_bin_dirs;
  NamespacePool& namespaces;  // of kind kPod; the caller closes it after the networks
};

// Fills the registry. The resources plugin is the one that fits the machine's cgroups.
Status add_builtin(Registry& registry, const BuiltinParts& parts);

}  // namespace berth::plugins
