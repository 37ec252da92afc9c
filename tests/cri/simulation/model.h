// SPDX-License-Identifier: Apache-2.0
// What the clients of a schedule have been told, and what must hold because of it. Outlives the
// agent: a promise made by one agent binds the next.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "cri/node.h"
#include "tests/cri/simulation/world.h"

namespace berth::simulation {

struct ToldPod {
  std::string name{};
  bool may_stop = false;    // a stop or removal was begun, or its init ended
  bool may_vanish = false;  // a removal was begun
  bool removed = false;     // a removal has succeeded
};

struct ToldContainer {
  std::string pod_id{};
  std::string name{};
  bool may_vanish = false;
  bool removed = false;
  bool was_started = false;  // a start was begun
  int starting = 0;          // starts under way
};

class Model {
 public:
  explicit Model(World& world) : world_(world) {}

  // The first violation, as a sentence; empty: none.
  const std::string& violation() const { return violation_; }
  void violated(std::string sentence);

  // After a call has succeeded.
  void pod_is_running(const cri::Node& node, const std::string& name, const std::string& id);
  void pod_is_stopped(const cri::Node& node, const std::string& id, bool detach_may_have_failed);
  void pod_is_removed(const cri::Node& node, const std::string& id);
  void container_is_created(const cri::Node& node, const std::string& pod_id,
                            const std::string& name, const std::string& id);
  void container_is_started(const cri::Node& node, const std::string& id);
  void container_is_stopped(const cri::Node& node, const std::string& id);
  void container_is_removed(const cri::Node& node, const std::string& id);

  // At any moment: no container goes back to an earlier state, and no exit code is invented.
  void observe(const cri::Node& node);
  // After a reconcile that met no fault: records, memory and the world agree.
  void agrees(const cri::Node& node);
  // After the ends of processes were handled: no sandbox whose init has ended is ready, and without
  // faults it is stopped or gone.
  void inits_agree(const cri::Node& node);
  // After everything was removed.
  void nothing_is_left(const cri::Node& node);

  // A removal of the container or of its pod was begun.
  bool may_vanish(const std::string& container_id, const std::string& pod_id) const;
  bool is_removed(const std::string& container_id) const;
  // An init ended, perhaps before a client was told of its pod.
  void init_ended(const std::string& pod_id);

  std::map<std::string, ToldPod> pods;
  std::map<std::string, ToldContainer> containers;

 private:
  void observe_one(const cri::Node& node, const cri::Container& container);
  void check_exit(const cri::Node& node, const std::string& id);
  void pods_agree(const cri::Node& node);
  void containers_agree(const cri::Node& node);
  void world_agrees(const cri::Node& node);
  bool lives(const std::string& id) const;

  World& world_;
  std::set<std::string> without_init_;
  std::string violation_;
  std::map<std::string, int> states_;  // of containers, highest seen
};

}  // namespace berth::simulation
