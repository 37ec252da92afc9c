// SPDX-License-Identifier: Apache-2.0
// Promise: references find their image, also after a restart, and a removal removes exactly the
// images and names that it was given.
#include "core/image/store/image_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/image/store/record.h"
#include "tests/core/image/registry/plain_name.h"
#include "tests/support/temporary_dir.h"

namespace berth::image {
namespace {

class Images : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    images_.reset();
    state_.reset();
  }
  void open() {
    images_.reset();
    state_.reset();
    Result<store::State> state = store::State::open(dir_ + "/images", {.durable = true});
    ASSERT_TRUE(state.ok()) << state.error().message();
    state_.emplace(*std::move(state));
    Result<std::unique_ptr<ImageStore>> images = ImageStore::open(*state_);
    ASSERT_TRUE(images.ok()) << images.error().message();
    images_ = *std::move(images);
  }
  // An image of one layer; `content` makes it different from others.
  std::string add(const std::string& reference, const std::string& content) {
    NewImage image = made(reference, content);
    Result<std::string> id = images_->add(std::move(image));
    EXPECT_TRUE(id.ok()) << id.error().message();
    return id.ok() ? *id : "";
  }
  NewImage made(const std::string& reference, const std::string& content,
                SyncState sync_state = SyncState::synced) {
    NewImage image;
    image.sync_state = sync_state;
    image.reference = *oci::parse_reference(reference);
    image.manifest_digest = oci::digest_of("manifest " + content);
    image.root_digest = image.manifest_digest;
    image.config_json =
        R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
        oci::digest_of(content).text() + R"("]}})";
    image.layers = {{oci::digest_of("blob " + content), 1000}};
    return image;
  }

  std::optional<ImageEntry> find(const std::string& name) {
    Result<std::optional<ImageEntry>> found = images_->find(plain_name(name));
    EXPECT_TRUE(found.ok()) << found.error().message();
    return *found;
  }

  const TemporaryDir place_;
  const std::string dir_ = place_.path();
  std::optional<store::State> state_;
  std::unique_ptr<ImageStore> images_;
};

TEST_F(Images, AreFoundByEveryNameAlsoAfterARestart) {
  const std::string id = add("r.io/app:1", "one");
  const std::string digest = oci::digest_of("manifest one").text();
  for (int restarted = 0; restarted < 2; ++restarted) {
    for (const std::string& name : {id, id.substr(7), id.substr(7, 12), std::string("r.io/app:1"),
                                    "r.io/app@" + digest, "r.io/app:other@" + digest}) {
      Result<ImageEntry> entry = images_->resolve(plain_name(name));
      ASSERT_TRUE(entry.ok()) << name << ": " << entry.error().message();
      EXPECT_EQ(entry->image->id, id);
    }
    const ImageEntry entry = *find(id);
    EXPECT_EQ(entry.repo_tags, std::vector<std::string>{"r.io/app:1"});
    EXPECT_EQ(entry.repo_digests, std::vector<std::string>{"r.io/app@" + digest});
    EXPECT_EQ(entry.image->chain_ids, std::vector<std::string>{oci::digest_of("one").text()});
    EXPECT_GT(entry.image->size, 1000u);
    open();
  }
  EXPECT_EQ(images_->resolve(plain_name("r.io/app:2")).error().code, Errc::not_found);
  EXPECT_EQ(images_->resolve(plain_name("R!")).error().code, Errc::invalid_argument);
  EXPECT_EQ(images_->resolve(plain_name("")).error().code, Errc::invalid_argument);
  EXPECT_FALSE(find(std::string(64, '0')).has_value());
}

TEST_F(Images, OneIdUnderManyTagsIsListedOnce) {
  const std::string id = add("r.io/app:1", "one");
  EXPECT_EQ(add("r.io/app:2", "one"), id);
  EXPECT_EQ(add("busybox", "one"), id);
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_EQ(
      images_->list()[0].repo_tags,
      (std::vector<std::string>{"docker.io/library/busybox:latest", "r.io/app:1", "r.io/app:2"}));
  EXPECT_EQ(images_->list()[0].repo_digests.size(), 2u);
}

