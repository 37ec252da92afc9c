// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/cni.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "networking/cni/cidr.h"
#include "networking/cni/counters.h"
#include "networking/cni/leftovers.h"
#include "networking/cni/result.h"
#include "networking/cni/runtime_config.h"
#include "networking/cni/saved.h"

namespace berth::networking {
namespace {

using cni::Attachment;
using cni::ConfScan;
using plugins::NetworkAttachment;
using plugins::NetworkCounters;
using plugins::NetworkPod;
using plugins::NetworkRequest;
using plugins::NetworkResult;

constexpr char kRoom[] = "cni";
constexpr char kNotReady[] = "NetworkPluginNotReady";
constexpr std::int64_t kRetryMsMax = 300'000;

std::string path_of(int netns) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(netns);
}

// Of an owned descriptor; one that is not valid gives another that is not.
Result<UniqueFd> copy_of(const UniqueFd& fd) {
  if (!fd.valid()) return UniqueFd();
  return fd.duplicate();
}

std::string joined(const std::vector<std::string>& all, const char* separator) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : separator) + one;
  return text;
}

}  // namespace

// One of the chains that may run at once.
class CniNetwork::Turn {
 public:
  explicit Turn(CniNetwork& network) : network_(network) { ++network_.chains_; }
  Turn(const Turn&) = delete;
  ~Turn() {
    --network_.chains_;
    network_.chain_ended_.set();
    network_.chain_ended_.reset();
  }

 private:
  CniNetwork& network_;
};

CniNetwork::CniNetwork(CniParts parts)
    : parts_(std::move(parts)),
      chain_(parts_.ring, parts_.options.chain),
      condition_(
          {.ready = false,
           .configured = false,
           .reason = kNotReady,
           .message = "the configuration in " + parts_.options.conf_dir + " is not read yet"}),
      scope_(parts_.ring.ready(),
             [this](Error error) { parts_.log.warn(kRoom, error.message()); }) {}

Task<void> CniNetwork::recover(std::vector<NetworkPod> living) {
  for (NetworkPod& pod : living) {
    std::string id = pod.request.pod_id;
    Pod& known = pods_[id];
    known.netns = std::move(pod.netns);
    known.result = std::move(pod.result);
  }
  co_await scan();
  std::function<Result<std::vector<Attachment>>()> load = [dir = leftovers_dir()]() {
    return cni::load_leftovers(dir);
  };
  std::vector<Attachment> leftovers = co_await offload(parts_.ring, std::move(load));
  for (Attachment& leftover : leftovers) {
    if (!pods_.contains(leftover.container_id)) scope_.spawn(retry(std::move(leftover)));
  }
  std::vector<std::string> valid;
  for (const auto& [id, pod] : pods_) {
    valid.push_back(id);
    scope_.spawn(check_pod(id));
  }
  if (scan_.conf.has_value()) {
    const cni::NetworkConf conf = *scan_.conf;
    Result<void> collected = co_await chain_.gc(conf, valid).result();
    if (!collected.ok()) parts_.log.warn(kRoom, collected.error().message());
  }
  scope_.spawn(watch());
}

// CHECK tells the log about a pod whose network was changed while the agent did not run.
Task<void> CniNetwork::check_pod(std::string pod_id) {
  const auto found = pods_.find(pod_id);
  if (found == pods_.end()) co_return;  // detached before the check began
  const Pod& pod = found->second;
  if (pod.result.saved.empty() || !pod.netns.valid()) co_return;
  Attachment attachment = co_await cni::read_saved(pod.result.saved);
  const std::string path = path_of(pod.netns.get());
  attachment.result = co_await cni::with_sandbox(attachment.result, attachment.netns, path);
  attachment.netns = path;
  co_await free_turn();
  const Turn turn(*this);
  co_await chain_.check(attachment);
}

Task<void> CniNetwork::configure(plugins::NetworkConfig config) {
  for (const std::string& cidr : config.pod_cidrs) {
    if (!cni::address_of(cidr).empty()) continue;
    co_await fail(Errc::invalid_argument, berth::quoted(cidr) + " is no IP prefix");
  }
  pod_cidrs_ = std::move(config.pod_cidrs);
}

