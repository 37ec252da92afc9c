// SPDX-License-Identifier: Apache-2.0
// Promise: untrusted documents become structs, or an error that names the field.
#include "core/oci/image.h"

#include <gtest/gtest.h>

namespace berth::oci {
namespace {

const std::string kDigestA = "sha256:" + std::string(64, 'a');
const std::string kDigestB = "sha256:" + std::string(64, 'b');

std::string descriptor(const std::string& digest, const std::string& size) {
  return R"({"mediaType":"t","digest":")" + digest + R"(","size":)" + size + "}";
}

std::string manifest_with(const std::string& config, const std::string& layers) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
         R"("config":)" +
         config + R"(,"layers":)" + layers + "}";
}

TEST(Manifest, IsReadWithItsLayersInOrder) {
  Result<Manifest> manifest = parse_manifest(manifest_with(
      descriptor(kDigestA, "7"),
      "[" + descriptor(kDigestB, "1") + "," + descriptor(kDigestA, "4294967296") + "]"));
  ASSERT_TRUE(manifest.ok()) << manifest.error().message();
  EXPECT_EQ(manifest->config.digest.text(), kDigestA);
  EXPECT_EQ(manifest->config.size, 7u);
  ASSERT_EQ(manifest->layers.size(), 2u);
  EXPECT_EQ(manifest->layers[0].digest.text(), kDigestB);
  EXPECT_EQ(manifest->layers[1].size, 4294967296u);
}

TEST(Manifest, NamesTheFieldThatIsWrong) {
  const std::string good = descriptor(kDigestA, "1");
  const struct {
    std::string json;
    const char* says;
  } cases[] = {
      {"", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"{", "not valid JSON"},
      {std::string(64, '['), "not valid JSON"},
      {std::string(65, '['), "is nested deeper than 64"},
      {"{\"a\":\"\x01\"}", "not valid JSON"},
      {R"({"schemaVersion":1,"fsLayers":[]})", "schemaVersion: is 1"},
      {R"({"schemaVersion":"2"})", "schemaVersion: must be an integer"},
      {R"({"schemaVersion":2})", "config: must be an object"},
      {manifest_with("[]", "[]"), "config: must be an object"},
      {manifest_with(good, "{}"), "layers: must be an array"},
      {manifest_with(good, "[1]"), "layers[0]: must be an object"},
      {manifest_with(good, "[" + good + ",{}]"), "layers[1].digest: is missing"},
      {manifest_with(good, "[" + descriptor("sha256:zz", "1") + "]"), "layers[0].digest"},
      {manifest_with(good, "[" + descriptor(kDigestA, "-1") + "]"), "layers[0].size: must not be"},
      {manifest_with(good, "[" + descriptor(kDigestA, "1.5") + "]"), "layers[0].size: must be an"},
      {manifest_with(good, "[" + descriptor(kDigestA, "\"1\"") + "]"),
       "layers[0].size: must be an"},
      {manifest_with(good, "[" + descriptor(kDigestA, "1e400") + "]"), "not valid JSON"},
      {manifest_with(good, R"([{"digest":")" + kDigestA + R"("}])"), "layers[0].size: is missing"},
      {std::string(kDocumentSizeMax + 1, ' '), "more than the"},
  };
  for (const auto& c : cases) {
    Result<Manifest> manifest = parse_manifest(c.json);
    ASSERT_FALSE(manifest.ok()) << c.json.substr(0, 200);
    EXPECT_EQ(manifest.error().code, Errc::invalid_argument);
    EXPECT_NE(manifest.error().message().find(c.says), std::string::npos)
        << manifest.error().message() << " for " << c.json.substr(0, 200);
  }
}

TEST(Manifest, RefusesTooManyLayers) {
  std::string layers = "[";
  for (std::size_t i = 0; i <= kLayersMax; ++i) {
    layers += (i == 0 ? "" : ",") + descriptor(kDigestA, "1");
  }
  Result<Manifest> manifest =
      parse_manifest(manifest_with(descriptor(kDigestA, "1"), layers + "]"));
  ASSERT_FALSE(manifest.ok());
  EXPECT_NE(manifest.error().message().find("layers: 513 entries"), std::string::npos);
}

// Parsing each of these would take hundreds of megabytes.
TEST(Manifest, TooDeepOrTooManyValuesAreRefusedBeforeParsing) {
  std::string many = R"({"a":[[])";
  for (int i = 0; i < 1'000'000; ++i) many += ",[]";
  const std::string deep = R"({"a":)" + std::string(3 << 20, '[');
  EXPECT_EQ(parse_manifest(deep).error().message(), "manifest: is nested deeper than 64");
  EXPECT_EQ(parse_manifest(many + "]}").error().message(), "manifest: has more than 262144 values");
  EXPECT_EQ(parse_image(deep).error().code, Errc::invalid_argument);
  EXPECT_EQ(parse_index(deep).error().code, Errc::invalid_argument);
}

TEST(Manifest, BracketsInStringsAreNoNesting) {
  const std::string noise = R"("x":")" + std::string(1000, '[') + R"(\"[[\\","y":[[]],)";
  std::string json = manifest_with(descriptor(kDigestA, "7"), "[]");
  json.insert(1, noise);
  EXPECT_TRUE(parse_manifest(json).ok()) << parse_manifest(json).error().message();
}

