// SPDX-License-Identifier: Apache-2.0
// The extraction of one layer as a program, for the scripts of the tests:
//
//   unpack_tool [--lower DIR]... [--LIMIT N]... BLOB DIR
//
// BLOB is a plain, gzip or zstd tar; DIR is there and empty; lowers nearest first. LIMIT is one of
// entries-max, bytes-max, file-size-max (unpack.h), size-max, ratio-max, ratio-grace (inflate.h).
// Status 0 and one line of figures, or 1 and the error's text on stderr.
#include <fcntl.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/unpack/inflate.h"
#include "core/image/unpack/unpack.h"

namespace berth::image {
namespace {

struct Options {
  std::vector<std::string> lowers;
  std::vector<std::string> positional;
  UnpackLimits unpack;
  image::InflateLimits inflate;
};

std::uint64_t* limit_named(Options& options, std::string_view name) {
  if (name == "--entries-max") return &options.unpack.entries_max;
  if (name == "--bytes-max") return &options.unpack.bytes_max;
  if (name == "--file-size-max") return &options.unpack.file_size_max;
  if (name == "--size-max") return &options.inflate.size_max;
  if (name == "--ratio-max") return &options.inflate.ratio_max;
  if (name == "--ratio-grace") return &options.inflate.ratio_grace;
  return nullptr;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    std::uint64_t* const limit = limit_named(options, argument);
    if (!argument.starts_with("--")) {
      options.positional.emplace_back(argument);
    } else if (i + 1 == argc) {
      return false;
    } else if (limit != nullptr) {
      *limit = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--lower") {
      options.lowers.emplace_back(argv[++i]);
    } else {
      return false;
    }
  }
  return options.positional.size() == 2;
}

Result<UniqueFd> open_path(const std::string& path, int flags) {
  UniqueFd opened(::open(path.c_str(), flags | O_CLOEXEC));
  if (!opened.valid()) return sys_error(errno, "open", path);
  return opened;
}

Result<UnpackStats> run(const Options& options) {
  const std::string& blob = options.positional[0];
  TRY(const UniqueFd directory, open_path(options.positional[1], O_RDONLY | O_DIRECTORY));
  std::vector<UniqueFd> lowers;
  for (const std::string& path : options.lowers) {
    TRY(UniqueFd lower, open_path(path, O_RDONLY | O_DIRECTORY));
    lowers.push_back(std::move(lower));
  }
  TRY(UniqueFd file, open_path(blob, O_RDONLY));
  image::FileSource source(std::move(file), blob);
  TRY(const auto tar, image::make_inflater(source, blob, options.inflate));
  const LayerPlace place = lowers.empty() ? LayerPlace::lowest : LayerPlace::above_others;
  TRY(const UnpackResult result, unpack_layer(directory.get(), place, blob, *tar, options.unpack));
  TRY_(adopt_directories(directory.get(), lowers, result.implied, blob));
  return result.stats;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

int run_main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: unpack_tool [--lower DIR]... [--LIMIT N]... BLOB DIR\n");
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  const Result<UnpackStats> stats = run(options);
  if (!stats.ok()) {
    std::fprintf(stderr, "%s\n", stats.error().message().c_str());
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  std::printf("entries %llu bytes %llu wall %.3f s user %.3f s system %.3f s peak %ld KiB\n",
              static_cast<unsigned long long>(stats->entries),
              static_cast<unsigned long long>(stats->bytes), took.count(), seconds(used.ru_utime),
              seconds(used.ru_stime), used.ru_maxrss);
  return 0;
}

}  // namespace
}  // namespace berth::image

int main(int argc, char** argv) {
  return berth::image::run_main(argc, argv);
}
