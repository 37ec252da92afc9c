// SPDX-License-Identifier: Apache-2.0
#include "core/ring/probe.h"

#include <string>

#include "core/ring/raw.h"

namespace berth {
namespace {

struct Need {
  unsigned value;
  const char* name;
  const char* since;
};

// Sources: the "Linux" lines of io_uring_setup(2) and io_uring_enter(2).
constexpr Need kFeatures[] = {
    {IORING_FEAT_NODROP, "IORING_FEAT_NODROP", "5.5"},
    {IORING_FEAT_SUBMIT_STABLE, "IORING_FEAT_SUBMIT_STABLE", "5.5"},
    {IORING_FEAT_FAST_POLL, "IORING_FEAT_FAST_POLL", "5.7"},
    {IORING_FEAT_EXT_ARG, "IORING_FEAT_EXT_ARG", "5.11"},
};
constexpr Need kOpcodes[] = {
    {IORING_OP_READ, "IORING_OP_READ", "5.6"},
    {IORING_OP_WRITE, "IORING_OP_WRITE", "5.6"},
    {IORING_OP_WRITEV, "IORING_OP_WRITEV", "5.1"},
    {IORING_OP_FSYNC, "IORING_OP_FSYNC", "5.1"},
    {IORING_OP_POLL_ADD, "IORING_OP_POLL_ADD", "5.1"},
    {IORING_OP_SENDMSG, "IORING_OP_SENDMSG", "5.3"},
    {IORING_OP_RECVMSG, "IORING_OP_RECVMSG", "5.3"},
    {IORING_OP_RECV, "IORING_OP_RECV", "5.6"},
    {IORING_OP_SEND, "IORING_OP_SEND", "5.6"},
    {IORING_OP_ACCEPT, "IORING_OP_ACCEPT", "5.5"},
    {IORING_OP_CONNECT, "IORING_OP_CONNECT", "5.5"},
    {IORING_OP_ASYNC_CANCEL, "IORING_OP_ASYNC_CANCEL", "5.5"},
    {IORING_OP_OPENAT, "IORING_OP_OPENAT", "5.6"},
    {IORING_OP_CLOSE, "IORING_OP_CLOSE", "5.6"},
    {IORING_OP_SPLICE, "IORING_OP_SPLICE", "5.7"},
    {IORING_OP_RENAMEAT, "IORING_OP_RENAMEAT", "5.11"},
    {IORING_OP_UNLINKAT, "IORING_OP_UNLINKAT", "5.11"},
    {IORING_OP_MKDIRAT, "IORING_OP_MKDIRAT", "5.15"},
};

Error missing(const Need& need) {
  return make_error(Errc::failed_precondition, std::string("io_uring lacks ") + need.name +
                                                   " (Linux " + need.since +
                                                   "); berth needs Linux 6.1 or newer");
}

}  // namespace

Status check_features(unsigned features) {
  for (const Need& need : kFeatures) {
    if ((features & need.value) == 0) return missing(need);
  }
  return {};
}

Status check_opcodes(const RawRing& ring) {
  for (const Need& need : kOpcodes) {
    if (!ring.has_opcode(need.value)) return missing(need);
  }
  return {};
}

}  // namespace berth
