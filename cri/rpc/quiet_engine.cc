// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/quiet_engine.h"

#include <grpc/event_engine/event_engine.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

// gRPC 1.51 exports this function but declares it in no public header. A gRPC without it does not
// link.
void grpc_timer_manager_set_threading(bool enabled);

namespace berth::rpc {
namespace {

using grpc_event_engine::experimental::EndpointConfig;
using grpc_event_engine::experimental::EventEngine;
using grpc_event_engine::experimental::MemoryAllocator;
using grpc_event_engine::experimental::MemoryAllocatorFactory;
using Clock = std::chrono::steady_clock;

// On Linux, gRPC 1.51 uses the engine only to run deferred work; its own poller handles sockets.
class QuietEngine final : public EventEngine {
 public:
  ~QuietEngine() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  bool IsWorkerThread() override { return std::this_thread::get_id() == thread_id_; }

  void Run(Closure* closure) override { RunAfter(Duration::zero(), closure); }
  void Run(absl::AnyInvocable<void()> closure) override {
    RunAfter(Duration::zero(), std::move(closure));
  }
  TaskHandle RunAfter(Duration when, Closure* closure) override {
    return RunAfter(when, [closure]() { closure->Run(); });
  }
  TaskHandle RunAfter(Duration when, absl::AnyInvocable<void()> closure) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Key key{Clock::now() + when, ++last_};
    work_.emplace(key, std::move(closure));
    if (!thread_.joinable()) thread_ = std::thread([this]() { serve(); });
    changed_.notify_one();
    return {{static_cast<std::intptr_t>(key.first.time_since_epoch().count()),
             static_cast<std::intptr_t>(key.second)}};
  }
  bool Cancel(TaskHandle handle) override {
    const Key key{Clock::time_point(Clock::duration(handle.keys[0])),
                  static_cast<std::uint64_t>(handle.keys[1])};
    const std::lock_guard<std::mutex> lock(mutex_);
    return work_.erase(key) > 0;
  }

  absl::StatusOr<std::unique_ptr<Listener>> CreateListener(
      Listener::AcceptCallback, absl::AnyInvocable<void(absl::Status)>, const EndpointConfig&,
      std::unique_ptr<MemoryAllocatorFactory>) override {
    return absl::UnimplementedError("no sockets here");
  }
  ConnectionHandle Connect(OnConnectCallback on_connect, const ResolvedAddress&,
                           const EndpointConfig&, MemoryAllocator, Duration) override {
    on_connect(absl::UnimplementedError("no sockets here"));
    return {{0, 0}};
  }
  bool CancelConnect(ConnectionHandle) override { return false; }
  std::unique_ptr<DNSResolver> GetDNSResolver(const DNSResolver::ResolverOptions&) override {
    return nullptr;
  }

 private:
  using Key = std::pair<Clock::time_point, std::uint64_t>;  // the due time, then the order of calls

  void serve() {
    ::pthread_setname_np(::pthread_self(), "rpc-later");
    std::unique_lock<std::mutex> lock(mutex_);
    thread_id_ = std::this_thread::get_id();
    while (!ending_) {
      if (work_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const Clock::time_point due = work_.begin()->first.first;
      if (Clock::now() < due) {
        changed_.wait_until(lock, due);
        continue;
      }
      absl::AnyInvocable<void()> closure = std::move(work_.begin()->second);
      work_.erase(work_.begin());
      lock.unlock();
      closure();
      closure = nullptr;
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, absl::AnyInvocable<void()>> work_;
  std::uint64_t last_ = 0;
  bool ending_ = false;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_{};
};

}  // namespace

void install_quiet_engine() {
  grpc_event_engine::experimental::SetEventEngineFactory(
      []() -> std::unique_ptr<EventEngine> { return std::make_unique<QuietEngine>(); });
}

void stop_timer_thread() {
  grpc_timer_manager_set_threading(false);
}

}  // namespace berth::rpc
