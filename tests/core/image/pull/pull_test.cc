// SPDX-License-Identifier: Apache-2.0
// Promise: a pull ends with a complete, verified image, or with nothing.
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "tests/core/image/pull/fixture.h"

namespace berth::image {
namespace {

const std::vector<std::string> kLayers = {"layer one", std::string(300'000, 'x'), "layer three"};

TEST_F(PullTest, MakesAnImageOfEveryLayerInOrder) {
  const Made made = add("app", "1", kLayers);
  Result<PullResult> result = pull("app:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->image_id, made.config_digest);
  EXPECT_EQ(result->root_digest.text(), made.manifest_digest);
  EXPECT_GT(result->pulled_bytes, 0u);
  Result<ImageEntry> entry = images_->resolve(plain_name(name("app:1")));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->image->config.config.cmd, std::vector<std::string>{"/x"});
  EXPECT_EQ(entry->repo_digests, std::vector<std::string>{name("app@" + made.manifest_digest)});
  // They are extracted at the same time, in any order, and committed from the lowest up.
  EXPECT_EQ(std::set<std::string>(layers_.extracted.begin(), layers_.extracted.end()),
            std::set<std::string>(kLayers.begin(), kLayers.end()));
  ASSERT_EQ(entry->image->chain_ids.size(), 3u);
  EXPECT_EQ(layers_.committed.at(entry->image->chain_ids[2]).parent, entry->image->chain_ids[1]);
  EXPECT_EQ(content_->list()->size(), 5u);  // manifest, configuration, three layers
  ring_->run_until(puller_->synced()).value();
  EXPECT_EQ(layers_.syncs, 1);
  EXPECT_TRUE(images_->unsynced().empty());
}

TEST_F(PullTest, ARepeatedPullIsOneHead) {
  const Made made = add("app", "1", kLayers);
  ASSERT_TRUE(pull("app:1").ok());
  registry_.server().forget();
  Result<PullResult> again = pull("app:1");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->image_id, made.config_digest);
  EXPECT_EQ(again->pulled_bytes, 0u);
  ASSERT_EQ(registry_.server().requests().size(), 1u);
  EXPECT_EQ(registry_.server().requests()[0].method, "HEAD");
  publish("app", "other", made.manifest);
  ASSERT_TRUE(pull("app:other").ok());
  ASSERT_TRUE(pull("app@" + made.manifest_digest).ok());
  EXPECT_EQ(images_->list().size(), 1u);
  EXPECT_EQ(images_->list()[0].repo_tags.size(), 2u);
  EXPECT_EQ(layers_.extractions, 3);
}

// Two tags whose manifests differ in an annotation alone.
TEST_F(PullTest, ManifestsThatShareAConfigurationStayTwo) {
  const Made one = add("app", "1", {"layer"});
  std::string other = one.manifest;
  other.insert(other.size() - 1, R"(,"annotations":{"built":"later"})");
  const std::string other_digest = publish("app", "2", other);
  for (int pulled = 0; pulled < 2; ++pulled) {
    ASSERT_TRUE(pull("app:1").ok());
    ASSERT_TRUE(pull("app:2").ok());
    EXPECT_EQ(find(name("app:1"))->image->manifest_digest.text(), one.manifest_digest);
    EXPECT_EQ(find(name("app:2"))->image->manifest_digest.text(), other_digest);
  }
  EXPECT_EQ(images_->list().size(), 1u);
  ring_->run_until(puller_->sweep()).value();
  EXPECT_TRUE(content_->read(oci::digest_of(one.manifest), 1 << 20).ok());
  EXPECT_TRUE(content_->read(oci::digest_of(other), 1 << 20).ok());
}

// A second manifest has the same layer with another compression: its blob is fetched and kept, so
// that both can be pushed; nothing is unpacked again.
TEST_F(PullTest, AnotherManifestOfAnImageBringsItsOwnBlobs) {
  const Made one = add("app", "1", {"layer"});
  const std::string plain = registry_.add_blob("app", "layer");
  std::string other = one.manifest;
  const std::string gzipped =
      descriptor("application/vnd.oci.image.layer.v1.tar+gzip", one.blobs[0], gzip("layer").size());
  other.replace(other.find(gzipped), gzipped.size(),
                descriptor("application/vnd.oci.image.layer.v1.tar", plain, 5));
  publish("app", "2", other);
  ASSERT_TRUE(pull("app:1").ok());
  ring_->run_until(puller_->synced()).value();
  ASSERT_TRUE(pull("app:2").ok());
  EXPECT_EQ(layers_.extractions, 1);
  EXPECT_EQ(fetched("app", plain), 1u);
  ring_->run_until(puller_->sweep()).value();
  for (const std::string& digest : {one.blobs[0], plain}) {
    EXPECT_TRUE(content_->open_blob(*oci::Digest::parse(digest)).ok()) << digest;
  }
  EXPECT_EQ(find(name("app:2"))->image->layers[0].digest.text(), plain);
  EXPECT_EQ(find(name("app:1"))->image->layers[0].digest.text(), one.blobs[0]);
  // Blobs that are not kept are not fetched.
  ASSERT_TRUE(*ring_->run_until(puller_->remove(plain_name(one.config_digest))));
  close();
  options_.keep_layer_blobs = false;
  open();
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("app:2").ok());
  EXPECT_EQ(fetched("app", plain), 1u);
  // With keep_layer_blobs, a pull of the present image fetches the missing blob.
  close();
  options_.keep_layer_blobs = true;
  open();
  ASSERT_TRUE(pull("app:2").ok());
  EXPECT_EQ(fetched("app", plain), 2u);
  EXPECT_TRUE(content_->open_blob(*oci::Digest::parse(plain)).ok());
}

// The registry reports a digest in HEAD that it does not serve.
TEST_F(PullTest, AManifestNotServedByDigestIsRequestedByTag) {
  const Made made = add("app", "1", kLayers);
  const std::string told = oci::digest_of("another form").text();
  registry_.set_hook([told](const ServerRequest& request) {
    ServerResponse response{.status = 0, .headers = {}, .body = ""};
    if (request.method == "HEAD") {
      response = {.status = 200, .headers = {"Docker-Content-Digest: " + told}, .body = ""};
    }
    return response;
  });
  Result<PullResult> result = pull("app:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->root_digest.text(), made.manifest_digest);
  // A pull by digest gets that digest or fails.
  EXPECT_NE(must_fail("app@" + told).find("HTTP 404"), std::string::npos);
}

TEST_F(PullTest, ChoosesThePlatformOfAnIndexAndRemembersTheIndexDigest) {
  const Made mine = make("app", {"mine"});
  const Made other = make("app", {"other"});
  const std::string mine_digest = publish("app", "", mine.manifest);
  const std::string other_digest = publish("app", "", other.manifest);
  const oci::Platform host = oci::host_platform();
  const auto entry = [](const std::string& digest, std::size_t size, const std::string& arch) {
    std::string text = descriptor("application/vnd.oci.image.manifest.v1+json", digest, size);
    text.pop_back();
    return text + R"(,"platform":{"os":"linux","architecture":")" + arch + "\"}}";
  };
  const std::string index = R"({"schemaVersion":2,"manifests":[)" +
                            entry(other_digest, other.manifest.size(), "s390x") + "," +
                            entry(mine_digest, mine.manifest.size(), host.architecture) + "]}";
  const std::string index_digest =
      registry_.add_manifest("app", "1", "application/vnd.oci.image.index.v1+json", index);
  Result<PullResult> result = pull("app:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->image_id, mine.config_digest);
  EXPECT_EQ(result->root_digest.text(), index_digest);
  EXPECT_TRUE(find(name("app@" + index_digest)).has_value());
  EXPECT_EQ(layers_.extracted, std::vector<std::string>{"mine"});
  // The image's reference names the index, so a sweep keeps it.
  ASSERT_TRUE(ring_->run_until(puller_->sweep()).ok());
  EXPECT_TRUE((*content_->size(*oci::Digest::parse(index_digest))).has_value());
}

TEST_F(PullTest, AnUnsyncedImageIsGoneAfterAPowerFailure) {
  add("app", "safe", {"base", "safe"});
  ASSERT_TRUE(pull("app:safe").ok());
  ring_->run_until(puller_->synced()).value();
  layers_.sync_fails = true;
  add("app", "lost", {"base", "lost"});
  ASSERT_TRUE(pull("app:lost").ok());
  close();
  layers_.sync_fails = false;
  // The same boot: the agent was killed, no file is lost, and the sync is finished now.
  open();
  EXPECT_EQ(images_->list().size(), 2u);
  EXPECT_EQ(images_->unsynced().size(), 1u);
  ring_->run_until(puller_->sweep()).value();
  ring_->run_until(puller_->synced()).value();
  EXPECT_TRUE(images_->unsynced().empty());
  add("app", "lost", {"base", "lost again"});
  layers_.sync_fails = true;
  ASSERT_TRUE(pull("app:lost").ok());
  close();
  open("another boot");
  ring_->run_until(puller_->sweep()).value();
  EXPECT_TRUE(find(name("app:safe")).has_value());
  EXPECT_FALSE(find(name("app:lost")).has_value());
  EXPECT_EQ(layers_.committed.size(), 3u);  // none of the second app:lost
}

TEST_F(PullTest, AnImageThatIsUnpackedAgainIsUnsyncedAgain) {
  add("app", "1", kLayers);
  ASSERT_TRUE(pull("app:1").ok());
  ring_->run_until(puller_->synced()).value();
  ASSERT_TRUE(images_->unsynced().empty());
  layers_.committed.erase(images_->list()[0].image->chain_ids.back());
  layers_.sync_fails = true;
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(images_->unsynced().size(), 1u);
  close();
  open("another boot");
  EXPECT_TRUE(images_->list().empty());
}

TEST_F(PullTest, AnotherIndexOfAKnownImageLeavesItWithoutAMark) {
  const Made made = add("app", "1", kLayers);
  ASSERT_TRUE(pull("app:1").ok());
  ring_->run_until(puller_->synced()).value();
  std::string entry = descriptor("application/vnd.oci.image.manifest.v1+json", made.manifest_digest,
                                 made.manifest.size());
  const std::string index = R"({"schemaVersion":2,"manifests":[)" + entry + "]}";
  const std::string index_digest =
      registry_.add_manifest("app", "2", "application/vnd.oci.image.index.v1+json", index);
  Result<PullResult> result = pull("app:2");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->image_id, made.config_digest);
  EXPECT_EQ(layers_.syncs, 1);
  close();
  open("another boot");
  EXPECT_TRUE(find(name("app@" + index_digest)).has_value());
}

TEST_F(PullTest, AFailedSweepChangesNoPullAndRemovesTheRest) {
  close();
  options_.keep_layer_blobs = false;
  open();
  layers_.abort_unfinished_fails = true;
  add("app", "1", kLayers);
  Result<PullResult> pulled = pull("app:1");
  ASSERT_TRUE(pulled.ok()) << pulled.error().message();
  EXPECT_EQ(content_->list()->size(), 2u) << "the layers' blobs are dropped";
  registry_.set_hook([](const ServerRequest&) {
    return ServerResponse{.status = 401, .headers = {"WWW-Authenticate: Basic"}, .body = {}};
  });
  EXPECT_NE(must_fail("app:2").find("there are none"), std::string::npos);
  layers_.committed["sha256:nobody's"] = {};
  Result<void> swept = ring_->run_until(puller_->sweep());
  ASSERT_FALSE(swept.ok());
  EXPECT_NE(swept.error().message().find("does not read"), std::string::npos);
  EXPECT_EQ(layers_.committed.size(), 3u);
}

TEST_F(PullTest, CompressedLayersCanBeRemovedOnceUnpacked) {
  close();
  options_.keep_layer_blobs = false;
  open();
  const Made made = add("app", "1", {"base", "top"});
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(content_->list()->size(), 2u);  // manifest and configuration
  registry_.server().forget();
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(registry_.server().requests().size(), 1u);
  EXPECT_EQ(layers_.extractions, 2);
}

TEST_F(PullTest, ALayerIsUnpackedWhileItArrivesAndBeforeThoseBelow) {
  // The lowest layer arrives only after the extraction of the highest has begun, and no extraction
  // can end before its bytes have arrived.
  const Made made = add("app", "1", {"lowest", "middle", "top"});
  std::atomic<int> extracting{0};
  layers_.before_extract = [&] { ++extracting; };
  registry_.set_hook([&](const ServerRequest& request) {
    if (request.path.ends_with(made.blobs[0])) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (extracting < 2 && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    return ServerResponse{.status = 0, .headers = {}, .body = ""};
  });
  const auto begun = std::chrono::steady_clock::now();
  Result<PullResult> result = pull("app:1");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(9));
  EXPECT_EQ(layers_.committed.size(), 3u);
}

TEST_F(PullTest, FetchesOnlyTheLayersThatAreMissing) {
  add("app", "1", {"base", "one"});
  const Made second = add("app", "2", {"base", "two"});
  ASSERT_TRUE(pull("app:1").ok());
  registry_.server().forget();
  ASSERT_TRUE(pull("app:2").ok());
  EXPECT_EQ(fetched("app", second.blobs[0]), 0u);
  EXPECT_EQ(fetched("app", second.blobs[1]), 1u);
  EXPECT_EQ(layers_.extractions, 3);
}

TEST_F(PullTest, TheSameLayerTwiceInOneImageIsFetchedOnce) {
  const Made made = add("app", "1", {"a", "same", "same", "same"});
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(fetched("app", made.blobs[1]), 1u);
  EXPECT_EQ(layers_.extractions, 4);
}

TEST_F(PullTest, AnImageWithoutLayersIsAnImage) {
  add("app", "1", {});
  EXPECT_TRUE(pull("app:1").ok());
  EXPECT_TRUE(find(name("app:1"))->image->chain_ids.empty());
}

TEST_F(PullTest, AWrongDiffIdLeavesNothing) {
  Made made = make("app", kLayers);
  const std::string lie = oci::digest_of("another tar").text();
  made.config.replace(made.config.find(oci::digest_of(kLayers[2]).text()), lie.size(), lie);
  const std::string old_config = made.config_digest;
  made.config_digest = registry_.add_blob("app", made.config);
  made.manifest.replace(made.manifest.find(old_config), old_config.size(), made.config_digest);
  publish("app", "1", made.manifest);
  const std::string text = must_fail("app:1");
  EXPECT_NE(text.find("diff_id " + lie), std::string::npos) << text;
  EXPECT_NE(text.find(made.blobs[2]), std::string::npos) << text;
  EXPECT_EQ(text.find("pull " + name("app:1")), 0u) << text;
  expect_nothing_left();
}

TEST_F(PullTest, WrongBytesACutAndAMissingLayerLeaveNothing) {
  const Made made = add("app", "1", kLayers);
  const std::string path = "/v2/app/blobs/" + made.blobs[1];
  ServerResponse answer;
  registry_.set_hook([&](const ServerRequest& request) {
    return request.path == path ? answer : ServerResponse{.status = 0, .headers = {}, .body = ""};
  });
  answer.body = std::string(gzip(kLayers[1]).size(), 'w');
  EXPECT_NE(must_fail("app:1").find("the bytes have digest"), std::string::npos);
  expect_nothing_left();
  answer.body = gzip(kLayers[1]);
  answer.cut_after = 10;
  EXPECT_NE(must_fail("app:1").find(path), std::string::npos);
  expect_nothing_left();
  answer = {.status = 404, .headers = {}, .body = ""};
  EXPECT_NE(must_fail("app:1").find("HTTP 404"), std::string::npos);
  expect_nothing_left();
  registry_.set_hook({});
  EXPECT_TRUE(pull("app:1").ok());
}

TEST_F(PullTest, AnIndexThatNamesItselfAndOnesNestedTooDeepAreRefused) {
  const std::string type = "application/vnd.oci.image.index.v1+json";
  const auto index_of = [&](const std::string& digest, std::size_t size) {
    const std::string platform = R"(,"platform":{"architecture":")" +
                                 oci::host_platform().architecture + R"(","os":"linux"}}]})";
    return R"({"schemaVersion":2,"mediaType":")" + type + R"(","manifests":[{"mediaType":")" +
           type + R"(","digest":")" + digest + R"(","size":)" + std::to_string(size) + platform;
  };
  // By digest nothing can name itself, so the registry answers that digest with the same bytes.
  const std::string digest = "sha256:" + std::string(64, '7');
  const std::string own = index_of(digest, 300);
  registry_.add_manifest("app", "1", type, own);
  registry_.set_hook([=](const ServerRequest& request) {
    const int status = request.path.ends_with(digest) ? 200 : 0;
    return ServerResponse{.status = status, .headers = {"Content-Type: " + type}, .body = own};
  });
  EXPECT_NE(must_fail("app:1").find("instead of " + digest), std::string::npos);
  registry_.set_hook({});
  std::string inner = own;
  for (int depth = 0; depth < 4; ++depth) {
    const std::string outer = index_of(oci::digest_of(inner).text(), inner.size());
    registry_.add_manifest("app", "deep", type, outer);
    inner = outer;
  }
  EXPECT_NE(must_fail("app:deep").find("more than 3 deep"), std::string::npos);
  expect_nothing_left();
}

