// SPDX-License-Identifier: Apache-2.0
// Claims about the CRI log format: the output of the container is restored, however it was split.
#include "cri/cli/logs/cri_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "core/base/unique_fd.h"

namespace berth::cli {
namespace {

class MemorySink : public LogSink {
 public:
  Status write(Stream stream, std::string_view bytes) override {
    largest_ = std::max(largest_, bytes.size());
    (stream == Stream::out ? out : err).append(bytes);
    return {};
  }
  std::size_t largest() const { return largest_; }

  std::string out;
  std::string err;

 private:
  std::size_t largest_ = 0;
};

std::string entry(const std::string& stream, const std::string& tag, const std::string& text) {
  return "2026-11-22T18:30:00.123456789Z " + stream + " " + tag + " " + text + "\n";
}

TEST(LogDecoder, GivesTheSameBytesWhereverTheFileIsCut) {
  const std::string log = entry("stdout", "P", "one ") + entry("stderr", "F", "two") +
                          entry("stdout", "F", "three") + entry("stdout", "F", "") +
                          entry("stdout", "F:tag", std::string("\0\xff", 2));
  for (std::size_t cut = 0; cut <= log.size(); ++cut) {
    MemorySink sink;
    LogDecoder decoder(sink, false);
    ASSERT_TRUE(decoder.feed(std::string_view(log).substr(0, cut)).ok());
    ASSERT_TRUE(decoder.feed(std::string_view(log).substr(cut)).ok());
    EXPECT_EQ(sink.out, std::string("one three\n\n\0\xff\n", 14)) << "cut at " << cut;
    EXPECT_EQ(sink.err, "two\n");
  }
}

TEST(LogDecoder, PutsATimeOnlyWhereALineBegins) {
  MemorySink sink;
  LogDecoder decoder(sink, true);
  ASSERT_TRUE(decoder.feed(entry("stdout", "P", "a") + entry("stdout", "F", "b")).ok());
  EXPECT_EQ(sink.out, "2026-11-22T18:30:00.123456789Z ab\n");
}

TEST(LogDecoder, HoldsNoMoreThanItWasFed) {
  MemorySink sink;
  LogDecoder decoder(sink, false);
  const std::string block(1000, 'x');
  ASSERT_TRUE(decoder.feed("2026-11-22T18:30:00Z stdout F ").ok());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(decoder.feed(block).ok());
  EXPECT_EQ(sink.out.size(), 1'000'000u);
  EXPECT_LE(sink.largest(), block.size());
}

TEST(LogDecoder, ShowsMalformedEntriesUnchanged) {
  for (const std::string text :
       {"hello world and some more\n", "x\n", "\n", "2026 stdlog F x\n", "2026 stdout Q x\n"}) {
    MemorySink sink;
    LogDecoder decoder(sink, false);
    ASSERT_TRUE(decoder.feed(text).ok());
    EXPECT_EQ(sink.out, text);
  }
  MemorySink sink;
  LogDecoder decoder(sink, false);
  const std::string no_spaces = std::string(5000, 'y') + "\n";
  ASSERT_TRUE(decoder.feed(no_spaces).ok());
  EXPECT_EQ(sink.out, no_spaces);
}

class TailOffset : public testing::Test {
 protected:
  off_t offset(const std::string& log, std::size_t lines) {
    char name[] = "/tmp/berth-tail-XXXXXX";
    UniqueFd fd(::mkstemp(name));
    ::unlink(name);
    EXPECT_EQ(::write(fd.get(), log.data(), log.size()), static_cast<ssize_t>(log.size()));
    const Result<off_t> found = tail_offset(fd.get(), lines);
    EXPECT_TRUE(found.ok());
    return found.value();
  }
};

TEST_F(TailOffset, CountsLinesNotEntries) {
  const std::string first = entry("stdout", "F", "first");
  const std::string second = entry("stdout", "P", "sec") + entry("stdout", "F", "ond");
  const std::string third = entry("stderr", "F", "third");
  const std::string log = first + second + third;
  const auto at = [](const std::string& before) { return static_cast<off_t>(before.size()); };
  EXPECT_EQ(offset(log, 0), at(log));
  EXPECT_EQ(offset(log, 1), at(first + second));
  EXPECT_EQ(offset(log, 2), at(first));
  EXPECT_EQ(offset(log, 3), 0);
  EXPECT_EQ(offset(log, 100), 0);
  EXPECT_EQ(offset("", 3), 0);
}

}  // namespace
}  // namespace berth::cli
