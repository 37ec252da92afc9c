// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_handover.h"

#include <errno.h>
#include <string.h>

#include <set>
#include <utility>

namespace berth::native {

using keeper::HelloAnswer;
using keeper::MessageType;
using keeper::NameBody;
using keeper::ProcessRecord;

Task<KeeperGreeting> greet_keeper(KeeperConnection& connection, std::vector<UniqueFd>& staging,
                                  Deadline deadline) {
  KeeperRequest hello(MessageType::hello);
  KeeperAnswer answer = co_await connection.exchange(std::move(hello), deadline);
  HelloAnswer body;
  if (answer.body.size() != sizeof body) co_await fail(Errc::internal, "keeper: odd hello");
  ::memcpy(&body, answer.body.data(), sizeof body);
  if (!answer.fds.empty()) staging = std::move(answer.fds);
  KeeperGreeting greeting;
  greeting.pid = body.pid;
  greeting.fresh = body.fresh != 0;
  greeting.plan_version = body.plan_version;
  co_return greeting;
}

Task<void> hand_over(KeeperConnection& connection, KeeperShared shared, Deadline deadline) {
  const std::vector<std::string> ids = shared.processes.ids_to_adopt();
  for (const std::string& id : ids) {
    // It may have been forgotten while the ones before it were given back.
    std::optional<KeeperRequest> adopt = shared.processes.adoption_of(id);
    if (!adopt) continue;
    KeeperAnswer adopted = co_await connection.exchange(*std::move(adopt), deadline);
  }
  const std::vector<std::string> keys = shared.descriptors.keys();
  for (const std::string& key : keys) {
    NameBody body;
    body.name.assign(key);
    KeeperRequest adopt(MessageType::adopt_held, body);
    adopt.fds = shared.descriptors.numbers(key);
    if (adopt.fds.empty()) continue;
    KeeperAnswer adopted = co_await connection.exchange(std::move(adopt), deadline);
  }
  KeeperRequest done(MessageType::adopt_done);
  for (const UniqueFd& fd : shared.staging) done.fds.push_back(fd.get());
  KeeperAnswer answer = co_await connection.exchange(std::move(done), deadline);
  shared.staging = std::move(answer.fds);
  shared.processes.adopted_all();
}

Task<std::vector<std::string>> learn_all(KeeperConnection& connection, KeeperShared shared,
                                         Deadline deadline) {
  std::vector<std::string> to_forget;
  KeeperRequest ask_list(MessageType::list);
  KeeperAnswer list = co_await connection.exchange(std::move(ask_list), deadline);
  std::set<std::string> listed;
  for (KeeperAnswer& part : list.parts) {
    ProcessRecord record;
    if (part.body.size() != sizeof record) continue;
    ::memcpy(&record, part.body.data(), sizeof record);
    const std::string id(record.id.view());
    listed.insert(id);
    if (shared.processes.learn(record, std::move(part.fds))) to_forget.push_back(id);
  }
  shared.processes.keep_only(listed);
  KeeperRequest ask_held(MessageType::held);
  KeeperAnswer held = co_await connection.exchange(std::move(ask_held), deadline);
  shared.descriptors.clear();
  for (KeeperAnswer& part : held.parts) {
    NameBody body;
    if (part.body.size() != sizeof body) continue;
    ::memcpy(&body, part.body.data(), sizeof body);
    shared.descriptors.set(std::string(body.name.view()), std::move(part.fds));
  }
  co_return to_forget;
}

Task<std::string> ask_build(KeeperConnection& connection, Deadline deadline) {
  KeeperRequest ask(MessageType::build);
  Result<KeeperAnswer> answer = co_await connection.exchange(std::move(ask), deadline).result();
  NameBody body;
  if (!answer.ok()) {
    if (answer.error().sys_errno == EINVAL) co_return std::string();
    co_await fail(std::move(answer).error());
  }
  if (answer->body.size() != sizeof body) co_return std::string();
  ::memcpy(&body, answer->body.data(), sizeof body);
  co_return std::string(body.name.view());
}

}  // namespace berth::native
