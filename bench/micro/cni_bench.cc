// SPDX-License-Identifier: Apache-2.0
// Question: how much does berth add to the time that the CNI plugins of a pod take themselves?
// Baseline: the same plugins with the same input, run one after the other by posix_spawn and
// waitpid on one thread, in a namespace that exists already.
// Non-goals: how fast a plugin is. `script` prints a constant result, so that the difference of the
// two is not lost in the variation of `bridge`, Debian's plugin with host-local.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/micro/place.h"
#include "networking/cni/cni.h"

namespace berth::bench {
namespace {

constexpr char kDebian[] = "/usr/lib/cni";

struct Chain {
  const char* type;
  std::string plugin;  // the object of the configuration
};

Chain chain_of(long index) {
  if (index == 0) return {"script", R"({"type":"script"})"};
  return {"bridge", R"({"type":"bridge","bridge":"bench0","isGateway":true,"ipam":{)"
                    R"("type":"host-local","dataDir":")" +
                        place("ipam") + R"(","ranges":[[{"subnet":"10.99.0.0/16"}]]}})"};
}

std::string program(const Chain& chain) {
  return (chain.type == std::string("script") ? place("bin") : kDebian) + "/" + chain.type;
}

void prepare() {
  ::signal(SIGPIPE, SIG_IGN);
  must_call(::unshare(CLONE_NEWNET), "unshare");
  for (const char* name : {"bin", "conf", "state"}) ::mkdir(place(name).c_str(), 0755);
  std::ofstream(place("bin/script"))
      << "#!/bin/sh\n"
         R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.2/16"}]}')"
         "\n";
  ::chmod(place("bin/script").c_str(), 0755);
}

bool is_there(::benchmark::State& state, const Chain& chain) {
  if (::access(program(chain).c_str(), X_OK) == 0) return true;
  state.SkipWithError("the package containernetworking-plugins is not installed");
  return false;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

plugins::NetworkRequest request() {
  plugins::NetworkRequest request;
  request.pod_id = "bench";
  request.pod_name = "bench";
  return request;
}

void BM_cni_attach(::benchmark::State& state) {
  const Chain chain = chain_of(state.range(0));
  if (!is_there(state, chain)) return;
  std::ofstream(place("conf/1.conflist"))
      << R"({"name":"bench","cniVersion":"1.0.0","plugins":[)" << chain.plugin << "]}";
  const std::unique_ptr<Ring> ring = must(Ring::create());
  Log log(LogLevel::error);
  NamespacePool pool(*ring, NamespacePool::kPod, 4);
  pool.prefill();
  networking::CniOptions options;
  options.conf_dir = place("conf");
  options.state_dir = place("state");
  options.chain.bin_dirs = {place("bin"), kDebian};
  networking::CniNetwork network(
      networking::CniParts{*ring, log, std::move(options), [&pool] { return pool.take(); }});
  must(ring->run_until(network.recover({})));
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    plugins::NetworkAttachment attached = must(ring->run_until(network.attach(request())));
    state.SetIterationTime(seconds_since(begin));
    plugins::NetworkPod pod;
    pod.request = request();
    pod.result = std::move(attached.result);
    pod.netns = std::move(attached.netns);
    must(ring->run_until(network.detach(std::move(pod))));
  }
  must(ring->run_until(network.close()));
  must(ring->run_until(pool.close()));
}

// Runs the plugin with the file `input` as its standard input.
void run_by_hand(const Chain& chain, const char* command, const std::string& netns) {
  const std::string path = program(chain);
  std::vector<std::string> texts = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                    std::string("CNI_PATH=") + kDebian,
                                    std::string("CNI_COMMAND=") + command,
                                    "CNI_CONTAINERID=bench",
                                    "CNI_IFNAME=eth0",
                                    "CNI_NETNS=" + netns};
  std::vector<char*> environment;
  for (std::string& text : texts) environment.push_back(text.data());
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, place("input").c_str(), O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, place("output").c_str(), O_WRONLY | O_CREAT,
                                     0600);
  std::string name = chain.type;
  char* arguments[] = {name.data(), nullptr};
  pid_t pid = -1;
  must_call(-::posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments, environment.data()),
            "posix_spawn");
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  must_call(::waitpid(pid, &status, 0), "waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) give_up(name + " " + command + " failed");
}

void BM_cni_plugins_by_hand(::benchmark::State& state) {
  const Chain chain = chain_of(state.range(0));
  if (!is_there(state, chain)) return;
  std::string input = chain.plugin;
  input.insert(1, R"("name":"bench","cniVersion":"1.0.0",)");
  std::ofstream(place("input")) << input;
  for (auto _ : state) {
    const sys::NamespaceSet set = must(sys::make_namespaces(NamespacePool::kPod));
    const std::string netns =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(set.netns.get());
    const auto begin = std::chrono::steady_clock::now();
    run_by_hand(chain, "ADD", netns);
    state.SetIterationTime(seconds_since(begin));
    run_by_hand(chain, "DEL", netns);
  }
}

void cases(::benchmark::internal::Benchmark* all) {
  all->ArgName("bridge")->Arg(0)->Arg(1)->UseManualTime()->Unit(::benchmark::kMicrosecond);
  add_deviation(all);
}

BENCHMARK(BM_cni_attach)->Apply(cases);
BENCHMARK(BM_cni_plugins_by_hand)->Apply(cases);

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run_cases(argc, argv, berth::bench::prepare);
}
