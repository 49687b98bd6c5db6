// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/elf_note.hpp"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/api/error.hpp"

namespace perdure {
namespace {

static_assert(std::endian::native == std::endian::little,
              "fields are read as they lie in the file");

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

[[noreturn]] void damaged(const char* what, uint64_t offset) {
  throw Error(std::string("the file is damaged: ") + what + " at byte " + std::to_string(offset) +
              " does not fit into it; build or copy the library again");
}

template <typename T>
T read_at(std::span<const std::byte> bytes, uint64_t offset, const char* what) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) damaged(what, offset);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

Elf64_Ehdr read_header(std::span<const std::byte> file) {
  if (file.size() < SELFMAG || std::memcmp(file.data(), ELFMAG, SELFMAG) != 0)
    throw Error("it is not a shared library (no ELF header at byte 0)");
  const auto header = read_at<Elf64_Ehdr>(file, 0, "the ELF header");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine)
    throw Error(
        "it is a library for another kind of machine (bytes 4 to 19); build it on this one");
  if (header.e_type != ET_DYN)
    throw Error("it is not a shared library (byte 16); link it with -shared");
  if (header.e_phnum != 0 && header.e_phentsize != sizeof(Elf64_Phdr))
    damaged("the size of a program header", offsetof(Elf64_Ehdr, e_phentsize));
  return header;
}

perdure_plugin_statement read_statement(std::span<const std::byte> description, uint64_t offset) {
  perdure_plugin_statement statement{};
  if (description.size() < offsetof(perdure_plugin_statement, cpu_features))
    damaged("the plugin's statement", offset);
  std::memcpy(&statement, description.data(), std::min(description.size(), sizeof statement));
  for (std::span<char> text :
       {std::span<char>(statement.kind), std::span<char>(statement.name),
        std::span<char>(statement.entry), std::span<char>(statement.build_id)})
    text.back() = '\0';
  return statement;
}

// Errors: Error if the segment ends beyond the file. The loader itself does not look: a library cut
// short would end the process by a bus error.
void check_range(std::span<const std::byte> file, const Elf64_Phdr& segment) {
  if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset)
    damaged("a segment", segment.p_offset);
}

// Notes of one segment: name size, description size, type, name, description; the latter two are
// padded to the segment's alignment.
void read_notes(std::span<const std::byte> file, const Elf64_Phdr& segment,
                std::vector<perdure_plugin_statement>& statements) {
  const uint64_t end = segment.p_offset + segment.p_filesz;
  const uint64_t alignment = segment.p_align == 8 ? 8 : 4;
  const auto notes = file.first(end);
  uint64_t at = segment.p_offset;
  while (end - at >= sizeof(Elf64_Nhdr)) {
    const auto note = read_at<Elf64_Nhdr>(notes, at, "a note");
    const uint64_t name = at + sizeof note;
    const uint64_t description =
        segment.p_offset + align_up(name - segment.p_offset + note.n_namesz, alignment);
    if (description > end || note.n_descsz > end - description) damaged("a note", at);
    if (note.n_type == PERDURE_PLUGIN_NOTE_TYPE &&
        note.n_namesz == sizeof PERDURE_PLUGIN_NOTE_NAME &&
        std::memcmp(file.data() + name, PERDURE_PLUGIN_NOTE_NAME, note.n_namesz) == 0)
      statements.push_back(read_statement(file.subspan(description, note.n_descsz), description));
    const uint64_t next =
        segment.p_offset + align_up(description - segment.p_offset + note.n_descsz, alignment);
    if (next >= end) break;
    at = next;
  }
}

}  // namespace

std::vector<perdure_plugin_statement> read_plugin_statements(std::span<const std::byte> file) {
  const Elf64_Ehdr header = read_header(file);
  std::vector<perdure_plugin_statement> statements;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    const uint64_t skip = i * sizeof(Elf64_Phdr);
    if (header.e_phoff > file.size()) damaged("the table of segments", header.e_phoff);
    const auto segment = read_at<Elf64_Phdr>(file, header.e_phoff + skip, "the table of segments");
    if (segment.p_type == PT_LOAD || segment.p_type == PT_NOTE) check_range(file, segment);
    if (segment.p_type == PT_NOTE) read_notes(file, segment, statements);
  }
  return statements;
}

}  // namespace perdure
