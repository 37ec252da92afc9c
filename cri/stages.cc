// SPDX-License-Identifier: Apache-2.0
#include "cri/stages.h"

#include <utility>

#include "core/base/units.h"

namespace berth::cri {

Stages::Stages(const char* rpc) : rpc_(rpc), begin_ns_(monotonic_now_ns()) {
  constexpr std::size_t kUsualStages = 10;
  stages_.reserve(kUsualStages);
}

void Stages::enter(const char* stage) {
  stages_.push_back({stage, monotonic_now_ns()});
}

void Stages::add_steps(const std::vector<std::pair<std::string, std::int64_t>>& steps) {
  if (stages_.empty() || steps.empty()) return;
  std::string text;
  std::int64_t before_us = 0;
  for (const auto& [name, until_us] : steps) {
    text += text.empty() ? "[" : ",";
    text += "{\"name\":\"" + name + "\",\"us\":" + std::to_string(until_us - before_us) + "}";
    before_us = until_us;
  }
  text += "]";
  text.shrink_to_fit();
  steps_ = std::move(text);
  steps_stage_ = stages_.size() - 1;
}

void Stages::done() {
  ended_ns_ = monotonic_now_ns();
  stages_.shrink_to_fit();
}

std::string Stages::json() const {
  const std::int64_t end_ns = in_progress() ? monotonic_now_ns() : ended_ns_;
  const auto microseconds = [](std::int64_t ns) { return std::to_string(ns / 1000); };
  std::string text = "{\"rpc\":\"" + std::string(rpc_) +
                     "\",\"total_us\":" + microseconds(end_ns - begin_ns_) +
                     ",\"in_progress\":" + (in_progress() ? "true" : "false") + ",\"stages\":[";
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const std::int64_t until = i + 1 < stages_.size() ? stages_[i + 1].begin_ns : end_ns;
    if (i > 0) text += ',';
    text += "{\"name\":\"" + std::string(stages_[i].name) +
            "\",\"us\":" + microseconds(until - stages_[i].begin_ns);
    if (!steps_.empty() && i == steps_stage_) text += ",\"steps\":" + steps_;
    text += "}";
  }
  return text + "]}";
}

std::string stages_json(std::initializer_list<const Stages*> all) {
  std::string text = "[";
  for (const Stages* stages : all) {
    if (stages == nullptr) continue;
    if (text.size() > 1) text += ',';
    text += stages->json();
  }
  return text + "]";
}

}  // namespace berth::cri
