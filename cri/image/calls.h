// SPDX-License-Identifier: Apache-2.0
// The calls of the CRI's ImageService, one coroutine and one file each. `node` and `request`
// outlive the task.
#pragma once

#include <cstddef>
#include <vector>

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/rpc/call.h"

namespace berth::cri {

Task<runtime::v1::PullImageResponse> pull_image(Node& node,
                                                const runtime::v1::PullImageRequest& request);
Task<runtime::v1::ImageStatusResponse> image_status(Node& node,
                                                    const runtime::v1::ImageStatusRequest& request);
Task<runtime::v1::ListImagesResponse> list_images(Node& node,
                                                  const runtime::v1::ListImagesRequest& request);
Task<runtime::v1::RemoveImageResponse> remove_image(Node& node,
                                                    const runtime::v1::RemoveImageRequest& request);
Task<runtime::v1::ImageFsInfoResponse> image_fs_info(
    Node& node, const runtime::v1::ImageFsInfoRequest& request);

// The images that match `filter`; ListImages and StreamImages both return them.
Task<std::vector<runtime::v1::Image>> images_of(Node& node, const runtime::v1::ImageFilter& filter);
Task<void> stream_images(Node& node, rpc::Call& call);
// Splits `images` into messages of about `bytes_max` bytes; no messages if there are no images.
std::vector<runtime::v1::StreamImagesResponse> image_pieces(std::vector<runtime::v1::Image> images,
                                                            std::size_t bytes_max);

}  // namespace berth::cri
