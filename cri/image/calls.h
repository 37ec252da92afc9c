// SPDX-License-Identifier: Apache-2.0
// The ImageService, one coroutine for each call and one file for each coroutine. The request
// outlives the task: it belongs to gRPC until the call is finished.
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

// What ListImages and StreamImages answer with.
Task<std::vector<runtime::v1::Image>> images_of(Node& node, const runtime::v1::ImageFilter& filter);
Task<void> stream_images(Node& node, rpc::Call& call);
// In messages of about `bytes_max` bytes; no image, no message.
std::vector<runtime::v1::StreamImagesResponse> image_pieces(std::vector<runtime::v1::Image> images,
                                                            std::size_t bytes_max);

}  // namespace berth::cri
