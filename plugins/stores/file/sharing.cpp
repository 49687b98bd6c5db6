// SPDX-License-Identifier: Apache-2.0

// Blocks that generations share: how they are written and read, and how long their files stay.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "core/api/error.hpp"
#include "plugins/stores/file/entries.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "plugins/stores/file/messages.hpp"

namespace perdure::file_store {
namespace {

// What a generation is made of cannot be found out: it cannot be read any more.
class DamagedLayout : public Error {
 public:
  explicit DamagedLayout(const std::string& what)
      : Error(what + ": its table of shared blocks is damaged") {}
};

}  // namespace

// Writes the bytes of a snapshot in blocks. One that is the same as the block at its place in the
// generation before is named and not written: compared byte by byte, so that it is right whatever
// the disk has made of it.
class SharingWriter {
 public:
  SharingWriter(const FileStore& store, const Descriptor& folder, const std::string& name,
                uint64_t base, const std::function<void(std::span<const std::byte>)>& write)
      : store_(store), folder_(folder), name_(name), base_(base), write_(write) {}

  void take(std::span<const std::byte> piece) {
    const uint64_t size = store_.settings_.block_bytes;
    while (!piece.empty()) {
      const size_t part = std::min<size_t>(piece.size(), size - block_.size());
      block_.insert(block_.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(part));
      piece = piece.subspan(part);
      if (block_.size() == size) take_block();
    }
  }

  // Returns the generations whose files are shared.
  std::set<uint64_t> finish() {
    write_own();
    const std::set<uint64_t> others = layout_.others();
    if (!others.empty() || ends_as_table(own_end_)) write_(table_bytes(layout_, own_));
    return others;
  }

 private:
  struct Source {
    Descriptor file;
    bool shared = false;  // enough of it is in use
  };

  void take_block() {
    if (at_ == 0) read_base();
    const auto known = base_layout_.find(at_, block_.size());
    if (known && is_same(*known)) {
      layout_.add(*known);
      at_ += block_.size();
      block_.clear();
    } else {
      write_own();
    }
  }

  void write_own() {
    if (block_.empty()) return;
    write_(block_);
    layout_.add({0, own_, block_.size()});
    keep_end();
    own_ += block_.size();
    at_ += block_.size();
    block_.clear();
  }

  // What decides whether the file would be taken for one with a table may lie in two blocks.
  void keep_end() {
    const auto kept = static_cast<ptrdiff_t>(std::min<size_t>(block_.size(), kTableEnd));
    own_end_.insert(own_end_.end(), block_.end() - kept, block_.end());
    if (own_end_.size() > kTableEnd)
      own_end_.erase(own_end_.begin(), own_end_.end() - static_cast<ptrdiff_t>(kTableEnd));
  }

  // The layout of the generation before; where it cannot be read nothing is shared.
  void read_base() {
    if (base_ == 0) return;
    try {
      const Descriptor file = store_.open_blocks(folder_, name_, base_);
      if (!file) return;
      const uint64_t size = bytes_of(file);
      base_layout_ = store_.layout_of(file, size, name_).value_or(Layout{{{0, 0, size}}});
      for (Run& run : base_layout_.runs)
        if (run.generation == 0) run.generation = base_;
      choose_sources();
    } catch (const Error&) {
      base_layout_ = {};
    }
  }

  // A file of which little is in use is not needed any longer, nor is one that gives little beside
  // many others: its blocks are written again.
  void choose_sources() {
    constexpr uint64_t kLeastShare = 4, kMany = 64;
    std::map<uint64_t, uint64_t> used;
    for (const Run& run : base_layout_.runs) used[run.generation] += run.length;
    for (const auto& [generation, bytes] : used) {
      Source source{store_.open_blocks(folder_, name_, generation)};
      source.shared = source.file && bytes * kLeastShare >= bytes_of(source.file) &&
                      (used.size() <= kMany || bytes * kMany >= base_layout_.size_bytes());
      sources_[generation] = std::move(source);
    }
  }

  bool is_same(const Run& known) {
    const Source& source = sources_[known.generation];
    if (!source.shared) return false;
    there_.resize(block_.size());
    try {
      store_.read_at(source.file, known.offset, there_, name_);
    } catch (const Error&) {
      return false;
    }
    return there_ == block_;
  }

