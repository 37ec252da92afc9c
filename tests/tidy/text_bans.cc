// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/text_bans.h"

#include <regex>
#include <string>
#include <string_view>

namespace berth::tidy {
namespace {

enum class Where {
  code,  // C++ outside comments and literals
  text,  // every file, all of it
};

struct Ban {
  Where where;
  const char* pattern;
  const char* instead;
  std::string_view allowed;  // prefixes of paths separated by blanks; the reasons are beside them
};

// `(^|[^\w.>:])` keeps methods and other namespaces' functions out: `ring.sleep(`, `x->wait(`.
#define FREE_CALL(names) "(?:^|[^\\w.>:]|[^\\w>]::)(?:" names ")\\s*\\("
constexpr Ban kBans[] = {
    {Where::code, FREE_CALL("system|popen|posix_spawnp?|exec[lv]p?e?"),
     "core/container's spawn: nothing of ours runs a helper program",
     // The tests' and benches' own processes; the keeper becoming its new self; a child after
     // clone3.
     "tests/ bench/ core/keeper/ plugins/native/keeper_start.cc core/container/child_exec.cc "
     // CNI plugins are programs of the administrator.
     "networking/cni/run_plugin.cc "
     "scripts/"},
    {Where::code, FREE_CALL("v?fork"), "core/linux/clone3.h or the keeper: berthd is never forked",
     // doctor asks the kernel about a child of its own, in a program with one thread.
     "tests/ bench/ cri/cli/doctor/kernel.cc scripts/"},
    {Where::code, R"(std::j?thread\b(?!::id)|std::async\b|\bpthread_create\b)",
     "core/ring/offload.h, or core/base/thread.h for a thread of one's own",
     // A thread that enters a namespace cannot come back (fs is unshared), so it is thrown away.
     // gRPC's queue and engine block a thread each.
     "tests/ bench/ core/base/thread cri/main.cc cri/cli/ "
     "core/linux/overlay_mount.cc core/linux/subtree.cc "
     "plugins/native/sandbox_setup.cc cri/rpc/server.cc cri/rpc/quiet_engine.cc"},
    {Where::code, R"(\b(throw|catch|try)\b)", "berth::Result (core/base/result.h)",
     // core/task unwinds a coroutine by them; CLI11 throws out of its parser, and the two callers
     // catch its class right there.
     "core/task/ cri/options.cc cri/cli/main.cc tests/"},
    {Where::code, R"(\busing\s+namespace\b)", "the names themselves, or a namespace alias",
     // The tables of verbs name thirty functions of one namespace.
     "cri/cli/main.cc"},
    {Where::code, FREE_CALL("u?sleep|nanosleep") "|std::this_thread::sleep",
     "co_await ring.sleep_until(deadline): a sleeping thread does nothing else", "tests/ bench/"},
    {Where::code, FREE_CALL("assert"), "CHECK (core/base/check.h)", "tests/ bench/"},
    {Where::code, FREE_CALL("strerror"), "errno_name and Error (core/base/error.h)",
     "tests/ bench/ scripts/"},
    {Where::code, FREE_CALL("std::rand|rand|srand"), "std::mt19937_64 with a seed that is printed",
     ""},
    {Where::code, FREE_CALL("sprintf|strcpy|strcat|gets"), "std::string or snprintf", "tests/"},
    {Where::code, FREE_CALL("std::atoi|atoi|atol|std::stoi|std::stoul?l?"),
     "std::from_chars: it says when the text is no number", "tests/ bench/"},
    {Where::code,
     R"(#\s*define\s+(?!TRY|MUST|CHECK|BERTH_TRY_|FREE_CALL\b)(?!\w+\s+(0x|_IO|\())\w+\()",
     "a function; the macros are TRY, MUST, CHECK, no more", "tests/ bench/"},
    {Where::code, R"(std::filesystem|<filesystem>)",
     "core/linux/openat2.h: a path from an image may be a symlink to the host",
     // Paths of the host and of the kubelet, never of an image.
     "tests/ bench/ cri/cli/ cri/options.cc cri/main.cc cri/image/fs_info.cc "
     "cri/spec/mounts.cc cri/container/image_volumes.cc "
     "cri/container/log_file.cc cri/container/volumes.cc cri/reconcile/ cri/sandbox/remove.cc "
     "cri/sandbox/files.cc"},
    {Where::code, R"(std::c(out|err|log)\b|\b(f?printf|puts)\s*\()",
     "core/base/log.h: only programs with a terminal print",
     "tests/ bench/ cri/cli/ cri/main.cc scripts/"},
    {Where::text,
     "TO"
     R"(DO(?!\((perf|cleanup|kernel|test)\): ))",
     "TO"
     "DO(kind): with perf, cleanup, kernel or test, and an issue",
     ""},
    {Where::text,
     "FIX"
     "ME|XX"
     "X:",
     "TO"
     "DO(kind): with an issue",
     ""},
    {Where::text,
     "/work/"
     "(main|shared|out)|/tmp/"
     "berth-notes",
     "a path from the repository's root: this one is of one machine", ""},
    {Where::text, "https?://[\\w.-]*(debian|pypi|npmjs|crates)\\.",
     "the package's name: where packages come from is the machine's business", ""},
};

bool allowed_in(std::string_view prefixes, std::string_view path) {
  while (!prefixes.empty()) {
    const std::size_t end = std::min(prefixes.find(' '), prefixes.size());
    if (end > 0 && path.starts_with(prefixes.substr(0, end))) return true;
    prefixes.remove_prefix(std::min(end + 1, prefixes.size()));
  }
  return false;
}

}  // namespace

std::vector<Finding> check_bans(const Source& source) {
  std::vector<Finding> found;
  for (const Ban& ban : kBans) {
    if (ban.where == Where::code && !source.is_cpp()) continue;
    if (allowed_in(ban.allowed, source.path)) continue;
    const std::string& searched = ban.where == Where::code ? source.code : source.text;
    const std::regex pattern(ban.pattern);
    for (std::sregex_iterator it(searched.begin(), searched.end(), pattern), end; it != end; ++it) {
      const std::size_t at = static_cast<std::size_t>(it->position());
      const std::string word = it->str();
      const std::size_t skip = word.front() == '\n' ? 1 : 0;
      found.push_back(
          source.finding(at + skip, "ban", "`" + word.substr(skip) + "`: use " + ban.instead));
    }
  }
  return found;
}

}  // namespace berth::tidy
