// SPDX-License-Identifier: Apache-2.0
// libcurl's multi interface on a Ring: the ring polls the sockets that curl names and keeps curl's
// timer, and curl is called when one of them fires. One CurlMulti is one pool of connections;
// requests to one HTTP/2 server share a connection.
//
// The ring's thread only. Handles are borrowed between add() and remove().
#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/ring/ring.h"

namespace berth::image {

class CurlMulti {
 public:
  // Called from the loop when a transfer has ended, never inside add() or remove(); the handle is
  // still added.
  using OnDone = std::function<void(CURL*, CURLcode)>;

  CurlMulti(Ring& ring, OnDone on_done);
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;
  // Call close() first, and turn the ring until quiet().
  ~CurlMulti();

  void add(CURL* easy);
  void remove(CURL* easy);
  // Closes every connection. No handle may be added. Then turn the ring until quiet().
  void close();
  // No poll of this object is in the kernel.
  bool quiet() const { return watches_.empty(); }

 private:
  class Watch;
  class Alarm;

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* watch);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void act(curl_socket_t socket, int events);
  void forget(Watch& watch);

  Ring& ring_;
  OnDone on_done_;
  CURLM* multi_;
  std::unique_ptr<Alarm> alarm_;
  std::vector<std::unique_ptr<Watch>> watches_;
};

}  // namespace berth::image
