// SPDX-License-Identifier: Apache-2.0
// What the suite of runtime handlers makes its handler with.
#pragma once

#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "plugins/api/runtime_handler.h"
#include "tests/support/fakes/program.h"

namespace berth::plugins {

// One node. Its destructor ends every process that is left and fails the test if one cannot be
// ended.
class RuntimeHandlerFactory {
 public:
  virtual ~RuntimeHandlerFactory() = default;
  virtual Ring& ring() = 0;
  // Of the present agent, recovered or not.
  virtual RuntimeHandler& handler() = 0;
  // A new agent: the old object is gone without a call of close(), the new one is not recovered
  // yet.
  virtual void restart() = 0;
  // A container that shares the namespaces of its sandbox, but for the PID namespace.
  virtual oci::Spec spec(const fakes::Program& program) = 0;
  // Of a busybox; not valid when the handler needs none.
  virtual UniqueFd rootfs() = 0;
  // A network namespace as a network plugin gives it.
  virtual UniqueFd netns() = 0;
  // Where the log of this name is, in a directory of the test's own.
  virtual std::string log_path(const std::string& id) = 0;

  // The rare losses. False: this handler cannot lose that.
  //
  // The keeper of the logs and the agent die while the container lives; then a new agent.
  virtual bool lose_logs() = 0;
  // The container ends while nothing can see how; then a new agent.
  virtual bool end_unseen(const std::string& container_id, pid_t pid) = 0;
  // The init of a sandbox that has one ends.
  virtual void end_init(const SandboxStatus& sandbox) = 0;
};

}  // namespace berth::plugins
