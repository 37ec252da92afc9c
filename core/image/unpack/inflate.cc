// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/base/units.h"

namespace berth::image {
namespace {

constexpr std::size_t kInputSize = 256_KiB;

Error damaged(const std::string& name, const std::string& what) {
  return make_error(Errc::data_loss, "layer " + name + ": " + what);
}

// Compressed bytes that were read and not yet decoded.
class Input {
 public:
  explicit Input(ByteSource& source) : source_(source), buffer_(kInputSize) {}

  // Reads more until there are `wanted` bytes; false at the end.
  Result<bool> fill(std::size_t wanted) {
    while (size() < wanted && !ended_) {
      std::memmove(buffer_.data(), data(), size());
      end_ -= begin_;
      begin_ = 0;
      TRY(const std::size_t got, source_.read(buffer_.data() + end_, buffer_.size() - end_));
      end_ += got;
      total_ += got;
      ended_ = got == 0;
    }
    return size() >= wanted;
  }
  char* data() { return buffer_.data() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  void consume(std::size_t count) { begin_ += count; }
  std::uint64_t total() const { return total_; }  // bytes read so far
  std::string_view view() { return {data(), size()}; }

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t total_ = 0;
  bool ended_ = false;
};

class Inflater : public ByteSource {
 public:
  Inflater(Input input, std::string name, InflateLimits limits)
      : input_(std::move(input)), name_(std::move(name)), limits_(limits) {}

  Result<std::size_t> read(char* out, std::size_t size) final {
    TRY(const std::size_t got, decode(out, std::min<std::size_t>(size, 1_MiB)));
    produced_ += got;
    if (produced_ > limits_.size_max) {
      return make_error(Errc::resource_exhausted, "layer " + name_ + ": inflates to more than " +
                                                      std::to_string(limits_.size_max) + " bytes");
    }
    if (produced_ > limits_.ratio_grace && produced_ / limits_.ratio_max > input_.total()) {
      return make_error(Errc::resource_exhausted, "layer " + name_ + ": inflates to more than " +
                                                      std::to_string(limits_.ratio_max) +
                                                      " times its size");
    }
    return got;
  }

 protected:
  virtual Result<std::size_t> decode(char* out, std::size_t size) = 0;

  Input input_;
  std::string name_;

 private:
  InflateLimits limits_;
  std::uint64_t produced_ = 0;
};

class PlainSource final : public Inflater {
 public:
  using Inflater::Inflater;

 private:
  Result<std::size_t> decode(char* out, std::size_t size) override {
    TRY(const bool more, input_.fill(1));
    if (!more) return std::size_t{0};
    const std::size_t count = std::min(size, input_.size());
    std::memcpy(out, input_.data(), count);
    input_.consume(count);
    return count;
  }
};

class GzipSource final : public Inflater {
 public:
  GzipSource(Input input, std::string name, InflateLimits limits)
      : Inflater(std::move(input), std::move(name), limits),
        state_(std::make_unique<inflate_state>()) {
    start_member();
  }

 private:
  void start_member() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
    in_member_ = true;
  }

  // RFC 1952 2.2: a file is any number of members. Zeros behind the last one are padding.
  Result<bool> next_member() {
    TRY(const bool more, input_.fill(1));
    if (!more) return false;
    if (input_.data()[0] != '\0') {
      start_member();
      return true;
    }
    while (true) {
      TRY(const bool padding, input_.fill(1));
      if (!padding) return false;
      if (input_.view().find_first_not_of('\0') != std::string_view::npos) {
        return damaged(name_, "there are bytes behind the gzip data");
      }
      input_.consume(input_.size());
    }
  }