// The same configuration under two manifests, of which the second compresses its layer otherwise.
TEST_F(Images, EachNameHasItsOwnManifest) {
  const std::string id = add("r.io/app:1", "one");
  NewImage other = made("r.io/app:2", "one");
  other.manifest_digest = oci::digest_of("another manifest");
  other.root_digest = oci::digest_of("an index");
  other.layers = {{oci::digest_of("another blob"), 2000}};
  const oci::Digest first = oci::digest_of("manifest one");
  const oci::Digest second = other.manifest_digest;
  const oci::Digest blob = other.layers[0].digest;
  EXPECT_EQ(*images_->add(other), id);
  EXPECT_EQ(*images_->tag(plain_name("r.io/app:2"), *oci::parse_reference("r.io/copy:1")), id);
  for (int restarted = 0; restarted < 2; ++restarted) {
    ASSERT_EQ(images_->list().size(), 1u);
    EXPECT_EQ(find("r.io/app:1")->image->manifest_digest, first);
    EXPECT_EQ(find("r.io/app@" + first.text())->image->manifest_digest, first);
    for (const std::string& name :
         {std::string("r.io/app:2"), "r.io/app@" + oci::digest_of("an index").text(),
          std::string("r.io/copy:1")}) {
      ASSERT_TRUE(find(name).has_value()) << name;
      const ImageEntry entry = *find(name);
      EXPECT_EQ(entry.image->manifest_digest, second) << name;
      EXPECT_EQ(entry.image->layers[0].digest, blob) << name;
      EXPECT_EQ(entry.image->id, id);
      EXPECT_EQ(entry.repo_tags.size(), 3u);
    }
    const std::vector<oci::Digest> needed = needed_blobs(*find(id));
    for (const oci::Digest& digest : {first, second, blob, oci::digest_of("blob one"),
                                      oci::digest_of("an index"), *oci::Digest::parse(id)}) {
      EXPECT_NE(std::find(needed.begin(), needed.end(), digest), needed.end()) << digest.text();
    }
    open();
  }
}

TEST_F(Images, AManifestIsRemovedWithItsLastName) {
  const std::string id = add("r.io/app:1", "one");
  NewImage other = made("r.io/other:1", "one");
  other.manifest_digest = other.root_digest = oci::digest_of("another manifest");
  ASSERT_TRUE(images_->add(other).ok());
  // Without a name of its own the first manifest goes; the image has that of the remaining name.
  ASSERT_TRUE(*images_->remove(plain_name("r.io/app:1")));
  for (int restarted = 0; restarted < 2; ++restarted) {
    EXPECT_EQ(find(id)->image->manifest_digest, other.manifest_digest);
    const std::vector<oci::Digest> needed = needed_blobs(*find(id));
    EXPECT_EQ(std::count(needed.begin(), needed.end(), oci::digest_of("manifest one")), 0);
    open();
  }
  // A name that moves from one manifest to the other.
  add("r.io/other:1", "one");
  open();
  EXPECT_EQ(find("r.io/other:1")->image->manifest_digest, oci::digest_of("manifest one"));
  EXPECT_EQ(find("r.io/other@" + other.manifest_digest.text())->image->manifest_digest,
            other.manifest_digest);
  ASSERT_TRUE(*images_->remove(plain_name(id)));
  open();
  EXPECT_TRUE(images_->list().empty());
  EXPECT_EQ(*state_->get(kImageManifests, other.manifest_digest.text()), std::nullopt);
}

