// SPDX-License-Identifier: Apache-2.0
// Keeper: the loop of berth-keeper. Parent of every container process; owns the table, the log pump
// and the socket to the agent. One thread, no heap, never waits for anything but the ring.
//
// Life of a process: launch -> launching -> running -> exited -> (forget) -> gone. Life of a
// connection: one agent at a time, a new one replaces the old; nothing that happened is lost with a
// connection, because everything worth telling is in the table and told again by list.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/container/launch_plan.h"
#include "core/keeper/channel.h"
#include "core/keeper/log_pump.h"
#include "core/keeper/table.h"
#include "core/keeper/token.h"
#include "core/linux/mmap.h"
#include "core/ring/raw.h"

namespace berth::keeper {

// In the keeper's own root, immutable: cloned over masked paths of containers.
constexpr char kEmptyDirectory[] = "/empty";
constexpr char kEmptyFile[] = "/none";

// What startup.cc prepared, or what came through a re-execution.
struct Station {
  UniqueFd state_dir;
  UniqueFd lock;  // keeper.lock, locked for this process (fcntl: kept by execve, not by fork)
  UniqueFd listener;
  UniqueFd proc_dir;    // procfs, mounted nowhere
  UniqueFd signals;     // signalfd of SIGCHLD
  UniqueFd connection;  // to the agent that started us, if any
  Table table;
  bool fresh = true;                 // not re-executed: what the table names must be given back
  std::uint64_t reexec_request = 0;  // to be answered
};

class Keeper final : private LogPump::Owner {
 public:
  // `station` and `ring` outlive the keeper.
  Keeper(Station& station, RawRing& ring) : station_(station), ring_(ring) {}
  Status open();
  // Until shutdown. An error is the end of the program.
  Status run();

 private:
  // What a re-execution and a crash may forget, per entry.
  struct Life {
    std::uint64_t launch_request;
    std::uint64_t reopen_request;
    std::uint64_t forget_request;
    std::int32_t channel;  // 1 + the launch report's descriptor; 0: none
    std::int32_t launch_errno;
    std::uint32_t next;  // in the line of entries with something to say
    std::uint8_t say;    // Say
    std::uint8_t queued;
    std::uint8_t ready;       // the child said that the exec comes next
    std::uint8_t helper;      // pid is a helper's that will report the real one
    std::uint8_t exit_waits;  // for its output to be logged before the exit is told
    std::uint8_t forgetting;
    std::uint8_t kept;  // adopted, in the handover that is going on
    std::uint8_t exit_tries;
    std::uint64_t stage_ns[6];
  };
  enum Say : std::uint8_t {
    kSayLaunched = 1,
    kSayLaunchFailed = 2,
    kSayReopened = 4,
    kSayExit = 8,
    kSayReapPlease = 16,
    kSayForgotten = 32,
  };
  // A list or held request being answered, one message per entry.
  struct Listing {
    std::uint64_t request = 0;
    std::uint32_t next = 0;
    bool held = false;
    bool active = false;
  };
  struct Stalled {
    Header header;
    Refusal body;
    bool has_body = false;
  };

  // Descriptors of a plan that came ahead of its launch, in messages of their own.
  struct EarlyFds {
    std::uint64_t request = 0;
    std::uint32_t count = 0;
    std::int32_t fds[container::kPlanFdsMax] = {};
  };

  // keeper.cc: the loop and the connection.
  void dispatch(Token token, int result) noexcept;
  void watch(int fd, unsigned events, Token token) noexcept;
  void accept_agent() noexcept;
  void adopt_connection(UniqueFd socket) noexcept;
  void drop_connection() noexcept;
  void read_connection() noexcept;
  void flush() noexcept;
  bool flush_listing() noexcept;
  void say(std::uint32_t entry, std::uint8_t what) noexcept;
  bool speak(std::uint32_t entry) noexcept;
  bool tell(const Header& header, std::span<const std::byte> body,
            std::span<const int> fds) noexcept;
  template <Body T>
  bool tell(MessageType type, std::uint64_t request, const T& body, std::span<const int> fds = {}) {
    return tell(Header{.type = type, .request = request}, std::as_bytes(std::span(&body, 1)), fds);
  }
  // The answers of requests that are done at once.
  void answer(std::uint64_t request, MessageType type) noexcept;
  void refuse(std::uint64_t request, MessageType type, int sys_errno, const char* step,
              std::string_view text = {}) noexcept;
  Life& life(std::uint32_t entry) noexcept;

  // requests.cc
  void handle(Incoming& message) noexcept;
  void handle_hello(Incoming& message) noexcept;
  void tell_build(const Header& header) noexcept;
  size_t staging_fds(int* fds) noexcept;
  void handle_named(Incoming& message, const NameBody& body) noexcept;
  void reopen_log(Incoming& message, std::uint32_t entry) noexcept;
  void hold(Incoming& message, const NameBody& body) noexcept;
  void drop(std::uint32_t entry) noexcept;
  void record_exit(Incoming& message, const ExitRecord& record) noexcept;
  void shut_down(const Header& header) noexcept;

  // process.cc
  void take_early_fds(Incoming& message) noexcept;
  void drop_early_fds() noexcept;
  void launch(Incoming& message) noexcept;
  void start_launch(Incoming& message) noexcept;
  int begin_launch(Incoming& message, std::uint32_t entry, std::uint32_t fds) noexcept;
  void on_report(std::uint32_t entry) noexcept;
  void launched(std::uint32_t entry) noexcept;
  void launch_failed(std::uint32_t entry, int sys_errno, const char* step,
                     std::string_view text) noexcept;
  void reap() noexcept;
  void ended(std::uint32_t entry, std::optional<int> exit_code) noexcept;
  void on_pidfd(std::uint32_t entry) noexcept;
  void forget(std::uint64_t request, std::uint32_t entry) noexcept;
  void close_process(std::uint32_t entry) noexcept;
  void drained(std::uint32_t entry) override;
  void log_reopened(std::uint32_t entry) override;

  // handover.cc
  void begin_fresh() noexcept;
  void adopt_process(Incoming& message, const ProcessRecord& record) noexcept;
  void adopt_held(Incoming& message, const NameBody& body) noexcept;
  void adopt_done(Incoming& message) noexcept;
  void resolve_unclaimed(std::uint32_t entry) noexcept;
  bool find_again(std::uint32_t entry) noexcept;
  void resume() noexcept;
  void try_reexec() noexcept;
  bool ready_for_exec() noexcept;
  void keep_across_exec(bool keep) noexcept;
  void start_all() noexcept;

  Station& station_;
  RawRing& ring_;
  std::optional<LogPump> pump_;
  sys::Mmap lives_;
  Incoming incoming_;
  EarlyFds early_fds_;
  UniqueFd connection_;
  UniqueFd reexec_binary_;
  std::uint64_t reexec_request_ = 0;
  std::uint16_t connection_serial_ = 0;
  bool stalled_out_ = false;  // the agent does not read; POLLOUT will tell
  bool reading_ = false;      // a poll for requests is in the kernel
  bool done_ = false;
  bool greeted_ = false;
  bool reap_again_ = false;
  bool zombie_waits_ = false;  // one was left until its launch is at its end
  std::optional<Stalled> stalled_;
  Listing listing_;
  std::uint32_t first_say_ = kNoEntry;
  std::uint32_t last_say_ = kNoEntry;
  std::uint32_t launching_ = 0;
  std::uint32_t helpers_ = 0;
};

}  // namespace berth::keeper
