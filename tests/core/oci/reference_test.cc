// SPDX-License-Identifier: Apache-2.0
// Promise: a reference in any usual form becomes Docker's normal form, or an error that names the
// fault.
#include "core/oci/reference.h"

#include <gtest/gtest.h>

namespace berth::oci {
namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

TEST(Reference, IsNormalised) {
  const struct {
    std::string text, normal, host;
  } cases[] = {
      {"busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"},
      {"busybox:1.36", "docker.io/library/busybox:1.36", "registry-1.docker.io"},
      {"team/app", "docker.io/team/app:latest", "registry-1.docker.io"},
      {"docker.io/busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"},
      {"index.docker.io/a/b", "docker.io/a/b:latest", "registry-1.docker.io"},
      {"localhost/app", "localhost/app:latest", "localhost"},
      {"localhost:5000/app", "localhost:5000/app:latest", "localhost:5000"},
      {"127.0.0.1:5000/busybox:1", "127.0.0.1:5000/busybox:1", "127.0.0.1:5000"},
      {"[::1]:5000/a/b:t", "[::1]:5000/a/b:t", "[::1]:5000"},
      {"Registry/app", "Registry/app:latest", "Registry"},
      {"registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9", "registry.k8s.io"},
      {"app@" + kDigest, "docker.io/library/app@" + kDigest, "registry-1.docker.io"},
      {"r.io/a:1@" + kDigest, "r.io/a:1@" + kDigest, "r.io"},
      {"r.io/a__b.c-d---e/f_g:T_x.y-z", "r.io/a__b.c-d---e/f_g:T_x.y-z", "r.io"},
      {"a", "docker.io/library/a:latest", "registry-1.docker.io"},
      {"app:5000", "docker.io/library/app:5000", "registry-1.docker.io"},
  };
  for (const auto& c : cases) {
    Result<Reference> reference = parse_reference(c.text);
    ASSERT_TRUE(reference.ok()) << c.text << ": " << reference.error().message();
    EXPECT_EQ(reference->text(), c.normal);
    EXPECT_EQ(reference->registry_host(), c.host);
    Result<Reference> again = parse_reference(reference->text());
    ASSERT_TRUE(again.ok()) << reference->text();
    EXPECT_EQ(again->text(), c.normal);
  }
}

TEST(Reference, RegistryIsAskedByDigestIfThereIsOne) {
  EXPECT_EQ(parse_reference("a:1@" + kDigest)->manifest_name(), kDigest);
  EXPECT_EQ(parse_reference("a:1")->manifest_name(), "1");
}

TEST(Reference, ErrorNamesTheFault) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"", "empty"},
      {":", "tag after `:` is empty"},
      {":tag", "no name"},
      {"@" + kDigest, "no name"},
      {"a:", "tag after `:` is empty"},
      {"a@", "digest"},
      {"a@sha256:zz", "digest"},
      {"a@" + kDigest + "@" + kDigest, "digest"},
      {"/a", "between slashes is empty"},
      {"a/", "between slashes is empty"},
      {"a//b", "between slashes is empty"},
      {"r.io/", "between slashes is empty"},
      {"Busybox", "capital"},
      {"a/B", "capital"},
      {"a b", "not allowed"},
      {"a\nb", "not allowed"},
      {"a/../b", "begins or ends"},
      {"../b", "host name"},  // a dot before the first slash makes it a host
      {"./a", "host name"},
      {"-a", "begins or ends"},
      {"a-", "begins or ends"},
      {"a..b", "cannot join"},
      {"a___b", "cannot join"},
      {"a._b", "cannot join"},
      {"a:.x", "tag has a character"},
      {"a:-x", "tag has a character"},
      {"a:x/y:z", "port"},
      {"a:" + std::string(129, 'x'), "longer than 128"},
      {std::string(256, 'a'), "longer than 255"},
      {std::string(1 << 20, 'a'), "longer than 4096"},
      {"r.io:0/a", "port"},
      {"r.io:65536/a", "port"},
      {"r.io:80a/a", "port"},
      {"-r.io/a", "host name"},
      {"r..io/a", "host name"},
      {"http://r.io/a", "port"},
      {"user:pw@r.io/a", "digest"},
      {kHex, "image id"},
      {"\xff\xfe", "not allowed"},
      {std::string("a\0b", 3), "not allowed"},
  };
  for (const auto& c : cases) {
    Result<Reference> reference = parse_reference(c.text);
    if (reference.ok()) {
      ADD_FAILURE() << c.text << " became " << reference->text();
      continue;
    }
    const std::string message = reference.error().message();
    EXPECT_EQ(reference.error().code, Errc::invalid_argument);
    EXPECT_NE(message.find(c.says), std::string::npos) << message;
    EXPECT_LT(message.size(), 400u);
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace berth::oci