TEST_F(Images, ANameWithADamagedManifestGetsNoOther) {
  const std::string id = add("r.io/app:1", "one");
  NewImage other = made("r.io/app:2", "one");
  other.manifest_digest = other.root_digest = oci::digest_of("another manifest");
  ASSERT_TRUE(images_->add(other).ok());
  ASSERT_TRUE(state_->put(kImageManifests, other.manifest_digest.text(), "junk").ok());
  open();
  EXPECT_FALSE(find("r.io/app:2").has_value());
  EXPECT_EQ(find("r.io/app:1")->image->id, id);
  ASSERT_TRUE(images_->add(other).ok());
  open();
  EXPECT_EQ(find("r.io/app:2")->image->manifest_digest, other.manifest_digest);
}

TEST_F(Images, AMovedTagLeavesTheOldImageUntagged) {
  const std::string old_id = add("r.io/app:1", "one");
  const std::string new_id = add("r.io/app:1", "two");
  open();
  EXPECT_EQ(find("r.io/app:1")->image->id, new_id);
  ASSERT_TRUE(find(old_id).has_value());
  EXPECT_TRUE(find(old_id)->repo_tags.empty());
  EXPECT_EQ(find(old_id)->repo_digests.size(), 1u);
}

TEST_F(Images, RemovingATagLeavesTheOthersAndTheLastOneTakesTheImage) {
  const std::string id = add("r.io/app:1", "one");
  add("r.io/app:2", "one");
  EXPECT_TRUE(*images_->remove(plain_name("r.io/app:1")));
  EXPECT_FALSE(*images_->remove(plain_name("r.io/app:1")));
  EXPECT_TRUE(find("r.io/app:2").has_value());
  EXPECT_TRUE(*images_->remove(plain_name("r.io/app:2")));
  open();
  EXPECT_TRUE(images_->list().empty());
  EXPECT_FALSE(*images_->remove(plain_name(id)));
}

TEST_F(Images, RemovingByIdTakesEveryReference) {
  const std::string id = add("r.io/app:1", "one");
  add("other.io/app:2", "one");
  add("r.io/stays:1", "two");
  EXPECT_TRUE(*images_->remove(plain_name(id.substr(7, 16))));
  open();
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_EQ(images_->list()[0].repo_tags, std::vector<std::string>{"r.io/stays:1"});
}

TEST_F(Images, ALastTagOfOneRepositoryLeavesTheImageToTheOther) {
  const std::string id = add("r.io/app:1", "one");
  add("other.io/app:2", "one");
  EXPECT_TRUE(*images_->remove(plain_name("r.io/app:1")));
  EXPECT_EQ(find(id)->repo_digests.size(), 1u);
  EXPECT_EQ(find(id)->repo_tags, std::vector<std::string>{"other.io/app:2"});
}

TEST_F(Images, ANewMarkIsNotRemovedByAnEarlierSync) {
  const std::string id = *images_->add(made("r.io/app:1", "one", SyncState::later));
  const std::vector<ImageStore::Mark> first = images_->unsynced();
  ASSERT_EQ(first.size(), 1u);
  ASSERT_TRUE(*images_->remove(plain_name(id)));
  ASSERT_TRUE(images_->add(made("r.io/app:1", "one", SyncState::later)).ok());
  ASSERT_TRUE(images_->mark_synced(first).ok());
  const std::vector<ImageStore::Mark> second = images_->unsynced();
  ASSERT_EQ(second.size(), 1u) << "the image was removed and added again";
  NewImage named = made("r.io/app:2", "one", SyncState::later);
  ASSERT_TRUE(images_->add(named).ok());
  EXPECT_EQ(images_->unsynced()[0].generation, second[0].generation)
      << "the second name stored no layers";
  named.sync = []() -> Status { return {}; };
  ASSERT_TRUE(images_->add(named).ok());
  ASSERT_TRUE(images_->mark_synced(second).ok());
  ASSERT_EQ(images_->unsynced().size(), 1u) << "the image was stored again after the mark";
  open();
  ASSERT_EQ(images_->unsynced().size(), 1u);
  ASSERT_TRUE(images_->mark_synced(images_->unsynced()).ok());
  EXPECT_TRUE(images_->unsynced().empty());
  open();
  EXPECT_TRUE(images_->unsynced().empty());
}