TEST_F(PullTest, RefusesDocumentsThatAreNoImage) {
  EXPECT_NE(must_fail("none:1").find("HTTP 404"), std::string::npos);
  EXPECT_NE(must_fail("None:1").find("capital"), std::string::npos);
  registry_.add_manifest("app", "list", "application/vnd.oci.image.index.v1+json",
                         R"({"schemaVersion":2,"manifests":[]})");
  EXPECT_NE(must_fail("app:list").find("no image for"), std::string::npos);
  publish("app", "junk", "junk");
  EXPECT_NE(must_fail("app:junk").find("not valid JSON"), std::string::npos);
  Made made = make("app", {"x"});
  std::string fewer = made.manifest;
  fewer = fewer.substr(0, fewer.find("\"layers\":[")) + "\"layers\":[]}";
  publish("app", "fewer", fewer);
  EXPECT_NE(must_fail("app:fewer").find("rootfs.diff_ids"), std::string::npos);
  expect_nothing_left();
}

TEST_F(PullTest, ALayerThatEndsBeforeItsStreamIsVerifiedToTheEnd) {
  layers_.extract_at_most = 10;
  add("app", "1", kLayers);
  EXPECT_TRUE(pull("app:1").ok());
}

TEST_F(PullTest, ABombIsRefused) {
  close();
  options_.inflate_ratio_grace = 1 << 20;
  options_.inflate_ratio_max = 100;
  open();
  add("app", "1", {std::string(8 << 20, '\0')});
  EXPECT_NE(must_fail("app:1").find("times its size"), std::string::npos);
  expect_nothing_left();
}

