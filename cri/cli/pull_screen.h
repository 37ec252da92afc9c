// SPDX-License-Identifier: Apache-2.0
// Shows a pull on a terminal: one line for each layer, drawn over the previous drawing. All but
// TerminalBlock is pure: the caller passes time and width.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cri/proto/berth/images.pb.h"

namespace berth::cli {

class PullScreen {
 public:
  explicit PullScreen(std::string name) : name_(std::move(name)) {}

  // The lines for `event`: at most `rows`, none longer than `columns`. Finished layers are left out
  // first. `now_ms` must not decrease.
  std::vector<std::string> lines(const berth::v1::PullEvent& event, std::int64_t now_ms,
                                 std::size_t columns, std::size_t rows);

 private:
  // The transfer rate, measured over the last second or two.
  struct Rate {
    std::int64_t since_ms = 0;
    std::uint64_t bytes = 0;
    double per_second = 0;
  };
  std::string line(const berth::v1::LayerProgress& layer, std::int64_t now_ms);

  std::string name_;
  std::map<std::string, Rate> rates_;
};

// "sha256:abc… 91.2MB in 1.84 s", or "is up to date" when nothing was transferred.
std::string pull_summary(const std::string& name, const berth::v1::PullDone& done,
                         std::int64_t took_ms);

// Draws blocks of lines over each other on a terminal's descriptor.
class TerminalBlock {
 public:
  explicit TerminalBlock(int fd) : fd_(fd) {}
  void draw(const std::vector<std::string>& lines);
  std::size_t columns() const;
  std::size_t rows() const;

 private:
  int fd_;
  std::size_t drawn_ = 0;
};

}  // namespace berth::cli