TEST_F(Images, ANewNameOfASyncedImageIsSyncedFirst) {
  const std::string id = add("r.io/app:1", "one");
  NewImage named = made("r.io/app:2", "one", SyncState::later);
  named.root_digest = oci::digest_of("another index");
  int syncs = 0;
  named.sync = [&]() -> Status {
    ++syncs;
    EXPECT_FALSE(find("r.io/app:2").has_value());
    if (syncs == 1) return make_error(Errc::internal, "the disk is slow");
    return {};
  };
  EXPECT_FALSE(images_->add(named).ok());
  EXPECT_FALSE(find("r.io/app:2").has_value());
  ASSERT_TRUE(images_->add(named).ok());
  EXPECT_EQ(find("r.io/app:2")->image->id, id);
  EXPECT_EQ(syncs, 2);
  EXPECT_TRUE(images_->unsynced().empty());
  // An image with a mark needs no sync.
  NewImage fresh = made("r.io/new:1", "two", SyncState::later);
  fresh.sync = named.sync;
  ASSERT_TRUE(images_->add(fresh).ok());
  ASSERT_TRUE(images_->add(fresh).ok());
  EXPECT_EQ(syncs, 2);
}

TEST_F(Images, AnIdPrefixOfSeveralImagesIsRefused) {
  // With enough images two ids share four digits; 2,000 do with overwhelming probability.
  std::map<std::string, int> prefixes;
  std::string shared;
  for (int i = 0; i < 2000 && shared.empty(); ++i) {
    const std::string id = add("r.io/app:" + std::to_string(i), std::to_string(i));
    if (++prefixes[id.substr(7, 4)] == 2) shared = id.substr(7, 4);
  }
  ASSERT_FALSE(shared.empty());
  EXPECT_EQ(images_->resolve(plain_name(shared)).error().code, Errc::invalid_argument);
}

TEST_F(Images, ATagIsOneMoreNameAndMovesFromAnotherImage) {
  const std::string one = add("r.io/app:1", "one");
  const std::string two = add("r.io/app:2", "two");
  EXPECT_EQ(*images_->tag(plain_name(one.substr(7, 12)), *oci::parse_reference("local/app:stable")),
            one);
  EXPECT_EQ(*images_->tag(plain_name("r.io/app:2"), *oci::parse_reference("local/app:stable")),
            two);
  EXPECT_EQ(*images_->tag(plain_name("r.io/app:2"), *oci::parse_reference("r.io/app:1")), two);
  for (int restarted = 0; restarted < 2; ++restarted) {
    EXPECT_EQ(find("docker.io/local/app:stable")->image->id, two);
    EXPECT_EQ(find(two)->repo_tags,
              (std::vector<std::string>{"docker.io/local/app:stable", "r.io/app:1", "r.io/app:2"}));
    EXPECT_TRUE(find(one)->repo_tags.empty());
    open();
  }
  EXPECT_EQ(images_->tag(plain_name("r.io/none:1"), *oci::parse_reference("x")).error().code,
            Errc::not_found);
  const std::string digested = "x@" + oci::digest_of("x").text();
  EXPECT_EQ(images_->tag(plain_name(one), *oci::parse_reference(digested)).error().code,
            Errc::invalid_argument);
}

std::string artifact_manifest(const std::string& content, const std::string& title) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
         R"("artifactType":"application/vnd.tests.model","config":{"mediaType":)"
         R"("application/vnd.oci.empty.v1+json","digest":")" +
         oci::digest_of("{}").text() +
         R"(","size":2},"layers":[{"mediaType":"text/plain","digest":")" +
         oci::digest_of(content).text() + R"(","size":)" + std::to_string(content.size()) +
         R"(,"annotations":{"org.opencontainers.image.title":")" + title +
         R"("}}],"annotations":{"made.by":"tests"}})";
}

