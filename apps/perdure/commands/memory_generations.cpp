// SPDX-License-Identifier: Apache-2.0

// The generations of memories: looking back, going back, and deleting what is older than wanted.
#include "apps/perdure/commands/memory_generations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <functional>
#include <utility>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/json/json_write.hpp"
#include "core/engine/snapshot.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

std::string stored_text(const StoredSnapshot& snapshot) {
  return fmt::format("{}@{}  {}  {}", snapshot.name, snapshot.generation,
                     bytes_text(static_cast<double>(snapshot.size_bytes)),
                     time_text(snapshot.saved_at));
}

// "alice@17". Errors: UsageError.
StoredSnapshot parse_generation(const std::string& word) {
  const size_t at = word.find('@');
  StoredSnapshot snapshot{word.substr(0, at)};
  const char* const end = word.data() + word.size();
  if (at != std::string::npos) {
    const auto [stop, error] = std::from_chars(word.data() + at + 1, end, snapshot.generation);
    if (error == std::errc() && stop == end && snapshot.generation > 0) return snapshot;
  }
  throw UsageError(
      "which generation? perdure memory restore NAME@GENERATION; `perdure memory log NAME` shows "
      "them");
}

// What a generation holds, or why it cannot be read.
struct LogEntry {
  StoredSnapshot stored;
  int64_t position = 0;
  std::string damage;
};

std::vector<LogEntry> read_log(MemoryStore& store, const std::string& name) {
  std::vector<LogEntry> log;
  for (const StoredSnapshot& stored : store.generations(name)) {
    LogEntry entry{stored};
    try {
      entry.position = decode_snapshot_header(store.get(stored.name, stored.generation)).position;
    } catch (const Error& error) {
      entry.damage = error.what();
    }
    log.push_back(std::move(entry));
  }
  return log;
}

Json as_json(const LogEntry& entry) {
  Json::Map members = stored_members(entry.stored);
  if (entry.damage.empty())
    members.push_back(member("position", entry.position));
  else
    members.push_back(member("damage", entry.damage));
  return object(std::move(members));
}

// What the rules do not keep, of memories by name, newest generation first; then, oldest first,
// what is too much for the place. The newest of a name always stays.
std::vector<StoredSnapshot> not_kept(const std::vector<StoredSnapshot>& all,
                                     const StoreRules& rules) {
  const int64_t now = std::time(nullptr);
  std::vector<StoredSnapshot> gone, older;
  uint64_t bytes = 0, newer = 0;
  for (const StoredSnapshot& snapshot : all) {
    newer = &snapshot != &all.front() && snapshot.name == (&snapshot - 1)->name ? newer + 1 : 0;
    if (!keeps(rules, newer, snapshot.saved_at, now)) {
      gone.push_back(snapshot);
      continue;
    }
    bytes += snapshot.size_bytes;
    if (newer > 0) older.push_back(snapshot);
  }
  std::stable_sort(
      older.begin(), older.end(), [](const StoredSnapshot& a, const StoredSnapshot& b) {
        return a.saved_at != b.saved_at ? a.saved_at < b.saved_at : a.generation < b.generation;
      });
  for (const StoredSnapshot& snapshot : older) {
    if (rules.max_bytes == 0 || bytes <= rules.max_bytes) break;
    bytes -= snapshot.size_bytes;
    gone.push_back(snapshot);
  }
  return gone;
}

uint64_t bytes_of(const std::vector<StoredSnapshot>& all) {
  uint64_t bytes = 0;
  for (const StoredSnapshot& snapshot : all) bytes += snapshot.size_bytes;
  return bytes;
}

// What prune deletes, or would, and the bytes that are free then.
struct Pruned {
  std::vector<StoredSnapshot> gone;
  uint64_t bytes = 0;
};

Pruned would_prune(const std::vector<StoredSnapshot>& all, const StoreRules& rules) {
  std::vector<StoredSnapshot> gone = not_kept(all, rules);
  const uint64_t bytes = bytes_of(gone);
  return {std::move(gone), bytes};
}

