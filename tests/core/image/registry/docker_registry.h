// SPDX-License-Identifier: Apache-2.0
// Debian's docker-registry as a child of the test, on loopback of its network namespace.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace berth::image {

class DockerRegistry {
 public:
  // Everything is below `dir`, which exists. `http` and `rest` are lines of the configuration: the
  // keys below `http:`, indented by two, and other top-level keys. Port 0: a free port.
  DockerRegistry(std::string dir, const std::string& http, const std::string& rest, int port = 0)
      : dir_(std::move(dir)), host_("127.0.0.1:" + std::to_string(port != 0 ? port : free_port())) {
    std::ofstream(dir_ + "/config.yml")
        << "version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: " << dir_
        << "/data}\n  delete: {enabled: true}\nhttp:\n  addr: " << host_ << "\n"
        << http << rest;
    start();
  }
  ~DockerRegistry() { stop(); }
  DockerRegistry(const DockerRegistry&) = delete;
  DockerRegistry& operator=(const DockerRegistry&) = delete;

  const std::string& host() const { return host_; }
  std::string log() const {
    std::ifstream file(dir_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t logged(const std::string& text) const {
    const std::string all = log();
    std::size_t times = 0;
    for (std::size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) {
      ++times;
    }
    return times;
  }

  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  static sockaddr_in loopback(int port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<std::uint16_t>(port));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
  }
  static int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name = loopback(0);
    socklen_t size = sizeof name;
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
    ::close(socket);
    return ntohs(name.sin_port);
  }

  void start() {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, (dir_ + "/log").c_str(),
                                       O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const std::string config = dir_ + "/config.yml";
    // The kernel kills it when the test ends in any way.
    const char* const argv[] = {"setpriv", "--pdeathsig",  "KILL", "docker-registry",
                                "serve",   config.c_str(), nullptr};
    const char* const env[] = {"PATH=/usr/bin:/bin", "OTEL_TRACES_EXPORTER=none", nullptr};
    const int failed = ::posix_spawn(&pid_, "/usr/bin/setpriv", &actions, nullptr,
                                     const_cast<char**>(argv), const_cast<char**>(env));
    ::posix_spawn_file_actions_destroy(&actions);
    ASSERT_EQ(failed, 0) << "docker-registry cannot be started";
    const int port = std::stoi(host_.substr(host_.find(':') + 1));
    for (int tries = 0; tries < 500; ++tries) {
      const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in name = loopback(port);
      const bool up = ::connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
      ::close(socket);
      if (up) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "docker-registry does not listen: " << log();
  }

  std::string dir_;
  std::string host_;
  pid_t pid_ = -1;
};

}  // namespace berth::image