TEST_F(Images, AnArtifactKeepsItsFilesNamesAndBlobsOverARestart) {
  NewArtifact artifact;
  artifact.reference = *oci::parse_reference("r.io/model:1");
  artifact.manifest_json = artifact_manifest("weights", "dir/weights.bin");
  artifact.manifest_digest = artifact.root_digest = oci::digest_of(artifact.manifest_json);
  const std::string id = artifact.manifest_digest.text();
  Result<std::string> added = images_->add_artifact(artifact);
  ASSERT_TRUE(added.ok()) << added.error().message();
  EXPECT_EQ(*added, id);
  for (int restarted = 0; restarted < 2; ++restarted) {
    Result<ImageEntry> entry = images_->resolve(plain_name("r.io/model:1"));
    ASSERT_TRUE(entry.ok()) << entry.error().message();
    const CachedImage& image = *entry->image;
    EXPECT_TRUE(image.is_artifact());
    EXPECT_EQ(image.id, id);
    EXPECT_EQ(image.artifact_type, "application/vnd.tests.model");
    EXPECT_EQ(image.annotations.at("made.by"), "tests");
    ASSERT_EQ(image.layers.size(), 1u);
    EXPECT_EQ(image.layers[0].title, "dir/weights.bin");
    EXPECT_EQ(image.layers[0].media_type, "text/plain");
    EXPECT_EQ(image.size, artifact.manifest_json.size() + 2 + 7);
    EXPECT_TRUE(image.chain_ids.empty());
    std::set<std::string> needed;
    for (const oci::Digest& digest : needed_blobs(*entry)) needed.insert(digest.text());
    EXPECT_EQ(needed, (std::set<std::string>{id, oci::digest_of("{}").text(),
                                             oci::digest_of("weights").text()}));
    open();
  }
  EXPECT_TRUE(*images_->remove(plain_name(id)));
  EXPECT_TRUE(images_->list().empty());
  open();
  EXPECT_TRUE(images_->list().empty());
}

TEST_F(Images, AnArtifactWhoseManifestHasAnotherDigestIsRefused) {
  NewArtifact artifact;
  artifact.reference = *oci::parse_reference("r.io/model:1");
  artifact.manifest_json = artifact_manifest("weights", "w");
  artifact.manifest_digest = artifact.root_digest = oci::digest_of("something else");
  EXPECT_EQ(images_->add_artifact(artifact).error().code, Errc::data_loss);
  EXPECT_TRUE(images_->list().empty());
}

TEST_F(Images, ARecordThatCannotBeReadIsSetAside) {
  add("r.io/good:1", "good");
  const std::string id = add("r.io/bad:1", "bad");
  ASSERT_TRUE(state_->put(kImages, id, "nonsense").ok());
  open();
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_FALSE(find("r.io/bad:1").has_value());
  EXPECT_EQ(state_->quarantined()->size(), 1u);
}

TEST_F(Images, LayersAndDiffIdsMustAgree) {
  NewImage image;
  image.reference = *oci::parse_reference("a");
  image.manifest_digest = image.root_digest = oci::digest_of("m");
  image.config_json = R"({"rootfs":{"type":"layers","diff_ids":[]}})";
  image.layers = {{oci::digest_of("b"), 1}};
  Result<std::string> id = images_->add(std::move(image));
  ASSERT_FALSE(id.ok());
  EXPECT_NE(id.error().message().find("diff_ids"), std::string::npos);
}

