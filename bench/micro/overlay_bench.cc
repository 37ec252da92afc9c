// SPDX-License-Identifier: Apache-2.0
// Question: how long does it take to make and to unmount a detached overlay from its layers?
// Baseline: mount(2) and umount2(2) of the same layers at a path.
// Non-goals: reading and copying up files, images with more than 16 layers.
#include <sys/mount.h>

#include <filesystem>

#include "bench/micro/place.h"
#include "core/linux/overlay_mount.h"

namespace berth::bench {
namespace {

std::string layer(long index) {
  return place("layer-" + std::to_string(index));
}

void make_layers() {
  for (long index = 0; index < 16; ++index) std::filesystem::create_directory(layer(index));
  for (const char* name : {"upper", "work", "merged"}) {
    std::filesystem::create_directory(place(name));
  }
}

void BM_overlay_detached(::benchmark::State& state) {
  const sys::MountFeatures features = sys::MountFeatures::probe();
  sys::OverlayLayers layers;
  for (long index = 0; index < state.range(0); ++index) layers.lowerdirs.push_back(layer(index));
  layers.upperdir = place("upper");
  layers.workdir = place("work");
  for (auto _ : state) {
    const sys::UniqueMount mount = must(sys::mount_overlay(features, layers));
    ::benchmark::DoNotOptimize(mount.get());
  }
}

void BM_overlay_by_mount(::benchmark::State& state) {
  std::string options = "upperdir=" + place("upper") + ",workdir=" + place("work") + ",lowerdir=";
  for (long index = 0; index < state.range(0); ++index) {
    options += (index == 0 ? "" : ":") + layer(index);
  }
  const std::string merged = place("merged");
  for (auto _ : state) {
    must_call(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), "mount");
    must_call(::umount2(merged.c_str(), 0), "umount2");
  }
}

BENCHMARK(BM_overlay_detached)->Arg(1)->Arg(4)->Arg(16)->Apply(figures);
BENCHMARK(BM_overlay_by_mount)->Arg(1)->Arg(4)->Arg(16)->Apply(figures);

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run_cases(argc, argv, berth::bench::make_layers);
}
