// SPDX-License-Identifier: Apache-2.0
// Keeper and agent died and with them the log's descriptor. A new keeper finds the record of an
// unfinished batch in the table; when an agent sends the log again, every byte is in it once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/keeper/log/pump.h"
#include "core/keeper/token.h"
#include "core/linux/memfd.h"
#include "tests/support/temporary_dir.h"

namespace berth::keeper {
namespace {

std::ptrdiff_t lines_in(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

class LogRecover : public ::testing::Test, private LogPump::Owner {
 protected:
  static constexpr const char* kBefore = "what was there\n";
  static constexpr std::int64_t kTimeNs = 1'764'435'601'123'456'789;

  void SetUp() override {
    std::ofstream(path()) << kBefore;
    table_ = Table::open(sys::memfd_create("table").value()).value();
    ASSERT_TRUE(ring_.init({}).ok());
    entry_ = table_.allocate().value();
    Entry& entry = table_.at(entry_);
    ASSERT_TRUE(entry.name.assign("c1"));
    entry.kind = ProcessKind::container;
    entry.flags = kLogged;
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    entry.stream[kStdout] = ends[0];
    writer_.reset(ends[1]);
    table_.publish(entry_, EntryState::running);
  }
  void TearDown() override { pump_.reset(); }

  std::string path(const char* name = "log") const { return dir_ / name; }
  std::string content(const char* name = "log") const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  UniqueFd open_log(const char* name = "log") const {
    return UniqueFd(::open(path(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  }

  // Leaves the record of a batch of which the log has the first `written` bytes. Returns the batch.
  std::string leave_batch(const std::string& raw, std::size_t written, bool partial = false) {
    const FormatInput input{.raw = std::as_bytes(std::span(raw)),
                            .stream = kStdout,
                            .time_ns = kTimeNs,
                            .partial = partial};
    std::vector<char> out(kRawBytesMax + kRecordOverhead);
    const Formatted done = format_records(input, out);
    EXPECT_EQ(done.raw_bytes, raw.size());
    std::string batch(out.data(), done.out_bytes);
    struct stat status {};
    EXPECT_EQ(::stat(path().c_str(), &status), 0);
    LogSlot& slot = table_.header().slots[0];
    slot.entry = entry_;
    slot.serial = table_.at(entry_).serial;
    slot.stream = kStdout;
    slot.at_eof = 0;
    slot.raw_bytes = static_cast<std::uint32_t>(raw.size());
    slot.raw_done = slot.batch_start = 0;
    slot.batch_raw = slot.raw_bytes;
    slot.batch_partial = partial ? 1 : 0;
    slot.batch_time_ns = kTimeNs;
    slot.log_inode = status.st_ino;
    slot.log_size_before = status.st_size;
    slot.writing = 1;
    slot.phase = SlotPhase::raw;
    std::memcpy(table_.raw(0), raw.data(), raw.size());
    std::ofstream(path(), std::ios::app) << batch.substr(0, std::min(written, batch.size()));
    return batch;
  }

  // Starts a new keeper's pump, which has the table but no descriptor of the log.
  void start_successor() {
    LogPump::Owner& owner = *this;
    pump_.emplace(table_, ring_, owner);
    ASSERT_TRUE(pump_->open().ok());
    ASSERT_TRUE(pump_->open_staging().ok());
    table_.at(entry_).log = -1;
    pump_->start(entry_);
    pump_->recover();
    turn(1);
  }
  void send_log(const char* name = "log") {
    pump_->reopen(entry_, open_log(name));
    EXPECT_EQ(reopened_, 1);
    while (table_.header().slots[0].phase != SlotPhase::free || !pump_->quiet()) turn(1);
  }
  void turn(int ticks) {
    while (pump_->run()) continue;
    constexpr std::int64_t kTickNs = 50 * kNanosecondsPerMillisecond;
    for (int tick = 0; tick < ticks; ++tick) {
      static_cast<void>(ring_.submit_and_wait(1, kTickNs));
      ring_.for_each_cqe([this](std::uint64_t data, int result, unsigned) {
        const Token token = Token::unpack(data);
        if (token.kind == TokenKind::log_write) pump_->on_written(token.index, result);
        if (token.kind == TokenKind::log_retry) ++retries_, pump_->on_retry();
        if (token.kind == TokenKind::log_closed) pump_->on_closed();
        if (token.kind == TokenKind::stream && result != -ECANCELED) {
          pump_->on_stream(token.index, static_cast<Stream>(token.arg));
        }
      });
      while (pump_->run()) continue;
    }
  }

  TemporaryDir dir_;
  Table table_;
  RawRing ring_;
  std::optional<LogPump> pump_;
  UniqueFd writer_;
  std::uint32_t entry_ = kNoEntry;
  int reopened_ = 0;
  int retries_ = 0;

 private:
  void drained(std::uint32_t) override {}
  void log_reopened(std::uint32_t) override { ++reopened_; }
};

TEST_F(LogRecover, BatchOfALostLogIsContinuedWhereItStopped) {
  const std::string raw = "first line\nsecond line\nthe start of a third";
  const std::size_t whole = leave_batch(raw, 0).size();
  for (const std::size_t written : {std::size_t{0}, std::size_t{1}, whole / 2, whole - 1, whole}) {
    std::ofstream(path(), std::ios::trunc) << kBefore;
    reopened_ = 0;
    table_.at(entry_).partial[kStdout] = 0;
    const std::string batch = leave_batch(raw, written);
    start_successor();
    EXPECT_EQ(content(), kBefore + batch.substr(0, written));
    send_log();
    EXPECT_EQ(content(), kBefore + batch) << written << " of " << whole;
    EXPECT_EQ(table_.at(entry_).partial[kStdout], 1);
    EXPECT_TRUE(pump_->close(entry_));
    while (!pump_->quiet()) turn(1);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    table_.at(entry_).stream[kStdout] = ends[0];
    writer_.reset(ends[1]);
  }
}

TEST_F(LogRecover, WaitsAcrossRetriesAndAnotherDeathOfTheKeeper) {
  const std::string batch = leave_batch("line\n", 1000);
  start_successor();
  while (retries_ < 2) turn(1);
  start_successor();
  while (retries_ < 3) turn(1);
  EXPECT_EQ(content(), kBefore + batch);
  send_log();
  EXPECT_EQ(content(), kBefore + batch);
}

TEST_F(LogRecover, LaterOutputFollowsTheBatch) {
  const std::string batch = leave_batch("line\n", 1000);
  start_successor();
  ASSERT_EQ(::write(writer_.get(), "later\n", 6), 6);
  turn(2);
  send_log();
  const std::string start = kBefore + batch;
  while (content().find("later") == std::string::npos) turn(1);
  EXPECT_EQ(content().substr(0, start.size()), start);
  EXPECT_TRUE(content().substr(start.size()).ends_with(" stdout F later\n")) << content();
  EXPECT_EQ(lines_in(content()), 3);
}

// The contents of the first file are not known here.
TEST_F(LogRecover, AnotherFileGetsTheWholeBatch) {
  leave_batch("line\n", 1000);
  start_successor();
  send_log("other");
  EXPECT_TRUE(content("other").ends_with(" stdout F line\n")) << content("other");
  EXPECT_EQ(lines_in(content("other")), 1);
}

}  // namespace
}  // namespace berth::keeper
