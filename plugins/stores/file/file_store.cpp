// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/file_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <system_error>
#include <utility>

#include "core/api/error.hpp"

namespace perdure::file_store {
namespace {

constexpr int kNever =
    O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;  // never a link, never into a child, never wait on a fifo

struct EntryName {
  std::string_view session;
  uint64_t generation = 0;
};

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), allowed);
}

// What a generation is made of cannot be found out: it cannot be read any more.
class DamagedLayout : public Error {
 public:
  explicit DamagedLayout(const std::string& what)
      : Error(what + ": its table of shared blocks is damaged") {}
};

// "alice@17+" -> "alice@17": what is kept of a generation that is gone. Otherwise empty.
std::string_view kept_entry(std::string_view entry) {
  return entry.ends_with('+') ? entry.substr(0, entry.size() - 1) : std::string_view();
}

// "alice@17" -> alice, 17. Locks, temporaries and whatever else lies in the folder give nothing.
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

std::string entry_name(std::string_view name, uint64_t generation) {
  return std::string(name) + "@" + std::to_string(generation);
}

std::string kept_name(std::string_view name, uint64_t generation) {
  return entry_name(name, generation) + "+";
}

uint64_t bytes_of(const Descriptor& file) {
  struct stat status;
  return ::fstat(file.number(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

// Errors: Error if it is a folder, a device or the like.
void require_file(const Descriptor& file, const std::string& what) {
  struct stat status;
  if (::fstat(file.number(), &status) != 0) fail(what, "reading", errno);
  if (!S_ISREG(status.st_mode)) throw Error(what + ": it is not a regular file; move it away");
}

std::vector<std::byte> room_for(uint64_t size_bytes, const std::string& what) {
  try {
    return std::vector<std::byte>(size_bytes);
  } catch (const std::exception&) {
    throw Error(what + ": its " + std::to_string(size_bytes) + " bytes do not fit into memory");
  }
}

std::string describe(const char* verb, std::string_view name, const std::string& path) {
  return std::string("cannot ") + verb + " session '" + std::string(name) + "' in " + path;
}

std::string describe_save(std::string_view name, const std::string& path) {
  return describe("save", name, path) + " (saved generations are unchanged)";
}

const char* advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space and try again";
    case EROFS:
    case EACCES:
    case EPERM:
      return "get access to the folder or set another store.path";
    case EIO:
      return "check the disk";
    case EINVAL:
    case ENOTSUP:
    case ENOSYS:
      return "set store.durability: relaxed if the file system cannot do it";
    case ELOOP:
      return "replace the symbolic link, a store never follows one";
    default:
      return "fix the cause and try again";
  }
}

bool exists_at(const Descriptor& folder, const std::string& entry) {
  struct stat status;
  return ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

// What the entry is, if it is no file that a store has written: "a symbolic link"; otherwise empty.
std::string oddity(const Descriptor& folder, const std::string& entry) {
  struct stat status;
  if (::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return "";
  if (S_ISREG(status.st_mode)) return "";
  if (S_ISLNK(status.st_mode)) return "a symbolic link";
  return S_ISDIR(status.st_mode) ? "a folder" : "no regular file";
}

// Whether the entry is the file that had this status: nobody has replaced or written it.
bool is_file_at(const Descriptor& folder, const std::string& entry, const struct stat& file) {
  struct stat status;
  return ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_ino == file.st_ino && status.st_size == file.st_size &&
         status.st_mtim.tv_sec == file.st_mtim.tv_sec &&
         status.st_mtim.tv_nsec == file.st_mtim.tv_nsec;
}

// Deletes the file again unless it was kept.
class Cleanup {
 public:
  Cleanup(FileSystem& system, const Descriptor& folder, std::string name)
      : system_(system), folder_(folder), name_(std::move(name)) {}
  ~Cleanup() {
    if (!name_.empty()) system_.unlink_at(folder_.number(), name_.c_str());
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  void keep() { name_.clear(); }

 private:
  FileSystem& system_;
  const Descriptor& folder_;
  std::string name_;
};

}  // namespace

void fail(const std::string& what, const char* step, int error) {
  throw Error(what + ": " + step + " failed (" + std::generic_category().message(error) + "); " +
              advice(error));
}

void require_name(std::string_view name) {
  if (is_name(name)) return;
  std::string shown;
  for (char c : name.substr(0, 80)) shown += c >= ' ' && c <= '~' ? c : '?';
  throw UsageError(
      "'" + shown +
      "' is not a session name: use 1 to 64 of A-Z a-z 0-9 . _ -, and not . or .. alone");
}

FileStore::FileStore(FileStoreSettings settings, FileSystem& system)
    : settings_(std::move(settings)), system_(system) {}

uint64_t FileStore::put(std::string_view name_view, const SnapshotSource& snapshot,
                        uint64_t newest) {
  require_name(name_view);
  const std::string name(name_view);
  const std::string what = describe_save(name, path_);
  const Descriptor folder = make_folder();
  std::vector<uint64_t> generations = current(folder, name);
  check_newest(folder, name, generations, newest, what);
  const uint64_t generation = generations.empty() ? 1 : generations.back() + 1;
  if (generation == 0)
    throw Error(what + ": its generations are used up; export and remove it first");

  const std::string temporary = name + "@tmp";
  const Descriptor file = create_temporary(folder, name);
  Cleanup temporary_cleanup(system_, folder, temporary);
  std::set<uint64_t> shared = write_snapshot(
      folder, file, name, generations.empty() ? 0 : generations.back(), snapshot, what);
  sync(file, what, "syncing the file");
  if (system_.rename_at(folder.number(), temporary.c_str(), entry_name(name, generation).c_str()) !=
      0)
    fail(what, "renaming", errno);
  temporary_cleanup.keep();
  publish(folder, name, generation, what);
  remove_old(folder, name, generations, std::move(shared));
  generations.push_back(generation);
  remember(folder, name, std::move(generations));
  return generation;
}

// If the folder cannot be synced nobody knows which memory a restart finds; the new one is taken
// back. Where that fails too, the new one is whole and in its place: it is remembered as this
// object's own, and the sentence does not say that nothing has changed.
void FileStore::publish(const Descriptor& folder, const std::string& name, uint64_t generation,
                        const std::string& what) {
  try {
    sync_folder(folder, what, "syncing the folder");
  } catch (const Error& error) {
    const std::string entry = entry_name(name, generation);
    if (system_.unlink_at(folder.number(), entry.c_str()) == 0 || errno == ENOENT) throw;
    if (system_.rename_at(folder.number(), entry.c_str(), (name + "@tmp").c_str()) == 0) throw;
    remember(folder, name, {generation});
    if (const auto known = known_.find(name); known != known_.end())
      known->second.unacknowledged = true;
    throw Error(std::string(error.what()) + "; generation " + std::to_string(generation) +
                " could not be taken back: it is there, whole, but a power cut may lose it");
  }
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

// ---- blocks that generations share

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
    const bool doubtful = ends_as_table(block_);
    write_own();
    const std::set<uint64_t> others = layout_.others();
    if (!others.empty() || doubtful) write_(table_bytes(layout_, own_));
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
    own_ += block_.size();
    at_ += block_.size();
    block_.clear();
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

void FileStore::read_at(const Descriptor& file, uint64_t at, std::span<std::byte> bytes,
                        const std::string& what) const {
  if (::lseek(file.number(), static_cast<off_t>(at), SEEK_SET) < 0) fail(what, "reading", errno);
  while (!bytes.empty()) {
    const ssize_t part = system_.read(file.number(), bytes.data(), bytes.size());
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) fail(what, "reading", part < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(part));
  }
}

std::map<std::string, uint64_t, std::less<>> FileStore::kept_bytes(const Descriptor& folder) const {
  std::map<std::string, uint64_t, std::less<>> bytes;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(kept_entry(entry));
    struct stat status;
    if (parsed && ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
      bytes[std::string(parsed->session)] += static_cast<uint64_t>(status.st_size);
  }
  return bytes;
}

uint64_t FileStore::room(const Descriptor& folder) const {
  uint64_t left = settings_.rules.max_bytes;
  if (left == 0) return UINT64_MAX;
  for (const std::string& entry : entries(folder)) {
    struct stat status;
    if (::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode))
      left -= std::min(left, static_cast<uint64_t>(status.st_size));
  }
  return left;
}

std::vector<std::byte> FileStore::get(std::string_view name, uint64_t generation) {
  require_name(name);
  const std::string what = describe("read", name, path_);
  const Descriptor folder = open_folder();
  if (generation == 0 && folder) {
    const std::vector<uint64_t> all = scan(folder, name);
    generation = all.empty() ? 0 : all.back();
  }
  if (!folder || generation == 0)
    throw Error(what + ": there is none; `perdure memory list` shows what there is");
  const Descriptor file(open_at(folder, entry_name(name, generation), O_RDONLY | kNever));
  if (!file && errno == ENOENT)
    throw Error(what + ": there is no generation " + std::to_string(generation));
  if (!file) fail(what, "opening", errno);
  require_file(file, what);
  const uint64_t size = bytes_of(file);  // asked once: one that is cut meanwhile is an error
  if (const auto layout = layout_of(file, size, what))
    return read_shared(folder, std::string(name), file, *layout, what);
  return read_all(file, size, what);
}

std::vector<StoredSnapshot> FileStore::list() {
  std::vector<StoredSnapshot> found;
  const Descriptor folder = open_folder();
  if (!folder) return found;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(entry);
    struct stat status;
    if (!parsed || ::fstatat(folder.number(), entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (!S_ISREG(status.st_mode)) continue;
    found.push_back({std::string(parsed->session), parsed->generation,
                     static_cast<uint64_t>(status.st_size), status.st_mtime});
  }
  auto kept = kept_bytes(folder);
  std::sort(found.begin(), found.end(), [](const StoredSnapshot& a, const StoredSnapshot& b) {
    return a.name != b.name ? a.name < b.name : a.generation > b.generation;
  });
  for (StoredSnapshot& newest : found) newest.size_bytes += std::exchange(kept[newest.name], 0);
  return found;
}

std::vector<StoredSnapshot> FileStore::generations(std::string_view name_view) {
  require_name(name_view);
  const std::string name(name_view);
  std::vector<StoredSnapshot> found;
  const Descriptor folder = open_folder();
  if (!folder) return found;
  const std::vector<uint64_t> all = scan(folder, name);
  for (auto generation = all.rbegin(); generation != all.rend(); ++generation) {
    struct stat status;
    if (::fstatat(folder.number(), entry_name(name, *generation).c_str(), &status,
                  AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode))
      found.push_back({name, *generation, static_cast<uint64_t>(status.st_size), status.st_mtime});
  }
  if (!found.empty()) found.front().size_bytes += kept_bytes(folder)[name];
  if (!all.empty()) remember(folder, name, all);
  return found;
}

void FileStore::remove(std::string_view name, uint64_t generation) {
  require_name(name);
  const std::string what = describe("remove", entry_name(name, generation), path_);
  const Descriptor folder = open_folder();
  if (!folder) return;
  const std::vector<uint64_t> all = scan(folder, name);
  if (!all.empty() && all.back() == generation)
    throw Error(what + ": it is the newest; `perdure memory remove` takes all of them");
  std::vector<uint64_t> rest = all;
  std::erase(rest, generation);
  const std::string session(name);
  const std::set<uint64_t> needed = needed_beside_saves(folder, session, rest, generation);
  if (!take_away(folder, session, generation, needed)) fail(what, "deleting", errno);
  if (kept_[session].empty()) return;
  sync_folder(folder, what, "syncing the folder");
  remove_unneeded(folder, session, needed);
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

void FileStore::remove(std::string_view name) {
  require_name(name);
  const std::string what = describe("remove", name, path_);
  const Descriptor folder = open_folder();
  const std::vector<uint64_t> all = folder ? scan(folder, name) : std::vector<uint64_t>();
  if (all.empty()) throw Error(what + ": there is none; `perdure memory list` shows what there is");
  known_.erase(std::string(name));
  // A save that was cut short holds the same secrets.
  remove_stale(folder, std::string(name) + "@tmp", what);
  // Oldest first, and synced before the newest goes: a removal that is cut short must not make an
  // old memory the newest. What others need goes last.
  const std::string session(name);
  std::set<uint64_t> needed;
  try {
    needed = needed_by(folder, session, all);
  } catch (const Error&) {  // nobody knows what is needed
    needed.insert(all.begin(), all.end());
  }
  for (const uint64_t generation : all) {
    if (generation == all.back()) sync_folder(folder, what, "syncing the folder");
    if (!take_away(folder, session, generation, needed)) fail(what, "deleting", errno);
  }
  sync_folder(folder, what, "syncing the folder");
  if (kept_[session].empty()) return;
  remove_unneeded(folder, session, {});
  sync_folder(folder, what, "syncing the folder");
}

std::unique_ptr<StoreLock> FileStore::lock(std::string_view name) {
  require_name(name);
  const std::string what = describe("use", name, path_);
  const Descriptor there = open_folder();
  if (there && ::faccessat(there.number(), ".", W_OK, AT_EACCESS) != 0 &&
      (errno == EROFS || errno == EACCES))
    throw ReadOnlyStore(what + ": its folder cannot be written (" +
                        std::generic_category().message(errno) +
                        "); set store.save_every: never to read it all the same");
  return take_lock(system_, make_folder(), std::string(name) + "@lock", what);
}

// ---- the folder

Descriptor FileStore::open_folder() const {
  Descriptor folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno != ENOENT)
    fail("cannot use the store " + path_, "opening the folder", errno);
  if (folder) check_folder(folder);
  return folder;
}

void FileStore::check_folder(const Descriptor& folder) const {
  struct stat status;
  if (::fstat(folder.number(), &status) != 0) return;
  if ((status.st_mode & S_IWOTH) != 0)
    throw Error("cannot use the store " + path_ +
                ": anybody may write there and replace sessions; `chmod o-w` it, or set another "
                "store.path");
  if ((status.st_mode & S_IWGRP) != 0)
    warn("the group of the store " + path_ +
         " may write there and replace sessions; `chmod g-w` "
         "it unless you want that");
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    warn("the store " + path_ + " belongs to another user, who may replace sessions");
}

void FileStore::warn(const std::string& sentence) const {
  if (settings_.warn && told_.insert(sentence).second) settings_.warn(sentence);
}

Descriptor FileStore::make_folder() const {
  Descriptor folder = open_folder();
  if (folder) return folder;
  const std::string what = "cannot use the store " + path_;
  for (size_t end = path_.find('/', 1);; end = path_.find('/', end + 1)) {
    const std::string part = path_.substr(0, end);
    if (::mkdir(part.c_str(), 0700) == 0) {
      // A new folder lasts once its parent is synced.
      const size_t slash = part.find_last_of('/');
      const Descriptor parent(::open(slash == 0 ? "/" : part.substr(0, slash).c_str(),
                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!parent) fail(what, "opening its parent", errno);
      sync_folder(parent, what, "syncing its parent");
    } else if (errno != EEXIST) {
      fail(what, "making the folder", errno);
    }
    if (end == std::string::npos) break;
  }
  folder = open_folder();
  if (!folder) fail(what, "opening the folder", ENOENT);
  return folder;
}

std::vector<std::string> FileStore::entries(const Descriptor& folder) const {
  const std::string what = "cannot read the store " + path_;
  const int copy = ::openat(folder.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) fail(what, "opening the folder", errno);
  DIR* stream = ::fdopendir(copy);
  if (stream == nullptr) fail(what, "opening the folder", errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) names.emplace_back(entry->d_name);
  const int error = errno;
  ::closedir(stream);
  if (error != 0) fail(what, "reading the folder", error);
  return names;
}

std::vector<uint64_t> FileStore::scan(const Descriptor& folder, std::string_view name) const {
  std::vector<uint64_t> found;
  std::set<uint64_t> kept;
  for (const std::string& entry : entries(folder)) {
    const auto parsed = parse_entry(entry), gone = parse_entry(kept_entry(entry));
    if (parsed && parsed->session == name) found.push_back(parsed->generation);
    if (gone && gone->session == name) kept.insert(gone->generation);
  }
  kept_[std::string(name)] = std::move(kept);
  std::sort(found.begin(), found.end());
  return found;
}

// Whoever saves makes the next generation, and deletes from the oldest on: if the newest that is
// known is there, and the next is not, nobody has saved.
std::vector<uint64_t> FileStore::current(const Descriptor& folder, const std::string& name) const {
  const auto known = known_.find(name);
  if (known == known_.end() || known->second.unacknowledged) return scan(folder, name);
  const uint64_t newest = known->second.generations.back();
  if (!is_file_at(folder, entry_name(name, newest), known->second.newest) ||
      exists_at(folder, entry_name(name, newest + 1)))
    return scan(folder, name);
  return known->second.generations;
}

void FileStore::remember(const Descriptor& folder, const std::string& name,
                         std::vector<uint64_t> generations) {
  Known known{std::move(generations), {}};
  std::erase_if(known.generations, [&](uint64_t generation) {
    return !exists_at(folder, entry_name(name, generation));
  });
  if (known.generations.empty() ||
      ::fstatat(folder.number(), entry_name(name, known.generations.back()).c_str(), &known.newest,
                AT_SYMLINK_NOFOLLOW) != 0)
    known_.erase(name);
  else
    known_[name] = std::move(known);
}

void FileStore::check_newest(const Descriptor& folder, const std::string& name,
                             const std::vector<uint64_t>& old, uint64_t newest,
                             const std::string& what) const {
  if (newest == kAnyGeneration) return;
  const uint64_t found = old.empty() ? 0 : old.back();
  const auto known = known_.find(name);
  const bool mine = known != known_.end() && known->second.generations.back() == found &&
                    is_file_at(folder, entry_name(name, found), known->second.newest);
  if (mine && known->second.unacknowledged && newest < found) return;
  const bool replaced = known != known_.end() && !mine && found != 0;
  if (found == newest && !replaced) return;
  const std::string odd = found == 0 ? "" : oddity(folder, entry_name(name, found));
  if (!odd.empty())
    throw Error(what + ": '" + entry_name(name, found) + "' in that folder is " + odd +
                ", which no store has put there; move it away");
  throw Error(what + ": another program has " +
              (found == 0 ? "removed it" : "saved generation " + std::to_string(found)) +
              " meanwhile, and this one continues generation " + std::to_string(newest) +
              "; start again from what is saved, or save under another "
              "name");
}

// ---- files

int FileStore::open_at(const Descriptor& folder, const std::string& name, int flags) const {
  int file = -1;
  do {
    file = system_.open_at(folder.number(), name.c_str(), flags, 0600);
  } while (file < 0 && errno == EINTR);
  return file;
}

// A writer holds a lock on its temporary, so one without a holder was left by a process that died.
Descriptor FileStore::create_temporary(const Descriptor& folder, const std::string& name) const {
  const std::string what = describe_save(name, path_);
  const std::string temporary = name + "@tmp";
  for (int attempt = 0; attempt < 2; ++attempt) {
    Descriptor file(open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | kNever));
    if (file) {
      // Between the two calls another process may have taken it for stale.
      if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0 &&
          is_same_file(folder, temporary.c_str(), file))
        return file;
      break;
    }
    if (errno != EEXIST) fail(what, "creating a file", errno);
    remove_stale(folder, temporary, what);
  }
  throw Error(what + ": another process is saving it; try again");
}

void FileStore::remove_stale(const Descriptor& folder, const std::string& temporary,
                             const std::string& what) const {
  const Descriptor stale(open_at(folder, temporary, O_RDONLY | kNever));
  if (!stale && errno == ENOENT) return;
  if (!stale && errno != ELOOP) fail(what, "opening a left-over file", errno);
  if (stale && ::flock(stale.number(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(what + ": another process is saving it; try again");
  }
  if (system_.unlink_at(folder.number(), temporary.c_str()) != 0)
    fail(what, "deleting a left-over file", errno);
}

void FileStore::write_all(const Descriptor& file, std::span<const std::byte> bytes,
                          const std::string& what) const {
  while (!bytes.empty()) {
    const ssize_t written = system_.write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(what, "writing", written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

std::vector<std::byte> FileStore::read_all(const Descriptor& file, uint64_t size,
                                           const std::string& what) const {
  std::vector<std::byte> bytes = room_for(size, what);
  read_at(file, 0, bytes, what);
  return bytes;
}

// Once only: after a failed fsync the kernel has marked the pages clean, and a second one would
// "succeed".
void FileStore::sync(const Descriptor& file, const std::string& what, const char* step) const {
  if (system_.sync(file.number()) != 0) fail(what, step, errno);
}

void FileStore::sync_folder(const Descriptor& folder, const std::string& what,
                            const char* step) const {
  if (system_.sync(folder.number()) == 0) return;
  const bool cannot = errno == EINVAL || errno == ENOTSUP || errno == ENOSYS;
  if (!cannot || !settings_.relaxed) {
    fail(what, step, errno);
  }
  warn("the file system of the store " + path_ +
       " cannot sync a folder: a power cut may lose what was saved last");
}

}  // namespace perdure::file_store
