// SPDX-License-Identifier: Apache-2.0
// A LayerStore that keeps each layer's stream in memory and checks the contract: one extraction of
// a chain id at a time, parents committed before children, children removed first.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/image/pull/layer_store.h"

namespace berth::image {

class MemoryLayers final : public LayerStore {
 public:
  struct Layer {
    std::string parent;
    bool lowest = false;
  };

  Task<bool> has(std::string chain_id) override { co_return committed.count(chain_id) != 0; }
  Task<LayerTarget> begin(std::string chain_id, bool lowest) override {
    EXPECT_EQ(committed.count(chain_id), 0u);
    EXPECT_TRUE(running.insert(chain_id).second) << "the same layer is extracted twice at once";
    active[chain_id].lowest = lowest;
    ++extractions;
    co_return LayerTarget{};
  }
  Result<ExtractedLayer> extract(const LayerTarget&, std::string_view, ByteSource& tar) override {
    std::string all;
    std::string buffer(10'000, '\0');
    if (before_extract) before_extract();
    // Stops before the end, as a tar reader does.
    while (all.size() < extract_at_most) {
      TRY(const std::size_t got, tar.read(buffer.data(), buffer.size()));
      if (got == 0) break;
      all.append(buffer, 0, got);
    }
    const std::lock_guard<std::mutex> lock(mutex);
    extracted.push_back(all);
    return ExtractedLayer{implied};
  }
  Task<void> commit(std::string chain_id, std::string parent, ExtractedLayer) override {
    EXPECT_TRUE(parent.empty() || committed.count(parent) != 0) << "a parent is missing";
    EXPECT_EQ(running.erase(chain_id), 1u);
    committed[chain_id] = active[chain_id];
    committed[chain_id].parent = parent;
    EXPECT_EQ(committed[chain_id].lowest, parent.empty());
    active.erase(chain_id);
    if (on_commit) on_commit();
    co_return;
  }
  Task<void> abort(std::string chain_id) override {
    running.erase(chain_id);
    active.erase(chain_id);
    co_return;
  }
  Task<void> abort_unfinished() override {
    EXPECT_TRUE(running.empty());
    if (abort_unfinished_fails) co_await fail(Errc::internal, "the disk does not read");
    active.clear();
  }
  Status sync() override {
    ++syncs;
    if (sync_fails) return make_error(Errc::internal, "the disk is slow");
    return {};
  }
  Task<std::vector<std::string>> list() override {
    std::vector<std::string> all;
    for (const auto& [chain_id, layer] : committed) all.push_back(chain_id);
    co_return all;
  }
  Task<void> remove(std::string chain_id) override {
    bool used = in_use.count(chain_id) != 0;
    for (const auto& [other, layer] : committed) used = used || layer.parent == chain_id;
    if (used) {
      Error error = make_error(Errc::failed_precondition, "in use");
      co_await fail(std::move(error));
    }
    committed.erase(chain_id);
  }

  std::map<std::string, Layer> committed;
  std::map<std::string, Layer> active;  // begun by this or an earlier process
  std::set<std::string> running;        // begun by this process
  std::set<std::string> in_use;         // by containers
  std::size_t extract_at_most = 1 << 30;
  std::vector<std::string> implied;      // returned by every extraction
  std::function<void()> before_extract;  // on the extraction's thread
  std::function<void()> on_commit;
  int extractions = 0;
  std::atomic<int> syncs{0};
  std::atomic<bool> sync_fails{false};
  bool abort_unfinished_fails = false;
  std::mutex mutex;
  std::vector<std::string> extracted;  // guarded by mutex
};

}  // namespace berth::image