// Again while something goes: what a generation shares stays with the newer ones, so that less is
// free than its size said.
Pruned prune(MemoryStore& store, const std::function<std::vector<StoredSnapshot>()>& list,
             const StoreRules& rules) {
  Pruned pruned;
  std::vector<StoredSnapshot> all = list();
  const uint64_t before = bytes_of(all);
  for (size_t known = all.size() + 1; all.size() < known; all = list()) {
    known = all.size();
    for (const StoredSnapshot& snapshot : not_kept(all, rules)) {
      store.remove(snapshot.name, snapshot.generation);
      pruned.gone.push_back(snapshot);
    }
  }
  pruned.bytes = before - std::min(before, bytes_of(all));
  return pruned;
}

}  // namespace

OpenStore::OpenStore(const Settings& settings)
    : plugins(linked_plugins(), settings.plugins.load), store(open_store(settings, plugins)) {}

Json::Map stored_members(const StoredSnapshot& snapshot) {
  return {member("name", snapshot.name), member("generation", snapshot.generation),
          member("bytes", snapshot.size_bytes), member("saved_at", snapshot.saved_at)};
}

int run_log(const Arguments& arguments) {
  std::vector<std::string> names;
  CommandLine line("memory log NAME", "Lists the stored generations of a session, newest first.");
  line.add_json().add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  if (names.empty()) throw UsageError("which session? perdure memory log NAME");
  const OpenStore open(line.settings());
  const std::vector<LogEntry> log = read_log(*open.store, names[0]);
  if (log.empty()) throw Error("there is no session '" + names[0] + "'");
  std::vector<Json> list;
  std::string text;
  for (const LogEntry& entry : log) {
    list.push_back(as_json(entry));
    text += fmt::format("{}  {}\n", stored_text(entry.stored),
                        entry.damage.empty() ? grouped(entry.position) + " tokens" : entry.damage);
  }
  print(line.json() ? json_text(json(list)) + "\n" : text);
  return 0;
}

int run_restore(const Arguments& arguments) {
  std::vector<std::string> words;
  CommandLine line("memory restore NAME@GENERATION",
                   "Saves an older generation of a session again, as the newest one.");
  line.add_json().add_words("generation", &words, 1);
  if (!line.parse(arguments)) return 0;
  const StoredSnapshot wanted = parse_generation(words.empty() ? "" : words[0]);
  const OpenStore open(line.settings());
  const auto lock = open.store->lock(wanted.name);
  const uint64_t before = newest(*open.store, wanted.name).generation;
  const std::vector<std::byte> snapshot = open.store->get(wanted.name, wanted.generation);
  decode_snapshot_header(snapshot);  // checks every byte
  const uint64_t generation = open.store->put(wanted.name, snapshot, before);
  if (line.json())
    print(json_text(object({member("name", wanted.name), member("restored", wanted.generation),
                            member("generation", generation)})) +
          "\n");
  note(fmt::format("restored generation {} of session '{}' as generation {}", wanted.generation,
                   wanted.name, generation),
       line.quiet());
  return 0;
}

int run_prune(const Arguments& arguments) {
  std::vector<std::string> names;
  bool dry_run = false;
  CommandLine line(
      "memory prune [NAME] [--dry-run]",
      "Deletes the generations of one session, or of all, that store.keep and\n"
      "store.keep_days do not keep, and the oldest ones while the store is larger than\n"
      "store.max_bytes. The newest generation of a session is always kept.");
  line.add_flag("dry-run", &dry_run, "list what would be deleted, and delete nothing")
      .add_json()
      .add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  const Settings settings = line.settings();
  const OpenStore open(settings);
  const auto stored = [&] {
    return names.empty() ? open.store->list() : open.store->generations(names[0]);
  };
  if (!names.empty() && stored().empty()) throw Error("there is no session '" + names[0] + "'");
  const Pruned pruned = dry_run ? would_prune(stored(), rules_of(settings))
                                : prune(*open.store, stored, rules_of(settings));
  std::vector<Json> list;
  std::string text;
  for (const StoredSnapshot& snapshot : pruned.gone) {
    list.push_back(object(stored_members(snapshot)));
    text += stored_text(snapshot) + "\n";
  }
  print(line.json() ? json_text(json(list)) + "\n" : text);
  note(fmt::format("{} {} generation{}, {}", dry_run ? "would delete" : "deleted",
                   pruned.gone.size(), pruned.gone.size() == 1 ? "" : "s",
                   bytes_text(static_cast<double>(pruned.bytes))),
       line.quiet());
  return 0;
}

}  // namespace perdure::app
