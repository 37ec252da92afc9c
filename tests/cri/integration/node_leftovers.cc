// SPDX-License-Identifier: Apache-2.0
// What the node holds and what a test left: cgroups of every hierarchy, the host's mounts, pods'
// files, snapshots, berthd's descriptors by kind, the keeper's children.
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

// "net:[4026532334]" becomes "net": namespaces are interchangeable. Up to kPool of each kind are
// ready for the next pods, more or fewer by the moment. gRPC's sockets come and go with its
// connections.
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
    // Loops and what wakes them are made when first needed, one for registries at the first pull.
    constexpr const char* kLoops[] = {"anon_inode:[io_uring]", "anon_inode:[eventfd]",
                                      "anon_inode:[eventpoll]"};
    if (std::find(std::begin(kLoops), std::end(kLoops), target) != std::end(kLoops)) continue;
    // The tree behind /sys/fs/cgroup of all containers, made with the first that starts.
    if (target == "/" && fs::exists(entry->path() / "unified", failed)) continue;
    const bool whole = target[0] == '/' || target.rfind("anon_inode:", 0) == 0;
    held.insert("fd " + (whole ? target : target.substr(0, target.find(':'))));
  }
  constexpr std::size_t kPool = 8;
  for (const char* kind : {"fd net", "fd ipc", "fd uts"}) {
    const std::size_t count = held.count(kind);
    held.erase(kind);
    for (std::size_t i = kPool; i < count; ++i) held.insert(std::string(kind) + " beyond the pool");
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

// Trees are made ahead of need. One that was mounted has a directory in its workdir, which
// overlayfs put there; it goes with its container.
void add_snapshots(Holdings& held, const std::string& dir) {
  std::error_code failed;
  for (fs::directory_iterator entry(dir, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code absent;
    if (fs::exists(entry->path() / "work" / "work", absent)) {
      held.insert("snapshot " + entry->path().string());
    }
  }
  for (fs::directory_iterator entry(dir + "/trash", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    held.insert("trash " + entry->path().string());
  }
}

}  // namespace

Holdings Node::holdings() {
  Holdings held;
  add_cgroups(held, dir("BERTH_CGROUP"));
  add_tree(held, "pod files", dir("BERTH_ROOT") + "/pods");
  add_snapshots(held, dir("BERTH_ROOT") + "/snapshots/overlay");
  add_descriptors(held, berthd_pid());
  add_children(held, keeper_pid());
  return held;
}

// A pool that is being filled changes what there is, and so does trash that is being removed: taken
// when two looks agree and no trash is left.
void Node::remember_holdings() {
  wait_until(
      []() {
        Holdings now = holdings();
        const auto trash = now.lower_bound("trash ");
        const bool clean = trash == now.end() || trash->rfind("trash ", 0) != 0;
        const bool same = clean && now == before_;
        before_ = std::move(now);
        if (!same) ::usleep(100'000);
        return same;
      },
      30);
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
