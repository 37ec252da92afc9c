// SPDX-License-Identifier: Apache-2.0
// berthd: builds the parts, brings records and kernel together, serves the CRI until a signal, and
// ends in an orderly way. Containers and the keeper go on without it.
#include <errno.h>
#include <fcntl.h>
#include <gperftools/malloc_extension.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "core/image/content/content.h"
#include "core/linux/short_slice.h"
#include "core/linux/text_pages.h"
#include "core/ring/with_deadline.h"
#include "cri/admin/methods.h"
#include "cri/container/calls.h"
#include "cri/container/mount_points.h"
#include "cri/layers/snapshot_layers.h"
#include "cri/methods.h"
#include "cri/options.h"
#include "cri/reconcile.h"
#include "cri/rpc/quiet_engine.h"
#include "cri/rpc/server.h"
#include "cri/zeroed_blocks.h"
#include "plugins/builtin.h"

namespace berth::cri {

namespace {

constexpr std::int64_t kKeeperStartMsMax = 10'000;
constexpr std::int64_t kShutdownGraceMs = 5'000;

// Blocked before the first thread exists, so that every thread inherits it and signalfd sees them.
Result<UniqueFd> block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return sys_error(errno, "pthread_sigmask");
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd.valid()) return sys_error(errno, "signalfd");
  return fd;
}

// Every pod costs a handful of descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The state store and the keeper's table are mapped files: a page that the filesystem has no room
// for is a SIGBUS later, so room is asked for now.
Status check_room(const std::string& dir) {
  constexpr off_t kRoomBytes = 1_MiB;
  const UniqueFd probe(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!probe.valid()) return sys_error(errno, "open O_TMPFILE", dir).with("state directory");
  const int failed = ::posix_fallocate(probe.get(), 0, kRoomBytes);
  if (failed != 0) {
    return sys_error(failed, "posix_fallocate", dir).with("state directory needs 1 MiB of room");
  }
  return {};
}

Status make_directories(const store::Layout& layout, const std::string& listen) {
  for (const std::string& dir :
       {layout.root_dir(), layout.state_dir(), layout.snapshots(),
        std::filesystem::path(listen.substr(sizeof "unix://" - 1)).parent_path().string()}) {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (failed) return sys_error(failed.value(), "mkdir", dir);
  }
  // Snapshots hold the files of every image, setuid ones included: not for everybody's eyes.
  for (const std::string& dir : {layout.root_dir(), layout.state_dir()}) {
    if (::chmod(dir.c_str(), 0711) != 0) return sys_error(errno, "chmod", dir);
  }
  TRY_(check_room(layout.state_dir()));
  return make_mount_points(layout.mount_points());
}

// What only the past needed.
void give_back() {
  MallocExtension::instance()->ReleaseFreeMemory();
  sys::drop_text_pages();
}

// Members in the order in which they are built; the language destroys them in reverse.
struct Parts {
  explicit Parts(const Options& options)
      : log(options.log_level),
        layout(options.root_dir, options.state_dir),
        mount_features(sys::MountFeatures::probe()),
        seccomp(options.pods.seccomp_profile_root) {}

  Log log;
  store::Layout layout;
  sys::MountFeatures mount_features;
  SeccompCache seccomp;
  Pods pods;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<Quiet> quiet;
  std::unique_ptr<store::State> state;
  std::unique_ptr<store::State> image_state;
  std::unique_ptr<image::ContentStore> content;
  std::unique_ptr<image::ImageStore> images;
  std::unique_ptr<keeper::KeeperClient> keeper;
  std::unique_ptr<container::NamespacePool> ipc_uts;
  std::unique_ptr<Volumes> volumes;
  plugins::Registry registry;
  std::unique_ptr<cri::SnapshotLayers> layers;
  std::unique_ptr<image::Puller> puller;
  std::unique_ptr<Scope> attempts;
  std::unique_ptr<Scope> calls;
  std::unique_ptr<Scope> watch;
  std::unique_ptr<Node> node;
};

