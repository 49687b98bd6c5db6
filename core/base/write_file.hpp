// SPDX-License-Identifier: Apache-2.0

// Writing whole files so that a crash leaves the old contents or the new, never a part. Every file
// that the program writes goes through here, but a store's.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>

#include "core/base/descriptor.hpp"
#include "core/base/hash.hpp"

namespace perdure {

// How a file comes into being.
struct FileRules {
  bool replace = true;  // false: an existing file is an error, also one that appears meanwhile
  mode_t mode = 0600;   // 0666: readable by others as the user's umask allows
};

// A file that is complete or not there: written under a new name beside its place, synced, and
// renamed to it by commit(). The name cannot be guessed, and a link planted there is not followed.
class NewFile {
 public:
  // Errors: Error naming the path: the file cannot be made there, it exists and may not be
  // replaced, or something that is no regular file stands there (a device, a folder).
  explicit NewFile(std::string path, FileRules rules = {});
  ~NewFile();  // without commit(): nothing is left
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::string& path() const { return path_; }
  // Where the bytes are until commit(), for reading them back.
  const std::string& unfinished_path() const { return temporary_; }
  // Errors: Error naming the path if the disk refuses.
  void write(std::span<const std::byte> bytes);
  // Syncs, and reads back what was written. Errors: Error naming the path if it is not that.
  void verify();
  // Syncs, renames and syncs the folder. Errors: Error naming the path; what was there before then
  // stays, unless only the last step failed: then the new contents are there but may not outlive a
  // power cut.
  void commit();

 private:
  std::string path_, temporary_;
  FileRules rules_;
  Descriptor file_;
  Hasher written_;
  bool committed_ = false;
};

// The whole file at once. Errors: as those of NewFile.
void write_file(const std::string& path, std::span<const std::byte> bytes, FileRules rules = {});

}  // namespace perdure
