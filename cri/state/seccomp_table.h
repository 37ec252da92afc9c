// SPDX-License-Identifier: Apache-2.0
// The seccomp profiles of the containers on record, each content once, by its digest. Most containers
// of a node have the same profile, and it is larger than the rest of a record.
//
// A profile of no container stays until a sweep, which comes at start-up and whenever the table has
// kRowsMax rows. Owned by the Node, used on the loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "core/store/state.h"

namespace berth::cri::records {

constexpr store::Table kSeccompProfiles{"seccomp_profiles", 1};

class SeccompTable {
 public:
  using Profile = std::shared_ptr<const oci::Seccomp>;

  // Writes the profile unless it is in the table. Gives its key; empty for a null profile. The record
  // that names the key is saved before the next co_await.
  Result<std::string> save(store::State& state, const Profile& profile);
  // The same object for the same key. data_loss: the profile is missing or cannot be parsed.
  Result<Profile> load(const store::State& state, const std::string& key);
  // Erases the profiles of no container.
  Status sweep(store::State& state);

 private:
  static constexpr std::size_t kRowsMax = 64;

  std::map<std::string, Profile> profiles_;          // by key; all of them are in the table
  std::map<const oci::Seccomp*, std::string> keys_;  // of the same profiles
};

}  // namespace berth::cri::records