  const FileStore& store_;
  const Descriptor& folder_;
  const std::string& name_;
  uint64_t base_;
  const std::function<void(std::span<const std::byte>)>& write_;
  Layout base_layout_, layout_;
  std::map<uint64_t, Source> sources_;
  std::vector<std::byte> block_, there_;
  std::vector<std::byte> own_end_;  // the last bytes written, at most kTableEnd
  uint64_t at_ = 0, own_ = 0;
};

std::set<uint64_t> FileStore::write_snapshot(const Descriptor& folder, const Descriptor& file,
                                             const std::string& name, uint64_t base,
                                             const SnapshotSource& snapshot,
                                             const std::string& what) const {
  uint64_t left = room(folder);
  const std::function<void(std::span<const std::byte>)> write =
      [&](std::span<const std::byte> bytes) {
        if (bytes.size() > left)
          throw Error(what + ": the store would grow beyond store.max_bytes, " +
                      std::to_string(settings_.rules.max_bytes) +
                      " bytes; raise it, or make room with `perdure memory prune` or `remove`");
        left -= bytes.size();
        write_all(file, bytes, what);
      };
  SharingWriter writer(*this, folder, name, base, write);
  snapshot([&](std::span<const std::byte> piece) { writer.take(piece); });
  return writer.finish();
}

Descriptor FileStore::open_blocks(const Descriptor& folder, const std::string& name,
                                  uint64_t generation) const {
  Descriptor file(open_at(folder, entry_name(name, generation), O_RDONLY | kNever));
  return file ? std::move(file)
              : Descriptor(open_at(folder, kept_name(name, generation), O_RDONLY | kNever));
}

std::optional<Layout> FileStore::layout_of(const Descriptor& file, uint64_t size,
                                           const std::string& what) const {
  if (size < kTableEnd) return std::nullopt;
  std::vector<std::byte> table(kTableEnd);
  read_at(file, size - kTableEnd, table, what);
  const uint64_t bytes = table_size(table, size);
  if (bytes == 0) return std::nullopt;
  table.resize(bytes);
  read_at(file, size - bytes, table, what);
  auto layout = read_table(table, size - bytes);
  if (!layout) throw DamagedLayout(what);
  return layout;
}

// No file gives more bytes than it has: a table that says so is refused before memory is taken.
std::vector<std::byte> FileStore::read_shared(const Descriptor& folder, const std::string& name,
                                              const Descriptor& file, const Layout& layout,
                                              const std::string& what) const {
  std::map<uint64_t, Descriptor> others;
  for (const uint64_t generation : layout.others()) {
    others[generation] = open_blocks(folder, name, generation);
    if (!others[generation]) fail(what, "opening the blocks that it shares", errno);
  }
  const auto source = [&](const Run& run) -> const Descriptor& {
    return run.generation == 0 ? file : others.at(run.generation);
  };
  std::map<uint64_t, uint64_t> given;
  for (const Run& run : layout.runs)
    if ((given[run.generation] += run.length) > bytes_of(source(run))) throw DamagedLayout(what);
  std::vector<std::byte> bytes = room_for(layout.size_bytes(), what);
  uint64_t at = 0;
  for (const Run& run : layout.runs) {
    read_at(source(run), run.offset, std::span(bytes).subspan(at, run.length), what);
    at += run.length;
  }
  return bytes;
}

// One that cannot be deleted now is deleted by the next save that reads the folder. What those need
// that go now stays until the next save: their going is on the disk only then.
void FileStore::remove_old(const Descriptor& folder, const std::string& name,
                           const std::vector<uint64_t>& old, std::set<uint64_t> shared) const {
  const int64_t now = std::time(nullptr);
  try {
    shared.merge(needed_by(folder, name, old));
  } catch (const Error&) {
    return;  // nobody knows what is needed
  }
  for (size_t i = 0; i < old.size(); ++i) {
    const std::string entry = entry_name(name, old[i]);
    struct stat status = {};
    if (settings_.rules.keep_seconds > 0 &&
        ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (!keeps(settings_.rules, old.size() - i, status.st_mtime, now))
      take_away(folder, name, old[i], shared);
  }
  remove_unneeded(folder, name, shared);
}

std::set<uint64_t> FileStore::needed_by(const Descriptor& folder, const std::string& name,
                                        const std::vector<uint64_t>& generations) const {
  std::set<uint64_t> needed;
  for (const uint64_t generation : generations) {
    const std::string what = describe("read", entry_name(name, generation), path_);
    const Descriptor file(open_at(folder, entry_name(name, generation), O_RDONLY | kNever));
    if (!file && (errno == ENOENT || errno == ELOOP)) continue;
    if (!file) fail(what, "opening", errno);
    needed.merge(needed_by_file(file, what));
  }
  return needed;
}

// One that is damaged cannot be read, whatever it needs.
std::set<uint64_t> FileStore::needed_by_file(const Descriptor& file,
                                             const std::string& what) const {
  try {
    const auto layout = layout_of(file, bytes_of(file), what);
    return layout ? layout->others() : std::set<uint64_t>();
  } catch (const DamagedLayout&) {
    return {};
  }
}

bool FileStore::take_away(const Descriptor& folder, const std::string& name, uint64_t generation,
                          const std::set<uint64_t>& needed) const {
  const std::string entry = entry_name(name, generation);
  if (needed.count(generation) == 0)
    return system_.unlink_at(folder.number(), entry.c_str()) == 0 || errno == ENOENT;
  if (system_.rename_at(folder.number(), entry.c_str(), kept_name(name, generation).c_str()) != 0)
    return errno == ENOENT;
  kept_[name].insert(generation);
  return true;
}

void FileStore::remove_unneeded(const Descriptor& folder, const std::string& name,
                                const std::set<uint64_t>& needed) const {
  const auto kept = kept_.find(name);
  if (kept == kept_.end()) return;
  std::erase_if(kept->second, [&](uint64_t generation) {
    return needed.count(generation) == 0 &&
           (system_.unlink_at(folder.number(), kept_name(name, generation).c_str()) == 0 ||
            errno == ENOENT);
  });
}

// Whoever saves meanwhile needs what the newest needs, or itself: one that is still there tells. If
// nobody knows what is needed all stays.
std::set<uint64_t> FileStore::needed_beside_saves(const Descriptor& folder, const std::string& name,
                                                  const std::vector<uint64_t>& rest,
                                                  uint64_t generation) const {
  try {
    std::set<uint64_t> needed = needed_by(folder, name, rest);
    if (rest.empty() || exists_at(folder, entry_name(name, rest.back()))) return needed;
  } catch (const Error&) {
  }
  std::set<uint64_t> all = kept_[name];
  all.insert(generation);
  return all;
}

}  // namespace perdure::file_store