Status open_stores(Parts& parts, const Options& options) {
  TRY_(make_directories(parts.layout, options.listen));
  Result<store::State> state = store::State::open(parts.layout.state_store(), {});
  if (!state.ok()) return std::move(state).error().with("state store");
  parts.state = std::make_unique<store::State>(std::move(*state));
  TRY(const std::vector<store::Quarantined> damaged,
      parts.state->quarantine_damaged({records::kSandboxes, records::kContainers}));
  for (const store::Quarantined& record : damaged) {
    parts.log.error("state",
                    "quarantined " + record.table + "/" + record.key + ": " + record.reason);
  }
  store::StateOptions durable;
  durable.durable = true;
  Result<store::State> images = store::State::open(parts.layout.images_store(), durable);
  if (!images.ok()) return std::move(images).error().with("image store");
  parts.image_state = std::make_unique<store::State>(std::move(*images));
  TRY(parts.images, image::ImageStore::open(*parts.image_state));
  TRY(image::ContentStore content, image::ContentStore::open(parts.layout.content()));
  parts.content = std::make_unique<image::ContentStore>(std::move(content));
  return {};
}

Status build_plugins(Parts& parts, const Options& options) {
  const plugins::BuiltinParts builtin{.ring = *parts.ring,
                                      .log = parts.log,
                                      .layout = parts.layout,
                                      .keeper = *parts.keeper,
                                      .cgroup_parent = options.cgroup_parent,
                                      .namespace_pool = options.namespace_pool};
  TRY_(plugins::add_builtin(parts.registry, builtin));
  parts.ipc_uts = std::make_unique<container::NamespacePool>(
      *parts.ring, CLONE_NEWIPC | CLONE_NEWUTS, options.namespace_pool);
  parts.volumes = std::make_unique<Volumes>(*parts.ring);
  TRY(plugins::Snapshotter * snapshotter, parts.registry.snapshotters.find("overlay"));
  TRY(plugins::Network * isolated, parts.registry.networks.find("isolated"));
  TRY(plugins::Network * host, parts.registry.networks.find("host"));
  TRY(plugins::RuntimeHandler * native, parts.registry.runtime_handlers.find("native"));
  TRY(plugins::ResourcesPlugin * resources,
      parts.registry.resources.find(parts.registry.resources.names()));
  Log& log = parts.log;
  const auto on_error = [&log](Error error) { log.error("call", error.message()); };
  ReadyQueue& ready = parts.ring->ready();
  parts.attempts = std::make_unique<Scope>(ready, on_error);
  parts.calls = std::make_unique<Scope>(ready, on_error);
  parts.watch = std::make_unique<Scope>(ready, on_error);
  parts.layers =
      std::make_unique<cri::SnapshotLayers>(*parts.ring, *snapshotter, parts.layout.snapshots());
  image::PullOptions pull;
  pull.registry.insecure_hosts = options.insecure_registries;
  pull.registry.config_dir = options.registry_config_dir;
  pull.registry.registries_conf = options.registries_conf;
  parts.puller = std::make_unique<image::Puller>(*parts.ring, *parts.content, *parts.images,
                                                 *parts.layers, parts.log, pull);
  parts.node.reset(new Node{.ring = *parts.ring,
                            .log = parts.log,
                            .layout = parts.layout,
                            .state = *parts.state,
                            .snapshotter = *snapshotter,
                            .pod_network = *isolated,
                            .host_network = *host,
                            .resources = *resources,
                            .handler = *native,
                            .keeper = *parts.keeper,
                            .ipc_uts = *parts.ipc_uts,
                            .volumes = *parts.volumes,
                            .mount_features = parts.mount_features,
                            .content = *parts.content,
                            .images = *parts.images,
                            .puller = *parts.puller,
                            .attempts = *parts.attempts,
                            .pods = parts.pods,
                            .seccomp = parts.seccomp,
                            .quiet = *parts.quiet,
                            .options = options.pods});
  return {};
}

Task<void> connect_keeper(Parts& parts, const Options& options) {
  keeper::ClientOptions wanted;
  wanted.keeper_binary = options.keeper_binary;
  wanted.state_dir = options.state_dir;
  const Deadline deadline = Deadline::after_ms(kKeeperStartMsMax);
  parts.keeper = co_await keeper::KeeperClient::connect_or_start(*parts.ring, parts.log,
                                                                 std::move(wanted), deadline);
}

Task<void> recover(Parts& parts) {
  co_await parts.node->snapshotter.recover();
  const ReconcileReport report = co_await reconcile(*parts.node, *parts.watch);
  for (const std::string& line : report.mended) parts.log.warn("reconcile", line);
  for (const std::string& line : report.failed) parts.log.error("reconcile", line);
  parts.log.info("reconcile", report.summary());
  Result<void> swept = co_await parts.puller->sweep().result();
  if (!swept.ok()) parts.log.warn("image", "sweep: " + swept.error().message());
  parts.ipc_uts->prefill();
  parts.watch->spawn(parts.quiet->watch());
  // The start itself has touched much that is not needed again.
  parts.quiet->touch();
}

