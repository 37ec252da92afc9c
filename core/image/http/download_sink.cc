// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/download_sink.h"

namespace berth::image {

Status DownloadSink::begin(const HttpResponse&) {
  return {};
}

void DownloadSink::resume() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (on_resume_) on_resume_();
}

void DownloadSink::attach(std::function<void()> on_resume) {
  const std::lock_guard<std::mutex> lock(mutex_);
  on_resume_ = std::move(on_resume);
}

void DownloadSink::detach() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  on_resume_ = nullptr;
}

}  // namespace berth::image