TEST(DocumentKind, ForeignTextInItsErrorIsOneLine) {
  const Result<DocumentKind> kind =
      document_kind("{\"schemaVersion\":2,\"mediaType\":\"text\x7f\\nplain\"}", "");
  ASSERT_FALSE(kind.ok());
  EXPECT_NE(kind.error().message().find("mediaType: `text??plain` is not an image"),
            std::string::npos)
      << kind.error().message();
}

TEST(DocumentKind, IsTheMediaTypeInsideThenTheHeaderThenTheFields) {
  const std::string index_type(media_type::kImageIndex);
  const std::string manifest_type(media_type::kDockerManifest);
  const struct {
    std::string json;
    std::string header;
    std::optional<DocumentKind> kind;
  } cases[] = {
      {R"({"mediaType":")" + index_type + R"("})", manifest_type, DocumentKind::index},
      {"{}", index_type, DocumentKind::index},
      {"{}", manifest_type, DocumentKind::manifest},
      {R"({"manifests":[]})", "application/json", DocumentKind::index},
      {R"({"layers":[]})", "", DocumentKind::manifest},
      {R"({})", "", std::nullopt},
      {R"({"layers":[],"manifests":[]})", "", std::nullopt},
      {R"({"mediaType":"text/plain","layers":[]})", "", std::nullopt},
      {R"({"schemaVersion":1})", "", std::nullopt},
  };
  for (const auto& c : cases) {
    Result<DocumentKind> kind = document_kind(c.json, c.header);
    EXPECT_EQ(kind.ok(), c.kind.has_value()) << c.json;
    if (!kind.ok() || !c.kind.has_value()) continue;
    EXPECT_EQ(*kind, *c.kind) << c.json;
  }
}

TEST(Image, ConfigurationIsReadWithEveryFieldOfTheSpecification) {
  const std::string json =
      R"({"created":"2020-01-01T00:00:00Z","author":"me","architecture":"arm64",
    "os":"linux","variant":"v8","os.version":"1","config":{"User":"app:grp","ExposedPorts":
    {"80/tcp":{}},"Env":["A=b","C="],"Entrypoint":["/e","x"],"Cmd":null,"Volumes":{"/v":{}},
    "WorkingDir":"/w","Labels":{"k":"v","n":null},"StopSignal":"SIGINT"},"rootfs":{"type":"layers",
    "diff_ids":[")" +
      kDigestA + R"("]},"history":[{}]})";
  Result<Image> image = parse_image(json);
  ASSERT_TRUE(image.ok()) << image.error().message();
  EXPECT_EQ(image->platform.text(), "linux/arm64/v8");
  EXPECT_EQ(image->config.user, "app:grp");
  EXPECT_EQ(image->config.exposed_ports, std::vector<std::string>{"80/tcp"});
  EXPECT_EQ(image->config.env, (std::vector<std::string>{"A=b", "C="}));
  EXPECT_EQ(image->config.entrypoint, (std::vector<std::string>{"/e", "x"}));
  EXPECT_TRUE(image->config.cmd.empty());
  EXPECT_EQ(image->config.volumes, std::vector<std::string>{"/v"});
  EXPECT_EQ(image->config.working_dir, "/w");
  EXPECT_EQ(image->config.labels.at("k"), "v");
  EXPECT_EQ(image->config.labels.at("n"), "");
  EXPECT_EQ(image->config.stop_signal, "SIGINT");
  ASSERT_EQ(image->diff_ids.size(), 1u);
}

