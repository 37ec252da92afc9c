// SPDX-License-Identifier: Apache-2.0
// Promise: a visible blob is complete and verified; a partial file of a crash is continued or
// swept.
#include "core/image/content/content.h"
#include "tests/support/temporary_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace berth::image {
namespace {

namespace fs = std::filesystem;

class Content : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    Result<ContentStore> store = ContentStore::open(dir_ + "/content");
    ASSERT_TRUE(store.ok()) << store.error().message();
    store_.emplace(*std::move(store));
  }
  std::string blob_path(const oci::Digest& digest) const {
    return dir_ + "/content/blobs/sha256/" + std::string(digest.hex());
  }
  std::string partial_path(const oci::Digest& digest) const {
    return dir_ + "/content/ingest/sha256-" + std::string(digest.hex());
  }
  std::size_t partials() const {
    const fs::directory_iterator all(dir_ + "/content/ingest");
    return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::optional<ContentStore> store_;
  const std::string bytes_ = "the bytes of a blob";
  const oci::Digest digest_ = oci::digest_of(bytes_);
};

TEST_F(Content, IsVisibleOnlyAfterCommit) {
  Result<Ingest> ingest = store_->begin(digest_, bytes_.size());
  ASSERT_TRUE(ingest.ok()) << ingest.error().message();
  ASSERT_TRUE(ingest->write(bytes_.data(), bytes_.size()).ok());
  EXPECT_FALSE(store_->size(digest_)->has_value());
  ASSERT_TRUE(ingest->commit().ok());
  EXPECT_EQ(**store_->size(digest_), bytes_.size());
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
  EXPECT_EQ(partials(), 0u);
  EXPECT_FALSE(store_->read(digest_, 5).ok());
}

TEST_F(Content, RefusesWrongBytesAndLeavesNothing) {
  {
    Result<Ingest> ingest = store_->begin(digest_, 3);
    ASSERT_TRUE(ingest.ok());
    ASSERT_TRUE(ingest->write("abc", 3).ok());
    Status committed = ingest->commit();
    ASSERT_FALSE(committed.ok());
    EXPECT_EQ(committed.error().code, Errc::data_loss);
    EXPECT_NE(committed.error().message().find(oci::digest_of("abc").text()), std::string::npos);
  }
  EXPECT_FALSE(store_->size(digest_)->has_value());
  EXPECT_EQ(partials(), 0u);
}

TEST_F(Content, RefusesMoreAndLessThanAnnounced) {
  Result<Ingest> ingest = store_->begin(digest_, bytes_.size() - 1);
  ASSERT_TRUE(ingest.ok());
  EXPECT_EQ(ingest->write(bytes_.data(), bytes_.size()).error().code, Errc::data_loss);
  EXPECT_EQ(ingest->offset(), 0u);
  ASSERT_TRUE(ingest->write(bytes_.data(), 2).ok());
  EXPECT_EQ(ingest->commit().error().code, Errc::data_loss);
}

TEST_F(Content, ContinuesThePartialFileOfAKilledProcess) {
  std::ofstream(partial_path(digest_)) << bytes_.substr(0, 7);
  open();  // as the next process would
  Result<Ingest> ingest = store_->begin(digest_, bytes_.size());
  ASSERT_TRUE(ingest.ok());
  EXPECT_EQ(ingest->offset(), 7u);
  ASSERT_TRUE(ingest->write(bytes_.data() + 7, bytes_.size() - 7).ok());
  ASSERT_TRUE(ingest->commit().ok());
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
}

TEST_F(Content, RestartsAPartialFileThatIsWrongOrTooLong) {
  std::ofstream(partial_path(digest_)) << std::string(bytes_.size() + 5, 'x');
  Result<Ingest> ingest = store_->begin(digest_, bytes_.size());
  ASSERT_TRUE(ingest.ok());
  EXPECT_EQ(ingest->offset(), 0u);
  ASSERT_TRUE(ingest->write("wrong", 5).ok());
  ASSERT_TRUE(ingest->restart().ok());
  ASSERT_TRUE(ingest->write(bytes_.data(), bytes_.size()).ok());
  EXPECT_TRUE(ingest->commit().ok());
}

TEST_F(Content, SweepsOldPartialFilesOnly) {
  std::ofstream(partial_path(digest_)) << "old";
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, partial_path(digest_).c_str(), times, 0), 0);
  std::ofstream(partial_path(oci::digest_of("other"))) << "new";
  ASSERT_TRUE(store_->sweep_ingests(60).ok());
  EXPECT_EQ(partials(), 1u);
  EXPECT_FALSE(fs::exists(partial_path(digest_)));
}

