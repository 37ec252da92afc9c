// SPDX-License-Identifier: Apache-2.0
// What image and request make of a command and an environment.
#include "cri/spec/process.h"

#include <gtest/gtest.h>

#include <chrono>

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;
using Strings = std::vector<std::string>;

Strings words(Strings entrypoint, Strings cmd, const Strings& command = {},
              const Strings& args = {}) {
  oci::ImageConfig image;
  image.entrypoint = std::move(entrypoint);
  image.cmd = std::move(cmd);
  v1::ContainerConfig config;
  for (const std::string& word : command) config.add_command(word);
  for (const std::string& word : args) config.add_args(word);
  Result<Strings> merged = merge_args(image, config);
  return merged.ok() ? *merged : Strings{"refused: " + merged.error().message()};
}

TEST(MergeArgs, AnEntrypointOfOneEmptyWordIsNone) {
  EXPECT_EQ(words({""}, {"sh", "-c", "true"}), (Strings{"sh", "-c", "true"}));
  EXPECT_EQ(words({""}, {"cmd"}, {}, {"args"}), (Strings{"args"}));
  EXPECT_EQ(words({""}, {"cmd"}, {"command"}), (Strings{"command"}));
  EXPECT_EQ(words({""}, {}).front().rfind("refused: config.command", 0), 0u);
}

TEST(MergeArgs, AnEmptyWordElsewhereIsAWord) {
  EXPECT_EQ(words({"echo", ""}, {""}), (Strings{"echo", "", ""}));
  EXPECT_EQ(words({"", "x"}, {"cmd"}).front().rfind("refused: ", 0), 0u);
  EXPECT_EQ(words({"entry"}, {}, {""}).front().rfind("refused: ", 0), 0u);
}

v1::ContainerConfig with_variables(const std::vector<std::pair<std::string, std::string>>& list) {
  v1::ContainerConfig config;
  for (const auto& [key, value] : list) {
    v1::KeyValue* variable = config.add_envs();
    variable->set_key(key);
    variable->set_value(value);
  }
  return config;
}

TEST(MergeEnv, ALaterValueTakesThePlaceOfTheEarlierOne) {
  oci::ImageConfig image;
  image.env = {"A=image", "no assignment", "=none", "B=one", "B=two=2", "AB="};
  const auto config = with_variables({{"A", "request"}, {"C", ""}, {"C", "last"}});
  EXPECT_EQ(merge_env(image, config, {.hostname = "pod", .home = "/root"}),
            (Strings{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                     "HOSTNAME=pod", "A=request", "B=two=2", "AB=", "C=last", "HOME=/root"}));
}

TEST(MergeEnv, DefaultsGiveWay) {
  oci::ImageConfig image;
  image.env = {"PATH=/bin", "HOME=/image"};
  v1::ContainerConfig config = with_variables({{"TERM", "dumb"}});
  config.set_tty(true);
  EXPECT_EQ(merge_env(image, config, {.hostname = "", .home = "/root"}),
            (Strings{"PATH=/bin", "TERM=dumb", "HOME=/image"}));
}

// The time for `count` variables of the request over as many of the image.
double seconds_for(int count) {
  oci::ImageConfig image;
  v1::ContainerConfig config;
  for (int i = 0; i < count; ++i) {
    image.env.push_back("A_VARIABLE_OF_THE_IMAGE_" + std::to_string(i) + "=1");
    v1::KeyValue* variable = config.add_envs();
    variable->set_key("A_VARIABLE_OF_THE_REQUEST_" + std::to_string(i));
    variable->set_value("1");
  }
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(merge_env(image, config, {}).size(), 2u * static_cast<std::size_t>(count) + 2);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
}

// The merge runs on the loop, where everybody waits for it. A search for each name took 5.8 s for
// half of these.
TEST(MergeEnv, AsManyVariablesAsARequestMayHaveTakeNoTime) {
  EXPECT_LT(seconds_for(65'536), 1.0);
}

}  // namespace
}  // namespace berth::cri
