// SPDX-License-Identifier: Apache-2.0

// A session that lives in the store: locked for as long as this object lives, so that no other
// process writes it. At intervals it is saved beside the work (background_save.hpp), one save at a
// time; whatever is asked of this object or its store waits for that save first.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/perdure/chat/document.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "core/api/store.hpp"
#include "core/engine/background_save.hpp"
#include "core/engine/engine.hpp"

namespace perdure::app {

// Opens the store that the settings name. The plugins must outlive it. What the store has to tell
// goes to standard error.
// Errors: UsageError for keys of `store` that neither the program nor the plugin knows.
std::unique_ptr<MemoryStore> open_store(const Settings& settings, const PluginHost& plugins);

// What the settings say about what a store keeps.
StoreRules rules_of(const Settings& settings);

// The newest generation of `name`, or generation 0 if there is none.
StoredSnapshot newest(MemoryStore& store, const std::string& name);

// What is wrong with a stored snapshot; "" if nothing.
std::string damage(MemoryStore& store, const StoredSnapshot& snapshot);

class StoredSession {
 public:
  // Locks `name` and restores its newest generation; a new session if there is none. A store that
  // cannot be written is used without a lock where store.save_every is `never`.
  // Errors: Error if another process holds it (it says who), or if what is stored cannot be used:
  // it stays as it is.
  StoredSession(Engine& engine, std::string name);

  Session& session() { return session_; }
  const std::string& name() const { return name_; }
  // The generation it was restored from or saved as; 0 = never saved. One that is being saved
  // counts from settle() on.
  const StoredSnapshot& saved() const { return saved_; }

  // Durable when it returns. Errors: Error; saved generations are unchanged.
  void save();
  // Whether anything changed since the last save that is known to be durable.
  bool unsaved() const { return running_ || changed_ || tokens_read() != saved_tokens_; }
  // Waits for the save that runs beside the work, if any; says so if it failed.
  void settle();
  // The session is not what was saved, though it may be as long.
  void mark_changed() { changed_ = true; }
  // Stores what the session is now under another name, NAME.1 or the next free number, where no
  // save of this one replaces it; returns that name. Errors: as save.
  std::string save_aside();
  // Starts afresh; the store keeps its generations, the next save adds one.
  void reset();
  // Whether the store has a session `name`. Errors: Error for what is no name.
  bool has(const std::string& name);
  // Becomes the session `name`, a new one if there is none. What is unsaved, the caller has saved.
  // Errors: as the constructor; this session is as it was.
  void switch_to(const std::string& name);

  // Whether it is saved without being asked: store.save_every is not `never`.
  bool saves_by_itself() const;
  // If so, saves what is unsaved, and says so unless `quiet`. Errors: as save.
  void save_by_itself(bool quiet);
  // Runs work with this session and saves it whatever ends the work: its end, a signal that it
  // noticed (interrupt.hpp), or an error, which then goes on. Errors: those of `work` and of save.
  void keep_through(const std::function<void()>& work, bool quiet);
  // Saves every store.save_every_tokens, beside the work: its taker only takes the view. Where the
  // last save still runs when the next is due, the work waits for it, so that SIGKILL takes no more
  // than two intervals (or steps, where these are longer). A save that fails is reported at the
  // next step, and the work continues.
  Checkpoint checkpoint();
  // Reads what is left of a document called `name`, saving as checkpoint() says; says where it
  // begins and how far it got, and lets the session remember that. False if a signal stopped it.
  // `generator`: of this session; its checkpoint is checkpoint() afterwards. Errors: as
  // Generator::read.
  bool read_document(Generator& generator, Document& document, const std::string& name, bool quiet);

 private:
  using Clock = std::chrono::steady_clock;

  // A save beside the work. Its thread has the store, `saved` and `took` until it ends.
  struct Running {
    int64_t tokens = 0;    // of the session then
    bool changed = false;  // what changed_ was
    StoredSnapshot saved;
    Clock::duration took{0};
    std::optional<BackgroundSave> save;  // last: its end is waited for first
  };

  // Of the text and of all input streams.
  int64_t tokens_read() const;
  std::unique_ptr<StoreLock> lock() const;
  void restore();
  // Errors: Error if the model's file was changed: nothing of its session is saved any more.
  void require_model(const std::string& name) const;
  // Stores what the session is now as the next generation of `name` after `newest`.
  StoredSnapshot put(const std::string& name, uint64_t newest);
  void save_beside();
  bool interval_is_over() const;
  bool checkpoint_due() const;
  void take_checkpoint();
  // What to do about a memory that cannot be restored.
  std::string remedy();

  Engine& engine_;
  std::string name_;
  std::unique_ptr<MemoryStore> store_;
  std::unique_ptr<StoreLock> lock_;
  Session session_;
  StoredSnapshot saved_;
  int64_t saved_tokens_ = 0;
  bool changed_ = false;
  // Of the last save or attempt, and how long a save takes.
  int64_t tried_tokens_ = 0;
  Clock::time_point tried_at_ = Clock::now();
  Clock::duration save_takes_{0};
  std::unique_ptr<Running> running_;  // last: its thread uses the store
};

// What a conversation begins with: where the session continues.
std::string greeting(StoredSession& stored);

}  // namespace perdure::app
