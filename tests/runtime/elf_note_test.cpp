// SPDX-License-Identifier: Apache-2.0

// Reading plugin statements from the bytes of libraries, whole and damaged.
#include "core/runtime/elf_note.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <cstring>
#include <random>
#include <string>

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"

using namespace perdure;

namespace {

std::vector<std::byte> library_bytes() {
  const MappedFile file(std::string(PERDURE_BINARY_DIR) + "/tests/plugins/good_kernel.so");
  return {file.bytes().begin(), file.bytes().end()};
}

void append(std::vector<std::byte>& bytes, const void* data, size_t size) {
  const size_t old_size = bytes.size();
  bytes.resize(old_size + size);
  std::memcpy(bytes.data() + old_size, data, size);
}

// A library of nothing but one segment of notes: a foreign one, then the plugin's.
std::vector<std::byte> library_of_notes(uint64_t alignment) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
#if defined(__aarch64__)
  header.e_machine = EM_AARCH64;
#else
  header.e_machine = EM_X86_64;
#endif
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;

  std::vector<std::byte> notes;
  const Elf64_Nhdr foreign{4, 5, 1};
  append(notes, &foreign, sizeof foreign);
  append(notes, "GNU", 4);
  append(notes, "12345", 5);
  notes.resize((notes.size() + alignment - 1) / alignment * alignment);
  const perdure_plugin_note note{sizeof PERDURE_PLUGIN_NOTE_NAME,
                                 sizeof(perdure_plugin_statement),
                                 PERDURE_PLUGIN_NOTE_TYPE,
                                 PERDURE_PLUGIN_NOTE_NAME,
                                 {sizeof(perdure_plugin_statement), PERDURE_PLUGIN_ABI, 5,
                                  "kernels", "made_by_hand", "entry", ""}};
  append(notes, &note, sizeof note);

  Elf64_Phdr segment{};
  segment.p_type = PT_NOTE;
  segment.p_align = alignment;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_filesz = notes.size();
  std::vector<std::byte> bytes;
  append(bytes, &header, sizeof header);
  append(bytes, &segment, sizeof segment);
  append(bytes, notes.data(), notes.size());
  return bytes;
}

// Whether it was read; anything but an Error escapes and fails the test.
bool reads(std::span<const std::byte> bytes) {
  try {
    return read_plugin_statements(bytes).size() == 1;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("the statement is read from the file of a library") {
  const auto statements = read_plugin_statements(library_bytes());
  REQUIRE(statements.size() == 1);
  CHECK(statements[0].abi == PERDURE_PLUGIN_ABI);
  CHECK(std::string(statements[0].kind) == "kernels");
  CHECK(std::string(statements[0].name) == "good");
  CHECK(std::string(statements[0].entry) == "perdure_entry_kernels_good");
}

TEST_CASE("notes aligned to 4 and to 8 bytes are read alike") {
  for (const uint64_t alignment : {4, 8}) {
    const auto statements = read_plugin_statements(library_of_notes(alignment));
    REQUIRE(statements.size() == 1);
    CHECK(statements[0].cpu_features == 5);
    CHECK(std::string(statements[0].name) == "made_by_hand");
  }
}

TEST_CASE("a statement cut at any byte is not read") {
  const auto bytes = library_of_notes(4);
  CHECK(reads(bytes));
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(reads(std::vector(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size))));
}

TEST_CASE("no damage to a library makes the reader leave its bytes") {
  const auto whole = library_bytes();
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    // Exactly as large as the file, so that the address sanitizer sees every step beyond it.
    std::vector<std::byte> bytes(whole.begin(), whole.begin() + 1024);
    for (int k = 0; k < 4; ++k) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    reads(bytes);
  }
}

TEST_CASE("texts without an end are cut") {
  auto bytes = library_of_notes(4);
  const size_t statement = bytes.size() - sizeof(perdure_plugin_statement);
  std::memset(bytes.data() + statement + 16, 'x', sizeof(perdure_plugin_statement) - 16);
  const auto statements = read_plugin_statements(bytes);
  REQUIRE(statements.size() == 1);
  CHECK(std::string(statements[0].kind) == std::string(15, 'x'));
  CHECK(std::string(statements[0].build_id) == std::string(95, 'x'));
}

TEST_CASE("a library for another machine is distinguished from a damaged one") {
  auto bytes = library_of_notes(4);
  bytes[offsetof(Elf64_Ehdr, e_machine)] = std::byte{8};
  CHECK_THROWS_WITH_AS(
      read_plugin_statements(bytes),
      "it is a library for another kind of machine (bytes 4 to 19); build it on this one", Error);
  bytes = library_of_notes(4);
  bytes[offsetof(Elf64_Ehdr, e_phoff) + 7] = std::byte{0xff};
  CHECK_THROWS_WITH_AS(read_plugin_statements(bytes), doctest::Contains("at byte"), Error);
}
