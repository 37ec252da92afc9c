// SPDX-License-Identifier: Apache-2.0
// The ImageService, one coroutine for each call and one file for each coroutine. The request
// outlives the task: it belongs to gRPC until the call is finished.
#pragma once

#include "core/image/image_store.h"
#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"

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

// The CRI's view of one image; the caller has it from the ImageStore.
runtime::v1::Image image_message(const image::ImageEntry& entry);

}  // namespace berth::cri