Task<Attachment> CniNetwork::prepare(NetworkRequest request, int netns) {
  if (!scan_.conf.has_value() || !scan_.missing.empty()) {
    co_await fail(Errc::unavailable, status().message);
  }
  if (!cni::is_container_id(request.pod_id)) {
    co_await fail(Errc::invalid_argument, "id: is not a CNI container id");
  }
  Attachment attachment;
  attachment.container_id = request.pod_id;
  attachment.conf = *scan_.conf;
  attachment.args = co_await cni::cni_args(request);
  attachment.runtime = co_await cni::runtime_config(request, pod_cidrs_);
  if (netns >= 0) attachment.netns = path_of(netns);
  co_return attachment;
}

// Returns when one more chain may run; the caller makes its Turn at once.
Task<void> CniNetwork::free_turn() {
  while (chains_ >= parts_.options.chains_max) co_await chain_ended_.wait();
}

// DEL of what an ADD made. What a plugin cannot delete now is on record and tried again.
Task<void> CniNetwork::undo(Attachment& attachment) {
  const Deadline deadline = Deadline::after_ms(parts_.options.del_ms_max);
  Result<void> undone = co_await chain_.del(attachment, deadline).result();
  if (!undone.ok()) co_await keep_leftover(attachment);
}

Task<void> CniNetwork::add(Attachment& attachment, cni::Steps& steps) {
  co_await free_turn();
  const Turn turn(*this);
  Result<void> added = co_await chain_.add(attachment, steps).result();
  if (added.ok() && cni::saved_text(attachment).size() > cni::kSavedSizeMax) {
    added = make_error(Errc::resource_exhausted,
                       "the configuration and the result are larger than 16 KiB");
  }
  if (!added.ok()) co_await shield(undo(attachment));
  co_await std::move(added);
}

// Not an error: there are networks that read host ports and bandwidth from the Kubernetes API.
void CniNetwork::warn_of_unheard(const NetworkRequest& request) {
  if (!scan_.conf.has_value()) return;
  const auto has_host_port = [](const plugins::PortMapping& port) { return port.host_port != 0; };
  const auto& ports = request.port_mappings;
  const auto& annotations = request.annotations;
  const bool wants_bandwidth = annotations.contains("kubernetes.io/ingress-bandwidth") ||
                               annotations.contains("kubernetes.io/egress-bandwidth");
  std::string unheard;
  if (std::any_of(ports.begin(), ports.end(), has_host_port) &&
      !scan_.conf->declares("portMappings")) {
    unheard += " portMappings";
  }
  if (wants_bandwidth && !scan_.conf->declares("bandwidth")) unheard += " bandwidth";
  if (unheard.empty()) return;
  parts_.log.warn(kRoom, "pod " + berth::quoted(request.pod_id) + ": no plugin of " + scan_.file +
                             " has the capability" + unheard);
}

Task<NetworkAttachment> CniNetwork::attach(NetworkRequest request) {
  const std::string id = request.pod_id;
  NetworkAttachment attached;
  const auto known = pods_.find(id);
  if (known != pods_.end()) {
    attached.netns = co_await copy_of(known->second.netns);
    attached.result = known->second.result;
    co_return attached;
  }
  cni::Steps steps(monotonic_now_ns());
  TakenNamespaces taken = co_await parts_.take();
  if (taken.made_inline) steps.add("namespaces.made_inline");
  // Before ADD: what fails after it has to be undone.
  attached.netns = co_await copy_of(taken.set.netns);
  warn_of_unheard(request);
  Attachment attachment = co_await prepare(std::move(request), taken.set.netns.get());
  co_await add(attachment, steps);
  Result<NetworkResult> result = cni::read_result(attachment.result, cni::kIfname);
  if (!result.ok()) {
    co_await shield(undo(attachment));
    co_await fail(std::move(result).error());
  }
  attached.result = std::move(*result);
  attached.result.saved = cni::saved_text(attachment);
  attached.ipc = std::move(taken.set.ipc);
  attached.uts = std::move(taken.set.uts);
  attached.steps = steps.all();
  pods_[id] = Pod{std::move(taken.set.netns), attached.result};
  co_return attached;
}

