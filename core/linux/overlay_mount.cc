// SPDX-License-Identifier: Apache-2.0
#include "core/linux/overlay_mount.h"

#include <errno.h>
#include <sched.h>

#include <thread>

#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

// KERNEL 5.2: fsconfig(2) refuses string values of 256 bytes and more. Proof:
// tests/kernel/mount_option_size_test.cc.
constexpr std::size_t kValueMax = 255;
// KERNEL: mount(2) copies one page of options.
constexpr std::size_t kMountDataMax = 4095;

// Every layer as an O_PATH descriptor: opened once, whatever its path is. Older kernels are then
// given "/proc/self/fd/N", which is short and has no character that must be escaped.
struct OpenLayers {
  std::vector<UniqueFd> lower;
  UniqueFd upper;
  UniqueFd work;
};

Result<UniqueFd> open_layer(int dirfd, const std::string& path) {
  return openat(dirfd, path, O_PATH | O_DIRECTORY);
}

Result<OpenLayers> open_layers(const OverlayLayers& layers) {
  OpenLayers open;
  for (const std::string& path : layers.lowerdirs) {
    TRY(UniqueFd fd, open_layer(layers.dirfd, path));
    open.lower.push_back(std::move(fd));
  }
  if (layers.upperdir.empty()) return open;
  TRY(open.upper, open_layer(layers.dirfd, layers.upperdir));
  TRY(open.work, open_layer(layers.dirfd, layers.workdir));
  return open;
}

std::string fd_path(const UniqueFd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

std::string join_lowerdirs(const OpenLayers& open) {
  std::string joined;
  for (const UniqueFd& fd : open.lower) {
    if (!joined.empty()) joined += ':';
    joined += fd_path(fd);
  }
  return joined;
}

Status set_option(FsContext& context, const std::string& option) {
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos) return context.set_flag(option);
  return context.set_string(option.substr(0, equals), option.substr(equals + 1));
}

Status set_by_fd(FsContext& context, const OverlayLayers& layers, const OpenLayers& open) {
  for (std::size_t i = 0; i < open.lower.size(); ++i) {
    Status set = context.set_fd("lowerdir+", open.lower[i].get());
    if (!set.ok()) return std::move(set).error().with(layers.lowerdirs[i]);
  }
  if (!open.upper.valid()) return {};
  TRY_(context.set_fd("upperdir", open.upper.get()));
  return context.set_fd("workdir", open.work.get());
}

Status set_by_path(const MountFeatures& features, FsContext& context, const OverlayLayers& layers,
                   const OpenLayers& open) {
  if (features.overlay_lowerdir_append) {
    for (std::size_t i = 0; i < open.lower.size(); ++i) {
      Status set = context.set_string("lowerdir+", fd_path(open.lower[i]));
      if (!set.ok()) return std::move(set).error().with(layers.lowerdirs[i]);
    }
  } else {
    TRY_(context.set_string("lowerdir", join_lowerdirs(open)));
  }
  if (!open.upper.valid()) return {};
  TRY_(context.set_string("upperdir", fd_path(open.upper)));
  return context.set_string("workdir", fd_path(open.work));
}

