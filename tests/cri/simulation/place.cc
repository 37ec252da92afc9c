// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/place.h"

#include <fcntl.h>

#include <filesystem>
#include <utility>

#include "cri/state/records.h"
#include "tests/cri/simulation/virtual_clock.h"

namespace berth::simulation {

namespace {

image::NewImage busybox() {
  image::NewImage made;
  made.reference = oci::parse_reference(kImage).value();
  made.manifest_digest = oci::digest_of("manifest");
  made.root_digest = made.manifest_digest;
  made.config_json = R"({"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},)"
                     R"("rootfs":{"type":"layers","diff_ids":[")" +
                     oci::digest_of("layer").text() + R"("]}})";
  made.layers = {{oci::digest_of("blob"), 1000}};
  return made;
}

std::unique_ptr<store::State> open_state(const std::string& directory, bool durable) {
  store::StateOptions options;
  options.durable = durable;
  return std::make_unique<store::State>(store::State::open(directory, options).value());
}

}  // namespace

Place::Place(bool is_told)
    : log_file_(::open(is_told ? "/dev/stderr" : "/dev/null", O_WRONLY | O_CLOEXEC)),
      log(LogLevel::debug, log_file_.get()),
      layout(dir_ / "root", dir_ / "state") {
  for (const std::string& directory : {layout.root_dir(), layout.state_dir()}) {
    std::filesystem::create_directories(directory);
  }
  state = open_state(layout.state_store(), false);
  image_state = open_state(layout.images_store(), true);
  images = image::ImageStore::open(*image_state).value();
  static_cast<void>(images->add(busybox()).value());
  for (const image::ImageEntry& entry : images->list()) layer_ = entry.image->chain_ids.back();
  content =
      std::make_unique<image::ContentStore>(image::ContentStore::open(layout.content()).value());
  auto kernel = std::make_unique<VirtualBackend>();
  backend = kernel.get();
  ring = Ring::create(std::move(kernel), {}).value();
  layers = std::make_unique<cri::SnapshotLayers>(*ring, unused_snapshotter, layout.snapshots());
  puller =
      std::make_unique<image::Puller>(*ring, *content, *images, *layers, log, image::PullOptions());
  quiet = std::make_unique<cri::Quiet>(*ring, []() {});
  start_virtual_time();
}

Place::~Place() {
  static_cast<void>(ring->run_until(puller->close()));
  stop_virtual_time();
}

void Place::clear_records() {
  const Status cleared = state->write([](store::WriteTxn& txn) -> Status {
    std::vector<std::pair<store::Table, std::string>> keys;
    for (const store::Table table : {cri::records::kSandboxes, cri::records::kContainers}) {
      TRY_(txn.for_each(table, [&keys, table](std::string_view key, std::string_view) {
        keys.emplace_back(table, key);
        return true;
      }));
    }
    for (const auto& [table, key] : keys) {
      TRY([[maybe_unused]] const bool was_there, txn.erase(table, key));
    }
    return {};
  });
  CHECK(cleared.ok());
}

}  // namespace berth::simulation