TEST_F(Content, ListsAndRemoves) {
  ASSERT_TRUE(store_->put(digest_, bytes_).ok());
  ASSERT_TRUE(store_->put(digest_, bytes_).ok());
  const oci::Digest big = oci::digest_of("x", oci::DigestAlgorithm::sha512);
  ASSERT_TRUE(store_->put(big, "x").ok());
  std::ofstream(dir_ + "/content/blobs/sha256/not-a-digest") << "x";
  Result<std::vector<BlobInfo>> all = store_->list();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2u);
  ASSERT_TRUE(store_->remove(digest_).ok());
  ASSERT_TRUE(store_->remove(digest_).ok());
  EXPECT_EQ(store_->list()->size(), 1u);
  EXPECT_EQ(store_->open_blob(digest_).error().code, Errc::not_found);
}

// A pull resumes the file of its name; a load at the same time must not write into it.
TEST_F(Content, PutDuringAnIngestUsesItsOwnFile) {
  Result<Ingest> arriving = store_->begin(digest_, bytes_.size());
  ASSERT_TRUE(arriving.ok());
  ASSERT_TRUE(arriving->write(bytes_.data(), 4).ok());
  ASSERT_TRUE(store_->put(digest_, bytes_).ok());
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
  ASSERT_TRUE(arriving->restart().ok());
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
  ASSERT_TRUE(arriving->write(bytes_.data(), bytes_.size()).ok());
  Status committed = arriving->commit();
  EXPECT_TRUE(committed.ok()) << committed.error().message();
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
  EXPECT_EQ(partials(), 0u);
}

TEST_F(Content, TwoUnnamedIngestsOfOneBlobBothSucceed) {
  Result<Ingest> one = store_->begin_unnamed(digest_, bytes_.size());
  Result<Ingest> two = store_->begin_unnamed(digest_, bytes_.size());
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(partials(), 0u);
  ASSERT_TRUE(one->write(bytes_.data(), bytes_.size()).ok());
  ASSERT_TRUE(two->write(bytes_.data(), 3).ok());
  ASSERT_TRUE(one->commit().ok());
  ASSERT_TRUE(two->write(bytes_.data() + 3, bytes_.size() - 3).ok());
  EXPECT_TRUE(two->commit().ok());
  EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
}

// A synced blob stays the same file.
TEST_F(Content, AnIngestDoesNotReplaceAVisibleBlob) {
  Result<Ingest> late = store_->begin(digest_, bytes_.size());
  ASSERT_TRUE(late.ok());
  ASSERT_TRUE(late->write(bytes_.data(), bytes_.size()).ok());
  ASSERT_TRUE(store_->put(digest_, bytes_).ok());
  struct stat before;
  struct stat after;
  ASSERT_EQ(::stat(blob_path(digest_).c_str(), &before), 0);
  ASSERT_TRUE(late->commit().ok());
  ASSERT_EQ(::stat(blob_path(digest_).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(partials(), 0u);
}

// From here on this thread has no unnamed files: openat with O_TMPFILE fails as on a filesystem
// without them.
void refuse_tmpfile() {
  const auto at = [](std::size_t field) { return static_cast<__u32>(field); };
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(offsetof(seccomp_data, nr))),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(offsetof(seccomp_data, args[2]))),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST_F(Content, AFilesystemWithoutUnnamedFilesGetsUniqueNames) {
  std::thread([this] {
    refuse_tmpfile();
    ASSERT_LT(::open(dir_.c_str(), O_TMPFILE | O_RDWR, 0600), 0);
    {
      Result<Ingest> given_up = store_->begin_unnamed(digest_, bytes_.size());
      Result<Ingest> kept = store_->begin_unnamed(digest_, bytes_.size());
      ASSERT_TRUE(given_up.ok() && kept.ok());
      EXPECT_EQ(partials(), 2u);
      ASSERT_TRUE(kept->write(bytes_.data(), bytes_.size()).ok());
      Status committed = kept->commit();
      ASSERT_TRUE(committed.ok()) << committed.error().message();
      EXPECT_EQ(*store_->read(digest_, 1000), bytes_);
    }
    EXPECT_EQ(partials(), 0u);
    EXPECT_TRUE(store_->put(oci::digest_of("other"), "other").ok());
    EXPECT_EQ(partials(), 0u);
  }).join();
}

TEST_F(Content, DoesNotFollowALinkInThePlaceOfABlob) {
  ASSERT_EQ(::symlink("/etc/passwd", blob_path(digest_).c_str()), 0);
  EXPECT_FALSE(store_->open_blob(digest_).ok());
}

}  // namespace
}  // namespace berth::image
