// SPDX-License-Identifier: Apache-2.0
// The transfer thread: one ring, one CurlMulti, the running transfers. Private to this room.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/http/client.h"
#include "core/image/http/multi.h"
#include "core/image/http/transfer.h"
#include "core/ring/ring_thread.h"

namespace berth::image {

class TransferLoop final : private RingThread::Parts {
 public:
  explicit TransferLoop(std::string user_agent) : user_agent_(std::move(user_agent)) {}
  TransferLoop(const TransferLoop&) = delete;
  TransferLoop& operator=(const TransferLoop&) = delete;
  // Joins the thread. No transfer may be running.
  ~TransferLoop() = default;
  // Call once.
  Status start();

  // Any thread. `ended` runs on the transfer thread, once.
  void begin(HttpCall& call, std::function<void()> ended);
  // Any thread. Ends the call soon, unless it has ended; then runs `heard`.
  void cancel(HttpCall& call, std::function<void()> heard);

 private:
  struct Running {
    std::unique_ptr<CurlHandle> handle;
    std::optional<HttpTransfer> transfer;
    HttpCall* call = nullptr;
    std::function<void()> ended;
  };

  // Checks the speed of every transfer while one runs.
  class Watchdog final : public Timer, public ReadyNode {
   public:
    explicit Watchdog(TransferLoop& loop);
    void start();
    std::int64_t started_ns() const { return started_ns_; }

   private:
    void on_time() noexcept override;
    TransferLoop& loop_;
    std::int64_t started_ns_ = 0;
  };

  void made(Ring& ring) override;
  void ending(Ring& ring) override;
  void begin_now(HttpCall& call, std::function<void()> ended);
  void unpause(std::uint64_t id);
  void end_slow_ones();
  void end(std::uint64_t id, CURLcode code, bool cancelled);

  std::string user_agent_;
  // Used by the transfer thread only.
  Ring* ring_ = nullptr;
  std::optional<CurlMulti> multi_;
  std::optional<Watchdog> watchdog_;
  std::map<std::uint64_t, Running> running_;
  std::map<CURL*, std::uint64_t> ids_;
  std::vector<std::unique_ptr<CurlHandle>> idle_;
  std::uint64_t last_id_ = 0;
  std::unique_ptr<RingThread> thread_;  // last: it joins before the other members are destroyed
};

}  // namespace berth::image
