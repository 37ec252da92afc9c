// SPDX-License-Identifier: Apache-2.0
// A Puller with a registry that can misbehave, stores on disk, and layers in memory.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/image/pull/puller.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "tests/core/image/http/fake_server.h"
#include "tests/core/image/http/own_network.h"
#include "tests/core/image/pull/memory_layers.h"
#include "tests/core/image/registry/plain_name.h"
#include "tests/core/image/unpack/compressed.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {

inline std::string descriptor(const std::string& type, const std::string& digest,
                              std::size_t size) {
  return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" +
         std::to_string(size) + "}";
}

class PullTest : public testing::Test {
 protected:
  // The parts of an image; a test may damage them before it adds the image.
  struct Made {
    std::string config;
    std::string config_digest;
    std::string manifest;
    std::string manifest_digest;
    std::vector<std::string> blobs;  // digests of the layers
  };

  void SetUp() override {
    if (!OwnNetwork::entered()) GTEST_SKIP() << "needs root: a network namespace";
    options_.registry.retry_delay_ms = 1;
    options_.registry.attempts_max = 2;
    Result<std::unique_ptr<Ring>> ring = Ring::create();
    ASSERT_TRUE(ring.ok()) << ring.error().message();
    ring_ = *std::move(ring);
    open();
  }
  void TearDown() override {
    close();
    ring_.reset();
  }
  void open(const std::string& boot_id = "this boot") {
    content_.emplace(*ContentStore::open(dir_ + "/content"));
    state_.emplace(*store::State::open(dir_ + "/images", {.durable = true}));
    images_ = *ImageStore::open(*state_, boot_id);
    puller_.emplace(*ring_, *content_, *images_, layers_, log_, options_);
  }
  void close() {
    if (!puller_.has_value()) return;
    EXPECT_TRUE(ring_->run_until(puller_->close()).ok());
    puller_.reset();
    images_.reset();
    state_.reset();
  }

  // An image whose layers inflate to `layers`.
  Made make(const std::string& repository, const std::vector<std::string>& layers) {
    Made made;
    std::string diff_ids;
    std::string descriptors;
    for (const std::string& layer : layers) {
      const std::string blob = gzip(layer);
      made.blobs.push_back(registry_.add_blob(repository, blob));
      const std::string comma = diff_ids.empty() ? "" : ",";
      diff_ids += comma + "\"" + oci::digest_of(layer).text() + "\"";
      descriptors += comma + descriptor("application/vnd.oci.image.layer.v1.tar+gzip",
                                        made.blobs.back(), blob.size());
    }
    made.config = R"({"architecture":"amd64","os":"linux","config":{"Cmd":["/x"]},"rootfs":)"
                  R"({"type":"layers","diff_ids":[)" +
                  diff_ids + "]}}";
    made.config_digest = registry_.add_blob(repository, made.config);
    made.manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
        descriptor("application/vnd.oci.image.config.v1+json", made.config_digest,
                   made.config.size()) +
        R"(,"layers":[)" + descriptors + "]}";
    return made;
  }
  Made add(const std::string& repository, const std::string& tag,
           const std::vector<std::string>& layers) {
    Made made = make(repository, layers);
    made.manifest_digest = publish(repository, tag, made.manifest);
    return made;
  }
  std::string publish(const std::string& repository, const std::string& tag,
                      const std::string& manifest) {
    return registry_.add_manifest(repository, tag, "application/vnd.oci.image.manifest.v1+json",
                                  manifest);
  }

  std::string name(const std::string& rest) { return registry_.host() + "/" + rest; }
  Result<PullResult> pull(const std::string& rest) {
    PullRequest request;
    request.reference = name(rest);
    return ring_->run_until(puller_->pull(std::move(request)));
  }
  std::optional<ImageEntry> find(const std::string& reference) {
    Result<std::optional<ImageEntry>> found = images_->find(plain_name(reference));
    EXPECT_TRUE(found.ok()) << found.error().message();
    return *found;
  }
  // The error's text of a pull that must fail.
  std::string must_fail(const std::string& rest) {
    Result<PullResult> result = pull(rest);
    EXPECT_FALSE(result.ok());
    return result.ok() ? "" : result.error().message();
  }
  void expect_nothing_left() {
    EXPECT_TRUE(images_->list().empty());
    EXPECT_TRUE(layers_.committed.empty());
    EXPECT_TRUE(layers_.active.empty());
    EXPECT_TRUE(content_->list()->empty());
    EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/content/ingest"));
  }
  std::size_t fetched(const std::string& repository, const std::string& digest) {
    return registry_.server().count("GET", "/v2/" + repository + "/blobs/" + digest);
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  Log log_{LogLevel::error};
  PullOptions options_;
  FakeRegistry registry_;
  std::unique_ptr<Ring> ring_;
  MemoryLayers layers_;
  std::optional<ContentStore> content_;
  std::optional<store::State> state_;
  std::unique_ptr<ImageStore> images_;
  std::optional<Puller> puller_;
};

}  // namespace berth::image
