// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/build_id.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <vector>

#include "core/base/unique_fd.h"

namespace berth::keeper {
namespace {

constexpr std::size_t kNotesBytesMax = 64 << 10;
constexpr std::size_t kHeadersMax = 64;

std::size_t aligned(std::size_t size) noexcept {
  return (size + 3) / 4 * 4;
}

// False: there is no build ID among these notes.
bool find_in_notes(std::span<const char> notes, Name* build) noexcept {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    ::memcpy(&note, notes.data(), sizeof note);
    const std::size_t name_at = sizeof note;
    const std::size_t id_at = name_at + aligned(note.n_namesz);
    if (id_at > notes.size() || note.n_descsz > notes.size() - id_at) return false;
    const bool is_gnu = note.n_namesz == sizeof ELF_NOTE_GNU &&
                        ::memcmp(notes.data() + name_at, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0;
    if (is_gnu && note.n_type == NT_GNU_BUILD_ID && note.n_descsz * 2 <= kNameBytesMax) {
      constexpr char kDigits[] = "0123456789abcdef";
      *build = {};
      for (std::size_t i = 0; i < note.n_descsz; ++i) {
        const auto byte = static_cast<unsigned char>(notes[id_at + i]);
        build->bytes[build->length++] = kDigits[byte >> 4];
        build->bytes[build->length++] = kDigits[byte & 15];
      }
      return true;
    }
    const std::size_t end = id_at + aligned(note.n_descsz);
    if (end >= notes.size()) return false;
    notes = notes.subspan(end);
  }
  return false;
}

Status read_at(int fd, void* into, std::size_t size, std::uint64_t offset,
               const std::string& path) {
  const ssize_t got = ::pread(fd, into, size, static_cast<off_t>(offset));
  if (got < 0) return sys_error(errno, "pread", path);
  if (static_cast<std::size_t>(got) != size) {
    return make_error(Errc::invalid_argument, path + " is not a whole ELF file");
  }
  return {};
}

}  // namespace

Name own_build() noexcept {
  Name build;
  const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(::getauxval(AT_PHDR));
  const std::size_t count = ::getauxval(AT_PHNUM);
  if (headers == nullptr) return build;
  // A program that is loaded where it was linked for has no PT_PHDR, or one that says so.
  std::uintptr_t base = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) {
      base = reinterpret_cast<std::uintptr_t>(headers) - headers[i].p_vaddr;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (headers[i].p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const char*>(base + headers[i].p_vaddr);
    if (find_in_notes({notes, headers[i].p_memsz}, &build)) break;
  }
  return build;
}

Result<std::string> build_of_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return sys_error(errno, "open", path);
  ElfW(Ehdr) elf;
  TRY_(read_at(file.get(), &elf, sizeof elf, 0, path));
  const bool is_elf = ::memcmp(elf.e_ident, ELFMAG, SELFMAG) == 0 &&
                      elf.e_phentsize == sizeof(ElfW(Phdr)) && elf.e_phnum <= kHeadersMax;
  if (!is_elf) return make_error(Errc::invalid_argument, path + " is not a program");
  std::vector<ElfW(Phdr)> headers(elf.e_phnum);
  TRY_(read_at(file.get(), headers.data(), headers.size() * sizeof headers[0], elf.e_phoff, path));
  for (const ElfW(Phdr) & header : headers) {
    if (header.p_type != PT_NOTE || header.p_filesz > kNotesBytesMax) continue;
    std::vector<char> notes(header.p_filesz);
    TRY_(read_at(file.get(), notes.data(), notes.size(), header.p_offset, path));
    Name build;
    if (find_in_notes(notes, &build)) return std::string(build.view());
  }
  return std::string();
}

}  // namespace berth::keeper
