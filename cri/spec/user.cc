// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/user.h"

#include <limits.h>

#include <array>
#include <charconv>
#include <optional>
#include <unordered_set>
#include <utility>

#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  if (value == UINT32_MAX) return std::nullopt;  // (uid_t)-1 means "leave as is" to setuid
  return value;
}

// The fields of one line of passwd(5) or group(5). Hand-written files of images leave the last ones
// out; those are empty then, as docker and containerd take them.
template <std::size_t kFields>
std::array<std::string_view, kFields> fields_of(std::string_view line) {
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const std::size_t colon = line.find(':');
    fields[i] = line.substr(0, colon);
    if (colon == std::string_view::npos) break;
    line.remove_prefix(colon + 1);
  }
  return fields;
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (visit(trimmed(text.substr(0, end)))) return;
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

struct PasswdEntry {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};

// By name or by uid, whichever is given. A line without a uid is none: docker would take it for
// root's. One without a gid has group 0.
std::optional<PasswdEntry> find_user(std::string_view passwd, std::string_view name,
                                     std::optional<std::uint32_t> uid) {
  std::optional<PasswdEntry> found;
  each_line(passwd, [&](std::string_view line) {
    const auto fields = fields_of<7>(line);
    const auto entry_uid = number_of(fields[2]);
    const auto entry_gid =
        fields[3].empty() ? std::optional<std::uint32_t>(0) : number_of(fields[3]);
    if (!entry_uid || !entry_gid) return false;
    if (uid ? *entry_uid != *uid : fields[0] != name) return false;
    found = PasswdEntry{std::string(fields[0]), *entry_uid, *entry_gid, std::string(fields[5])};
    return true;
  });
  return found;
}

std::optional<std::uint32_t> find_group(std::string_view group, std::string_view name) {
  std::optional<std::uint32_t> found;
  each_line(group, [&](std::string_view line) {
    const auto fields = fields_of<4>(line);
    if (fields[0] == name) found = number_of(fields[2]);
    return found.has_value();
  });
  return found;
}

// Groups in the order in which they came, each once.
class Groups {
 public:
  void add(gid_t gid) {
    if (seen_.insert(gid).second) list_.push_back(gid);
  }
  std::size_t size() const { return list_.size(); }
  std::vector<gid_t> take() && { return std::move(list_); }

 private:
  std::vector<gid_t> list_;
  std::unordered_set<gid_t> seen_;
};

bool has_member(std::string_view members, std::string_view user) {
  while (!members.empty()) {
    const std::size_t comma = members.find(',');
    if (members.substr(0, comma) == user) return true;
    if (comma == std::string_view::npos) break;
    members.remove_prefix(comma + 1);
  }
  return false;
}

void add_memberships(std::string_view group, const std::string& user, Groups& groups) {
  each_line(group, [&](std::string_view line) {
    const auto fields = fields_of<4>(line);
    const auto gid = number_of(fields[2]);
    if (gid && has_member(fields[3], user)) groups.add(*gid);
    return false;
  });
}

struct Wanted {
  std::string user;   // name or number
  std::string group;  // name, number or empty
  std::string field;  // who asked for it
};

Wanted wanted_of(const std::string& image_user, const v1::LinuxContainerSecurityContext& security) {
  Wanted wanted;
  if (security.has_run_as_user()) {
    wanted = {std::to_string(security.run_as_user().value()), "",
              "config.linux.security_context.run_as_user"};
  } else if (!security.run_as_username().empty()) {
    wanted = {security.run_as_username(), "", "config.linux.security_context.run_as_username"};
  } else {
    const std::size_t colon = image_user.find(':');
    wanted = {image_user.substr(0, colon),
              colon == std::string::npos ? "" : image_user.substr(colon + 1), "image user"};
  }
  if (security.has_run_as_group()) wanted.group = std::to_string(security.run_as_group().value());
  return wanted;
}

}  // namespace

Result<oci::User> resolve_user(const std::string& image_user,
                               const v1::LinuxContainerSecurityContext& security,
                               const UserFiles& files) {
  const Wanted wanted = wanted_of(image_user, security);
  oci::User user;
  std::optional<PasswdEntry> entry;
  const auto uid = wanted.user.empty() ? std::optional<std::uint32_t>(0) : number_of(wanted.user);
  if (uid) {
    entry = find_user(files.passwd, {}, uid);
    user.uid = *uid;
  } else {
    entry = find_user(files.passwd, wanted.user, std::nullopt);
    if (!entry) {
      return invalid_field(wanted.field,
                           "no user `" + shown(wanted.user) + "` in the image's /etc/passwd");
    }
    user.uid = entry->uid;
  }
  if (entry) user.gid = entry->gid;
  if (!wanted.group.empty()) {
    const auto gid = number_of(wanted.group);
    const auto named = gid ? gid : find_group(files.group, wanted.group);
    if (!named) {
      return invalid_field(wanted.field,
                           "no group `" + shown(wanted.group) + "` in the image's /etc/group");
    }
    user.gid = *named;
  }
  Groups groups;
  // The primary group is listed too, as initgroups(3) does it.
  groups.add(user.gid);
  for (const std::int64_t group : security.supplemental_groups()) {
    groups.add(static_cast<gid_t>(group));
  }
  if (groups.size() > NGROUPS_MAX) {
    return invalid_field("config.linux.security_context.supplemental_groups",
                         "are more than the kernel's " + std::to_string(NGROUPS_MAX));
  }
  if (entry && security.supplemental_groups_policy() == v1::SupplementalGroupsPolicy::Merge) {
    add_memberships(files.group, entry->name, groups);
  }
  if (groups.size() > NGROUPS_MAX) {
    return invalid_field(wanted.field,
                         "`" + shown(entry->name) + "` is in more than the kernel's " +
                             std::to_string(NGROUPS_MAX) + " groups by the image's /etc/group");
  }
  user.additional_gids = std::move(groups).take();
  return user;
}

std::string home_of(uid_t uid, std::string_view passwd) {
  const auto entry = find_user(passwd, {}, uid);
  return entry && !entry->home.empty() ? entry->home : "/";
}

}  // namespace berth::cri