TEST_F(Images, APinSurvivesRestartsAndIsRemovedWithTheImage) {
  const std::string id = add("r.io/app:1", "one");
  EXPECT_FALSE(find(id)->pinned);
  ASSERT_TRUE(images_->pin(id, true).ok());
  open();
  EXPECT_TRUE(find(id)->pinned);
  ASSERT_TRUE(images_->pin(id, false).ok());
  EXPECT_FALSE(find(id)->pinned);
  ASSERT_TRUE(images_->pin(id, true).ok());
  ASSERT_TRUE(*images_->remove(plain_name(id)));
  add("r.io/app:1", "one");
  open();
  EXPECT_FALSE(find(id)->pinned);
  EXPECT_TRUE(images_->pin(std::string(64, '0'), true).error().is(Errc::not_found));
}

// A short name has two candidates here, or is refused as ambiguous, depending on the mode.
RegistriesConf searching(RegistriesConf::ShortNames mode) {
  RegistriesConf conf;
  conf.search_registries = std::vector<std::string>{"a.test", "b.test:5000"};
  conf.aliases["tool"] = "c.test/team/tool";
  conf.short_names = mode;
  return conf;
}

TEST_F(Images, AShortNameFindsTheFirstPresentCandidateAndReportsIt) {
  const RegistriesConf conf = searching(RegistriesConf::ShortNames::permissive);
  const std::string second = add("b.test:5000/app:1", "second");
  const std::string aliased = add("c.test/team/tool:2", "tool");
  add("docker.io/library/app:1", "not configured");
  EXPECT_EQ(images_->resolve(image_name(conf, "app:1"))->image->id, second);
  EXPECT_EQ(images_->resolve(image_name(conf, "app:1"))->found_by->text(), "b.test:5000/app:1");
  EXPECT_EQ(images_->resolve(image_name(conf, "tool:2"))->image->id, aliased);
  const std::string first = add("a.test/app:1", "first");
  EXPECT_EQ(images_->resolve(image_name(conf, "app:1"))->image->id, first);
  // Only the image that was found is removed, not one of the same name elsewhere.
  EXPECT_TRUE(*images_->remove(image_name(conf, "app:1")));
  EXPECT_EQ(images_->resolve(image_name(conf, "app:1"))->image->id, second);
  EXPECT_EQ(images_->list().size(), 3u);
  EXPECT_FALSE(images_->resolve(image_name(conf, second))->found_by.has_value());
  const std::string absent = images_->resolve(image_name(conf, "none")).error().message();
  EXPECT_NE(absent.find("`none` is not here; looked for a.test/none:latest, "
                        "b.test:5000/none:latest"),
            std::string::npos)
      << absent;
}

TEST_F(Images, AnAmbiguousShortNameListsItsCandidatesAndIsAbsentForFindAndRemove) {
  const RegistriesConf conf = searching(RegistriesConf::ShortNames::enforcing);
  const std::string id = add("a.test/app:1", "one");
  const Error refused = images_->resolve(image_name(conf, "app:1")).error();
  EXPECT_EQ(refused.code, Errc::invalid_argument);
  EXPECT_NE(refused.message().find("a.test/app:1, b.test:5000/app:1"), std::string::npos);
  EXPECT_FALSE(images_->find(image_name(conf, "app:1"))->has_value());
  EXPECT_FALSE(*images_->remove(image_name(conf, "app:1")));
  // Ids and whole names do not depend on the short-name mode.
  for (const std::string& name : {id, id.substr(7, 12), std::string("a.test/app:1")}) {
    EXPECT_EQ(images_->resolve(image_name(conf, name))->image->id, id) << name;
  }
}

TEST_F(Images, ANameThatCannotBeResolvedIsNotTakenForAbsent) {
  const std::string id = add("r.io/app:1", "one");
  ImageName name;
  name.text = "app:1";
  name.refusal = make_error(Errc::failed_precondition, "registries.conf:1: is broken");
  EXPECT_EQ(images_->find(name).error().code, Errc::failed_precondition);
  EXPECT_EQ(images_->remove(name).error().code, Errc::failed_precondition);
  name.id_prefix = id.substr(0, 16);
  EXPECT_EQ((*images_->find(name))->image->id, id);
}

}  // namespace
}  // namespace berth::image
