// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/multi.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>

namespace berth::image {
namespace {

constexpr long kConnectionsKept = 16;

unsigned poll_events(int what) {
  unsigned events = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= POLLIN;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= POLLOUT;
  return events;
}

int curl_events(int polled) {
  int events = 0;
  // Report a hang-up as readable: curl then reads the end of the stream.
  if ((polled & (POLLIN | POLLHUP)) != 0) events |= CURL_CSELECT_IN;
  if ((polled & POLLOUT) != 0) events |= CURL_CSELECT_OUT;
  if ((polled & (POLLERR | POLLNVAL)) != 0) events |= CURL_CSELECT_ERR;
  return events;
}

}  // namespace

// One socket that curl waits for. One poll at a time, armed again after curl has been called: the
// kernel checks the state when a poll is armed, so no event is missed. curl closes a socket right
// after it removes the watch, and the number may be used again; the poll in the kernel belongs to
// the file and the watch is identified by its address, so the two sockets are not confused.
class CurlMulti::Watch final : public Submission {
 public:
  Watch(CurlMulti& multi, curl_socket_t socket) : multi_(multi), socket_(socket), told_(*this) {
    sqe_.opcode = IORING_OP_POLL_ADD;
    sqe_.fd = socket;
  }

  // 0: curl no longer waits for it; the watch is freed when its poll has completed.
  void want(unsigned events) {
    if (events == events_ && !quiet()) return;
    events_ = events;
    if (acting_ || told_.linked()) return;  // run() handles it
    if (quiet()) {
      rearm();
    } else {
      multi_.ring_.cancel(*this);
    }
  }

 private:
  struct Told final : ReadyNode {
    explicit Told(Watch& of)
        : ReadyNode([](ReadyNode& node) noexcept { static_cast<Told&>(node).watch.run(); }),
          watch(of) {}
    Watch& watch;
  };

  void on_cqe(int res, unsigned) noexcept override { result_ = res; }
  // Completions are collected here; curl is called later, from the ready queue.
  void on_end() noexcept override { multi_.ring_.ready().push(told_); }

  void run() {
    if (events_ != 0 && result_ > 0) {
      acting_ = true;
      multi_.act(socket_, curl_events(result_));
      acting_ = false;
    }
    rearm();
  }
  void rearm() {
    if (events_ == 0) {
      multi_.forget(*this);  // destroys this
      return;
    }
    sqe_.poll32_events = events_;
    multi_.ring_.submit(*this);
  }

  CurlMulti& multi_;
  curl_socket_t socket_;
  unsigned events_ = 0;
  int result_ = 0;
  bool acting_ = false;
  Told told_;
};

// curl's timer.
class CurlMulti::Alarm final : public Timer, public ReadyNode {
 public:
  explicit Alarm(CurlMulti& multi)
      : ReadyNode([](ReadyNode& node) noexcept {
          static_cast<Alarm&>(node).multi_.act(CURL_SOCKET_TIMEOUT, 0);
        }),
        multi_(multi) {}

  void set(long timeout_ms) {
    drop();
    if (timeout_ms < 0) return;
    Timer::set(multi_.ring_.timers(), Deadline::after_ms(timeout_ms));
  }

 private:
  void on_time() noexcept override {
    if (!linked()) multi_.ring_.ready().push(*this);
  }

  CurlMulti& multi_;
};

CurlMulti::CurlMulti(Ring& ring, OnDone on_done)
    : ring_(ring),
      on_done_(std::move(on_done)),
      multi_(curl_multi_init()),
      alarm_(std::make_unique<Alarm>(*this)) {
  CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlMulti::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlMulti::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kConnectionsKept);
}

CurlMulti::~CurlMulti() {
  CHECK(multi_ == nullptr && quiet());
}

void CurlMulti::add(CURL* easy) {
  CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
}

void CurlMulti::remove(CURL* easy) {
  CHECK(curl_multi_remove_handle(multi_, easy) == CURLM_OK);
}

void CurlMulti::close() {
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  alarm_.reset();
  // curl closes a cached connection without a callback when it no longer waits for its socket.
  for (std::size_t i = watches_.size(); i > 0; --i) watches_[i - 1]->want(0);
}

void CurlMulti::act(curl_socket_t socket, int events) {
  if (multi_ == nullptr) return;
  int running = 0;
  CHECK(curl_multi_socket_action(multi_, socket, events, &running) == CURLM_OK);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    // curl owns the message and frees it when the handle is removed.
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    on_done_(easy, code);
  }
}

int CurlMulti::on_socket(CURL*, curl_socket_t socket, int what, void* self, void* watch) {
  CurlMulti& multi = *static_cast<CurlMulti*>(self);
  Watch* known = static_cast<Watch*>(watch);
  if (what == CURL_POLL_REMOVE) {
    if (known != nullptr) known->want(0);
    return 0;
  }
  if (known == nullptr) {
    multi.watches_.push_back(std::make_unique<Watch>(multi, socket));
    known = multi.watches_.back().get();
    curl_multi_assign(multi.multi_, socket, known);
  }
  known->want(poll_events(what));
  return 0;
}

int CurlMulti::on_timer(CURLM*, long timeout_ms, void* self) {
  static_cast<CurlMulti*>(self)->alarm_->set(timeout_ms);
  return 0;
}

void CurlMulti::forget(Watch& watch) {
  const auto found = std::find_if(watches_.begin(), watches_.end(),
                                  [&](const auto& owned) { return owned.get() == &watch; });
  watches_.erase(found);
}

}  // namespace berth::image
