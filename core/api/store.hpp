// SPDX-License-Identifier: Apache-2.0

// Memory stores: named generations of opaque snapshots. A store never looks into a snapshot; the
// host checks what it gets back (magic, lengths, checksums, identity). Names are
// [A-Za-z0-9._-]{1,64}, not "." or "..".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/error.hpp"
#include "core/api/options.hpp"

namespace perdure {

// One stored snapshot.
struct StoredSnapshot {
  std::string name;
  uint64_t generation = 0;  // rises by one with every put of that name
  uint64_t size_bytes = 0;
  int64_t saved_at = 0;  // seconds since 1970, UTC
};

// A snapshot that comes in pieces: calls what it is given once for each, in order. What the call
// throws passes through.
using SnapshotSource = std::function<void(const std::function<void(std::span<const std::byte>)>&)>;

// How much a place keeps.
struct StoreRules {
  uint64_t keep = 2;         // the newest generations of a name, at least 1
  int64_t keep_seconds = 0;  // and all that are younger than this
  uint64_t max_bytes = 0;    // of the whole place; 0 = no limit
};

// Whether the rules keep a generation of which `newer` newer ones exist.
inline bool keeps(const StoreRules& rules, uint64_t newer, int64_t saved_at, int64_t now) {
  return newer < std::max<uint64_t>(rules.keep, 1) || saved_at > now - rules.keep_seconds;
}

// The place can be read and not written.
class ReadOnlyStore : public Error {
 public:
  using Error::Error;
};

// Held while a session is in use. Destroying it, or the death of the process, releases the session.
class StoreLock {
 public:
  virtual ~StoreLock() = default;
};

// Errors of all methods: Error with one sentence that names the session and the store's place.
// Thread safety: one thread at a time per object, not always the same one: a thread of its own may
// save a session. Several processes may use the same place.
class MemoryStore {
 public:
  virtual ~MemoryStore() = default;

  static constexpr uint64_t kAnyGeneration = UINT64_MAX;

  // Durable when it returns; then deletes the generations of that name that the rules do not keep.
  // Returns the new generation. `newest`: the generation that the caller continues, 0 = none.
  // Errors: Error if another one is the newest, or if the place would grow beyond
  // StoreRules::max_bytes. On failure everything stored before is as it was; where the new
  // generation could be neither made durable nor taken back the sentence says that it is there, and
  // the next put of this object continues either.
  virtual uint64_t put(std::string_view name, const SnapshotSource& snapshot,
                       uint64_t newest = kAnyGeneration) = 0;
  uint64_t put(std::string_view name, std::span<const std::byte> snapshot,
               uint64_t newest = kAnyGeneration) {
    return put(name, [&](const auto& piece) { piece(snapshot); }, newest);
  }
  // Generation 0: the newest. Errors: Error if there is none.
  virtual std::vector<std::byte> get(std::string_view name, uint64_t generation = 0) = 0;
  // Everything stored, by name, newest generation first. Empty for a place that does not exist yet.
  virtual std::vector<StoredSnapshot> list() = 0;
  // The generations of one name, newest first; empty if there is none.
  virtual std::vector<StoredSnapshot> generations(std::string_view name) = 0;
  // All generations of a name. Errors: Error if there is none.
  virtual void remove(std::string_view name) = 0;
  // One generation; one that is gone already is no error. Errors: Error if it is the newest.
  virtual void remove(std::string_view name, uint64_t generation) = 0;
  // Errors: Error that says who holds the session if it is in use; ReadOnlyStore.
  virtual std::unique_ptr<StoreLock> lock(std::string_view name) = 0;
};

// What a store is opened with.
struct StoreSettings {
  std::string path;  // its place as configured, absolute
  StoreRules rules;
  Options options;  // of the plugin, filled in
  // Gets a sentence about what is no error but should be known, each once. May be empty.
  std::function<void(const std::string&)> warn;
};

// The plugin. Lives for ever.
class StorePlugin {
 public:
  virtual ~StorePlugin() = default;

  // Keys of the section `store` that are this plugin's own.
  virtual std::vector<OptionSpec> options() const { return {}; }
  // Creates nothing until the first put or lock.
  virtual std::unique_ptr<MemoryStore> open(const StoreSettings& settings) const = 0;
};

}  // namespace perdure
