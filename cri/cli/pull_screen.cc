// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/pull_screen.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cri/cli/display.h"

namespace berth::cli {

namespace {

constexpr std::int64_t kRateWindowMs = 1000;

using Layer = berth::v1::LayerProgress;

std::string layers_done(const berth::v1::PullEvent& event) {
  int done = 0;
  std::uint64_t size = 0;
  std::uint64_t fetched = 0;
  for (const Layer& layer : event.layers()) {
    done += layer.stage() == Layer::DONE ? 1 : 0;
    size += layer.size();
    fetched += layer.stage() >= Layer::FETCHED ? layer.size() : layer.fetched();
  }
  return fmt::format("{} of {} layers, {} of {}", done, event.layers_size(), human_size(fetched),
                     human_size(size));
}

std::string cut(std::string line, std::size_t columns) {
  if (line.size() > columns) line.resize(columns);
  return line;
}

}  // namespace

std::string PullScreen::line(const Layer& layer, std::int64_t now_ms) {
  const std::string id = short_id(layer.digest());
  switch (layer.stage()) {
    case Layer::FETCHING: {
      Rate& rate = rates_[layer.digest()];
      if (rate.since_ms == 0) {
        rate = {now_ms, layer.fetched(), 0};
      } else if (now_ms - rate.since_ms >= kRateWindowMs) {
        const std::uint64_t more = layer.fetched() - std::min(rate.bytes, layer.fetched());
        rate.per_second =
            static_cast<double>(more) * 1000.0 / static_cast<double>(now_ms - rate.since_ms);
        rate.since_ms = now_ms;
        rate.bytes = layer.fetched();
      }
      std::string text = fmt::format("{}  fetching   {:>8} / {}", id, human_size(layer.fetched()),
                                     human_size(layer.size()));
      if (rate.per_second > 0) {
        text += fmt::format("  {}/s", human_size(static_cast<std::uint64_t>(rate.per_second)));
      }
      return text;
    }
    case Layer::FETCHED:
      return fmt::format("{}  fetched    {:>8}", id, human_size(layer.size()));
    case Layer::UNPACKING:
      return fmt::format("{}  unpacking  {:>8}", id, human_size(layer.size()));
    case Layer::DONE:
      return fmt::format("{}  done       {:>8}", id, human_size(layer.size()));
    default:
      return fmt::format("{}  waiting    {:>8}", id, human_size(layer.size()));
  }
}

std::vector<std::string> PullScreen::lines(const berth::v1::PullEvent& event, std::int64_t now_ms,
                                           std::size_t columns, std::size_t rows) {
  std::vector<std::string> all;
  if (event.layers_size() == 0) return {cut(name_ + ": asking the registry", columns)};
  all.push_back(cut(name_ + ": " + layers_done(event), columns));
  const std::size_t room = rows > 2 ? rows - 2 : 1;
  const auto count = static_cast<std::size_t>(event.layers_size());
  std::size_t skip = count > room ? count - room : 0;
  for (const Layer& layer : event.layers()) {
    std::string text = line(layer, now_ms);
    if (skip > 0 && layer.stage() == Layer::DONE) {
      --skip;
      continue;
    }
    if (all.size() <= room) all.push_back(cut(std::move(text), columns));
  }
  return all;
}

std::string pull_summary(const std::string& name, const berth::v1::PullDone& done,
                         std::int64_t took_ms) {
  if (done.fetched_bytes() == 0) return name + ": " + done.image_id() + " is up to date";
  return fmt::format("{}: {} {} in {:.2f} s", name, done.image_id(),
                     human_size(done.fetched_bytes()), static_cast<double>(took_ms) / 1000.0);
}

void TerminalBlock::draw(const std::vector<std::string>& lines) {
  // Moves the cursor to the first line of the last drawing. Each line is erased before it is
  // written, and remaining old lines below are erased too.
  std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
  for (const std::string& line : lines) text += "\r\x1b[2K" + line + "\n";
  text += "\x1b[J";
  drawn_ = lines.size();
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t wrote = ::write(fd_, rest.data(), rest.size());
    if (wrote <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

std::size_t TerminalBlock::columns() const {
  winsize size{};
  return ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t TerminalBlock::rows() const {
  winsize size{};
  return ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

}  // namespace berth::cli
