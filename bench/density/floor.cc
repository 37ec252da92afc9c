// SPDX-License-Identifier: Apache-2.0
// Question: how much memory does the kernel need for a pod, without an agent?
// Baseline: none; this is the baseline of bench/density.sh.
// Non-goals: speed, and the memory of an agent.
//
// Runs in a node namespace (BERTH_NODE_DIR, BERTH_CGROUP), makes --pods pods, prints one line of
// JSON with the difference of MemAvailable, and removes the pods.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/density/meminfo.h"
#include "bench/density/must.h"
#include "bench/density/pod.h"

namespace floor_bench {

struct Options {
  int pods = 200;
  std::string lower;
};

static int usage() {
  std::fprintf(stderr,
               "usage: berth-density-floor --lower DIR [--pods N]   (in a node namespace)\n"
               "       DIR is an unpacked image with /bin/sleep\n"
               "       berth-density-floor --available   prints settled MemAvailable, in KiB\n");
  return 2;
}

static int measure(const Options& options, const std::string& node, const std::string& cgroup) {
  const int meminfo = must(open("/proc/meminfo", O_RDONLY | O_CLOEXEC), "/proc/meminfo");
  const Site site = open_site(cgroup, node + "/floor", options.lower);

  // The first pods also allocate memory that all pods share: pages of the program, dentries, slabs.
  const int warm_up = 8;
  std::vector<Pod> pods;
  for (int index = 0; index < warm_up; ++index) {
    pods.push_back(prepare_pod(site, "warm" + std::to_string(index)));
  }
  const Available nothing = settled_available(meminfo);
  for (int index = 0; index < options.pods; ++index) {
    pods.push_back(prepare_pod(site, "pod" + std::to_string(index)));
  }
  const Available prepared = settled_available(meminfo);
  leave_host();
  for (int index = 0; index < warm_up; ++index) start_pod(site, pods[index]);
  const Available before = settled_available(meminfo);
  for (Pod& pod : pods) {
    if (pod.pid < 0) start_pod(site, pod);
  }
  const Available after = settled_available(meminfo);
  for (const Pod& pod : pods) {
    if (!is_running(pod)) {
      std::fprintf(stderr, "berth-density-floor: %s did not stay\n", pod.name.c_str());
      return 1;
    }
  }
  for (Pod& pod : pods) remove_pod(site, pod);
  const Available removed = settled_available(meminfo);
  if (site.devices >= 0) must(unlinkat(site.devices, "../floor", AT_REMOVEDIR), "devices cgroup");

  const double per_pod =
      static_cast<double>(nothing.kib - prepared.kib + before.kib - after.kib) / options.pods;
  const long noise = std::max({nothing.spread, prepared.spread, before.spread, after.spread});
  std::printf(
      "{\"pods\": %d, \"kib_per_pod\": %.1f, \"not_given_back_kib\": %ld, "
      "\"noise_kib\": %ld}\n",
      options.pods, per_pod, nothing.kib - removed.kib, noise);
  return 0;
}

static int run(int count, char** arguments) {
  Options options;
  for (int index = 1; index < count; ++index) {
    const std::string word = arguments[index];
    if (word == "--available") {
      const int meminfo = must(open("/proc/meminfo", O_RDONLY | O_CLOEXEC), "/proc/meminfo");
      std::printf("%ld\n", settled_available(meminfo).kib);
      return 0;
    }
    if (index + 1 >= count) return usage();
    if (word == "--pods") {
      options.pods = std::atoi(arguments[++index]);
    } else if (word == "--lower") {
      options.lower = arguments[++index];
    } else {
      return usage();
    }
  }
  const char* node = std::getenv("BERTH_NODE_DIR");
  const char* cgroup = std::getenv("BERTH_CGROUP");
  if (options.lower.empty() || options.pods < 1 || node == nullptr || cgroup == nullptr) {
    return usage();
  }
  const rlim_t fds = static_cast<rlim_t>(options.pods) * 8 + 256;
  const rlimit limit{fds, fds};
  rlimit current{};
  must(getrlimit(RLIMIT_NOFILE, &current), "getrlimit");
  if (current.rlim_cur < fds)
    must(setrlimit(RLIMIT_NOFILE, &limit), "raise the limit of open files");
  return measure(options, node, cgroup);
}

}  // namespace floor_bench

int main(int count, char** arguments) {
  return floor_bench::run(count, arguments);
}
