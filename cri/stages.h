// SPDX-License-Identifier: Apache-2.0
// The stages of one call and their durations. A call that makes a sandbox or a container keeps one
// of these with it; `berth explain` prints it, also while the call still waits.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace berth::cri {

class Stages {
 public:
  // `rpc` and stage names are literals: "network.attach".
  explicit Stages(const char* rpc);

  // Ends the stage before and begins this one.
  void enter(const char* stage);
  void done();
  // The steps of the current stage: name and microseconds since its begin when the step was done.
  // One stage of a call has steps: that of the launch.
  void add_steps(const std::vector<std::pair<std::string, std::int64_t>>& steps);
  bool in_progress() const noexcept { return ended_ns_ == 0; }
  const char* rpc() const noexcept { return rpc_; }
  // One JSON object; an unfinished stage shows the time it has waited until now.
  // {"rpc":"StartContainer","total_us":3,"in_progress":false,"stages":[{"name":"a","us":3,
  //  "steps":[{"name":"clone","us":1}]}]}
  std::string json() const;

 private:
  struct Stage {
    const char* name;
    std::int64_t begin_ns;
  };

  const char* rpc_;
  std::int64_t begin_ns_;
  std::int64_t ended_ns_ = 0;
  std::vector<Stage> stages_;
  std::string steps_;            // a JSON array; empty: no stage has steps
  std::size_t steps_stage_ = 0;  // index of the stage that has them
};

// The objects joined to an array, oldest first; null pointers are skipped.
std::string stages_json(std::initializer_list<const Stages*> all);

}  // namespace berth::cri
