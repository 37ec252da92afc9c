// SPDX-License-Identifier: Apache-2.0
#include "cri/state/seccomp_table.h"

#include <set>
#include <utility>
#include <vector>

#include "core/oci/digest.h"
#include "cri/state/records.h"
#include "cri/state/spec_record.h"

namespace berth::cri::records {

Result<std::string> SeccompTable::save(store::State& state, const Profile& profile) {
  if (profile == nullptr) return std::string();
  const auto known = keys_.find(profile.get());
  if (known != keys_.end()) return known->second;
  const std::string bytes = stored_seccomp(*profile);
  const std::string key(oci::digest_of(bytes).hex());
  const auto same = profiles_.find(key);
  // Two objects of one content: the first one is the key's.
  if (same != profiles_.end()) return key;
  if (profiles_.size() >= kRowsMax) TRY_(sweep(state));
  TRY_(state.put(kSeccompProfiles, key, bytes));
  profiles_[key] = profile;
  keys_[profile.get()] = key;
  return key;
}

Result<SeccompTable::Profile> SeccompTable::load(const store::State& state,
                                                 const std::string& key) {
  if (key.empty()) return Profile();
  const auto known = profiles_.find(key);
  if (known != profiles_.end()) return known->second;
  TRY(const std::optional<std::string> bytes, state.get(kSeccompProfiles, key));
  if (!bytes)
    return make_error(Errc::data_loss, "the seccomp profile " + key + " is not on record");
  TRY(oci::Seccomp parsed, loaded_seccomp(*bytes));
  auto profile = std::make_shared<const oci::Seccomp>(std::move(parsed));
  profiles_[key] = profile;
  keys_[profile.get()] = key;
  return Profile(std::move(profile));
}

Status SeccompTable::sweep(store::State& state) {
  std::set<std::string> used;
  TRY_(state.for_each(kContainers, [&used](std::string_view, std::string_view value) {
    ContainerRecord record;
    if (record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      used.insert(record.spec().seccomp_digest());
    }
    return true;
  }));
  std::vector<std::string> unused;
  TRY_(state.for_each(kSeccompProfiles, [&](std::string_view key, std::string_view) {
    if (used.count(std::string(key)) == 0) unused.emplace_back(key);
    return true;
  }));
  for (const std::string& key : unused) {
    TRY([[maybe_unused]] const bool was_there, state.erase(kSeccompProfiles, key));
    const auto known = profiles_.find(key);
    if (known == profiles_.end()) continue;
    keys_.erase(known->second.get());
    profiles_.erase(known);
  }
  return {};
}

}  // namespace berth::cri::records
