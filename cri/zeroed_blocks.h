// SPDX-License-Identifier: Apache-2.0
// LMDB callocs 2 MiB for each store it opens, the list of the largest transaction there could be.
// An allocator that clears memory by writing to it makes them resident for the life of the agent;
// this gives them back.
#pragma once

#include <cstddef>
#include <vector>

namespace berth::cri {

// Notes the large blocks that are allocated while it lives. One at a time in a process.
class ZeroedBlocks {
 public:
  ZeroedBlocks();
  ZeroedBlocks(const ZeroedBlocks&) = delete;
  ~ZeroedBlocks();

  // Pages of the noted blocks that hold nothing but zeros go back to the kernel, which gives zeros
  // when they are touched again. No thread uses the blocks meanwhile. Gives the number of bytes.
  std::size_t give_back();

 private:
  struct Block {
    const void* start;
    std::size_t size;
  };
  static void on_new(const void* start, std::size_t size);

  std::vector<Block> blocks_;
};

}  // namespace berth::cri
