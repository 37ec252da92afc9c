// SPDX-License-Identifier: Apache-2.0
// Promise: other tools read a saved archive, and it can be loaded again. A malformed archive is
// refused with the name of the member or field.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "core/image/archive/load.h"
#include "core/image/archive/save.h"
#include "core/image/store/record.h"
#include "tests/core/image/unpack/compressed.h"
#include "tests/fuzz/tar_input.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {
namespace {

namespace fs = std::filesystem;

// One member of a hand-made archive.
struct Item {
  std::string name;
  std::string bytes;
  char type = 'f';  // f file, d directory, s symbolic link, h hard link: bytes is the target
};

class Archive : public testing::Test {
 protected:
  void SetUp() override {
    content_.emplace(open_store("content"));
    other_.emplace(open_store("other"));
  }

  ContentStore open_store(const std::string& name) {
    Result<ContentStore> content = ContentStore::open(dir_ + "/" + name);
    EXPECT_TRUE(content.ok());
    return *std::move(content);
  }

  static std::string digest(const std::string& bytes) { return oci::digest_of(bytes).text(); }
  static std::string blob_name(const std::string& bytes) {
    return "blobs/sha256/" + std::string(oci::digest_of(bytes).hex());
  }
  static std::string descriptor(const std::string& type, const std::string& bytes,
                                const std::string& more = "") {
    return R"({"mediaType":")" + type + R"(","digest":")" + digest(bytes) + R"(","size":)" +
           std::to_string(bytes.size()) + more + "}";
  }
  static std::string config_of(const std::string& layer) {
    return R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
           digest(layer) + R"("]}})";
  }
  static std::string manifest_of(const std::string& config, const std::string& layer) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
           R"("config":)" +
           descriptor("application/vnd.oci.image.config.v1+json", config) + R"(,"layers":[)" +
           descriptor("application/vnd.oci.image.layer.v1.tar", layer) + "]}";
  }
  // An image of one layer whose blobs are in `content_`.
  SavedImage image(const std::string& layer, std::vector<std::string> names) {
    const std::string config = config_of(layer);
    const std::string manifest = manifest_of(config, layer);
    for (const std::string& bytes : {layer, config, manifest}) {
      EXPECT_TRUE(content_->put(oci::digest_of(bytes), bytes).ok());
    }
    Result<std::shared_ptr<const CachedImage>> cached =
        make_image(oci::digest_of(config), oci::digest_of(manifest), config,
                   {{.digest = oci::digest_of(layer), .size = layer.size()}});
    EXPECT_TRUE(cached.ok()) << cached.error().message();
    return {{*std::move(cached), {}, {}}, std::move(names)};
  }

  UniqueFd spool(const std::string& bytes) {
    UniqueFd fd(::memfd_create("archive", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return fd;
  }
  std::string save(const std::vector<SavedImage>& images, ArchiveFormat format) {
    Result<ArchiveSource> source = ArchiveSource::open(*content_, images, format);
    EXPECT_TRUE(source.ok()) << source.error().message();
    std::string all;
    char piece[1000];
    for (;;) {
      Result<std::size_t> got = source->read(piece);
      EXPECT_TRUE(got.ok()) << got.error().message();
      if (!got.ok() || *got == 0) break;
      all.append(piece, *got);
    }
    EXPECT_EQ(all.size(), source->size());
    return all;
  }
  static std::string tar(const std::vector<Item>& items, int filter = ARCHIVE_FILTER_NONE) {
    std::string out(8 << 20, '\0');
    std::size_t used = 0;
    archive* writer = archive_write_new();
    archive_write_set_format_pax_restricted(writer);
    archive_write_add_filter(writer, filter);
    archive_write_open_memory(writer, out.data(), out.size(), &used);
    for (const Item& item : items) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, item.name.c_str());
      archive_entry_set_perm(entry, 0644);
      const auto type = item.type == 's' ? AE_IFLNK : item.type == 'd' ? AE_IFDIR : AE_IFREG;
      archive_entry_set_filetype(entry, type);
      if (item.type == 's') archive_entry_set_symlink(entry, item.bytes.c_str());
      if (item.type == 'h') archive_entry_set_hardlink(entry, item.bytes.c_str());
      if (item.type == 'f') {
        archive_entry_set_size(entry, static_cast<la_int64_t>(item.bytes.size()));
      }
      archive_write_header(writer, entry);
      if (item.type == 'f') archive_write_data(writer, item.bytes.data(), item.bytes.size());
      archive_entry_free(entry);
    }
    archive_write_close(writer);
    archive_write_free(writer);
    out.resize(used);
    return out;
  }
  Result<LoadedArchive> load_all(const std::string& bytes) {
    const UniqueFd fd = spool(bytes);
    oci::Platform platform;
    platform.architecture = "amd64";
    platform.os = "linux";
    return load_archive(fd.get(), *other_, platform);
  }
  Result<std::vector<ArchivedImage>> load(const std::string& bytes) {
    TRY(LoadedArchive loaded, load_all(bytes));
    return std::move(loaded.images);
  }
  Result<std::vector<ArchivedImage>> load(const std::vector<Item>& items) {
    return load(tar(items));
  }
  static std::vector<Item> layout(const std::string& index, std::vector<Item> blobs) {
    std::vector<Item> all = {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                             {"index.json", index}};
    all.insert(all.end(), blobs.begin(), blobs.end());
    return all;
  }
  static std::string index_of(const std::string& descriptors) {
    return R"({"schemaVersion":2,"manifests":[)" + descriptors + "]}";
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::optional<ContentStore> content_;
  std::optional<ContentStore> other_;
};

constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";

TEST_F(Archive, SavedImagesAreLoadedWithTheirNamesAndDigests) {
  const std::string layer(3000, 'l');
  const std::vector<SavedImage> images = {image(layer, {"r.io/app:1", "r.io/app:2"}),
                                          image("", {})};
  for (const ArchiveFormat format : {ArchiveFormat::oci_layout, ArchiveFormat::docker_archive}) {
    const std::string bytes = save(images, format);
    EXPECT_EQ(save(images, format), bytes) << "the same images give the same bytes";
    Result<std::vector<ArchivedImage>> loaded = load(bytes);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message();
    ASSERT_EQ(loaded->size(), 2u);
    ASSERT_EQ(loaded->at(0).names.size(), 2u);
    EXPECT_EQ(loaded->at(0).names[1].text(), "r.io/app:2");
    EXPECT_TRUE(loaded->at(1).names.empty());
    if (format == ArchiveFormat::oci_layout) {
      EXPECT_EQ(loaded->at(0).manifest_digest, images[0].entry.image->manifest_digest);
    }
    for (const ArchivedImage& one : *loaded) {
      Result<std::string> manifest = other_->read(one.manifest_digest, 1 << 20);
      ASSERT_TRUE(manifest.ok()) << manifest.error().message();
      Result<oci::Manifest> parsed = oci::parse_manifest(*manifest);
      ASSERT_TRUE(parsed.ok()) << parsed.error().message();
      EXPECT_EQ(parsed->layers.size(), 1u);
      EXPECT_TRUE(other_->read(parsed->config.digest, 1 << 20).ok());
      EXPECT_TRUE(other_->read(parsed->layers[0].digest, 1 << 20).ok());
    }
    EXPECT_EQ(*other_->read(oci::digest_of(layer), 1 << 20), layer);
    fs::remove_all(dir_ + "/other");
    other_.emplace(open_store("other"));
  }
}