// As saved; of a pod whose attach did not return, by the configuration of now.
Task<Attachment> CniNetwork::attachment_of(NetworkPod& pod) {
  const int netns = pod.netns.get();
  if (pod.result.saved.empty()) {
    Attachment guessed = co_await prepare(pod.request, netns);
    co_return guessed;
  }
  Attachment attachment = co_await cni::read_saved(pod.result.saved);
  const std::string path = netns >= 0 ? path_of(netns) : "";
  if (!attachment.result.empty()) {
    attachment.result = co_await cni::with_sandbox(attachment.result, attachment.netns, path);
  }
  attachment.netns = path;
  co_return attachment;
}

// The wait for a turn is part of the budget.
Task<void> CniNetwork::del_in_turn(const Attachment& attachment) {
  const Deadline deadline = Deadline::after_ms(parts_.options.del_ms_max);
  co_await with_deadline(parts_.ring, deadline, free_turn());
  const Turn turn(*this);
  co_await chain_.del(attachment, deadline);
}

Task<void> CniNetwork::detach(NetworkPod pod) {
  const auto known = pods_.find(pod.request.pod_id);
  Pod held;
  if (known != pods_.end()) {
    held = std::move(known->second);
    pods_.erase(known);
    if (pod.result.saved.empty()) pod.result.saved = held.result.saved;
    if (held.netns.valid()) pod.netns = std::move(held.netns);
  }
  Result<Attachment> attachment = co_await attachment_of(pod).result();
  if (!attachment.ok()) {
    parts_.log.warn(kRoom, "detach " + berth::quoted(pod.request.pod_id) +
                               " does nothing: " + attachment.error().message());
    co_return;
  }
  Result<void> deleted = co_await del_in_turn(*attachment).result();
  if (deleted.ok()) co_return;
  parts_.log.warn(kRoom, "DEL of " + berth::quoted(pod.request.pod_id) +
                             " is tried again later: " + deleted.error().message());
  co_await shield(keep_leftover(std::move(*attachment)));
}

Task<void> CniNetwork::keep_leftover(Attachment attachment) {
  std::function<Status()> record = [dir = leftovers_dir(), attachment]() {
    return cni::record_leftover(dir, attachment);
  };
  Result<void> recorded = co_await offload(parts_.ring, std::move(record)).result();
  if (!recorded.ok()) parts_.log.error(kRoom, recorded.error().message());
  scope_.spawn(retry(std::move(attachment)));
}

// Without a namespace: the pod's is gone by now, and the specification allows an empty CNI_NETNS.
Task<void> CniNetwork::retry(Attachment attachment) {
  attachment.netns.clear();
  std::int64_t wait_ms = parts_.options.retry_ms_min;
  for (;;) {
    co_await parts_.ring.sleep_until(Deadline::after_ms(wait_ms));
    // The pod was attached again under its id; its own detach deletes both.
    const bool is_attached = pods_.contains(attachment.container_id);
    if (!is_attached) {
      Result<void> deleted = co_await del_in_turn(attachment).result();
      if (deleted.ok()) break;
      if (deleted.error().is(Errc::cancelled)) co_await fail(std::move(deleted).error());
    }
    wait_ms = std::min(wait_ms * 2, kRetryMsMax);
  }
  std::function<Status()> remove = [dir = leftovers_dir(), id = attachment.container_id]() {
    return cni::remove_leftover(dir, id);
  };
  co_await offload(parts_.ring, std::move(remove));
  parts_.log.info(kRoom, "DEL of " + berth::quoted(attachment.container_id) + " succeeded at last");
}

void CniNetwork::publish_unconfigured(std::string message) {
  condition_.set({.ready = false,
                  .configured = false,
                  .is_reachable = false,
                  .reason = kNotReady,
                  .message = std::move(message)});
}

