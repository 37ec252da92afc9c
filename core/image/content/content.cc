// SPDX-License-Identifier: Apache-2.0
#include "core/image/content/content.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "core/base/units.h"

namespace berth::image {
namespace {

Status make_dir(int parent, const char* name) {
  if (::mkdirat(parent, name, 0700) == 0 || errno == EEXIST) return {};
  return sys_error(errno, "mkdir", name);
}

Result<UniqueFd> open_dir(int parent, const char* name) {
  TRY_(make_dir(parent, name));
  const int fd = ::openat(parent, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return sys_error(errno, "open", name);
  return UniqueFd(fd);
}

// The names in a directory, without "." and "..".
Result<std::vector<std::string>> names_in(int dir) {
  const int again = ::openat(dir, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (again < 0) return sys_error(errno, "open", "content directory");
  DIR* stream = ::fdopendir(again);
  if (stream == nullptr) {
    const int saved = errno;
    ::close(again);
    return sys_error(saved, "fdopendir", "content directory");
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

Status write_all(int fd, const char* bytes, std::size_t size, const std::string& name) {
  while (size > 0) {
    const ssize_t wrote = ::write(fd, bytes, size);
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return sys_error(errno, "write", name);
    }
    bytes += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return {};
}

std::string resumable_name(const oci::Digest& digest) {
  return std::string(digest.algorithm_text()) + "-" + std::string(digest.hex());
}

}  // namespace

Ingest::Ingest(int ingest_dir, int blob_dir, oci::Digest expected, std::uint64_t size)
    : ingest_dir_(ingest_dir),
      blob_dir_(blob_dir),
      expected_(std::move(expected)),
      expected_size_(size),
      digester_(expected_.algorithm()) {}

Ingest::~Ingest() {
  if (file_.valid() && !name_.empty()) ::unlinkat(ingest_dir_, name_.c_str(), 0);
}

Status Ingest::open_named() {
  name_ = resumable_name(expected_);
  file_.reset(
      ::openat(ingest_dir_, name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file_.valid()) return sys_error(errno, "open", "ingest of " + expected_.text());
  return adopt_partial();
}

// open(2): without support for O_TMPFILE the filesystem gives EOPNOTSUPP, or EISDIR because it sees
// a directory opened for writing. Then use a file with a random name.
Status Ingest::open_unnamed() {
  file_.reset(::openat(ingest_dir_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
  if (file_.valid()) return {};
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    return sys_error(errno, "open", "unnamed ingest of " + expected_.text());
  }
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    return sys_error(errno, "getrandom", "name of an ingest");
  }
  name_ = resumable_name(expected_) + "." + std::to_string(random);
  file_.reset(::openat(ingest_dir_, name_.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file_.valid()) return sys_error(errno, "open", "ingest " + name_);
  return {};
}

// Hashes the bytes of an earlier attempt, so that the transfer can continue after them.
Status Ingest::adopt_partial() {
  std::vector<char> buffer(1_MiB);
  while (true) {
    const ssize_t got = ::read(file_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", "ingest " + name_);
    if (got == 0) break;
    digester_.update(buffer.data(), static_cast<std::size_t>(got));
    offset_ += static_cast<std::uint64_t>(got);
  }
  if (offset_ > expected_size_) return restart();
  return {};
}

Status Ingest::write(const void* bytes, std::size_t size) {
  if (size > expected_size_ - offset_) {
    return make_error(Errc::data_loss, "blob " + expected_.text() + ": more than the announced " +
                                           std::to_string(expected_size_) + " bytes");
  }
  TRY_(write_all(file_.get(), static_cast<const char*>(bytes), size, "blob " + expected_.text()));
  digester_.update(bytes, size);
  offset_ += size;
  if (arrival_ != nullptr) arrival_->advanced(offset_);
  return {};
}

Status Ingest::announce(std::shared_ptr<Arrival> arrival) {
  arrival_ = std::move(arrival);
  return arrival_->opened(file_.get(), offset_);
}

Status Ingest::restart() {
  if (arrival_ != nullptr) arrival_->restarted();
  if (::ftruncate(file_.get(), 0) != 0)
    return sys_error(errno, "ftruncate", "blob " + expected_.text());
  if (::lseek(file_.get(), 0, SEEK_SET) != 0)
    return sys_error(errno, "lseek", "blob " + expected_.text());
  digester_ = oci::Digester(expected_.algorithm());
  offset_ = 0;
  return {};
}

// Never replaces a visible blob, which may be synced already. Returns the errno, or 0.
int Ingest::place(const char* to) const {
  if (!name_.empty()) {
    if (::renameat2(ingest_dir_, name_.c_str(), blob_dir_, to, RENAME_NOREPLACE) == 0) return 0;
    // rename(2): EINVAL where the filesystem supports no flags.
    if (errno != EINVAL) return errno;
    return ::renameat(ingest_dir_, name_.c_str(), blob_dir_, to) == 0 ? 0 : errno;
  }
  if (::linkat(file_.get(), "", blob_dir_, to, AT_EMPTY_PATH) == 0) return 0;
  // open(2): without CAP_DAC_READ_SEARCH the file can be linked only through /proc.
  if (errno != ENOENT) return errno;
  const std::string path = "/proc/self/fd/" + std::to_string(file_.get());
  return ::linkat(AT_FDCWD, path.c_str(), blob_dir_, to, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

Status Ingest::commit() {
  if (offset_ != expected_size_) {
    return make_error(Errc::data_loss, "blob " + expected_.text() + ": " + std::to_string(offset_) +
                                           " bytes instead of the announced " +
                                           std::to_string(expected_size_));
  }
  const oci::Digest actual = digester_.finish();
  if (actual != expected_) {
    return make_error(Errc::data_loss,
                      "blob " + expected_.text() + ": the bytes have digest " + actual.text());
  }
  const std::string to(expected_.hex());
  const int failed = place(to.c_str());
  if (failed == EEXIST) {
    if (!name_.empty()) ::unlinkat(ingest_dir_, name_.c_str(), 0);
  } else if (failed != 0) {
    return sys_error(failed, "give its name to", "blob " + expected_.text());
  }
  file_.reset();
  return {};
}

ContentStore::ContentStore(UniqueFd ingest, UniqueFd sha256, UniqueFd sha512)
    : ingest_(std::move(ingest)), sha256_(std::move(sha256)), sha512_(std::move(sha512)) {}

Result<ContentStore> ContentStore::open(const std::string& dir) {
  const auto build = [&]() -> Result<ContentStore> {
    TRY(const UniqueFd content, open_dir(AT_FDCWD, dir.c_str()));
    TRY(UniqueFd ingest, open_dir(content.get(), "ingest"));
    TRY(const UniqueFd blobs, open_dir(content.get(), "blobs"));
    TRY(UniqueFd sha256, open_dir(blobs.get(), "sha256"));
    TRY(UniqueFd sha512, open_dir(blobs.get(), "sha512"));
    return ContentStore(std::move(ingest), std::move(sha256), std::move(sha512));
  };
  Result<ContentStore> store = build();
  if (!store.ok()) return std::move(store).error().with("content store " + dir);
  return store;
}

int ContentStore::blob_dir(const oci::Digest& digest) const {
  CHECK(!digest.empty());
  return digest.algorithm() == oci::DigestAlgorithm::sha256 ? sha256_.get() : sha512_.get();
}

Result<std::optional<std::uint64_t>> ContentStore::size(const oci::Digest& digest) const {
  struct stat status;
  const std::string name(digest.hex());
  if (::fstatat(blob_dir(digest), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::optional<std::uint64_t>(static_cast<std::uint64_t>(status.st_size));
  }
  if (errno == ENOENT) return std::optional<std::uint64_t>();
  return sys_error(errno, "stat", "blob " + digest.text());
}

Result<UniqueFd> ContentStore::open_blob(const oci::Digest& digest) const {
  const std::string name(digest.hex());
  UniqueFd fd(::openat(blob_dir(digest), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return sys_error(errno, "open", "blob " + digest.text());
  return fd;
}

Result<std::string> ContentStore::read(const oci::Digest& digest, std::size_t size_max) const {
  TRY(const UniqueFd fd, open_blob(digest));
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return sys_error(errno, "stat", "blob " + digest.text());
  if (static_cast<std::uint64_t>(status.st_size) > size_max) {
    return make_error(
        Errc::resource_exhausted,
        "blob " + digest.text() + ": " + std::to_string(status.st_size) + " bytes are too many");
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", "blob " + digest.text());
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<Ingest> ContentStore::begin(const oci::Digest& expected, std::uint64_t size) {
  Ingest ingest(ingest_.get(), blob_dir(expected), expected, size);
  TRY_(ingest.open_named());
  return ingest;
}

Result<Ingest> ContentStore::begin_unnamed(const oci::Digest& expected, std::uint64_t size) {
  Ingest ingest(ingest_.get(), blob_dir(expected), expected, size);
  TRY_(ingest.open_unnamed());
  return ingest;
}

Status ContentStore::put(const oci::Digest& expected, std::string_view bytes) {
  TRY(const std::optional<std::uint64_t> present, size(expected));
  if (present.has_value()) return {};
  TRY(Ingest ingest, begin_unnamed(expected, bytes.size()));
  TRY_(ingest.write(bytes.data(), bytes.size()));
  return ingest.commit();
}

Status ContentStore::sync(const oci::Digest& digest) const {
  TRY(const UniqueFd file, open_blob(digest));
  if (::fsync(file.get()) != 0 || ::fsync(blob_dir(digest)) != 0) {
    return sys_error(errno, "fsync", "blob " + digest.text());
  }
  return {};
}

Status ContentStore::remove(const oci::Digest& digest) {
  const std::string name(digest.hex());
  if (::unlinkat(blob_dir(digest), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return sys_error(errno, "unlink", "blob " + digest.text());
}

Result<std::vector<BlobInfo>> ContentStore::list() const {
  std::vector<BlobInfo> blobs;
  for (const int dir : {sha256_.get(), sha512_.get()}) {
    const char* algorithm = dir == sha256_.get() ? "sha256:" : "sha512:";
    TRY(const std::vector<std::string> names, names_in(dir));
    for (const std::string& name : names) {
      Result<oci::Digest> digest = oci::Digest::parse(algorithm + name);
      if (!digest.ok()) continue;  // not a blob: ignore it
      TRY(const std::optional<std::uint64_t> bytes, size(*digest));
      if (bytes.has_value()) blobs.push_back({*std::move(digest), *bytes});
    }
  }
  return blobs;
}

Status ContentStore::sweep_ingests(std::int64_t age_s) {
  TRY(const std::vector<std::string> names, names_in(ingest_.get()));
  const std::int64_t now_s = realtime_now_ns() / kNanosecondsPerSecond;
  for (const std::string& name : names) {
    struct stat status;
    const int found = ::fstatat(ingest_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
    if (found != 0 || now_s - status.st_mtime < age_s) continue;
    if (::unlinkat(ingest_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return sys_error(errno, "unlink", "ingest " + name);
    }
  }
  return {};
}

}  // namespace berth::image
