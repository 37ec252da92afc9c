// SPDX-License-Identifier: Apache-2.0
// Question: what does one pull cost without the agent? For profiling.
// Baseline: bench/pull.sh, which compares the whole agent with containerd.
// Non-goals: comparison with anything else.
//
//   pull_once DIR REFERENCE [REPEATS]
//
// The stores are made in DIR, which must be empty. Prints one line: seconds, CPU seconds, and the
// growth of the peak resident set; then the mean time of REPEATS pulls of the same image.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/log.h"
#include "core/base/units.h"
#include "core/image/pull/puller.h"
#include "core/ring/ring.h"
#include "core/store/layout.h"
#include "cri/layers/snapshot_layers.h"
#include "snapshotter/overlay.h"

namespace berth {
namespace {

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// The value of a line of /proc/self/status, in MiB.
double status_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == key + ":") {
      double kib = 0;
      status >> kib;
      return kib / 1024;
    }
  }
  return 0;
}

double seconds_since(std::int64_t start_ns) {
  return static_cast<double>(monotonic_now_ns() - start_ns) / 1e9;
}

Status pull(Ring& ring, image::Puller& puller, const std::string& reference) {
  image::PullRequest request;
  request.reference = reference;
  TRY([[maybe_unused]] const image::PullResult result,
      ring.run_until(puller.pull(std::move(request))));
  return {};
}

Status measure(const store::Layout& layout, const std::string& reference, int repeats) {
  TRY(const std::unique_ptr<Ring> ring, Ring::create());
  Log log(LogLevel::warn);
  TRY(store::State state, store::State::open(layout.images_store(), {.durable = true}));
  snapshotter::OverlayOptions options;
  options.dir = layout.overlay_snapshots();
  options.state_dir = layout.snapshots_state();
  TRY(const auto overlay, snapshotter::Overlay::create(*ring, log, options));
  TRY_(ring->run_until(overlay->recover()));
  TRY(image::ContentStore content, image::ContentStore::open(layout.content()));
  TRY(const auto images, image::ImageStore::open(state));
  cri::SnapshotLayers layers(*ring, *overlay, layout.snapshots());
  image::Puller puller(*ring, content, *images, layers, log, {});
  std::ofstream("/proc/self/clear_refs") << "5";
  const double memory = status_mib("VmRSS");
  const double cpu = cpu_seconds();
  const std::int64_t start = monotonic_now_ns();
  Status pulled = pull(*ring, puller, reference);
  std::printf("%.3f s, cpu %.3f s, memory +%.1f MiB", seconds_since(start), cpu_seconds() - cpu,
              status_mib("VmHWM") - memory);
  const std::int64_t settle = monotonic_now_ns();
  TRY_(ring->run_until(puller.synced()));
  std::printf(", on disk after %.3f s\n", seconds_since(settle));
  const std::int64_t again = monotonic_now_ns();
  for (int i = 0; pulled.ok() && i < repeats; ++i) pulled = pull(*ring, puller, reference);
  if (repeats > 0) std::printf("again: %.3f ms\n", seconds_since(again) * 1000 / repeats);
  TRY_(ring->run_until(puller.close()));
  TRY_(ring->run_until(overlay->close()));
  return pulled;
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: pull_once DIR REFERENCE [REPEATS]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const berth::store::Layout layout(dir + "/root", dir + "/state");
  std::filesystem::create_directories(layout.root_dir());
  std::filesystem::create_directories(layout.state_dir());
  const berth::Status done = berth::measure(layout, argv[2], argc > 3 ? std::atoi(argv[3]) : 0);
  if (done.ok()) return 0;
  std::fprintf(stderr, "pull_once: %s\n", done.error().message().c_str());
  return 1;
}