Task<void> until_signal(Parts& parts, const UniqueFd& signals) {
  signalfd_siginfo info{};
  const std::span<char> into(reinterpret_cast<char*>(&info), sizeof info);
  co_await parts.ring->read(signals.get(), into);
  parts.log.info("main", "signal " + std::to_string(info.ssi_signo) + ": ending");
}

Task<void> close_parts(Parts& parts) {
  parts.watch->cancel();
  co_await parts.watch->close();
  co_await parts.puller->close();
  // What outlives its caller has had the calls' time to end well; cancelled, it is undone.
  const Deadline grace = Deadline::after_ms(kShutdownGraceMs);
  static_cast<void>(co_await with_deadline(*parts.ring, grace, parts.attempts->close()).result());
  co_await parts.node->pod_network.close();
  co_await parts.node->snapshotter.close();
  co_await parts.node->resources.close();
  co_await parts.ipc_uts->close();
  // A keeper that keeps nothing has no reason to stay; one that does is the next agent's to find.
  if (parts.keeper->list().empty() && parts.keeper->held_keys().empty()) {
    const Deadline deadline = Deadline::after_ms(kKeeperMsMax);
    Result<void> ended = co_await parts.keeper->shutdown(deadline).result();
    if (!ended.ok()) parts.log.warn("main", "end the keeper: " + ended.error().message());
  }
  co_await parts.keeper->close();
}

// From the first call to the last.
Status serve_calls(Parts& parts, const Options& options, const UniqueFd& signals) {
  rpc::Methods methods = runtime_v1(*parts.node);
  admin::add_methods(*parts.node, methods);
  rpc::ServerParts face{
      .ring = *parts.ring,
      .calls = *parts.calls,
      .methods = methods,
      .on_call = [&parts]() { parts.quiet->touch(); },
      .on_refused = [&parts](const std::string& why) { parts.log.warn("rpc", why); }};
  TRY(const std::unique_ptr<rpc::Server> server,
      rpc::Server::start(std::move(face), options.listen));
  rpc::stop_timer_thread();
  parts.log.info("main", "serving runtime.v1 on " + options.listen);
  Status waited = parts.ring->run_until(until_signal(parts, signals));
  parts.log.info("main", "no new calls; running ones have 5 s");
  Status ended = parts.ring->run_until(server->shut_down(kShutdownGraceMs));
  return waited.ok() ? std::move(ended) : std::move(waited);
}

Status serve(const Options& options) {
  if (::geteuid() != 0) {
    return make_error(Errc::permission_denied,
                      "berthd must run as root: it makes namespaces, "
                      "mounts and cgroups");
  }
  TRY(const UniqueFd signals, block_signals());
  raise_descriptor_limit();
  // Containers whose keeper dies come to us, so that their exit codes are not lost.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sys::ask_for_short_slices();
  Parts parts(options);
  // A thread of gRPC's needs little; the allocator would keep up to 32 MiB for threads.
  constexpr std::size_t kThreadCacheBytesMax = 2_MiB;
  MallocExtension::instance()->SetNumericProperty("tcmalloc.max_total_thread_cache_bytes",
                                                  kThreadCacheBytesMax);
  TRY(parts.ring, Ring::create());
  parts.quiet = std::make_unique<Quiet>(*parts.ring, give_back);
  rpc::install_quiet_engine();
  // Until the snapshotter has opened its stores too; nobody works with them before recover().
  auto stores_memory = std::make_unique<ZeroedBlocks>();
  TRY_(open_stores(parts, options));
  TRY_(parts.ring->run_until(connect_keeper(parts, options)));
  Status built = build_plugins(parts, options);
  stores_memory->give_back();
  stores_memory.reset();
  if (!built.ok()) {
    // The client of the keeper ends in order even then: the keeper and its containers go on.
    static_cast<void>(parts.ring->run_until(parts.keeper->close()));
    return built;
  }
  Status served = parts.ring->run_until(recover(parts));
  if (served.ok()) served = serve_calls(parts, options, signals);
  Status closed = parts.ring->run_until(close_parts(parts));
  return served.ok() ? std::move(closed) : std::move(served);
}

}  // namespace

}  // namespace berth::cri

int main(int argc, char** argv) {
  bool help = false;
  berth::Result<berth::cri::Options> options = berth::cri::parse_options(argc, argv, &help);
  if (help) return 0;
  const berth::Status served = options.ok() ? berth::cri::serve(*options) : options.error();
  if (served.ok()) return 0;
  std::fprintf(stderr, "berthd: %s\n", served.error().message().c_str());
  return 1;
}
