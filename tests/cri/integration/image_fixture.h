// SPDX-License-Identifier: Apache-2.0
// A node whose tests are about images: the calls of the image service, and mounts of images.
#pragma once

#include <string>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {

class ImageNode : public Node {
 protected:
  static v1::ImageSpec spec(const std::string& name) {
    v1::ImageSpec spec;
    spec.set_image(name);
    return spec;
  }
  // The image's id. Fails the test when the call does, as all here.
  static std::string pull(const std::string& name) {
    v1::PullImageRequest request;
    *request.mutable_image() = spec(name);
    const auto answer = call(&Images::PullImage, request);
    EXPECT_TRUE(answer.ok()) << name << ": " << answer.text();
    return answer.value.image_ref();
  }
  static v1::ImageStatusResponse image_status(const std::string& name, bool verbose = false) {
    v1::ImageStatusRequest request;
    *request.mutable_image() = spec(name);
    request.set_verbose(verbose);
    const auto answer = call(&Images::ImageStatus, request);
    EXPECT_TRUE(answer.ok()) << name << ": " << answer.text();
    return answer.value;
  }
  static void remove_image(const std::string& name) {
    v1::RemoveImageRequest request;
    *request.mutable_image() = spec(name);
    const auto answer = call(&Images::RemoveImage, request);
    EXPECT_TRUE(answer.ok()) << name << ": " << answer.text();
  }
  // `image`, or what lies at `sub_path` in it, is /volume of the container, read-only.
  static ContainerTweak volume(const std::string& image, const std::string& sub_path = "") {
    return [image, sub_path](v1::ContainerConfig& config) {
      v1::Mount* mount = config.add_mounts();
      mount->set_container_path("/volume");
      mount->mutable_image()->set_image(image);
      mount->set_image_sub_path(sub_path);
      mount->set_readonly(true);
    };
  }
};

}  // namespace berth::node_test
