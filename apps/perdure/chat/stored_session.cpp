// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/stored_session.hpp"

#include <fmt/format.h>

#include <ctime>

#include "core/engine/snapshot.hpp"

namespace perdure::app {

std::unique_ptr<MemoryStore> open_store(const Settings& settings, const PluginHost& plugins) {
  return plugins.store(settings.store.kind).open(settings.store.path);
}

StoredSnapshot newest(MemoryStore& store, const std::string& name) {
  for (StoredSnapshot& snapshot : store.list())
    if (snapshot.name == name) return snapshot;
  return {name};
}

std::string damage(MemoryStore& store, const StoredSnapshot& snapshot) {
  try {
    decode_snapshot(store.get(snapshot.name, snapshot.generation));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

StoredSession::StoredSession(Engine& engine, std::string name)
    : engine_(engine),
      name_(std::move(name)),
      store_(open_store(engine.settings(), engine.plugins())),
      lock_(store_->lock(name_)),
      session_(engine.new_session()),
      saved_(newest(*store_, name_)) {
  if (saved_.generation != 0) restore();
}

void StoredSession::restore() {
  try {
    session_.restore(store_->get(name_, saved_.generation));
  } catch (const Error& error) {
    throw Error(fmt::format(
        "memory '{}' (generation {}, in {}) cannot be used and stays as it is: {}; {}", name_,
        saved_.generation, engine_.settings().store.path, error.what(), remedy()));
  }
}

std::string StoredSession::remedy() {
  const std::string other_name = "choose another name with --session";
  if (damage(*store_, saved_).empty()) return other_name;
  for (const StoredSnapshot& older : store_->list())
    if (older.name == name_ && older.generation < saved_.generation &&
        damage(*store_, older).empty())
      return fmt::format(
          "{}, or go on from generation {} with `perdure memory export {} FILE --generation {}` "
          "and "
          "`perdure memory import FILE NEW_NAME`",
          other_name, older.generation, name_, older.generation);
  return other_name;
}

void StoredSession::save() {
  const std::vector<std::byte> snapshot = session_.snapshot();
  const uint64_t generation = store_->put(name_, snapshot);
  saved_ = {name_, generation, snapshot.size(), static_cast<int64_t>(std::time(nullptr))};
}

void StoredSession::reset() { session_ = engine_.new_session(); }

}  // namespace perdure::app