void CniNetwork::publish(bool ready, std::string message) {
  condition_.set({.ready = ready,
                  .configured = true,
                  .is_reachable = ready,
                  .reason = ready ? "" : kNotReady,
                  .message = std::move(message)});
}

Task<void> CniNetwork::scan() {
  const std::string dir = parts_.options.conf_dir;
  std::function<Result<ConfScan>()> look = [dir, bins = parts_.options.chain.bin_dirs]() {
    return cni::scan_conf_dir(dir, bins);
  };
  Result<ConfScan> found = co_await offload(parts_.ring, std::move(look)).result();
  if (!found.ok()) {
    if (found.error().is(Errc::cancelled)) co_await fail(std::move(found).error());
    scan_ = ConfScan{};
    publish_unconfigured("no CNI configuration: " + found.error().message());
    co_return;
  }
  scan_ = std::move(*found);
  const std::string bad = joined(scan_.bad, "; ");
  if (!bad.empty() && bad != logged_) parts_.log.warn(kRoom, "skipped in " + dir + ": " + bad);
  logged_ = bad;
  if (!scan_.conf.has_value()) {
    publish_unconfigured(dir + " holds no valid CNI configuration" +
                         (bad.empty() ? "" : ": " + bad));
  } else if (!scan_.missing.empty()) {
    publish(false, "CNI plugins " + joined(scan_.missing, ", ") + " of " + scan_.file +
                       " are not in " + joined(parts_.options.chain.bin_dirs, ", "));
  } else {
    co_await ask_status();
  }
}

Task<void> CniNetwork::ask_status() {
  const cni::NetworkConf conf = *scan_.conf;
  Result<void> answered = co_await chain_.status(conf).result();
  if (!answered.ok() && answered.error().is(Errc::cancelled)) {
    co_await fail(std::move(answered).error());
  }
  publish(answered.ok(), answered.ok() ? "" : answered.error().message());
}

Task<void> CniNetwork::watch() {
  cni::ConfWatch watched;
  for (;;) {
    if (!watched.events.valid()) {
      std::function<Result<cni::ConfWatch>()> begin = [dir = parts_.options.conf_dir]() {
        return cni::watch_conf_dir(dir);
      };
      watched = co_await offload(parts_.ring, std::move(begin));
    }
    // After the watch began, so that no change is between the two.
    co_await scan();
    const bool asks_status = scan_.conf.has_value() && scan_.missing.empty() &&
                             cni::has_gc_and_status((*scan_.conf).cni_version);
    // A program that is missing may appear in a directory that is not watched.
    const bool waits = !asks_status && scan_.missing.empty();
    const Deadline next = waits ? Deadline::never() : Deadline::after_ms(parts_.options.status_ms);
    Result<int> woken =
        co_await with_deadline(parts_.ring, next, parts_.ring.poll(watched.events.get(), POLLIN))
            .result();
    if (!woken.ok() && !woken.error().is(Errc::deadline_exceeded)) {
      co_await fail(std::move(woken).error());
    }
    if (woken.ok() && !cni::take_conf_dir_events(watched)) watched.events.reset();
  }
}

Task<std::optional<NetworkCounters>> CniNetwork::counters(std::string pod_id) {
  std::optional<NetworkCounters> none;
  const auto pod = pods_.find(pod_id);
  if (pod == pods_.end() || !pod->second.netns.valid()) co_return none;
  UniqueFd copy = co_await copy_of(pod->second.netns);
  const auto netns = std::make_shared<UniqueFd>(std::move(copy));
  std::function<Result<std::optional<NetworkCounters>>()> read = [netns]() {
    return cni::read_counters(netns->get(), cni::kIfname);
  };
  std::optional<NetworkCounters> read_now = co_await offload(parts_.ring, std::move(read));
  co_return read_now;
}

Task<void> CniNetwork::close() {
  condition_.close();
  scope_.cancel();
  co_await scope_.close();
}

}  // namespace berth::networking
