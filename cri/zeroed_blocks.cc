// SPDX-License-Identifier: Apache-2.0
#include "cri/zeroed_blocks.h"

#include <gperftools/malloc_hook.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace berth::cri {
namespace {

constexpr std::size_t kLargeBytes = 1u << 20;
constexpr std::size_t kBlocksMax = 64;

// The allocator's hook is a plain function: it finds its object here, on the thread that notes.
thread_local ZeroedBlocks* noting = nullptr;

bool all_zero(const char* page, std::size_t size) {
  return std::all_of(page, page + size, [](char c) { return c == 0; });
}

}  // namespace

ZeroedBlocks::ZeroedBlocks() {
  blocks_.reserve(kBlocksMax);  // the hook must not allocate
  noting = this;
  MallocHook::AddNewHook(&ZeroedBlocks::on_new);
}

ZeroedBlocks::~ZeroedBlocks() {
  MallocHook::RemoveNewHook(&ZeroedBlocks::on_new);
  noting = nullptr;
}

void ZeroedBlocks::on_new(const void* start, std::size_t size) {
  if (noting == nullptr || size < kLargeBytes || noting->blocks_.size() == kBlocksMax) return;
  noting->blocks_.push_back({start, size});
}

std::size_t ZeroedBlocks::give_back() {
  const std::size_t page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::size_t bytes = 0;
  for (const Block& block : blocks_) {
    const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(block.start);
    std::uintptr_t page = (start + page_size - 1) / page_size * page_size;
    for (; page + page_size <= start + block.size; page += page_size) {
      char* const memory = reinterpret_cast<char*>(page);
      if (!all_zero(memory, page_size)) continue;
      if (::madvise(memory, page_size, MADV_DONTNEED) == 0) bytes += page_size;
    }
  }
  return bytes;
}

}  // namespace berth::cri
