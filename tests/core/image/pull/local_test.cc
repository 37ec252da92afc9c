// SPDX-License-Identifier: Apache-2.0
// Promise: artifacts are complete and never unpacked; an image whose blobs are in the content store
// needs no registry; a sweep removes nothing while a lease exists.
#include "tests/core/image/pull/fixture.h"

namespace berth::image {
namespace {

class PullLocal : public PullTest {
 protected:
  // An artifact of two files, with the empty configuration that the registry does not have.
  std::string add_artifact(const std::string& tag, const std::string& repository = "art") {
    const std::string empty = oci::digest_of("{}").text();
    std::string layers;
    for (const std::string& file : {std::string("model"), std::string(400'000, 'w')}) {
      layers += layers.empty() ? "" : ",";
      layers +=
          descriptor("application/octet-stream", registry_.add_blob(repository, file), file.size());
    }
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("artifactType":"application/vnd.test.model","config":)" +
        descriptor("application/vnd.oci.empty.v1+json", empty, 2) + R"(,"layers":[)" + layers +
        "]}";
    return publish(repository, tag, manifest);
  }
  // Everything of `made` into the content store, as `berth image load` does.
  oci::Digest put_blobs(const Made& made, const std::vector<std::string>& layers) {
    for (const std::string& layer : layers) put(gzip(layer));
    put(made.config);
    put(made.manifest);
    return oci::digest_of(made.manifest);
  }
  void put(const std::string& bytes) {
    ASSERT_TRUE(content_->put(oci::digest_of(bytes), bytes).ok());
  }
};

TEST_F(PullLocal, AnArtifactIsFetchedKeptAndNotUnpacked) {
  const std::string digest = add_artifact("1");
  Result<PullResult> result = pull("art:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->image_id, digest);
  EXPECT_EQ(layers_.extractions, 0);
  const ImageEntry entry = *find(name("art:1"));
  EXPECT_TRUE(entry.image->is_artifact());
  ring_->run_until(puller_->synced()).value();
  ring_->run_until(puller_->sweep()).value();
  EXPECT_EQ(content_->list()->size(), 4u);  // manifest, empty configuration, two files
  registry_.server().forget();
  ASSERT_TRUE(pull("art:1").ok());
  EXPECT_EQ(registry_.server().requests().size(), 1u);
  ASSERT_TRUE(ring_->run_until(puller_->remove(plain_name(name("art:1")))).ok());
  EXPECT_TRUE(content_->list()->empty());
}

TEST_F(PullLocal, APresentArtifactGetsTheNamesOfAnotherRepository) {
  const std::string digest = add_artifact("1");
  ASSERT_TRUE(pull("art:1").ok());
  ASSERT_EQ(add_artifact("1", "copy"), digest);
  registry_.server().forget();
  ASSERT_TRUE(pull("copy@" + digest).ok());
  EXPECT_TRUE(find(name("copy@" + digest)).has_value());
  ASSERT_TRUE(pull("copy:1").ok());
  const ImageEntry entry = *find(name("copy:1"));
  EXPECT_EQ(entry.repo_tags.size(), 2u);
  EXPECT_EQ(entry.repo_digests.size(), 2u);
  EXPECT_LE(registry_.server().requests().size(), 2u) << "a HEAD each at most";
}

TEST_F(PullLocal, LeasedBlobsStayAfterTheirImageIsRemoved) {
  add("app", "1", {"layer"});
  ASSERT_TRUE(pull("app:1").ok());
  const std::vector<ImageEntry> read = {*find(name("app:1"))};
  {
    const Puller::Lease lease = ring_->run_until(puller_->lease(read)).value();
    ASSERT_TRUE(*ring_->run_until(puller_->remove(plain_name(name("app:1")))));
    EXPECT_EQ(content_->list()->size(), 3u);
    EXPECT_TRUE(layers_.committed.empty()) << "only blobs are read";
  }
  // The end of the lease started a sweep; this one waits for it and has nothing to do.
  ring_->run_until(puller_->sweep()).value();
  expect_nothing_left();
}

TEST_F(PullLocal, BlobsWithoutAnImageAreRemovedAfterTheLease) {
  {
    Puller::Lease lease = ring_->run_until(puller_->lease_everything()).value();
    lease.sweep_afterwards();
    put("a blob of an archive that turned out bad");
  }
  // The end of the lease started a sweep; this one waits for it and has nothing to do.
  ring_->run_until(puller_->sweep()).value();
  EXPECT_TRUE(content_->list()->empty());
}

TEST_F(PullLocal, AnArtifactHasTheLimitsOfAnImage) {
  close();
  options_.layer_size_max = 100'000;
  open();
  add_artifact("1");
  EXPECT_NE(must_fail("art:1").find("larger than the limit of 100000 bytes"), std::string::npos);
  const std::string type = "application/vnd.test.config";
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      descriptor(type, oci::digest_of("large").text(), 5 << 20) + R"(,"layers":[]})";
  publish("art", "config", manifest);
  EXPECT_NE(must_fail("art:config").find("config.size"), std::string::npos);
  expect_nothing_left();
  LocalImage image;
  image.references = {*oci::parse_reference("r.io/art:1")};
  image.manifest_digest = oci::digest_of(manifest);
  put(manifest);
  Result<PullResult> local = ring_->run_until(puller_->add_local(std::move(image)));
  ASSERT_FALSE(local.ok());
  EXPECT_NE(local.error().message().find("config.size"), std::string::npos);
}

TEST_F(PullLocal, AnArtifactStaysWhenCompressedLayersAreRemoved) {
  close();
  options_.keep_layer_blobs = false;
  open();
  add_artifact("1");
  ASSERT_TRUE(pull("art:1").ok());
  add("app", "1", {"layer"});
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(content_->list()->size(), 4u + 2u);
}

TEST_F(PullLocal, AnImageWithAllBlobsPresentNeedsNoRegistry) {
  const std::vector<std::string> layers = {"one", std::string(300'000, 'x')};
  const Made made = make("elsewhere", layers);
  registry_.server().forget();
  LocalImage image;
  image.references = {*oci::parse_reference("r.io/app:1"), *oci::parse_reference("r.io/app:2")};
  {
    const Puller::Lease lease = ring_->run_until(puller_->lease_everything()).value();
    image.manifest_digest = put_blobs(made, layers);
    ring_->run_until(puller_->sweep()).value();
    Result<PullResult> result = ring_->run_until(puller_->add_local(std::move(image)));
    ASSERT_TRUE(result.ok()) << result.error().message();
    EXPECT_EQ(result->image_id, made.config_digest);
  }
  EXPECT_TRUE(registry_.server().requests().empty());
  EXPECT_EQ(find("r.io/app:1")->repo_tags.size(), 2u);
  EXPECT_EQ(layers_.committed.size(), 2u);
}

// A second manifest has the same layer with another compression: nothing is unpacked, but its blob
// must be stored and synced.
TEST_F(PullLocal, AnotherManifestOfAnImageBringsItsOwnBlobs) {
  const Made made = make("elsewhere", {"layer"});
  LocalImage first;
  first.references = {*oci::parse_reference("r.io/app:1")};
  first.manifest_digest = put_blobs(made, {"layer"});
  ASSERT_TRUE(ring_->run_until(puller_->add_local(std::move(first))).ok());
  ring_->run_until(puller_->synced()).value();
  const std::string plain = "layer";
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      descriptor("application/vnd.oci.image.config.v1+json", made.config_digest,
                 made.config.size()) +
      R"(,"layers":[)" +
      descriptor("application/vnd.oci.image.layer.v1.tar", oci::digest_of(plain).text(),
                 plain.size()) +
      "]}";
  put(manifest);
  LocalImage second;
  second.references = {*oci::parse_reference("r.io/app:2")};
  second.manifest_digest = oci::digest_of(manifest);
  Result<PullResult> missing = ring_->run_until(puller_->add_local(second));
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is(Errc::not_found)) << missing.error().message();
  EXPECT_FALSE(find("r.io/app:2").has_value());
  put(manifest);
  put(plain);
  ASSERT_TRUE(ring_->run_until(puller_->add_local(second)).ok());
  ring_->run_until(puller_->sweep()).value();
  EXPECT_EQ(find("r.io/app:2")->image->layers[0].digest, oci::digest_of(plain));
  EXPECT_TRUE(content_->open_blob(oci::digest_of(plain)).ok());
  EXPECT_EQ(find("r.io/app:1")->image->layers[0].digest.text(), made.blobs[0]);
  EXPECT_EQ(layers_.extractions, 1);
}

TEST_F(PullLocal, AMissingBlobOrAWrongLayerLeavesNothing) {
  const Made made = make("elsewhere", {"one", "two"});
  LocalImage image;
  image.references = {*oci::parse_reference("r.io/app:1")};
  image.manifest_digest = put_blobs(made, {"one"});
  Result<PullResult> result = ring_->run_until(puller_->add_local(std::move(image)));
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().is(Errc::not_found)) << result.error().message();
  expect_nothing_left();
}

TEST_F(PullLocal, ASweepRemovesNothingWhileALeaseExists) {
  std::optional<Puller::Lease> lease(ring_->run_until(puller_->lease_everything()).value());
  put("held");
  ring_->run_until(puller_->sweep()).value();
  EXPECT_EQ(content_->list()->size(), 1u);
  lease.reset();
  ring_->run_until(puller_->sweep()).value();
  EXPECT_TRUE(content_->list()->empty());
}

TEST_F(PullLocal, AWatchSeesTheLayersOfItsPull) {
  const Made made = add("app", "1", {"one", "two"});
  PullRequest request;
  request.reference = name("app:1");
  request.watch = std::make_shared<PullWatch>();
  const std::shared_ptr<PullWatch> watch = request.watch;
  std::size_t most = 0;
  layers_.on_commit = [&] { most = std::max(most, watch->layers().size()); };
  ASSERT_TRUE(ring_->run_until(puller_->pull(std::move(request))).ok());
  EXPECT_EQ(most, 2u);
  EXPECT_TRUE(watch->layers().empty());
}

}  // namespace
}  // namespace berth::image
