// SPDX-License-Identifier: Apache-2.0
// Question: how long does it take to record 1 KiB so that a crash of the process cannot lose it or
// leave a part of it?
// Baseline: writing a new file and renaming it over the old one.
// Non-goals: crashes of the node (no fsync on either side), readers, large records.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "bench/micro/place.h"
#include "core/base/unique_fd.h"
#include "core/store/state.h"

namespace berth::bench {
namespace {

constexpr store::Table kRecords{"records", 1};
constexpr std::size_t kKeys = 64;  // the number of sandboxes of a busy node

std::vector<std::string> make_names() {
  std::vector<std::string> names;
  for (std::size_t index = 0; index < kKeys; ++index) {
    names.push_back("record-" + std::to_string(index));
  }
  return names;
}

void BM_record_by_state(::benchmark::State& state) {
  store::State records = must(store::State::open(place("state"), {}));
  const std::vector<std::string> names = make_names();
  const std::string value(1024, 'v');
  std::size_t next = 0;
  for (auto _ : state) must(records.put(kRecords, names[next++ % kKeys], value));
}

void replace_file(int directory, const std::string& name, const std::string& value) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const UniqueFd file(
      static_cast<int>(must_call(::openat(directory, "new", kFlags, 0600), "openat")));
  const long wrote = must_call(::write(file.get(), value.data(), value.size()), "write");
  if (static_cast<std::size_t>(wrote) != value.size()) give_up("a short write");
  must_call(::renameat(directory, "new", directory, name.c_str()), "renameat");
}

void BM_record_by_rename(::benchmark::State& state) {
  const UniqueFd directory(static_cast<int>(
      must_call(::open(kPlace, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open the place")));
  const std::vector<std::string> names = make_names();
  const std::string value(1024, 'v');
  std::size_t next = 0;
  for (auto _ : state) replace_file(directory.get(), names[next++ % kKeys], value);
}

BENCHMARK(BM_record_by_state)->Apply(figures);
BENCHMARK(BM_record_by_rename)->Apply(figures);

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run_cases(argc, argv);
}