TEST_F(PullTest, SweepRemovesOnlyTheLeftoversOfAKilledPull) {
  add("app", "1", kLayers);
  ASSERT_TRUE(pull("app:1").ok());
  const std::size_t blobs = content_->list()->size();
  ASSERT_TRUE(content_->put(oci::digest_of("orphan"), "orphan").ok());
  layers_.committed["sha256:orphan"] = {};
  layers_.committed["sha256:child"] = {.parent = "sha256:orphan", .lowest = false};
  layers_.active["sha256:half"] = {};
  close();
  open();
  ASSERT_TRUE(ring_->run_until(puller_->sweep()).ok());
  EXPECT_EQ(content_->list()->size(), blobs);
  EXPECT_EQ(layers_.committed.size(), 3u);
  EXPECT_TRUE(layers_.active.empty());
}

TEST_F(PullTest, RemoveFreesBlobsAndLayersOfNoOtherImage) {
  add("app", "1", {"base", "one"});
  add("app", "2", {"base", "two"});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("app:2").ok());
  EXPECT_TRUE(*ring_->run_until(puller_->remove(plain_name(name("app:1")))));
  EXPECT_EQ(layers_.committed.size(), 2u);
  EXPECT_FALSE(*ring_->run_until(puller_->remove(plain_name(name("app:1")))));
  // A container still uses the layers of the second.
  const std::string top = images_->list()[0].image->chain_ids[1];
  layers_.in_use.insert(top);
  EXPECT_TRUE(*ring_->run_until(puller_->remove(plain_name(name("app:2")))));
  EXPECT_EQ(layers_.committed.size(), 2u);
  layers_.in_use.clear();
  ASSERT_TRUE(ring_->run_until(puller_->sweep()).ok());
  expect_nothing_left();
}

}  // namespace
}  // namespace berth::image
