// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/entries.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/api/error.hpp"
#include "plugins/stores/file/messages.hpp"

namespace perdure::file_store {
namespace {

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace

std::optional<EntryName> parse_entry(std::string_view entry) {
  const size_t at = entry.find('@');
  if (at == std::string_view::npos || !is_name(entry.substr(0, at))) return std::nullopt;
  EntryName name{entry.substr(0, at), 0};
  const std::string_view digits = entry.substr(at + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), name.generation);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (name.generation == 0 || digits.front() == '0') return std::nullopt;
  return name;
}

std::string_view kept_entry(std::string_view entry) {
  return entry.ends_with('+') ? entry.substr(0, entry.size() - 1) : std::string_view();
}

std::string entry_name(std::string_view name, uint64_t generation) {
  return std::string(name) + "@" + std::to_string(generation);
}

std::string kept_name(std::string_view name, uint64_t generation) {
  return entry_name(name, generation) + "+";
}

void require_name(std::string_view name) {
  if (!is_name(name))
    throw UsageError("a session name has 1 to 64 of A-Z a-z 0-9 . _ -, and is not . or .. alone");
}

uint64_t bytes_of(const Descriptor& file) {
  struct stat status;
  return ::fstat(file.number(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

void require_file(const Descriptor& file, const std::string& what) {
  struct stat status;
  if (::fstat(file.number(), &status) != 0) fail(what, "reading", errno);
  if (!S_ISREG(status.st_mode)) throw Error(what + ": it is not a regular file; move it away");
}

std::vector<std::byte> room_for(uint64_t size_bytes, const std::string& what) {
  try {
    return std::vector<std::byte>(size_bytes);
  } catch (const std::exception&) {
    throw Error(what + ": its " + std::to_string(size_bytes) + " bytes do not fit into RAM");
  }
}

bool exists_at(const Descriptor& folder, const std::string& entry) {
  struct stat status;
  return ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string oddity(const Descriptor& folder, const std::string& entry) {
  struct stat status;
  if (::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return "";
  if (S_ISREG(status.st_mode)) return "";
  if (S_ISLNK(status.st_mode)) return "a symbolic link";
  return S_ISDIR(status.st_mode) ? "a folder" : "no regular file";
}

bool is_file_at(const Descriptor& folder, const std::string& entry, const struct stat& file) {
  struct stat status;
  return ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_ino == file.st_ino && status.st_size == file.st_size &&
         status.st_mtim.tv_sec == file.st_mtim.tv_sec &&
         status.st_mtim.tv_nsec == file.st_mtim.tv_nsec;
}

}  // namespace perdure::file_store