TEST_F(Archive, ALoadBesideAPullOfTheSameLayerSharesNoFileWithIt) {
  const std::string layer(200'000, 'l');
  const std::string bytes = save({image(layer, {"r.io/app:1"})}, ArchiveFormat::docker_archive);
  Result<Ingest> pulled = other_->begin(oci::digest_of(layer), layer.size());
  ASSERT_TRUE(pulled.ok());
  ASSERT_TRUE(pulled->write(layer.data(), 100'000).ok());
  Result<std::vector<ArchivedImage>> loaded = load(bytes);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  ASSERT_TRUE(pulled->restart().ok());
  EXPECT_EQ(*other_->read(oci::digest_of(layer), 1 << 20), layer);
  ASSERT_TRUE(pulled->write(layer.data(), layer.size()).ok());
  EXPECT_TRUE(pulled->commit().ok());
  EXPECT_EQ(*other_->read(oci::digest_of(layer), 1 << 20), layer);
}

TEST_F(Archive, TarReadsSavedArchives) {
  const std::string path = dir_ + "/saved.tar";
  const std::string bytes = save({image("layer", {"r.io/app:1"})}, ArchiveFormat::oci_layout);
  {
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  fs::create_directory(dir_ + "/out");
  ASSERT_EQ(std::system(("tar -C " + dir_ + "/out -xf " + path).c_str()), 0);
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/out/" + blob_name("layer")));
  EXPECT_EQ(fs::file_size(dir_ + "/out/" + blob_name("layer")), 5u);
}

TEST_F(Archive, ADroppedBlobCannotBeSaved) {
  const SavedImage saved = image("layer", {});
  ASSERT_TRUE(content_->remove(oci::digest_of("layer")).ok());
  Result<ArchiveSource> source = ArchiveSource::open(*content_, {saved}, ArchiveFormat::oci_layout);
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().code, Errc::failed_precondition);
  EXPECT_NE(source.error().message().find(digest("layer")), std::string::npos);
}

TEST_F(Archive, AnIndexInTheIndexGivesTheImageOfThisPlatform) {
  const std::string config = config_of("layer");
  const std::string manifest = manifest_of(config, "layer");
  const std::string nested = index_of(
      descriptor(kManifestType, "elsewhere",
                 R"(,"platform":{"architecture":"s390x","os":"linux"})") +
      "," +
      descriptor(kManifestType, manifest, R"(,"platform":{"architecture":"amd64","os":"linux"})"));
  const std::string index =
      index_of(descriptor("application/vnd.oci.image.index.v1+json", nested,
                          R"(,"annotations":{"org.opencontainers.image.ref.name":"r.io/app:1"})"));
  Result<std::vector<ArchivedImage>> loaded = load(layout(index, {{blob_name(nested), nested},
                                                                  {blob_name(manifest), manifest},
                                                                  {blob_name(config), config},
                                                                  {blob_name("layer"), "layer"}}));
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ(loaded->at(0).manifest_digest.text(), digest(manifest));
  ASSERT_EQ(loaded->at(0).names.size(), 1u);
  EXPECT_EQ(loaded->at(0).names[0].text(), "r.io/app:1");
}

TEST_F(Archive, OldDockerArchivesWithLinksAndGzippedOnesAreLoaded) {
  const std::string config = config_of("layer");
  const std::vector<Item> items = {
      {"aaa/layer.tar", "layer"},
      {"bbb/layer.tar", "../aaa/layer.tar", 's'},
      {"config.json", config},
      {"manifest.json",
       R"([{"Config":"config.json","RepoTags":["busybox:1"],"Layers":["bbb/layer.tar"]}])"}};
  for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD}) {
    Result<std::vector<ArchivedImage>> loaded = load(tar(items, filter));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message();
    ASSERT_EQ(loaded->size(), 1u);
    EXPECT_EQ(loaded->at(0).names[0].text(), "docker.io/library/busybox:1");
    Result<oci::Manifest> manifest =
        oci::parse_manifest(*other_->read(loaded->at(0).manifest_digest, 1 << 20));
    ASSERT_TRUE(manifest.ok());
    EXPECT_EQ(manifest->config.digest.text(), digest(config));
    ASSERT_EQ(manifest->layers.size(), 1u);
    EXPECT_EQ(manifest->layers[0].digest.text(), digest("layer"));
  }
}

TEST_F(Archive, HostileArchivesAreRefusedByNameAndNothingBecomesVisible) {
  const std::string config = config_of("layer");
  const std::string manifest = manifest_of(config, "layer");
  const std::string index = index_of(descriptor(kManifestType, manifest));
  const std::vector<Item> blobs = {
      {blob_name(manifest), manifest}, {blob_name(config), config}, {blob_name("layer"), "layer"}};
  const auto with = [&](std::vector<Item> more) {
    std::vector<Item> all = layout(index, blobs);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto docker = [&](const std::string& json, std::vector<Item> more = {}) {
    std::vector<Item> all = {{"manifest.json", json}, {"c", config}, {"l", "layer"}};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const struct {
    const char* what;
    std::vector<Item> items;
    Errc code;
    const char* says;
  } cases[] = {
      {"empty", {}, Errc::invalid_argument, "neither index.json"},
      {"neither", {{"readme", "x"}}, Errc::invalid_argument, "neither index.json"},
      {"upwards", with({{"../../etc/cron.d/x", "x"}}), Errc::invalid_argument, "leads out"},
      {"upwards from the root", with({{"/../etc/cron.d/x", "x"}}), Errc::invalid_argument,
       "leads out"},
      {"docker: link to the host",
       docker(R"([{"Config":"c","Layers":["x"]}])", {{"x", "/etc/passwd", 's'}}),
       Errc::invalid_argument, "[0].Layers: `x` is not in the archive"},
      {"link upwards", with({{"x", "../../etc/passwd", 's'}}), Errc::invalid_argument, "leads out"},
      {"hard link upwards", with({{"x", "../etc/passwd", 'h'}}), Errc::invalid_argument,
       "leads out"},
      {"long name", with({{std::string(4096, 'n'), "x"}}), Errc::invalid_argument, "too long"},
      {"long way to a short name",
       with({{[] {
                std::string name;
                for (int i = 0; i < 2048; ++i) name += "./";
                return name + "n";
              }(),
              "x"}}),
       Errc::invalid_argument, "too long"},
      {"long link", with({{"x", std::string(4096, 'n'), 's'}}), Errc::invalid_argument, "too long"},
      {"twice", with({{"index.json", index}}), Errc::invalid_argument, "twice"},
      {"manifest missing", layout(index, {}), Errc::invalid_argument, "is missing"},
      {"layer missing", layout(index, {blobs[0], blobs[1]}), Errc::invalid_argument, "is missing"},
      {"manifest of another digest", layout(index, {{blobs[0].name, config}}), Errc::data_loss,
       "another digest"},
      {"layer of another digest", layout(index, {blobs[0], blobs[1], {blobs[2].name, "LAYER"}}),
       Errc::data_loss, "digest"},
      {"layer of another size", layout(index, {blobs[0], blobs[1], {blobs[2].name, "longer"}}),
       Errc::data_loss, "descriptor says"},
      {"huge index", layout(std::string(5 << 20, ' '), {}), Errc::resource_exhausted, "index.json"},
      {"index is no json", layout("{", {}), Errc::invalid_argument, "index.json"},
      {"index of nothing", layout(index_of(""), {}), Errc::not_found, "names no image"},
      {"hostile name",
       layout(index_of(descriptor(
                  kManifestType, manifest,
                  R"(,"annotations":{"org.opencontainers.image.ref.name":"../../x:1"})")),
              blobs),
       Errc::invalid_argument, "image reference"},
      {"index that names itself",
       layout(index_of(descriptor("application/vnd.oci.image.index.v1+json", "loop")),
              {{blob_name("loop"), "loop"}}),
       Errc::invalid_argument, ""},
      {"docker: no list", docker("{}"), Errc::invalid_argument, "must be a list"},
      {"docker: empty", docker("[]"), Errc::invalid_argument, "names no image"},
      {"docker: deep", docker(std::string(1 << 20, '[')), Errc::invalid_argument,
       "manifest.json: is nested deeper than 64"},
      {"docker: no config", docker(R"([{"Layers":["l"]}])"), Errc::invalid_argument,
       "[0].Config: is missing"},
      {"docker: config elsewhere", docker(R"([{"Config":"../../etc/passwd","Layers":[]}])"),
       Errc::invalid_argument, "[0].Config: `../../etc/passwd` is not in the archive"},
      {"docker: layer elsewhere", docker(R"([{"Config":"c","Layers":["/etc/passwd"]}])"),
       Errc::invalid_argument, "[0].Layers: `/etc/passwd` is not in the archive"},
      {"docker: layers no list", docker(R"([{"Config":"c","Layers":"l"}])"), Errc::invalid_argument,
       "[0].Layers: must be a list"},
      {"docker: links in a circle",
       docker(R"([{"Config":"c","Layers":["x"]}])", {{"x", "y", 's'}, {"y", "x", 's'}}),
       Errc::invalid_argument, "is not in the archive"},
      {"docker: hostile name", docker(R"([{"Config":"c","Layers":["l"],"RepoTags":["A B"]}])"),
       Errc::invalid_argument, "image reference"},
  };
  for (const auto& c : cases) {
    Result<std::vector<ArchivedImage>> loaded = load(c.items);
    ASSERT_FALSE(loaded.ok()) << c.what;
    EXPECT_EQ(loaded.error().code, c.code) << c.what << ": " << loaded.error().message();
    EXPECT_NE(loaded.error().message().find(c.says), std::string::npos)
        << c.what << ": " << loaded.error().message();
    // Every stored blob is complete and has its digest.
    const std::vector<BlobInfo> blobs_now = *other_->list();
    for (const BlobInfo& blob : blobs_now) {
      EXPECT_EQ(oci::digest_of(*other_->read(blob.digest, 8 << 20)), blob.digest) << c.what;
    }
  }
}

TEST_F(Archive, BytesThatAreNoArchiveAndOneThatIsCutShortAreRefused) {
  EXPECT_EQ(load(std::string(10'000, 'x')).error().code, Errc::invalid_argument);
  const std::string whole = save({image(std::string(5000, 'l'), {})}, ArchiveFormat::oci_layout);
  // The padding of the last member and the end may be missing.
  for (std::size_t size = 0; size + 1024 + 120 < whole.size(); size += 509) {
    Result<std::vector<ArchivedImage>> loaded = load(whole.substr(0, size));
    EXPECT_FALSE(loaded.ok()) << size;
  }
  EXPECT_TRUE(load(whole).ok());
}

// libarchive takes the member's size from GNU's realsize field and its bytes from the size field.
// It pads missing bytes with zeros and returns surplus bytes.
TEST_F(Archive, AMemberOfAnotherSizeThanItsHeaderSaysIsRefused) {
  for (const std::size_t bytes : {101u, 3'000'000u}) {
    std::string lying = fuzz::tar_member("manifest.json", std::string(bytes, ' '));
    std::memcpy(&lying[257], "ustar  ", 8);
    std::snprintf(&lying[483], 12, "%011o", 100u);
    fuzz::set_checksum(lying.data());
    lying.append(1024, '\0');
    for (const std::string& archive : {lying, gzip(lying), zstd(lying)}) {
      const Result<std::vector<ArchivedImage>> loaded = load(archive);
      ASSERT_FALSE(loaded.ok());
      EXPECT_EQ(loaded.error().code, Errc::invalid_argument);
      EXPECT_EQ(loaded.error().message(),
                "archive: member `manifest.json` has not the 100 bytes that its header says");
    }
  }
}

// A member of a compressed archive is inflated even when it is skipped.
TEST_F(Archive, ASkippedMemberCannotBeLargerThanItsHeaderSays) {
  std::string lying = fuzz::tar_member("bomb", std::string(3'000'000, ' '));
  std::memcpy(&lying[257], "ustar  ", 8);
  std::snprintf(&lying[483], 12, "%011o", 100u);
  fuzz::set_checksum(lying.data());
  lying += fuzz::tar_member("manifest.json", "[]") + std::string(1024, '\0');
  const UniqueFd fd = spool(zstd(lying));
  const Result<ArchiveReader> archive = ArchiveReader::open(fd.get());
  ASSERT_FALSE(archive.ok());
  EXPECT_EQ(archive.error().message(),
            "archive: member `bomb` has not the 100 bytes that its header says");
}

TEST_F(Archive, AWalkEndsWhenItsVisitorStopsIt) {
  const UniqueFd fd = spool(tar({{"a", "x"}, {"b", "y"}}));
  std::stop_source stop;
  const Result<ArchiveReader> archive = ArchiveReader::open(fd.get(), {.stop = stop.get_token()});
  ASSERT_TRUE(archive.ok());
  const auto stop_at_the_first = [&stop](const std::string& name, std::string_view) -> Status {
    EXPECT_EQ(name, "a");
    stop.request_stop();
    return {};
  };
  EXPECT_EQ(archive->walk({"a", "b"}, stop_at_the_first).error().code, Errc::cancelled);
}

TEST_F(Archive, ThereAreLimitsToMembersBytesAndNames) {
  std::vector<Item> many;
  for (int i = 0; i < 50; ++i) many.push_back({"m" + std::to_string(i), "0123456789"});
  const UniqueFd fd = spool(tar(many));
  EXPECT_TRUE(ArchiveReader::open(fd.get(), {.members_max = 50, .bytes_max = 500}).ok());
  EXPECT_EQ(ArchiveReader::open(fd.get(), {.members_max = 49, .bytes_max = 500}).error().code,
            Errc::resource_exhausted);
  EXPECT_EQ(ArchiveReader::open(fd.get(), {.members_max = 50, .bytes_max = 499}).error().code,
            Errc::resource_exhausted);
  for (int i = 0; i < 50; ++i)
    many[static_cast<std::size_t>(i)] = {"d" + std::to_string(i), "", 'd'};
  const UniqueFd folders = spool(tar(many));
  EXPECT_TRUE(ArchiveReader::open(folders.get(), {.members_max = 50}).ok());
  EXPECT_EQ(ArchiveReader::open(folders.get(), {.members_max = 49}).error().code,
            Errc::resource_exhausted);
  const UniqueFd bomb = spool(tar({{"zeros", std::string(1'000'000, '\0')}}, ARCHIVE_FILTER_GZIP));
  EXPECT_TRUE(ArchiveReader::open(bomb.get(), {.ratio_grace = 1'000'000}).ok());
  EXPECT_EQ(ArchiveReader::open(bomb.get(), {.ratio_grace = 999'999}).error().message(),
            "archive: inflates to more than 200 times its size");
  const UniqueFd named = spool(tar({{"a", "x"}, {std::string(900, 'n'), "a", 's'}}));
  EXPECT_TRUE(ArchiveReader::open(named.get(), {.names_max = 902}).ok());
  EXPECT_EQ(ArchiveReader::open(named.get(), {.names_max = 901}).error().code,
            Errc::resource_exhausted);
}

}  // namespace
}  // namespace berth::image
