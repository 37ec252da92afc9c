// SPDX-License-Identifier: Apache-2.0
// The image verbs of `berth` against a living berthd and a registry.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

constexpr const char* kMerged = "127.0.0.1:5000/merged:latest";

class ImageCli : public Node {
 protected:
  // Fails the test when the verb does.
  static std::string done(const std::string& words) {
    const Ran ran = berth(words);
    EXPECT_EQ(ran.exit_code, 0) << "berth " << words << ": " << ran.out;
    return ran.out;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  static std::string id_of(const std::string& name) {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    return call(&Images::ImageStatus, request).value.image().id();
  }
  void SetUp() override {
    Node::SetUp();
    done("image prune -a");
  }
  void TearDown() override {
    done("image prune -a");
    Node::TearDown();
  }
  static std::string index_of(const std::string& archive) {
    return shell("tar -xOf " + archive + " index.json").out;
  }
  std::string file(const std::string& name) { return dir("BERTH_NODE_DIR") + "/" + name; }
};

TEST_F(ImageCli, PullPrintsOneLineAndTheSecondOneThatNothingCame) {
  const std::string first = done(std::string("pull ") + kMerged);
  EXPECT_TRUE(has(first, std::string(kMerged) + ": sha256:")) << first;
  EXPECT_TRUE(has(first, " in ")) << first;
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 1) << first;
  EXPECT_TRUE(has(done(std::string("pull ") + kMerged), "is up to date"));
  const Ran none = berth("pull 127.0.0.1:5000/none:1");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(has(none.out, "berth: pull: ")) << none.out;
}

TEST_F(ImageCli, RunEndsWithTheContainersExitCode) {
  const std::string run = "run --rm --log-dir " + file("logs") + " " + kBusybox + " sh -c ";
  for (const int code : {0, 1, 127, 128, 137, 200, 255}) {
    EXPECT_EQ(berth(run + "'exit " + std::to_string(code) + "'").exit_code, code);
  }
}

TEST_F(ImageCli, SavedImagesComeBackWithIdNamesAndFiles) {
  done(std::string("pull -q ") + kMerged);
  const std::string id = id_of(kMerged);
  done(std::string("image tag ") + kMerged + " local/copy:2");
  for (const char* format : {"oci", "docker"}) {
    const std::string path = file(std::string("saved-") + format);
    done(std::string("image save --format ") + format + " -o " + path + " " + kMerged +
         " local/copy:2");
    done("image rm -f " + id);
    ASSERT_EQ(id_of(kMerged), "");
    const std::string loaded = done("image load -i " + path);
    EXPECT_TRUE(has(loaded, id)) << loaded;
    EXPECT_EQ(id_of(kMerged), id) << format;
    EXPECT_EQ(id_of("local/copy:2"), id) << format;
    EXPECT_EQ(
        printed(run_pod(), "/bin/cat /etc/not-executable",
                [](v1::ContainerConfig& config) { config.mutable_image()->set_image(kMerged); }),
        "no program\n");
    remove_all_pods();
  }
}

TEST_F(ImageCli, SaveAndLoadWorkThroughAPipeAndAnImageWithoutANameKeepsItsId) {
  done(std::string("pull -q ") + kMerged);
  const std::string id = id_of(kMerged);
  const std::string path = file("renamed.tar");
  done("image save -o " + path + " " + kMerged);
  // The same archive with no names in it.
  const Ran stripped =
      shell("set -e; d=$(mktemp -d); tar -C $d -xf " + path +
            "; sed -i 's/,\"annotations\":{[^}]*}//' $d/index.json; tar -C $d -cf " + path +
            " .; rm -rf $d");
  ASSERT_EQ(stripped.exit_code, 0) << stripped.out;
  done("image rm -f " + id);
  const Ran loaded =
      shell("cat " + path + " | " + cli_program() + " --endpoint " + endpoint() + " image load");
  EXPECT_EQ(loaded.exit_code, 0) << loaded.out;
  EXPECT_EQ(loaded.out, id + "\n");
  EXPECT_EQ(id_of(id), id);
  EXPECT_EQ(id_of(kMerged), "");
  EXPECT_TRUE(has(done("image prune"), id.substr(7, 12)));
  EXPECT_EQ(id_of(id), "");
}