// The layers as absolute paths, which alone lead from one mount namespace into another.
Result<OverlayLayers> absolute_layers(const OverlayLayers& layers) {
  OverlayLayers absolute = layers;
  absolute.dirfd = AT_FDCWD;
  if (layers.dirfd == AT_FDCWD) return absolute;
  char text[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(layers.dirfd);
  const ssize_t length = ::readlink(link.c_str(), text, sizeof text);
  if (length < 0 || length == sizeof text) return sys_error(errno, "readlink", link);
  const std::string base(text, static_cast<std::size_t>(length));
  const auto place = [&base](std::string& path) {
    if (!path.empty() && path[0] != '/') path.insert(0, base + "/");
  };
  for (std::string& path : absolute.lowerdirs) place(path);
  place(absolute.upperdir);
  place(absolute.workdir);
  return absolute;
}

std::string classic_options(const OverlayLayers& layers, const OpenLayers& open) {
  std::string data = "lowerdir=" + join_lowerdirs(open);
  if (open.upper.valid()) {
    data += ",upperdir=" + fd_path(open.upper) + ",workdir=" + fd_path(open.work);
  }
  if (layers.is_volatile) data += ",volatile";
  for (const std::string& option : layers.options) data += "," + option;
  return data;
}

// The overlay covers its own first layer in there, so that no directory is needed for it. Layers
// are opened inside: the kernel makes no overlay of another namespace's mounts.
Result<UniqueMount> mount_in_private_namespace(const OverlayLayers& layers,
                                               std::uint64_t attributes) {
  if (::unshare(CLONE_NEWNS) != 0) return sys_error(errno, "unshare", "mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return sys_error(errno, "mount", "private propagation");
  }
  TRY(const OpenLayers open, open_layers(layers));
  const std::string data = classic_options(layers, open);
  if (data.size() > kMountDataMax) {
    return make_error(Errc::unimplemented, "this kernel cannot mount an overlay of " +
                                               std::to_string(open.lower.size()) +
                                               " layers (needs Linux 6.7)");
  }
  const std::string& cover = layers.lowerdirs.front();
  if (::mount("overlay", cover.c_str(), "overlay", 0, data.c_str()) != 0) {
    return sys_error(errno, "mount", "overlay " + data);
  }
  TRY(UniqueMount mount, open_tree_clone(AT_FDCWD, cover, false));
  if (attributes != 0) TRY_(mount_setattr(mount.get(), {.set = attributes}));
  return mount;
}

// In a thread of its own: its mount namespace ends with it, while the detached clone lives on.
Result<UniqueMount> mount_classic(const OverlayLayers& layers, std::uint64_t attributes) {
  TRY(const OverlayLayers absolute, absolute_layers(layers));
  Result<UniqueMount> result = make_error(Errc::internal, "overlay thread did not run");
  std::thread worker([&] { result = mount_in_private_namespace(absolute, attributes); });
  worker.join();
  return result;
}

}  // namespace

MountFeatures MountFeatures::probe() {
  MountFeatures features;
  const Result<UniqueMount> detached = mount_filesystem("tmpfs", "size=4k");
  features.clones_detached = detached.ok() && open_tree_clone(detached->get(), ".", false).ok();
  Result<FsContext> context = FsContext::open("overlay");
  if (!context.ok()) return features;
  features.overlay = true;
  // KERNEL 6.5: before it overlay takes any option and looks at none until the mount is made, so a
  // key that cannot exist tells whether options are looked at. Proof:
  // tests/kernel/overlay_lowerdir_append_test.cc.
  Result<FsContext> strict = FsContext::open("overlay");
  if (!strict.ok() || strict->set_string("berth-no-such-option", "/").ok()) return features;
  features.overlay_lowerdir_append = context->set_string("lowerdir+", "/").ok();
  Result<FsContext> by_fd = FsContext::open("overlay");
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  features.overlay_layers_by_fd =
      by_fd.ok() && root.valid() && by_fd->set_fd("lowerdir+", root.get()).ok();
  return features;
}

std::string MountFeatures::describe() const {
  if (!overlay) return "the kernel has no overlayfs";
  if (overlay_layers_by_fd) return "overlay layers by descriptor";
  if (overlay_lowerdir_append) return "overlay layers by lowerdir+";
  return "overlay layers in one lowerdir string";
}

Result<UniqueMount> mount_overlay(const MountFeatures& features, const OverlayLayers& layers,
                                  std::uint64_t attributes) {
  if (layers.lowerdirs.empty()) return sys_error(EINVAL, "mount", "overlay without lowerdir");
  TRY(const OpenLayers open, open_layers(layers));
  const bool appends = features.overlay_layers_by_fd || features.overlay_lowerdir_append;
  if (!appends && join_lowerdirs(open).size() > kValueMax) {
    return mount_classic(layers, attributes);
  }
  TRY(FsContext context, FsContext::open("overlay"));
  TRY_(context.set_string("source", "overlay"));
  for (const std::string& option : layers.options) TRY_(set_option(context, option));
  if (layers.is_volatile) TRY_(context.set_flag("volatile"));
  if (features.overlay_layers_by_fd) {
    TRY_(set_by_fd(context, layers, open));
  } else {
    TRY_(set_by_path(features, context, layers, open));
  }
  TRY_(context.create());
  return context.mount(attributes);
}

}  // namespace berth::sys
