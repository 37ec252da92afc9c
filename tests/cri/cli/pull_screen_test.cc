// SPDX-License-Identifier: Apache-2.0
// Claims about the display of a pull: stages, bytes and rate, limited to the size of the terminal.
#include "cri/cli/pull_screen.h"

#include <gtest/gtest.h>

namespace berth::cli {
namespace {

using Layer = berth::v1::LayerProgress;

berth::v1::PullEvent event(const std::vector<std::pair<Layer::Stage, std::uint64_t>>& layers) {
  berth::v1::PullEvent event;
  std::size_t at = 0;
  for (const auto& [stage, fetched] : layers) {
    Layer* layer = event.add_layers();
    layer->set_digest("sha256:" + std::string(64, "abcdef0123456789"[at++ % 16]));
    layer->set_size(10'000'000);
    layer->set_fetched(fetched);
    layer->set_stage(stage);
  }
  return event;
}

TEST(PullScreen, ShowsEachLayersStageAndBytes) {
  PullScreen screen("app:1");
  EXPECT_EQ(screen.lines(event({}), 0, 80, 24),
            std::vector<std::string>{"app:1: asking the registry"});
  const auto lines = screen.lines(event({{Layer::DONE, 10'000'000},
                                         {Layer::UNPACKING, 10'000'000},
                                         {Layer::FETCHED, 10'000'000},
                                         {Layer::FETCHING, 2'500'000},
                                         {Layer::WAITING, 0}}),
                                  100, 80, 24);
  EXPECT_EQ(lines,
            (std::vector<std::string>{
                "app:1: 1 of 5 layers, 32.5MB of 50MB", "aaaaaaaaaaaa  done           10MB",
                "bbbbbbbbbbbb  unpacking      10MB", "cccccccccccc  fetched        10MB",
                "dddddddddddd  fetching      2.5MB / 10MB", "eeeeeeeeeeee  waiting        10MB"}));
}

TEST(PullScreen, ShowsTheRateOfTheLastSecond) {
  PullScreen screen("app:1");
  screen.lines(event({{Layer::FETCHING, 1'000'000}}), 1000, 80, 24);
  screen.lines(event({{Layer::FETCHING, 2'000'000}}), 1500, 80, 24);
  const auto lines = screen.lines(event({{Layer::FETCHING, 5'000'000}}), 3000, 80, 24);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1], "aaaaaaaaaaaa  fetching        5MB / 10MB  2MB/s");
}

TEST(PullScreen, FitsTheTerminalAndDoneLayersMakeRoom) {
  PullScreen screen("a-very-long-name-of-an-image:1");
  std::vector<std::pair<Layer::Stage, std::uint64_t>> layers(20, {Layer::DONE, 10'000'000});
  layers.push_back({Layer::FETCHING, 1'000'000});
  const auto lines = screen.lines(event(layers), 0, 30, 8);
  EXPECT_LT(lines.size(), 8u);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 30u);
  EXPECT_NE(lines.back().find("fetching"), std::string::npos) << lines.back();
}

TEST(PullScreen, SummaryShowsTheBytesAndTheDuration) {
  berth::v1::PullDone done;
  done.set_image_id("sha256:abc");
  EXPECT_EQ(pull_summary("app:1", done, 10), "app:1: sha256:abc is up to date");
  done.set_fetched_bytes(91'200'000);
  EXPECT_EQ(pull_summary("app:1", done, 1840), "app:1: sha256:abc 91.2MB in 1.84 s");
}

}  // namespace
}  // namespace berth::cli