TEST_F(ImageCli, AHostileArchiveIsRefusedAndLeavesNothing) {
  const std::string path = file("hostile.tar");
  ASSERT_EQ(shell("d=$(mktemp -d); echo x >$d/x; tar -C $d -cPf " + path +
                  " --transform 's,x,../../../../etc/berth-was-here,' x; rm -rf $d")
                .exit_code,
            0);
  const Ran refused = berth("image load -i " + path);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(has(refused.out, "leads out of the archive")) << refused.out;
  EXPECT_FALSE(std::filesystem::exists("/etc/berth-was-here"));
  std::ofstream(path) << std::string(100'000, 'x');
  EXPECT_TRUE(has(berth("image load -i " + path).out, "INVALID_ARGUMENT"));
  // A layer that is not what the configuration says: every digest of the archive is right.
  const Ran wrong = shell(
      "set -e; d=$(mktemp -d); cd $d; echo layer >l; printf "
      "'{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["
      "\"sha256:%064d\"]}}' 1 >c; echo "
      "'[{\"Config\":\"c\",\"RepoTags\":[\"bad:1\"],\"Layers\":[\"l\"]}]' "
      ">manifest.json; tar -cf " +
      path + " manifest.json c l; rm -rf $d");
  ASSERT_EQ(wrong.exit_code, 0) << wrong.out;
  EXPECT_EQ(berth("image load -i " + path).exit_code, 1);
  EXPECT_EQ(id_of("bad:1"), "");
}

TEST_F(ImageCli, APinKeepsAnImageFromPruningAndTheCriTellsIt) {
  done(std::string("pull -q ") + kMerged);
  const std::string id = id_of(kMerged);
  done(std::string("image pin ") + kMerged);
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image(id);
  EXPECT_TRUE(call(&Images::ImageStatus, request).value.image().pinned());
  EXPECT_FALSE(has(done("image prune -a"), id.substr(7, 12)));
  EXPECT_EQ(id_of(kMerged), id);
  done(std::string("image unpin ") + kMerged);
  EXPECT_TRUE(has(done("image prune -a -n"), "would remove " + id.substr(7, 12)));
  EXPECT_EQ(id_of(kMerged), id);
  EXPECT_TRUE(has(done("image prune -a"), "removed " + id.substr(7, 12)));
  EXPECT_EQ(id_of(kMerged), "");
}

TEST_F(ImageCli, PruneAndRmSpareWhatAContainerUses) {
  done(std::string("pull -q ") + kMerged + " 127.0.0.1:5000/nocmd:latest");
  start(run_pod(), {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    config.mutable_image()->set_image(kMerged);
    v1::Mount* mount = config.add_mounts();
    mount->set_container_path("/volume");
    mount->mutable_image()->set_image("127.0.0.1:5000/nocmd:latest");
    mount->set_readonly(true);
  });
  done("image prune -a");
  EXPECT_NE(id_of(kMerged), "");
  EXPECT_NE(id_of("127.0.0.1:5000/nocmd:latest"), "");
  const Ran refused = berth(std::string("image rm ") + kMerged);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(has(refused.out, "is used by")) << refused.out;
}

TEST_F(ImageCli, APushedImageIsPulledFromItsNewName) {
  done(std::string("pull -q ") + kMerged);
  const std::string id = id_of(kMerged);
  const std::string pushed = done(std::string("push ") + kMerged + " 127.0.0.1:5000/team/pushed:3");
  EXPECT_TRUE(has(pushed, "sha256:")) << pushed;
  done("image rm -f " + id);
  done("pull -q 127.0.0.1:5000/team/pushed:3");
  EXPECT_EQ(id_of("127.0.0.1:5000/team/pushed:3"), id);
  EXPECT_EQ(berth("push 127.0.0.1:5000/none:1").exit_code, 1);
}

// The same configuration under a second manifest, as a rebuild of an unchanged image makes it.
TEST_F(ImageCli, PushAndSaveWriteTheManifestThatTheNameStandsFor) {
  done(std::string("pull -q ") + kMerged);
  const std::string id = id_of(kMerged);
  const std::string path = file("two.tar");
  done("image save -o " + path + " " + kMerged);
  const std::string first = index_of(path);
  const Ran made = shell("set -e; d=$(mktemp -d); tar -C $d -xf " + path +
                         "; cd $d; python3 -c \"import json, hashlib\n"
                         "index = json.load(open('index.json'))\n"
                         "entry = index['manifests'][0]\n"
                         "manifest = json.load(open('blobs/sha256/' + entry['digest'][7:]))\n"
                         "manifest['annotations'] = {'built': 'later'}\n"
                         "bytes = json.dumps(manifest).encode()\n"
                         "digest = hashlib.sha256(bytes).hexdigest()\n"
                         "open('blobs/sha256/' + digest, 'wb').write(bytes)\n"
                         "index['manifests'].append(dict(entry, digest='sha256:' + digest, "
                         "size=len(bytes), annotations="
                         "{'io.containerd.image.name': '127.0.0.1:5000/second:1'}))\n"
                         "index['manifests'].append({'mediaType': 'application/vnd.example', "
                         "'digest': 'sha256:' + 64 * 'a', 'size': 7})\n"
                         "json.dump(index, open('index.json', 'w'))\n"
                         "print('sha256:' + digest, end='')\"; tar -C $d -cf " +
                         path + " .; rm -rf $d");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  const std::string second = made.out;
  EXPECT_TRUE(has(done("image load -i " + path), "passed over: sha256:" + std::string(64, 'a')));
  EXPECT_EQ(id_of("127.0.0.1:5000/second:1"), id);
  EXPECT_TRUE(has(done("push 127.0.0.1:5000/second:1"), second));
  const std::string saved = file("second.tar");
  done("image save -o " + saved + " 127.0.0.1:5000/second:1");
  EXPECT_TRUE(has(index_of(saved), second));
  EXPECT_EQ(berth("push " + std::string(kMerged) + " 127.0.0.1:5000/first:1").out.find(second),
            std::string::npos);
  // Both at once, by their names and by the id.
  for (const std::string& names : {std::string(kMerged) + " 127.0.0.1:5000/second:1", id}) {
    done("image save -o " + saved + " " + names);
    const std::string index = index_of(saved);
    EXPECT_TRUE(has(index, second)) << index;
    EXPECT_TRUE(has(index, first.substr(first.find("sha256:"), 71))) << index;
  }
}

TEST_F(ImageCli, InspectTellsLayersAndConfigAsJson) {
  done(std::string("pull -q ") + kMerged);
  const std::string json = done(std::string("image inspect ") + kMerged);
  for (const char* part : {"\"imageSpec\"", "\"layers\"", "\"chainID\"", "\"repoTags\""}) {
    EXPECT_TRUE(has(json, part)) << part << " in " << json;
  }
}

TEST_F(ImageCli, InspectOfAConfigurationThatIsNoUnicodeIsJsonToo) {
  const std::string path = file("latin1.tar");
  const Ran made = shell(
      "set -e; d=$(mktemp -d); cd $d; tar -cf l -T /dev/null; printf "
      "'{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Labels\":{\"a\":\"caf\\351\"}},"
      "\"rootfs\":{\"diff_ids\":[\"sha256:%s\"]}}' $(sha256sum l | cut -c1-64) >c; echo "
      "'[{\"Config\":\"c\",\"RepoTags\":[\"latin1:1\"],\"Layers\":[\"l\"]}]' >manifest.json; tar "
      "-cf " +
      path + " manifest.json c l; rm -rf $d");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  done("image load -i " + path);
  EXPECT_TRUE(has(done("image inspect latin1:1"), "\"caf\xef\xbf\xbd\""));
}

}  // namespace
}  // namespace berth::node_test
