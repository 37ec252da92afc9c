// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

TEST(StopSignal, NamesInAnyCaseWithAndWithoutSig) {
  for (const char* name : {"SIGTERM", "TERM", "sigterm", "Term", "SigTerm", "15"}) {
    EXPECT_EQ(signal_number(name), SIGTERM) << name;
  }
  EXPECT_EQ(signal_number("sigquit"), SIGQUIT);
  EXPECT_EQ(signal_number("winch"), SIGWINCH);
  EXPECT_EQ(signal_number("SIGSTKFLT"), SIGSTKFLT);
  EXPECT_EQ(signal_number("usr1"), SIGUSR1);
}

TEST(StopSignal, OldNames) {
  EXPECT_EQ(signal_number("SIGIOT"), SIGABRT);
  EXPECT_EQ(signal_number("cld"), SIGCHLD);
  EXPECT_EQ(signal_number("POLL"), SIGIO);
  EXPECT_EQ(signal_number("SIGIO"), SIGIO);
  EXPECT_EQ(signal_number("UNUSED"), SIGSYS);
}

TEST(StopSignal, RealtimeSignalsFromBothEnds) {
  EXPECT_EQ(signal_number("SIGRTMIN"), SIGRTMIN);
  EXPECT_EQ(signal_number("RTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(signal_number("sigrtmin+15"), SIGRTMIN + 15);
  EXPECT_EQ(signal_number("RTMINPLUS3"), SIGRTMIN + 3);
  EXPECT_EQ(signal_number("RTMAX"), SIGRTMAX);
  EXPECT_EQ(signal_number("SIGRTMAX-2"), SIGRTMAX - 2);
  EXPECT_EQ(signal_number("RTMAXMINUS14"), SIGRTMAX - 14);
  EXPECT_EQ(signal_number("64"), 64);
}

TEST(StopSignal, NonsenseIsNone) {
  for (const char* name : {"", "0", "65", "-9", "+9", "9x", " TERM", "SIG", "SIGSIGTERM",
                           "TERMINATE", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN3", "RTMIN+31",
                           "RTMAX-31", "RTMIN+-1", "RTMIN+99999999999", "SIGNAL_TERM"}) {
    EXPECT_EQ(signal_number(name), std::nullopt) << name;
  }
}

TEST(StopSignal, EveryWordOfTheCriIsOneAndComesBack) {
  for (int value = v1::Signal_MIN + 1; value <= v1::Signal_MAX; ++value) {
    const auto word = static_cast<v1::Signal>(value);
    const auto number = signal_number(v1::Signal_Name(word).substr(sizeof "SIGNAL_" - 1));
    ASSERT_TRUE(number.has_value()) << v1::Signal_Name(word);
    EXPECT_EQ(signal_number(signal_name(*number)), number);
    EXPECT_EQ("SIGNAL_" + signal_name(*number), v1::Signal_Name(cri_signal(*number)));
  }
  EXPECT_EQ(cri_signal(SIGABRT), v1::Signal::SIGNAL_SIGABRT);
  EXPECT_EQ(cri_signal(SIGIO), v1::Signal::SIGNAL_SIGIO);
  EXPECT_EQ(signal_name(SIGRTMIN + 3), "SIGRTMINPLUS3");
  EXPECT_EQ(signal_name(33), "33") << "a number that neither libc nor the CRI names";
}

}  // namespace
}  // namespace berth::cri