  Result<std::size_t> decode(char* out, std::size_t size) override {
    state_->next_out = reinterpret_cast<std::uint8_t*>(out);
    state_->avail_out = static_cast<std::uint32_t>(size);
    while (state_->avail_out == size) {
      if (!in_member_) {
        TRY(const bool more, next_member());
        if (!more) return std::size_t{0};
        state_->next_out = reinterpret_cast<std::uint8_t*>(out);
        state_->avail_out = static_cast<std::uint32_t>(size);
      }
      TRY(const bool more, input_.fill(1));
      state_->next_in = reinterpret_cast<std::uint8_t*>(input_.data());
      state_->avail_in = static_cast<std::uint32_t>(input_.size());
      const std::uint32_t offered = state_->avail_in;
      const int code = isal_inflate(state_.get());
      input_.consume(offered - state_->avail_in);
      if (code < 0)
        return damaged(name_, "gzip data is damaged (ISA-L " + std::to_string(code) + ")");
      in_member_ = state_->block_state != ISAL_BLOCK_FINISH;
      if (!more && in_member_ && state_->avail_out == size) {
        return damaged(name_, "gzip data is cut short");
      }
    }
    return size - state_->avail_out;
  }

  std::unique_ptr<inflate_state> state_;  // 80 KiB, with the window
  bool in_member_ = false;
};

struct ZstdFree {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

class ZstdSource final : public Inflater {
 public:
  ZstdSource(Input input, std::string name, InflateLimits limits)
      : Inflater(std::move(input), std::move(name), limits), stream_(ZSTD_createDStream()) {
    CHECK(stream_ != nullptr);
    const std::size_t window = std::max<std::size_t>(limits.window_max, kSmallestWindow);
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax,
                           static_cast<int>(std::bit_width(window)) - 1);
  }

 private:
  Result<std::size_t> decode(char* out, std::size_t size) override {
    ZSTD_outBuffer output{out, size, 0};
    while (output.pos == 0) {
      TRY(const bool more, input_.fill(1));
      if (!more && at_frame_end_) return std::size_t{0};
      ZSTD_inBuffer input{input_.data(), input_.size(), 0};
      const std::size_t code = ZSTD_decompressStream(stream_.get(), &output, &input);
      input_.consume(input.pos);
      if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
        return make_error(Errc::out_of_range,
                          "layer " + name_ + ": its zstd window is larger than memory allows");
      }
      if (ZSTD_isError(code) != 0) {
        return damaged(name_, std::string("zstd data is damaged: ") + ZSTD_getErrorName(code));
      }
      at_frame_end_ = code == 0;
      if (!more && output.pos == 0 && !at_frame_end_) {
        return damaged(name_, "zstd data is cut short");
      }
    }
    return output.pos;
  }

  static constexpr std::size_t kSmallestWindow = 1_KiB;  // ZSTD_WINDOWLOG_MIN

  std::unique_ptr<ZSTD_DStream, ZstdFree> stream_;
  bool at_frame_end_ = true;
};

// RFC 8878 3.1: frames, and skippable frames whose magic number has 16 values.
bool is_zstd(std::string_view start) {
  if (start.substr(0, 4) == "\x28\xb5\x2f\xfd") return true;
  return start.size() >= 4 && (static_cast<unsigned char>(start[0]) & 0xf0) == 0x50 &&
         start.substr(1, 3) == "\x2a\x4d\x18";
}

}  // namespace

Result<std::size_t> FileSource::read(char* out, std::size_t size) {
  while (true) {
    const ssize_t got = ::pread(file_.get(), out, size, static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", name_);
    offset_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }
}

Result<std::unique_ptr<ByteSource>> make_inflater(ByteSource& compressed, std::string name,
                                                  InflateLimits limits) {
  Input input(compressed);
  Result<bool> filled = input.fill(4);
  if (!filled.ok()) return std::move(filled).error();
  const std::string_view start = input.view();
  const bool gzip = start.substr(0, 2) == "\x1f\x8b";
  const bool zstd = is_zstd(start);
  std::unique_ptr<ByteSource> source;
  if (gzip) {
    source = std::make_unique<GzipSource>(std::move(input), std::move(name), limits);
  } else if (zstd) {
    source = std::make_unique<ZstdSource>(std::move(input), std::move(name), limits);
  } else {
    source = std::make_unique<PlainSource>(std::move(input), std::move(name), limits);
  }
  return source;
}

Result<std::size_t> DigestSource::read(char* out, std::size_t size) {
  TRY(const std::size_t got, source_.read(out, size));
  digester_.update(out, got);
  size_ += got;
  return got;
}

}  // namespace berth::image
