// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/edges.h"

#include <algorithm>
#include <regex>
#include <string>

namespace berth::tidy {
namespace {

// The longest `from` that a path starts with decides, and gives all the folders and files it may
// include. What a line has beyond STYLE 1 is said beside it.
struct Edge {
  std::string_view from;
  std::string_view may;  // prefixes, separated by blanks; the line's own folder is always allowed
};

constexpr std::string_view kPlugin = "plugins/api/ plugins/resources/ core/";

constexpr Edge kEdges[] = {
    {"core/base/", ""},
    {"core/task/", "core/base/"},
    {"core/oci/", "core/base/"},
    {"core/ring/", "core/base/ core/task/"},
    {"core/linux/", "core/base/"},
    {"core/store/", "core/linux/ core/base/"},
    {"core/container/", "core/linux/ core/oci/ core/base/"},
    // Pods' namespaces are made ahead of time, by a task of the agent and its offload threads.
    {"core/namespaces/", "core/linux/ core/ring/ core/task/ core/base/"},
    // The keeper's program: static and without a heap, so no tasks and no store.
    {"core/keeper/", "core/container/ core/ring/ core/linux/ core/base/"},
    {"core/image/http/", "core/ring/ core/task/ core/base/"},
    {"core/image/config/", "core/image/http/ core/oci/ core/base/"},
    {"core/image/registry/",
     "core/image/config/ core/image/http/ core/ring/ core/task/ core/oci/ core/base/"},
    {"core/image/content/", "core/oci/ core/base/"},
    {"core/image/transfer/",
     "core/image/registry/ core/image/http/ core/image/content/ core/ring/ core/task/ core/oci/ "
     "core/base/"},
    {"core/image/store/", "core/image/config/ core/store/ core/oci/ core/base/"},
    {"core/image/unpack/", "core/image/content/ core/store/ core/linux/ core/oci/ core/base/"},
    {"core/image/archive/", "core/image/store/ core/image/content/ core/oci/ core/base/"},
    {"core/image/pull/",
     "core/image/transfer/ core/image/unpack/ core/image/store/ core/image/registry/ "
     "core/image/config/ core/image/content/ core/ring/ core/task/ core/oci/ core/base/"},

    {"plugins/api/", "core/base/ core/task/ core/oci/"},
    {"plugins/host/", "plugins/api/ core/base/ core/task/"},
    // Policy is pure; the tree of groups that both cgroup plugins keep is awaited work on the ring.
    {"plugins/resources/", "plugins/api/ core/base/ core/task/ core/ring/ core/linux/"},
    {"plugins/cgroup1/", kPlugin},
    {"plugins/cgroup2/", kPlugin},
    {"plugins/native/", kPlugin},
    {"snapshotter/", kPlugin},
    {"networking/", kPlugin},
    {"networking/bpf/", ""},
    // The parts list is alone in naming implementations.
    {"plugins/builtin.h", "plugins/api/ plugins/host/ core/"},
    {"plugins/builtin.cc", "plugins/ snapshotter/ networking/ core/"},

    // Contracts only: processes and namespaces of pods belong to the runtime handlers.
    {"cri/",
     "cri/proto/ cri/rpc/ cri/spec/ plugins/api/ core/base/ core/task/ core/ring/ core/linux/ "
     "core/oci/ core/store/ core/image/"},
    {"cri/proto/", ""},
    // A server for any protocol.
    {"cri/rpc/", "core/base/ core/task/ core/ring/ core/linux/"},
    // Joins two contracts: the puller's layer store and a snapshotter plugin.
    // Pure: no task, no ring, no store.
    {"cri/spec/", "cri/proto/ cri/field.h plugins/api/ core/base/ core/linux/ core/oci/"},
    {"cri/layers/", "plugins/api/ core/image/ core/linux/ core/ring/ core/task/ core/base/"},
    {"cri/main.cc",
     "cri/ plugins/api/ plugins/host/ plugins/builtin.h core/base/ core/task/ core/ring/ "
     "core/linux/ "
     "core/store/ core/image/"},
    {"cri/cli/", "cri/proto/ core/base/"},

    {"tests/", "core/ plugins/ snapshotter/ networking/ cri/ bench/"},
    {"bench/", "core/ plugins/ snapshotter/ networking/ cri/"},
    {"scripts/", ""},
};

bool names_prefix_of(std::string_view list, std::string_view target) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    const std::string_view prefix = list.substr(0, end);
    if (!prefix.empty() && target.starts_with(prefix)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

const Edge* edge_of(std::string_view path) {
  const Edge* best = nullptr;
  for (const Edge& edge : kEdges) {
    if (!path.starts_with(edge.from)) continue;
    if (best == nullptr || edge.from.size() > best->from.size()) best = &edge;
  }
  return best;
}

}  // namespace

bool may_include(std::string_view from, std::string_view target) {
  const Edge* edge = edge_of(from);
  if (edge == nullptr) return false;
  // A folder includes itself, but not a part of it that has a line of its own.
  return edge == edge_of(target) || names_prefix_of(edge->may, target);
}

std::vector<Finding> check_edges(const Source& source) {
  std::vector<Finding> found;
  if (!source.is_cpp()) return found;
  static const std::regex kInclude("(^|\n)[ ]*#[ ]*include[ ]+\"([^\"\n]*)\"");
  const std::string& text = source.text;
  for (std::sregex_iterator it(text.begin(), text.end(), kInclude), end; it != end; ++it) {
    const std::string target = (*it)[2];
    if (may_include(source.path, target)) continue;
    const bool rooted = edge_of(target) != nullptr;
    found.push_back(source.finding(
        static_cast<std::size_t>(it->position(2)), "edge",
        rooted ? "must not include " + target + " (the table is in tests/tidy/edges.cc)"
               : "\"" + target + "\" is not a path from the root; a library's header takes <>"));
  }
  return found;
}

}  // namespace berth::tidy
