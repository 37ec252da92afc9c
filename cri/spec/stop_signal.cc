// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/stop_signal.h"

#include <signal.h>
#include <string.h>

#include <charconv>

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr std::string_view kCriPrefix = "SIGNAL_";

struct Alias {
  std::string_view name;
  int number;
};
// Names that libc does not give to the signals that they mean.
constexpr Alias kAliases[] = {
    {"CLD", SIGCHLD}, {"IO", SIGIO}, {"IOT", SIGIOT}, {"POLL", SIGPOLL}, {"UNUSED", SIGSYS}};

std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

bool drop_prefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// "RTMIN", "RTMIN+3", "RTMINPLUS3", "RTMAX-2", "RTMAXMINUS2".
std::optional<int> realtime_number(std::string_view word) {
  const bool from_below = drop_prefix(word, "RTMIN");
  if (!from_below && !drop_prefix(word, "RTMAX")) return std::nullopt;
  const int base = from_below ? SIGRTMIN : SIGRTMAX;
  if (word.empty()) return base;
  const bool has_sign = from_below ? drop_prefix(word, "+") || drop_prefix(word, "PLUS")
                                   : drop_prefix(word, "-") || drop_prefix(word, "MINUS");
  const std::optional<int> distance = whole_number(word);
  if (!has_sign || !distance || *distance < 0 || *distance > SIGRTMAX - SIGRTMIN) {
    return std::nullopt;
  }
  return from_below ? base + *distance : base - *distance;
}

std::string upper(std::string_view text) {
  std::string word(text);
  for (char& c : word) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return word;
}

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  if (const std::optional<int> number = whole_number(name)) {
    if (*number < 1 || *number > SIGRTMAX) return std::nullopt;
    return number;
  }
  const std::string spelled = upper(name);
  std::string_view word = spelled;
  drop_prefix(word, "SIG");
  for (const Alias& alias : kAliases) {
    if (word == alias.name) return alias.number;
  }
  for (int candidate = 1; candidate < SIGRTMIN; ++candidate) {
    const char* abbreviation = ::sigabbrev_np(candidate);
    if (abbreviation != nullptr && word == abbreviation) return candidate;
  }
  return realtime_number(word);
}

v1::Signal cri_signal(int number) {
  for (int value = v1::Signal_MIN; value <= v1::Signal_MAX; ++value) {
    const auto signal = static_cast<v1::Signal>(value);
    // The old names have values of their own.
    if (!v1::Signal_IsValid(value) || signal == v1::Signal::SIGNAL_SIGCLD ||
        signal == v1::Signal::SIGNAL_SIGIOT || signal == v1::Signal::SIGNAL_SIGPOLL) {
      continue;
    }
    if (signal_number(v1::Signal_Name(signal).substr(kCriPrefix.size())) == number) return signal;
  }
  return v1::Signal::SIGNAL_RUNTIME_DEFAULT;
}

std::string signal_name(int number) {
  const v1::Signal signal = cri_signal(number);
  if (signal == v1::Signal::SIGNAL_RUNTIME_DEFAULT) return std::to_string(number);
  return v1::Signal_Name(signal).substr(kCriPrefix.size());
}

}  // namespace berth::cri
