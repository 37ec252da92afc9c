// SPDX-License-Identifier: Apache-2.0
#include "cri/container/validate.h"

#include <gtest/gtest.h>

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

v1::CreateContainerRequest request() {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id("pod");
  request.mutable_config()->mutable_metadata()->set_name("web");
  request.mutable_config()->mutable_image()->set_image("image");
  return request;
}

std::string message(const v1::CreateContainerRequest& request) {
  const Status status = validate(request);
  return status.ok() ? "" : status.error().message();
}

TEST(Validate, AVolumeInPlaceOfTheRootIsRefusedAndNamed) {
  for (const char* path : {"/", "//", "/.", "/./", "//.//"}) {
    v1::CreateContainerRequest wanted = request();
    for (const char* place : {"/data", path}) {
      v1::Mount* mount = wanted.mutable_config()->add_mounts();
      mount->set_host_path("/tmp");
      mount->set_container_path(place);
    }
    EXPECT_NE(message(wanted).find("config.mounts[1].container_path"), std::string::npos) << path;
  }
  v1::CreateContainerRequest wanted = request();
  v1::Mount* mount = wanted.mutable_config()->add_mounts();
  mount->set_container_path("/");
  mount->mutable_image()->set_image("model");
  mount->set_readonly(true);
  EXPECT_NE(message(wanted).find("config.mounts[0].container_path"), std::string::npos);
  mount->set_container_path("/./x");
  EXPECT_EQ(message(wanted), "");
}

TEST(Validate, MoreVariablesThanTheKernelTakesAreRefused) {
  v1::CreateContainerRequest wanted = request();
  for (int i = 0; i < 65'536; ++i) wanted.mutable_config()->add_envs()->set_key("A");
  EXPECT_EQ(message(wanted), "");
  wanted.mutable_config()->add_envs()->set_key("A");
  EXPECT_EQ(message(wanted), "config.envs: are 65537, at most 65536 are accepted");
}

TEST(Validate, MoreMountsOrDevicesThanAStartHoldsOpenAreRefused) {
  v1::CreateContainerRequest wanted = request();
  for (int i = 0; i < 1025; ++i) {
    v1::Device* device = wanted.mutable_config()->add_devices();
    device->set_host_path("/dev/null");
    device->set_container_path("/dev/mine");
  }
  EXPECT_EQ(message(wanted), "config.devices: are 1025, at most 1024 are accepted");
  wanted.mutable_config()->mutable_devices()->RemoveLast();
  EXPECT_EQ(message(wanted), "");
  for (int i = 0; i < 1025; ++i) wanted.mutable_config()->add_mounts();
  EXPECT_EQ(message(wanted), "config.mounts: are 1025, at most 1024 are accepted");
}

// An enumerator of a newer CRI; its name is empty here.
TEST(Validate, AStopSignalThatTheCriDoesNotHaveIsRefused) {
  v1::CreateContainerRequest wanted = request();
  wanted.mutable_config()->set_stop_signal(static_cast<v1::Signal>(999));
  EXPECT_EQ(message(wanted), "config.stop_signal: is unknown");
  wanted.mutable_config()->set_stop_signal(v1::Signal::SIGNAL_SIGRTMAX);
  EXPECT_EQ(message(wanted), "");
}

}  // namespace
}  // namespace berth::cri
