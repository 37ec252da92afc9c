// SPDX-License-Identifier: Apache-2.0
// What the node holds and what a test left: cgroups of every hierarchy, the host's mounts, pods'
// files, snapshots, berthd's descriptors by kind, the keeper's children.
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {

namespace {

namespace fs = std::filesystem;

void add_tree(Holdings& held, const std::string& kind, const std::string& root) {
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(root, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (entry->is_directory(failed)) held.insert(kind + " " + entry->path().string());
  }
}

void add_cgroups(Holdings& held, const std::string& subtree) {
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    held.insert("mount " + line.substr(0, line.find(" rw")));
    std::istringstream words(line);
    std::string source;
    std::string target;
    std::string type;
    words >> source >> target >> type;
    if (type == "cgroup" || type == "cgroup2") add_tree(held, "cgroup", target + "/" + subtree);
  }
}

// "net:[4026532334]" becomes "net": pools are refilled with others. gRPC's own sockets, event
// descriptors and pipes come and go with its connections, so only ours are told apart by path.
void add_descriptors(Holdings& held, pid_t pid) {
  const std::string dir = "/proc/" + std::to_string(pid) + "/fd";
  std::error_code failed;
  for (fs::directory_iterator entry(dir, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string target = fs::read_symlink(entry->path(), failed).string();
    if (failed || target.rfind("socket:", 0) == 0) {
      failed.clear();
      continue;
    }
    held.insert("fd " + (target[0] == '/' ? target : target.substr(0, target.find(':'))));
  }
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void add_children(Holdings& held, pid_t parent) {
  std::error_code failed;
  for (fs::directory_iterator entry("/proc", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string stat = first_line(entry->path().string() + "/stat");
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream words(stat.substr(name_end + 2));
    char state = 0;
    pid_t its_parent = 0;
    words >> state >> its_parent;
    if (its_parent == parent) held.insert("child of the keeper " + stat.substr(0, name_end + 1));
  }
}

std::size_t count_entries(const std::string& dir) {
  std::error_code failed;
  std::size_t count = 0;
  for (fs::directory_iterator entry(dir, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    ++count;
  }
  return count;
}

}  // namespace

Holdings Node::holdings() {
  Holdings held;
  add_cgroups(held, dir("BERTH_CGROUP"));
  add_tree(held, "pod files", dir("BERTH_STATE") + "/berth/pods");
  const std::string snapshots = dir("BERTH_ROOT") + "/snapshots/overlay";
  held.insert("snapshot trees: " + std::to_string(count_entries(snapshots)));
  held.insert("trash: " + std::to_string(count_entries(snapshots + "/trash")));
  add_descriptors(held, berthd_pid());
  add_children(held, keeper_pid());
  return held;
}

// A pool that is being filled changes what there is: taken when two looks agree.
void Node::remember_holdings() {
  wait_until(
      []() {
        Holdings now = holdings();
        const bool same = now == before_;
        before_ = std::move(now);
        if (!same) ::usleep(100'000);
        return same;
      },
      5);
}

std::string Node::leftovers(double seconds_max) {
  Holdings now;
  if (wait_until(
          [&now]() {
            now = holdings();
            return now == before_;
          },
          seconds_max)) {
    return "";
  }
  std::string text;
  std::set<std::string> names(now.begin(), now.end());
  names.insert(before_.begin(), before_.end());
  for (const std::string& name : names) {
    const long more = static_cast<long>(now.count(name)) - static_cast<long>(before_.count(name));
    if (more > 0) text += "more: " + name + " +" + std::to_string(more) + "\n";
    if (more < 0) text += "less: " + name + " " + std::to_string(more) + "\n";
  }
  return text;
}

}  // namespace berth::node_test
