// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/loaded_archive.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "core/image/archive/load.h"
#include "tests/fuzz/fuzz.h"

namespace berth::fuzz {
namespace {

using image::ArchivedImage;
using image::ArchiveReader;
using image::ContentStore;

const image::ArchiveLimits kLimits = {.members_max = 200, .bytes_max = 4 << 20};
constexpr std::size_t kReadMax = 1 << 20;

struct Place {
  std::string dir;
  ContentStore content;
  UniqueFd file;
};

Place make_place() {
  const char* work = std::getenv("BERTH_FUZZ_WORK");
  std::string dir = std::string(work != nullptr ? work : "/tmp") + "/archive.XXXXXX";
  promise(::mkdtemp(dir.data()) != nullptr, "there is a place to work in");
  Result<ContentStore> content = ContentStore::open(dir);
  promise(content.ok(), "a store can be made");
  return {std::move(dir), *std::move(content), UniqueFd(::memfd_create("archive", MFD_CLOEXEC))};
}

void check_names(const ArchiveReader& archive, const std::string& name) {
  Result<std::string> member = archive.resolve("field", name);
  if (!member.ok()) {
    promise_one_line(member.error().message());
    return;
  }
  promise(archive.has(*member), "a name is resolved to a member");
  promise(!member->starts_with("/") && ("/" + *member + "/").find("/../") == std::string::npos,
          "a member's name leads nowhere else");
}

// For any headers, read() and walk() return as many bytes as size() has reported.
void check_reader(int fd) {
  Result<ArchiveReader> archive = ArchiveReader::open(fd, kLimits);
  if (!archive.ok()) {
    promise_one_line(archive.error().message());
    return;
  }
  for (const char* name : {"index.json", "a", "./b/../index.json", "config.json", "../x", ""}) {
    check_names(*archive, name);
  }
  for (const char* name : {"index.json", "manifest.json"}) {
    if (!archive->has(name)) continue;
    const auto documents = archive->read({name}, kReadMax);
    if (!documents.ok()) {
      promise_one_line(documents.error().message());
      continue;
    }
    const std::string& bytes = documents->at(name);
    promise(bytes.size() <= kReadMax, "no document is larger than it may be");
    promise(bytes.size() == archive->size(name), "a document is as large as its header says");
  }
}

void check_image(const ContentStore& content, const ArchivedImage& one) {
  auto text = content.read(one.manifest_digest, oci::kDocumentSizeMax);
  promise(text.ok(), "the manifest of what was loaded is in the store");
  auto manifest = oci::parse_manifest(*text);
  promise(manifest.ok(), "and is one");
  std::vector<oci::Descriptor> blobs = manifest->layers;
  blobs.push_back(manifest->config);
  for (const oci::Descriptor& blob : blobs) {
    const auto size = content.size(blob.digest);
    promise(size.ok() && size->has_value(), "every blob of it is in the store");
  }
  for (const oci::Reference& name : one.names) {
    promise(!name.tag.empty() && name.digest.empty(), "names are tags");
    promise(oci::parse_reference(name.text()).ok(), "and can be written and read again");
  }
}

void check_load(Place& place) {
  const oci::Platform platform = {"amd64", "linux", "", ""};
  auto loaded = load_archive(place.file.get(), place.content, platform, kLimits);
  if (loaded.ok()) {
    promise(!loaded->images.empty(), "an archive without an image is an error");
    for (const ArchivedImage& one : loaded->images) check_image(place.content, one);
    for (const image::PassedOver& one : loaded->passed_over) promise_one_line(one.reason);
  } else {
    promise_one_line(loaded.error().message());
  }
  promise(std::filesystem::is_empty(place.dir + "/ingest"), "nothing is left half");
  auto blobs = place.content.list();
  promise(blobs.ok(), "the store can be read");
  for (const image::BlobInfo& blob : *blobs) {
    auto bytes = place.content.read(blob.digest, kLimits.bytes_max);
    promise(bytes.ok() && oci::digest_of(*bytes, blob.digest.algorithm()) == blob.digest,
            "every blob is what its name says");
    promise(place.content.remove(blob.digest).ok(), "and can be removed");
  }
}

}  // namespace

void load_and_check(std::string_view archive) {
  static Place place = make_place();
  const int fd = place.file.get();
  promise(::ftruncate(fd, 0) == 0, "ftruncate");
  const auto size = static_cast<ssize_t>(archive.size());
  promise(::pwrite(fd, archive.data(), archive.size(), 0) == size, "pwrite");
  check_reader(fd);
  check_load(place);
}

}  // namespace berth::fuzz
