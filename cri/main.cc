// SPDX-License-Identifier: Apache-2.0
// berthd: builds the parts, reconciles the records with the kernel, serves the CRI until a signal,
// and ends in order. Containers go on without it.
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
#include "cri/container/kernel_sources.h"
#include "cri/container/mount_points.h"
#include "cri/layers/snapshot_layers.h"
#include "cri/methods.h"
#include "cri/network_log.h"
#include "cri/options.h"
#include "cri/reconcile/reconcile.h"
#include "cri/rpc/quiet_engine.h"
#include "cri/rpc/server.h"
#include "cri/sandbox/files.h"
#include "cri/zeroed_blocks.h"
#include "plugins/builtin.h"

namespace berth::cri {

namespace {

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
  // Snapshots hold the files of every image, also setuid ones: other users must not list them.
  for (const std::string& dir : {layout.root_dir(), layout.state_dir()}) {
    if (::chmod(dir.c_str(), 0711) != 0) return sys_error(errno, "chmod", dir);
  }
  TRY_(check_room(layout.state_dir()));
  return make_mount_points(layout.mount_points());
}

// Returns free heap and text pages.
void give_back() {
  MallocExtension::instance()->ReleaseFreeMemory();
  sys::drop_text_pages();
}

// Members in the order in which they are built; the language destroys them in reverse.
struct Parts {
  explicit Parts(const Options& options)
      : log(options.log_level),
        layout(options.root_dir, options.state_dir),
        mount_features(sys::MountFeatures::probe()) {}

  Log log;
  store::Layout layout;
  sys::MountFeatures mount_features;
  Pods pods;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<Quiet> quiet;
  std::unique_ptr<NamespacePool> namespaces;
  std::unique_ptr<store::State> state;
  std::unique_ptr<store::State> image_state;
  std::unique_ptr<image::ContentStore> content;
  std::unique_ptr<image::ImageStore> images;
  plugins::Registry registry;
  Handlers handlers;
  Networks networks;
  std::unique_ptr<SandboxFiles> sandbox_files;
  std::unique_ptr<Sources> sources;
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
      parts.state->quarantine_damaged(
          {records::kSandboxes, records::kContainers, records::kSeccompProfiles}));
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

Status build_handlers(Parts& parts, const Options& options) {
  for (const auto& [name, network] : parts.registry.networks.all()) parts.networks.add(*network);
  parts.networks.set_defaults(parts.registry.default_networks);
  for (const HandlerOptions& wanted : options.handlers) {
    const std::optional<std::string>& chosen = wanted.network ? wanted.network : options.network;
    Handler handler;
    handler.name = wanted.name;
    TRY(handler.runtime, parts.registry.runtime_handlers.find(wanted.plugin));
    if (chosen) {
      TRY(handler.chosen_network, parts.registry.networks.find(*chosen));
    }
    handler.pids_limit = wanted.pids_limit.value_or(options.pids_limit);
    TRY_(parts.handlers.add(std::move(handler)));
  }
  return {};
}

Status build_plugins(Parts& parts, const Options& options) {
  parts.namespaces =
      std::make_unique<NamespacePool>(*parts.ring, NamespacePool::kPod, options.namespace_pool);
  const plugins::BuiltinParts builtin{.ring = *parts.ring,
                                      .log = parts.log,
                                      .layout = parts.layout,
                                      .keeper_binary = options.keeper_binary,
                                      .cgroup_parent = options.cgroup_parent,
                                      .cni_conf_dir = options.cni_conf_dir,
                                      .cni_bin_dirs = options.cni_bin_dirs,
                                      .namespaces = *parts.namespaces};
  TRY_(plugins::add_builtin(parts.registry, builtin));
  TRY_(build_handlers(parts, options));
  TRY(plugins::Snapshotter * snapshotter, parts.registry.snapshotters.find("overlay"));
  TRY(plugins::ResourcesPlugin * resources,
      parts.registry.resources.find(parts.registry.resources.names()));
  parts.sandbox_files = std::make_unique<KernelSandboxFiles>(*parts.ring, parts.layout,
                                                             parts.mount_features.clones_detached);
  parts.sources = std::make_unique<KernelSources>(*parts.ring, parts.mount_features,
                                                  options.seccomp_profile_root);
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
                            .resources = *resources,
                            .handlers = parts.handlers,
                            .networks = parts.networks,
                            .sandbox_files = *parts.sandbox_files,
                            .sources = *parts.sources,
                            .mount_features = parts.mount_features,
                            .content = *parts.content,
                            .images = *parts.images,
                            .puller = *parts.puller,
                            .attempts = *parts.attempts,
                            .pods = parts.pods,
                            .quiet = *parts.quiet});
  return {};
}

Task<void> recover(Parts& parts) {
  co_await parts.node->snapshotter.recover();
  const ReconcileReport report = co_await reconcile(*parts.node, *parts.watch);
  for (const std::string& line : report.mended) parts.log.warn("reconcile", line);
  for (const std::string& line : report.failed) parts.log.error("reconcile", line);
  parts.log.info("reconcile", report.summary());
  parts.namespaces->prefill();
  Result<void> swept = co_await parts.puller->sweep().result();
  if (!swept.ok()) parts.log.warn("image", "sweep: " + swept.error().message());
  parts.watch->spawn(parts.quiet->watch());
  for (const auto& [name, network] : parts.networks.all()) {
    parts.watch->spawn(log_network_changes(parts.log, *network));
  }
  // The start itself has used memory that is not needed again.
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
  // Attempts get the same time as calls to end; then they are cancelled, which undoes them.
  const Deadline grace = Deadline::after_ms(kShutdownGraceMs);
  static_cast<void>(co_await with_deadline(*parts.ring, grace, parts.attempts->close()).result());
  for (const auto& [name, network] : parts.networks.all()) co_await network->close();
  co_await parts.namespaces->close();
  co_await parts.node->snapshotter.close();
  co_await parts.node->resources.close();
  for (plugins::RuntimeHandler* const runtime : parts.handlers.runtimes()) {
    Result<void> closed = co_await runtime->close().result();
    if (!closed.ok()) {
      parts.log.warn("main", "close runtime handler " + std::string(runtime->name()) + ": " +
                                 closed.error().message());
    }
  }
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
  // Containers whose parent dies become children of the agent, which so learns their exit codes.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sys::ask_for_short_slices();
  Parts parts(options);
  // The threads of gRPC need little memory; the allocator would keep up to 32 MiB for them.
  constexpr std::size_t kThreadCacheBytesMax = 2_MiB;
  MallocExtension::instance()->SetNumericProperty("tcmalloc.max_total_thread_cache_bytes",
                                                  kThreadCacheBytesMax);
  TRY(parts.ring, Ring::create());
  parts.quiet = std::make_unique<Quiet>(*parts.ring, give_back);
  rpc::install_quiet_engine();
  // Lives until the snapshotter has opened its stores, too; none is used before recover().
  auto stores_memory = std::make_unique<ZeroedBlocks>();
  TRY_(open_stores(parts, options));
  Status built = build_plugins(parts, options);
  stores_memory->give_back();
  stores_memory.reset();
  TRY_(std::move(built));
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
