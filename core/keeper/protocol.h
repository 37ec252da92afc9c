// SPDX-License-Identifier: Apache-2.0
// The language of the socket between the agent and the keeper: flat structs over SOCK_SEQPACKET,
// one message per datagram, descriptors as SCM_RIGHTS. Both programs are built from this file; a
// change that an older peer would misread raises kVersion, and a peer of another version is
// refused and disconnected.
//
//   agent                                 keeper
//   hello                              -> hello (epoch, `fresh`), the staging pipes
//   adopt_process* adopt_held* adopt_done   only when `fresh`: gives back what a dead keeper held
//   list, held                         -> one message per entry, then an empty one
//   launch_fds*                        -> ahead of a launch whose plan has more descriptors than
//                                         one message carries; with the number of that launch
//   build                              -> the build ID; refused with EINVAL by older keepers
//   launch, reopen_log, forget ...     -> one answer each, in any order, with the request's number
//                                      <- exited, reap_please: events, request number 0
//
// An answer has the type of its request. `sys_errno` != 0: refused, and the body is a Refusal.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace berth::keeper {

constexpr std::uint32_t kMagic = 0x4b545242;  // "BRTK"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMessageBytesMax = 1024;
constexpr int kMessageFdsMax = 250;  // SCM_MAX_FD is 253
constexpr std::size_t kNameBytesMax = 128;
constexpr int kHeldFdsMax = 8;

enum class MessageType : std::uint16_t {
  hello = 1,
  launch,
  reopen_log,
  close_stdin,
  forget,
  list,
  hold,
  drop,
  held,
  adopt_process,
  adopt_held,
  adopt_done,
  record_exit,
  reexec,
  shutdown,
  launch_fds,    // no answer
  build,         // answer: NameBody, the build ID of the keeper's program
  exited = 100,  // event: ExitRecord
  reap_please,   // event: ExitRecord without a code; answered by record_exit
};

struct Header {
  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  MessageType type{};
  std::uint64_t request = 0;
  std::int32_t sys_errno = 0;
  std::uint32_t body_bytes = 0;
};

// An id or a key: 1..kNameBytesMax bytes, unused bytes zero.
struct Name {
  std::uint8_t length = 0;
  char bytes[kNameBytesMax + 3] = {};

  std::string_view view() const noexcept { return {bytes, length}; }
  bool valid() const noexcept { return length > 0 && length <= kNameBytesMax; }
  // False, and left empty, when `text` does not fit.
  bool assign(std::string_view text) noexcept {
    *this = {};
    if (text.empty() || text.size() > kNameBytesMax) return false;
    length = static_cast<std::uint8_t>(text.size());
    std::memcpy(bytes, text.data(), text.size());
    return true;
  }
};

enum class ProcessKind : std::uint8_t { container = 1, exec = 2, pod_init = 3 };
enum class ProcessState : std::uint8_t { launching = 1, running = 2, exited = 3 };

// Which descriptors a message about a process carries; they come in the order of these bits. After
// them, in a launch, the descriptors of the plan, or the last of them after those of launch_fds.
enum FdBit : std::uint32_t {
  kFdPlan = 1u << 0,     // launch only: memfd with the encoded plan
  kFdPidfd = 1u << 1,    // answers and adoption
  kFdLog = 1u << 2,      // opened O_APPEND
  kFdLogNext = 1u << 3,  // adoption only: a reopen_log that was not answered
  kFdOut = 1u << 4,      // read end of stdout, or the terminal's master
  kFdErr = 1u << 5,      // read end of stderr
  kFdStdin = 1u << 6,    // write end of stdin; a terminal has none of its own
  kFdChildIn = 1u << 7,  // launch only: the process's 0, 1, 2; missing: the container's /dev/null
  kFdChildOut = 1u << 8,
  kFdChildErr = 1u << 9,
};
constexpr std::uint32_t kFdChild = kFdChildIn | kFdChildOut | kFdChildErr;
constexpr std::uint32_t kFdAll = (1u << 10) - 1;
constexpr int kFdBits = 10;

enum ProcessFlag : std::uint8_t {
  kLogged = 1,     // output goes to the log; without a log descriptor it is read and discarded
  kTerminal = 2,   // the master arrives with the launch answer
  kStdinOnce = 4,  // for the agent to remember
};

// Everything the keeper knows of a process: an entry of list, a launch answer, an adoption.
struct ProcessRecord {
  Name id;
  std::uint32_t fds = 0;  // FdBit
  std::int32_t pid = 0;
  std::int32_t exit_code = 0;  // 128 + signal when killed by one
  ProcessKind kind = ProcessKind::container;
  ProcessState state = ProcessState::launching;
  std::uint8_t flags = 0;  // ProcessFlag
  std::uint8_t exit_known = 0;
  std::int64_t started_at_ns = 0;   // Unix time
  std::int64_t finished_at_ns = 0;  // Unix time
};

// How a launch went: when each stage of the child was done (core/container/report.h).
struct LaunchAnswer {
  ProcessRecord record;
  std::uint64_t stage_ns[6] = {};  // CLOCK_MONOTONIC, 0: not reached
};

struct ExitRecord {
  Name id;
  std::int32_t exit_code = 0;
  std::uint8_t exit_known = 0;
  ProcessKind kind = ProcessKind::container;
  std::uint8_t unused[2] = {};
  std::int64_t finished_at_ns = 0;
};

// launch: a ProcessRecord with id, kind, flags and fds (kFdPlan required).
// reopen_log, close_stdin, forget, drop: a NameBody. reopen_log carries the new log.
// hold, adopt_held, held answers: a NameBody with 1..kHeldFdsMax descriptors.
struct NameBody {
  Name name;
};

struct HelloAnswer {
  std::int32_t pid = 0;
  std::uint32_t processes = 0;
  std::uint32_t held = 0;
  std::uint8_t fresh = 0;  // a new process that has not been given back what its predecessor held
  // Of the plans that it launches; 0 from a keeper before version 2. An agent that writes others
  // replaces the keeper's program.
  std::uint8_t plan_version = 0;
  std::uint8_t unused[2] = {};
};

// Why a request was refused; the errno is in the header.
struct Refusal {
  char step[48] = {};   // "mount", "execve"
  char text[256] = {};  // what it was done to
};

template <typename T>
concept Body = std::is_trivially_copyable_v<T> && sizeof(T) + sizeof(Header) <= kMessageBytesMax;

}  // namespace berth::keeper
