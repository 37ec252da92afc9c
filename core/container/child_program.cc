// SPDX-License-Identifier: Apache-2.0
// Finds the file that a process executes. Magic links are refused on the way to the program and to
// the interpreter of a script: until the exec, /proc/self/exe is the keeper's file. The kernel
// resolves the path once more, and a process of the container may change it in between. It can then
// reach no more than the process still has: a program on a noexec mount, its streams, and the
// report channel, none of which can be executed.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/openat2.h"

namespace berth::container {
namespace {

constexpr size_t kHeadBytes = 256;  // of a script, BINPRM_BUF_SIZE
constexpr int kScriptsMax = 5;      // a script that names a script, as the kernel's own limit

int open_without_magic(const char* path, std::uint64_t flags) noexcept {
  return sys::openat2(AT_FDCWD, path, flags, 0, RESOLVE_NO_MAGICLINKS);
}

// Parses a script's first line as the kernel does: "#!", blanks, the path up to a blank or the end
// of the line. Null: not a script. Ends the path in place.
char* interpreter_of(char* head, size_t length) noexcept {
  if (length < 3 || head[0] != '#' || head[1] != '!') return nullptr;
  char* at = head + 2;
  char* const end = head + length;
  while (at < end && (*at == ' ' || *at == '\t')) ++at;
  char* const path = at;
  while (at < end && *at != ' ' && *at != '\t' && *at != '\n' && *at != '\0') ++at;
  *at = '\0';
  return path[0] == '\0' ? nullptr : path;
}

// The first bytes of the regular file `path`; 0 if they cannot be read: the exec reports the error.
size_t read_head(const char* path, char* head) noexcept {
  const int fd = open_without_magic(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return 0;
  struct stat info {};
  ssize_t length = -1;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) length = ::read(fd, head, kHeadBytes);
  ::close(fd);
  return length > 0 ? static_cast<size_t>(length) : 0;
}

// KERNEL 5.8: faccessat2 on a descriptor, with the effective identity. Proof:
// tests/kernel/faccessat2_empty_path_test.cc.
bool is_executable(int fd) noexcept {
  return ::syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

// 0, or an errno. EACCES: not a regular file, or not for this process to execute.
int check_program(const char* path) noexcept {
  char head[kHeadBytes + 1];
  for (int script = 0; script <= kScriptsMax; ++script) {
    const int fd = open_without_magic(path, O_PATH);
    if (fd < 0) return errno;
    struct stat info {};
    const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    const bool good = is_file && is_executable(fd);
    ::close(fd);
    if (!good) return EACCES;
    path = interpreter_of(head, read_head(path, head));
    if (path == nullptr) return 0;
  }
  return ELOOP;
}

// "DIR/NAME" for the first entry of the search path `directory`, an empty one being the working
// directory. False: it is too long to be a path.
bool join(const char* directory, const char* name, char* buffer, size_t size) noexcept {
  const auto length = static_cast<size_t>(::strchrnul(directory, ':') - directory);
  const size_t name_length = ::strlen(name);
  if (length + name_length + 2 > size) return false;
  ::memcpy(buffer, directory, length);
  buffer[length] = '/';
  ::memcpy(length == 0 ? buffer : buffer + length + 1, name, name_length + 1);
  return true;
}

// Null after the last entry.
const char* next_entry(const char* directory) noexcept {
  const char* const colon = ::strchrnul(directory, ':');
  return *colon == '\0' ? nullptr : colon + 1;
}

}  // namespace

// Searches as execvp(3) does, without its fall-back to a shell. Of several failures the most
// specific is reported: a file that may not be executed before one that does not exist.
const char* find_program(const char* name, const char* search_path, char* buffer,
                         size_t size) noexcept {
  if (name[0] == '\0' || ::strchr(name, '/') != nullptr) {
    errno = check_program(name);
    return errno == 0 ? name : nullptr;
  }
  int telling = ENOENT;
  for (const char* at = search_path; at != nullptr; at = next_entry(at)) {
    if (!join(at, name, buffer, size)) continue;
    const int failed = check_program(buffer);
    if (failed == 0) return buffer;
    if (failed != ENOENT && failed != ENOTDIR && telling != EACCES) telling = failed;
  }
  errno = telling;
  return nullptr;
}

}  // namespace berth::container
