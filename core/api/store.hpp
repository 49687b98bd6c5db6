// SPDX-License-Identifier: Apache-2.0

// Memory stores: named generations of opaque snapshots. A store never looks into a snapshot; the
// host checks what it gets back (magic, lengths, checksums, identity). Names are
// [A-Za-z0-9._-]{1,64}, not "." or "..".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/error.hpp"

namespace perdure {

// One stored snapshot.
struct StoredSnapshot {
  std::string name;
  uint64_t generation = 0;  // rises by one with every put of that name
  uint64_t size_bytes = 0;
  int64_t saved_at = 0;  // seconds since 1970, UTC
};

// Held while a session is in use. Destroying it, or the death of the process, releases the session.
class StoreLock {
 public:
  virtual ~StoreLock() = default;
};

// Errors of all methods: Error with one sentence that names the session and the store's place.
// Thread safety: one thread per object; several processes may use the same place.
class MemoryStore {
 public:
  virtual ~MemoryStore() = default;

  // Durable when it returns. On failure everything stored before is as it was. The previous
  // generation is kept. Returns the new generation.
  virtual uint64_t put(std::string_view name, std::span<const std::byte> snapshot) = 0;
  // Generation 0: the newest. Errors: Error if there is none.
  virtual std::vector<std::byte> get(std::string_view name, uint64_t generation = 0) = 0;
  // Everything stored, by name, newest generation first. Empty for a place that does not exist yet.
  virtual std::vector<StoredSnapshot> list() = 0;
  // All generations of a name. Errors: Error if there is none.
  virtual void remove(std::string_view name) = 0;
  // Errors: Error that says who holds the session if it is in use.
  virtual std::unique_ptr<StoreLock> lock(std::string_view name) = 0;
};

// The plugin. Lives for ever.
class StorePlugin {
 public:
  virtual ~StorePlugin() = default;

  // `path`: the store's place as configured, already absolute. Creates nothing until the first put
  // or lock.
  virtual std::unique_ptr<MemoryStore> open(const std::string& path) const = 0;
};

}  // namespace perdure