TEST(Image, NamesTheFieldThatIsWrong) {
  const std::string rootfs = R"("rootfs":{"type":"layers","diff_ids":[]})";
  const struct {
    std::string json;
    const char* says;
  } cases[] = {
      {R"({"rootfs":[]})", "rootfs: must be an object"},
      {R"({"rootfs":{"type":"tree"}})", "rootfs.type: must be \"layers\""},
      {R"({"rootfs":{"type":"layers","diff_ids":["x"]}})", "rootfs.diff_ids[0]"},
      {R"({"config":{"Env":"A"},)" + rootfs + "}", "config.Env: must be an array"},
      {R"({"config":{"Env":["A",7]},)" + rootfs + "}", "config.Env[1]: must be a string"},
      {R"({"config":{"User":7},)" + rootfs + "}", "config.User: must be a string"},
      {R"({"config":{"User":"a\u0000b"},)" + rootfs + "}", "config.User: contains a NUL"},
      {R"({"config":{"Labels":{"a":1}},)" + rootfs + "}", "config.Labels.a: must be a string"},
      {R"({"config":[],)" + rootfs + "}", "config: must be an object"},
  };
  for (const auto& c : cases) {
    Result<Image> image = parse_image(c.json);
    ASSERT_FALSE(image.ok()) << c.json;
    EXPECT_NE(image.error().message().find(c.says), std::string::npos) << image.error().message();
  }
}

TEST(Manifest, IsAnArtifactIfItsConfigIsNoImageConfig) {
  const struct {
    const char* type;
    const char* artifact_type;
    const char* config_type;
    bool artifact;
    const char* says;
  } cases[] = {
      {"application/vnd.oci.image.manifest.v1+json", "", "application/vnd.oci.image.config.v1+json",
       false, ""},
      {"application/vnd.oci.image.manifest.v1+json", "a/b",
       "application/vnd.oci.image.config.v1+json", false, ""},
      {"application/vnd.oci.image.manifest.v1+json", "", "application/vnd.cncf.helm.config.v1+json",
       true, "application/vnd.cncf.helm.config.v1+json"},
      {"application/vnd.oci.image.manifest.v1+json", "a/b", "application/vnd.oci.empty.v1+json",
       true, "a/b"},
      {"application/vnd.docker.distribution.manifest.v2+json", "", "application/octet-stream",
       false, ""},
      {"application/vnd.docker.distribution.manifest.v2+json", "",
       "application/vnd.docker.container.image.v1+json", false, ""},
  };
  for (const auto& c : cases) {
    Manifest manifest;
    manifest.media_type = c.type;
    manifest.artifact_type = c.artifact_type;
    manifest.config.media_type = c.config_type;
    EXPECT_EQ(is_artifact(manifest), c.artifact) << c.type << " " << c.config_type;
    if (c.artifact) {
      EXPECT_EQ(artifact_type_of(manifest), c.says);
    }
  }
}

TEST(ChainIds, AreThoseOfTheSpecification) {
  const Digest a = digest_of("a");
  const Digest b = digest_of("b");
  const Digest c = digest_of("c");
  const std::vector<Digest> chain = chain_ids({a, b, c});
  ASSERT_EQ(chain.size(), 3u);
  EXPECT_EQ(chain[0], a);
  EXPECT_EQ(chain[1], digest_of(a.text() + " " + b.text()));
  EXPECT_EQ(chain[2], digest_of(chain[1].text() + " " + c.text()));
}

}  // namespace
}  // namespace berth::oci
