// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/directories.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/units.h"
#include "core/image/unpack/files.h"
#include "core/linux/openat2.h"
#include "core/store/record.h"

namespace berth::image {
namespace {

constexpr std::size_t kRecordsInMemory = 256_KiB;
// More than any tool needs: tools write an entry for nearly every directory.
constexpr std::size_t kImpliedBytesMost = 2_MiB;

// Two strings, a node of the map, and the allocator's overhead.
std::size_t implied_size(const std::string& path) {
  return path.size() + 128;
}

void put_time(store::RecordWriter& record, const timespec& time) {
  record.i64(time.tv_sec).u32(static_cast<std::uint32_t>(time.tv_nsec));
}

timespec get_time(store::RecordReader& record) {
  timespec time{};
  time.tv_sec = record.i64();
  time.tv_nsec = record.u32();
  return time;
}

std::string encode(std::string_view identity, const std::string& path, const Attributes& given) {
  store::RecordWriter record;
  record.string(identity).string(path).u32(given.uid).u32(given.gid).u32(given.mode);
  put_time(record, given.access);
  put_time(record, given.modification);
  for (const auto& [name, value] : given.xattrs) record.string(name).string(value);
  return record.bytes();
}

Status write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write", "list of directories");
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<std::string> read_at(int file, std::size_t size, std::size_t offset) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(file, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", "list of directories");
    if (got == 0) return make_error(Errc::data_loss, "the list of directories was cut");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

Status DirectoryList::add(int parent, const std::string& name, const std::string& path,
                          const Attributes& attributes) {
  TRY(const std::string identity, identity_at(parent, name));
  drop_implied(identity);
  const std::string record = encode(identity, path, attributes);
  records_ += store::RecordWriter().string(record).bytes();
  return records_.size() < kRecordsInMemory ? Status() : spill();
}

Status DirectoryList::add_implied(int parent, const std::string& name, const std::string& path) {
  TRY(std::string identity, identity_at(parent, name));
  drop_implied(identity);  // an inode number may be reused
  implied_bytes_ += implied_size(path);
  if (implied_bytes_ > kImpliedBytesMost) {
    return make_error(Errc::resource_exhausted,
                      "too many directories without entries of their own");
  }
  implied_[std::move(identity)] = path;
  return {};
}

Status DirectoryList::forget_implied(int directory) {
  TRY(const std::string identity, identity_at(directory, ""));
  drop_implied(identity);
  return {};
}

void DirectoryList::drop_implied(const std::string& identity) {
  const auto found = implied_.find(identity);
  if (found == implied_.end()) return;
  implied_bytes_ -= implied_size(found->second);
  implied_.erase(found);
}

// Writes whole records, so that finish() can read one spilled chunk after the other.
Status DirectoryList::spill() {
  if (!spilled_.valid()) {
    spilled_.reset(::openat(root_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    // A filesystem without unnamed files: keep the list in memory.
    if (!spilled_.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) return {};
    if (!spilled_.valid()) return sys_error(errno, "open", "list of directories");
  }
  TRY_(write_all(spilled_.get(), records_));
  spilled_sizes_.push_back(records_.size());
  records_.clear();
  return {};
}

Result<std::vector<std::string>> DirectoryList::finish() {
  std::size_t offset = 0;
  for (const std::size_t size : spilled_sizes_) {
    TRY(const std::string records, read_at(spilled_.get(), size, offset));
    TRY_(apply_all(records));
    offset += size;
  }
  TRY_(apply_all(records_));
  std::vector<std::string> paths;
  for (const auto& [identity, path] : implied_) {
    TRY(const UniqueFd opened, open_if_still(path, identity));
    if (opened.valid()) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Status DirectoryList::apply_all(std::string_view records) {
  store::RecordReader rest(records);
  while (!rest.at_end()) TRY_(apply(rest.string()));
  return {};
}

Status DirectoryList::apply(std::string_view bytes) {
  store::RecordReader record(bytes);
  const std::string_view identity = record.string();
  const std::string path(record.string());
  Attributes attributes;
  attributes.uid = record.u32();
  attributes.gid = record.u32();
  attributes.mode = record.u32();
  attributes.access = get_time(record);
  attributes.modification = get_time(record);
  while (!record.at_end()) {
    const std::string_view name = record.string();
    attributes.xattrs.emplace_back(name, record.string());
  }
  TRY(const UniqueFd opened, open_if_still(path, identity));
  if (!opened.valid()) return {};
  Status set = set_directory_attributes(opened.get(), attributes);
  if (!set.ok()) return std::move(set).error().with("entry `" + printable(path) + "`");
  return {};
}

// Not valid if the directory was removed or replaced since it was added.
Result<UniqueFd> DirectoryList::open_if_still(const std::string& path,
                                              std::string_view identity) const {
  const char* name = path.empty() ? "." : path.c_str();
  UniqueFd opened(sys::openat2(root_, name, O_RDONLY | O_DIRECTORY, 0, kResolveInTree));
  if (!opened.valid() && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return opened;
  if (!opened.valid()) return sys_error(errno, "open", printable(path));
  TRY(const std::string now, identity_at(opened.get(), ""));
  if (now != identity) opened.reset();
  return opened;
}

}  // namespace berth::image
