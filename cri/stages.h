// SPDX-License-Identifier: Apache-2.0
// Where the time of one call goes. Every call that makes something keeps one of these with the
// thing it makes; `berth explain` prints it, also while the call is still waiting somewhere.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace berth::cri {

class Stages {
 public:
  // `rpc` and stage names are literals: "network.attach".
  explicit Stages(const char* rpc);

  // Ends the stage before and begins this one.
  void enter(const char* stage);
  void done();
  bool in_progress() const noexcept { return ended_ns_ == 0; }
  const char* rpc() const noexcept { return rpc_; }
  // One JSON object; an unfinished stage shows the time it has waited until now.
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
};

// The objects joined to an array, oldest first; a null pointer is passed over.
std::string stages_json(std::initializer_list<const Stages*> all);

}  // namespace berth::cri
