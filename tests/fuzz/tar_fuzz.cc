// SPDX-License-Identifier: Apache-2.0
// Extracts the tar of a layer as root. In the mount namespace of the process all mounts are
// read-only, except a small tmpfs without devices and the directory of libFuzzer, so that an escape
// is detected and does no harm. A file "witness" and a lower layer are beside the layer and must
// not change.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/image/unpack/files.h"
#include "core/image/unpack/unpack.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_source.h"
#include "tests/fuzz/tar_input.h"

using berth::UniqueFd;
using berth::fuzz::promise;
using berth::image::LayerPlace;

namespace {

constexpr const char* kPlace = "/mnt";

void set_up(bool done, const char* step) {
  if (done) return;
  std::perror(step);
  std::exit(1);
}

void write_witness(int place) {
  const UniqueFd witness(::openat(place, "witness", O_CREAT | O_WRONLY, 0600));
  set_up(witness.valid() && ::write(witness.get(), "witness", 7) == 7, "witness");
  set_up(::mkdirat(place, "lower", 0755) == 0 && ::mkdirat(place, "lower/etc", 0700) == 0, "lower");
}

// A summary of the witness, the lower layer and their parent directory, which any change affects.
std::string state_of(int place) {
  std::string state;
  for (const char* name : {"witness", "lower", "lower/etc", "."}) {
    struct stat status {};
    ::fstatat(place, name, &status, AT_SYMLINK_NOFOLLOW);
    state += std::to_string(status.st_ino) + " " + std::to_string(status.st_mode) + " " +
             std::to_string(status.st_nlink) + " " + std::to_string(status.st_uid) + " " +
             std::to_string(status.st_size);
    if (std::strcmp(name, ".") != 0) state += " " + std::to_string(status.st_mtim.tv_nsec);
    state += '\n';
  }
  return state;
}

int open_place() {
  set_up(::unshare(CLONE_NEWNS) == 0, "unshare (must be root)");
  set_up(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make private");
  mount_attr readonly{};
  readonly.attr_set = MOUNT_ATTR_RDONLY;
  // The directory of this run, in which libFuzzer writes.
  const char* work = std::getenv("BERTH_FUZZ_WORK");
  if (work != nullptr) set_up(::mount(work, work, nullptr, MS_BIND, nullptr) == 0, "bind");
  set_up(::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &readonly, sizeof readonly) == 0,
         "make read-only");
  mount_attr writable{};
  writable.attr_clr = MOUNT_ATTR_RDONLY;
  if (work != nullptr) {
    set_up(::syscall(SYS_mount_setattr, AT_FDCWD, work, 0, &writable, sizeof writable) == 0, work);
  }
  set_up(::mount("tmpfs", kPlace, "tmpfs", MS_NODEV | MS_NOSUID, "size=64m,nr_inodes=20000") == 0,
         "tmpfs");
  const int place = ::open(kPlace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  set_up(place >= 0, kPlace);
  write_witness(place);
  return place;
}

void unpack(int place, LayerPlace layer_place, std::string_view tar) {
  berth::image::UnpackLimits limits;
  limits.entries_max = 150;
  limits.bytes_max = 4 << 20;
  limits.file_size_max = 1 << 30;
  const std::string before = state_of(place);
  promise(::mkdirat(place, "layer", 0755) == 0, "the place is free");
  const std::string with_layer = state_of(place);
  {
    const UniqueFd directory(::openat(place, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::vector<UniqueFd> lowers;
    lowers.emplace_back(::openat(place, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    berth::fuzz::InputSource source({tar.data(), tar.size()}, 3000);
    const auto result =
        berth::image::unpack_layer(directory.get(), layer_place, "sha256:input", source, limits);
    if (result.ok()) {
      static_cast<void>(berth::image::adopt_directories(directory.get(), lowers,
                                                        result.value().implied, "sha256:input"));
    } else {
      berth::fuzz::promise_one_line(result.error().message());
    }
  }
  promise(state_of(place) == with_layer, "nothing outside the layer changes");
  promise(berth::image::remove_tree(place, "layer").ok(), "every layer can be removed");
  promise(state_of(place) == before, "nothing is left behind");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int place = open_place();
  const std::vector<char> tar = berth::fuzz::with_checksums(data, size);
  unpack(place, LayerPlace::lowest, {tar.data(), tar.size()});
  unpack(place, LayerPlace::above_others, {tar.data(), tar.size()});
  return 0;
}
