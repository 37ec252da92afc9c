// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fakes/network.h"

#include <errno.h>
#include <fcntl.h>

#include <set>
#include <utility>

namespace berth::fakes {

Task<void> FakeNetwork::recover(std::vector<plugins::NetworkPod> living) {
  co_await faults_.before("network.recover");
  std::set<std::string> known;
  for (const plugins::NetworkPod& pod : living) known.insert(pod.request.pod_id);
  std::erase_if(attachments_, [&known](const auto& each) { return !known.contains(each.first); });
  co_await faults_.after("network.recover");
}

Task<void> FakeNetwork::configure(plugins::NetworkConfig config) {
  co_await faults_.before("network.configure");
  for (const std::string& cidr : config.pod_cidrs) {
    if (cidr.find('/') == std::string::npos) {
      co_await fail(Errc::invalid_argument, "`" + cidr + "` is no CIDR");
    }
  }
  co_await faults_.after("network.configure");
}

Task<plugins::NetworkAttachment> FakeNetwork::attach(plugins::NetworkRequest request) {
  co_await faults_.before("network.attach");
  std::string& address = attachments_[request.pod_id];
  if (address.empty()) address = "10.0.0." + std::to_string(1 + attachments_.size() % 250);
  plugins::NetworkAttachment attachment;
  attachment.result.ips.push_back(address);
  attachment.netns.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!attachment.netns.valid()) co_await fail(sys_error(errno, "open", "/dev/null"));
  co_await faults_.after("network.attach");
  co_return attachment;
}

Task<void> FakeNetwork::detach(plugins::NetworkPod pod) {
  co_await faults_.before("network.detach");
  attachments_.erase(pod.request.pod_id);
  co_await faults_.after("network.detach");
}

Task<std::optional<plugins::NetworkCounters>> FakeNetwork::counters(std::string pod_id) {
  if (!attachments_.contains(pod_id)) co_return std::nullopt;
  co_return plugins::NetworkCounters{.rx_bytes = 2, .rx_packets = 1};
}

Task<void> FakeNetwork::close() {
  condition_.close();
  co_return;
}

}  // namespace berth::fakes
