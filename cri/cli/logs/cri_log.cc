// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/logs/cri_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

#include "core/base/units.h"

namespace berth::cli {

namespace {

// The longest header of a runtime has about 50 bytes; a longer text is not a header of a CRI log.
constexpr std::size_t kHeaderBytesMax = 96;

struct Header {
  std::string_view time;
  Stream stream = Stream::out;
  bool full = true;
};

// "TIME STREAM TAGS" without the space after it. Tags are separated by colons; the first is P or F.
bool parse_header(std::string_view text, Header* header) {
  const std::size_t first = text.find(' ');
  if (first == std::string_view::npos) return false;
  const std::size_t second = text.find(' ', first + 1);
  if (second == std::string_view::npos) return false;
  const std::string_view stream = text.substr(first + 1, second - first - 1);
  const std::string_view tags = text.substr(second + 1);
  if (stream != "stdout" && stream != "stderr") return false;
  const std::string_view tag = tags.substr(0, tags.find(':'));
  if (tag != "P" && tag != "F") return false;
  header->time = text.substr(0, first);
  header->stream = stream == "stderr" ? Stream::err : Stream::out;
  header->full = tag == "F";
  return true;
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return sys_error(errno, "write", fd == 1 ? "stdout" : "stderr");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Status StandardSink::write(Stream stream, std::string_view bytes) {
  return write_all(stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO, bytes);
}

Status LogDecoder::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    TRY_(in_content_ ? feed_content(&bytes) : feed_header(&bytes));
  }
  return flush();
}

Status LogDecoder::feed_header(std::string_view* bytes) {
  while (!bytes->empty()) {
    const char c = bytes->front();
    bytes->remove_prefix(1);
    const auto spaces = std::count(header_.begin(), header_.end(), ' ');
    const bool at_end = c == '\n' || (c == ' ' && spaces == 2);
    if (!at_end) header_ += c;
    if (!at_end && header_.size() < kHeaderBytesMax) continue;
    TRY_(begin_content(at_end && c == ' '));
    if (c == '\n') {
      std::string_view newline("\n");
      return feed_content(&newline);
    }
    return {};
  }
  return {};
}

// A header that cannot be parsed is written as text, so that all bytes of the file are shown.
Status LogDecoder::begin_content(bool ended_by_space) {
  Header header;
  const bool parsed = parse_header(header_, &header);
  stream_ = header.stream;
  full_ = header.full;
  in_content_ = true;
  bool& open = line_open_[stream_ == Stream::err ? 1 : 0];
  if (!parsed) {
    TRY_(emit(header_));
    if (ended_by_space) TRY_(emit(" "));
  } else if (timestamps_ && !open) {
    TRY_(emit(header.time));
    TRY_(emit(" "));
  }
  open = !full_;
  header_.clear();
  return {};
}

Status LogDecoder::feed_content(std::string_view* bytes) {
  const std::size_t end = bytes->find('\n');
  TRY_(emit(bytes->substr(0, end)));
  if (end == std::string_view::npos) {
    bytes->remove_prefix(bytes->size());
    return {};
  }
  if (full_) TRY_(emit("\n"));
  bytes->remove_prefix(end + 1);
  in_content_ = false;
  return {};
}

Status LogDecoder::emit(std::string_view bytes) {
  if (!pending_.empty() && pending_stream_ != stream_) TRY_(flush());
  pending_stream_ = stream_;
  pending_.append(bytes);
  return {};
}

Status LogDecoder::flush() {
  if (pending_.empty()) return {};
  Status written = sink_.write(pending_stream_, pending_);
  pending_.clear();
  return written;
}

namespace {

// Finds the offsets at which lines begin. A line begins with the first entry of a stream, and with
// each entry that follows a full entry of the same stream.
class LineStarts {
 public:
  explicit LineStarts(std::size_t kept) : kept_(kept) {}

  void feed(std::string_view bytes) {
    for (const char c : bytes) {
      if (entry_.size() < kHeaderBytesMax) entry_ += c;
      ++offset_;
      if (c == '\n') end_entry();
    }
  }
  off_t first() const { return starts_.size() < kept_ || starts_.empty() ? 0 : starts_.front(); }

 private:
  void end_entry() {
    Header header;
    std::string_view text = entry_;
    if (text.ends_with('\n')) text.remove_suffix(1);
    std::size_t space = text.find(' ');
    for (int i = 0; i < 2 && space != std::string_view::npos; ++i)
      space = text.find(' ', space + 1);
    parse_header(text.substr(0, space), &header);
    bool& open = open_[header.stream == Stream::err ? 1 : 0];
    if (!open) {
      starts_.push_back(entry_start_);
      if (starts_.size() > kept_) starts_.pop_front();
    }
    open = !header.full;
    entry_start_ = offset_;
    entry_.clear();
  }

  std::size_t kept_;
  std::deque<off_t> starts_;
  std::string entry_;
  off_t offset_ = 0;
  off_t entry_start_ = 0;
  bool open_[2] = {false, false};
};

}  // namespace

Result<off_t> tail_offset(int fd, std::size_t lines) {
  LineStarts starts(lines);
  std::string block(64_KiB, '\0');
  off_t at = 0;
  for (;;) {
    const ssize_t got = ::pread(fd, block.data(), block.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", "container log");
    if (got == 0) break;
    starts.feed(std::string_view(block.data(), static_cast<std::size_t>(got)));
    at += got;
  }
  return lines == 0 ? at : starts.first();
}

}  // namespace berth::cli
