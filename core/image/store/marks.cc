// SPDX-License-Identifier: Apache-2.0
// What the store remembers about an image beside its record: pins, and whether it is on disk.
#include <errno.h>

#include <cstdio>
#include <memory>

#include "core/image/store/image_store.h"
#include "core/image/store/record.h"

namespace berth::image {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// random(4): stays the same until the next boot.
Result<std::string> read_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(kPath, "re"));
  if (file == nullptr) return sys_error(errno, "open", kPath);
  char id[37] = "";
  if (std::fscanf(file.get(), "%36s", id) != 1) return sys_error(EIO, "read", kPath);
  return std::string(id);
}

}  // namespace

Result<std::unique_ptr<ImageStore>> ImageStore::open(store::State& state) {
  TRY(std::string boot_id, read_boot_id());
  return open(state, std::move(boot_id));
}

Result<std::unique_ptr<ImageStore>> ImageStore::open(store::State& state, std::string boot_id) {
  std::unique_ptr<ImageStore> images(new ImageStore(state, std::move(boot_id)));
  TRY_(images->load());
  TRY_(images->load_marks());
  return images;
}

Status ImageStore::load_marks() {
  std::vector<std::string> incomplete;
  TRY_(state_->for_each(kUnsettledImages, [&](std::string_view id, std::string_view boot_id) {
    const auto found = images_.find(id);
    if (found != images_.end()) found->second.generation = ++generation_;
    if (boot_id != boot_id_) incomplete.emplace_back(id);
    return true;
  }));
  TRY_(state_->for_each(kPinnedImages, [&](std::string_view id, std::string_view) {
    const auto found = images_.find(id);
    if (found != images_.end()) found->second.pinned = true;
    return true;
  }));
  for (const std::string& id : incomplete) {
    TRY(const bool removed, remove(named_by_id(id)));
    // A mark of an image that is no longer there.
    if (!removed) {
      TRY([[maybe_unused]] const bool erased, state_->erase(kUnsettledImages, id));
    }
  }
  return {};
}

Status ImageStore::pin(const std::string& id, bool pinned) {
  const std::lock_guard<std::mutex> change(change_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = images_.find(id);
    if (found == images_.end()) {
      return make_error(Errc::not_found, "image `" + id + "` is not here");
    }
    if (found->second.pinned == pinned) return {};
  }
  if (pinned) {
    TRY_(state_->put(kPinnedImages, id, ""));
  } else {
    TRY([[maybe_unused]] const bool erased, state_->erase(kPinnedImages, id));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  images_[id].pinned = pinned;
  return {};
}

std::vector<ImageStore::Mark> ImageStore::unsettled() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Mark> marks;
  for (const auto& [id, record] : images_) {
    if (record.generation != 0) marks.push_back({id, record.generation});
  }
  return marks;
}

Status ImageStore::settled(const std::vector<Mark>& marks) {
  const std::lock_guard<std::mutex> change(change_);
  std::vector<std::string> ids;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Mark& mark : marks) {
      const auto found = images_.find(mark.id);
      const bool same = found != images_.end() && found->second.generation == mark.generation;
      if (same) ids.push_back(mark.id);
    }
  }
  if (ids.empty()) return {};
  TRY_(state_->write([&](store::WriteTxn& txn) -> Status {
    for (const std::string& id : ids) {
      TRY([[maybe_unused]] const bool erased, txn.erase(kUnsettledImages, id));
    }
    return {};
  }));
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& id : ids) images_[id].generation = 0;
  return {};
}

}  // namespace berth::image
