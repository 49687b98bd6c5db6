// SPDX-License-Identifier: Apache-2.0

// A session that lives in the store: locked for as long as this object lives, so that no other
// process writes it.
#pragma once

#include <memory>
#include <string>

#include "core/api/store.hpp"
#include "core/engine/engine.hpp"

namespace perdure::app {

// Opens the store that the settings name. The plugins must outlive it.
std::unique_ptr<MemoryStore> open_store(const Settings& settings, const PluginHost& plugins);

// The newest generation of `name`, or generation 0 if there is none.
StoredSnapshot newest(MemoryStore& store, const std::string& name);

// What is wrong with a stored snapshot; "" if nothing.
std::string damage(MemoryStore& store, const StoredSnapshot& snapshot);

class StoredSession {
 public:
  // Locks `name` and restores its newest generation; a new session if there is none.
  // Errors: Error if another process holds it (it says who), or if what is stored cannot be used:
  // it stays as it is.
  StoredSession(Engine& engine, std::string name);

  Session& session() { return session_; }
  const std::string& name() const { return name_; }
  // The generation it was restored from or saved as; 0 = never saved.
  const StoredSnapshot& saved() const { return saved_; }

  // Durable when it returns. Errors: Error; what was saved before is as it was.
  void save();
  // Starts afresh; the store keeps what it has until the next save.
  void reset();

 private:
  void restore();
  // What to do about a memory that cannot be restored.
  std::string remedy();

  Engine& engine_;
  std::string name_;
  std::unique_ptr<MemoryStore> store_;
  std::unique_ptr<StoreLock> lock_;
  Session session_;
  StoredSnapshot saved_;
};

}  // namespace perdure::app
