// SPDX-License-Identifier: Apache-2.0
// The suite of networks for "cni", with a plugin that assigns addresses and makes no device.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "networking/cni/cni.h"
#include "tests/conformance/network_suite.h"
#include "tests/support/temporary_dir.h"

namespace berth::plugins {

// Each ADD takes the next address; the directory of an address is its reservation.
constexpr char kPlugin[] = R"sh(#!/bin/sh
cd "$(dirname "$0")/../leases" || exit 1
case $CNI_COMMAND in
ADD)
  n=2
  while ! mkdir "$n" 2>/dev/null; do n=$((n + 1)); done
  echo "$CNI_CONTAINERID" >"$n/id"
  echo '{"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "'"$CNI_NETNS"'"}],
    "ips": [{"address": "10.77.0.'"$n"'/24", "interface": 0}]}'
  ;;
DEL)
  for id in */id; do
    [ "$(cat "$id" 2>/dev/null)" != "$CNI_CONTAINERID" ] || rm -r "$(dirname "$id")"
  done
  ;;
esac
)sh";

class Cni final : public NetworkFactory {
 public:
  Cni() {
    // As the agent does: a plugin may end without reading its input.
    ::signal(SIGPIPE, SIG_IGN);
    for (const char* name : {"conf", "bin", "leases", "state"}) {
      EXPECT_EQ(::mkdir((dir_ / name).c_str(), 0755), 0);
    }
    std::ofstream(dir_ / "bin/lease") << kPlugin;
    EXPECT_EQ(::chmod((dir_ / "bin/lease").c_str(), 0755), 0);
    std::ofstream(dir_ / "conf/10-lease.conf")
        << R"({"cniVersion": "1.0.0", "name": "lease", "type": "lease"})";
    restart({});
  }
  ~Cni() override { static_cast<void>(ring_->run_until(pool_.close())); }
  Ring& ring() override { return *ring_; }
  Network& network() override { return *network_; }
  void restart(std::vector<NetworkPod> living) override {
    if (network_ != nullptr) MUST(ring_->run_until(network_->close()));
    networking::CniOptions options;
    options.conf_dir = dir_ / "conf";
    options.state_dir = dir_ / "state";
    options.chain.bin_dirs = {dir_ / "bin"};
    network_ = std::make_unique<networking::CniNetwork>(
        networking::CniParts{*ring_, log_, std::move(options), [this] { return pool_.take(); }});
    MUST(ring_->run_until(network_->recover(std::move(living))));
  }

 private:
  TemporaryDir dir_;
  Log log_{LogLevel::error};
  std::unique_ptr<Ring> ring_ = MUST(Ring::create());
  NamespacePool pool_{*ring_, NamespacePool::kPod, 2};
  std::unique_ptr<networking::CniNetwork> network_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Cni, NetworkSuite, Cni);

}  // namespace berth::plugins
