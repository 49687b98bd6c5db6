// SPDX-License-Identifier: Apache-2.0

// Whole files in and out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::app {

// The bytes of a file, or of standard input for "-". Errors: Error naming the path; UsageError if
// that is empty.
std::string read_file(const std::string& path);

// A file that is complete or not there: written beside its place, synced and moved there by
// commit().
class NewFile {
 public:
  // Chooses the name beside `path`; creates nothing.
  // Errors: Error if something other than a file is there, which must not be replaced: a device, a
  // folder.
  explicit NewFile(std::string path);
  ~NewFile();  // without commit(): nothing is left
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::string& temporary_path() const { return temporary_; }
  // Errors: Error naming the path; then there is no new file.
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

// Errors: Error naming the path if the file exists or cannot be written.
void write_new_file(const std::string& path, std::span<const std::byte> bytes);

// Token ids in decimal, separated by white space. `name` stands for the text in messages.
// Errors: Error with the byte offset of what is not a token id below `vocab_size`.
std::vector<int32_t> parse_tokens(std::string_view text, int64_t vocab_size,
                                  const std::string& name);

}  // namespace perdure::app
