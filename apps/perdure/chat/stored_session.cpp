// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/stored_session.hpp"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/engine/snapshot.hpp"

namespace perdure::app {
namespace {

// "alice.1", short enough for a name.
std::string name_aside(const std::string& name, int number) {
  constexpr size_t kLongest = 64;  // core/api/store.hpp
  const std::string ending = fmt::format(".{}", number);
  return name.substr(0, kLongest - ending.size()) + ending;
}

// What it stored, and how large it was.
StoredSnapshot put_counted(MemoryStore& store, const std::string& name, uint64_t newest,
                           const SnapshotSource& snapshot) {
  uint64_t size_bytes = 0;
  const uint64_t generation = store.put(
      name,
      [&](const auto& piece) {
        snapshot([&](std::span<const std::byte> bytes) {
          size_bytes += bytes.size();
          piece(bytes);
        });
      },
      newest);
  return {name, generation, size_bytes, static_cast<int64_t>(std::time(nullptr))};
}

}  // namespace

std::unique_ptr<MemoryStore> open_store(const Settings& settings, const PluginHost& plugins) {
  const StorePlugin& plugin = plugins.store(settings.store.kind);
  const auto& store = settings.store;
  return plugin.open({.path = store.path,
                      .rules = rules_of(settings),
                      .options = resolve_options({store.kind, store.options, {}}, plugin.options(),
                                                 "the store '" + store.kind + "'"),
                      .warn = [](const std::string& sentence) { note("perdure: " + sentence); }});
}

StoreRules rules_of(const Settings& settings) {
  constexpr double kSecondsPerDay = 86400;
  return {.keep = static_cast<uint64_t>(settings.store.keep),
          .keep_seconds = static_cast<int64_t>(settings.store.keep_days * kSecondsPerDay),
          .max_bytes = static_cast<uint64_t>(settings.store.max_bytes)};
}

StoredSnapshot newest(MemoryStore& store, const std::string& name) {
  const std::vector<StoredSnapshot> all = store.generations(name);
  return all.empty() ? StoredSnapshot{name} : all.front();
}

std::string damage(MemoryStore& store, const StoredSnapshot& snapshot) {
  try {
    decode_snapshot_header(store.get(snapshot.name, snapshot.generation));  // checks every byte
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

StoredSession::StoredSession(Engine& engine, std::string name)
    : engine_(engine),
      name_(std::move(name)),
      store_(open_store(engine.settings(), engine.plugins())),
      lock_(lock()),
      session_(engine.new_session()),
      saved_(newest(*store_, name_)) {
  if (saved_.generation != 0) restore();
  tried_tokens_ = saved_tokens_ = tokens_read();
}

int64_t StoredSession::tokens_read() const {
  int64_t n = session_.position();
  for (const InputStream& stream : engine_.input_streams())
    n += session_.stream_length(stream.name);
  return n;
}

std::unique_ptr<StoreLock> StoredSession::lock() const {
  try {
    return store_->lock(name_);
  } catch (const ReadOnlyStore&) {
    if (saves_by_itself()) throw;
    return nullptr;
  }
}

void StoredSession::restore() {
  try {
    session_.restore(store_->get(name_, saved_.generation));
  } catch (const Error& error) {
    throw Error(fmt::format(
        "session '{}' (generation {}, in {}) cannot be used and is left unchanged: {}; {}", name_,
        saved_.generation, engine_.settings().store.path, error.what(), remedy()));
  }
}

std::string StoredSession::remedy() {
  const std::string other_name = "choose another name with --session";
  if (damage(*store_, saved_).empty()) return other_name;
  for (const StoredSnapshot& older : store_->generations(name_))
    if (older.generation < saved_.generation && damage(*store_, older).empty())
      return fmt::format("{}, or make generation {} the newest with `perdure memory restore {}@{}`",
                         other_name, older.generation, name_, older.generation);
  return other_name;
}

void StoredSession::require_model(const std::string& name) const {
  if (const auto changed = engine_.model().changed_on_disk())
    throw Error(fmt::format("session '{}' was not saved; saved generations are unchanged: {}", name,
                            *changed));
}

StoredSnapshot StoredSession::put(const std::string& name, uint64_t newest) {
  require_model(name);
  return put_counted(*store_, name, newest, [&](const auto& piece) { session_.snapshot(piece); });
}

void StoredSession::save() {
  settle();
  const Clock::time_point start = tried_at_ = Clock::now();
  tried_tokens_ = tokens_read();
  saved_ = put(name_, saved_.generation);
  saved_tokens_ = tokens_read();
  changed_ = false;
  tried_at_ = Clock::now();
  save_takes_ = tried_at_ - start;
}

void StoredSession::save_beside() {
  settle();
  tried_at_ = Clock::now();
  tried_tokens_ = tokens_read();
  require_model(name_);
  auto running = std::make_unique<Running>();
  running->tokens = tokens_read();
  const auto work = [this, run = running.get(), newest = saved_.generation,
                     start = tried_at_](const SnapshotSource& snapshot) {
    run->saved = put_counted(*store_, name_, newest, snapshot);
    run->took = Clock::now() - start;
  };
  running->save.emplace(session_, work);
  running->changed = std::exchange(changed_, false);
  running_ = std::move(running);
}

void StoredSession::settle() {
  if (!running_) return;
  const std::unique_ptr<Running> run = std::move(running_);
  tried_at_ = Clock::now();
  try {
    run->save->finish();
    saved_ = run->saved;
    saved_tokens_ = run->tokens;
    save_takes_ = run->took;
  } catch (const std::exception& error) {
    changed_ |= run->changed;
    end_open_line();
    note(fmt::format("perdure: {}", error.what()));
  }
}

bool StoredSession::has(const std::string& name) {
  settle();
  return newest(*store_, name).generation != 0;
}

std::string StoredSession::save_aside() {
  for (int number = 1;; ++number) {
    const std::string name = name_aside(name_, number);
    if (has(name)) continue;
    const std::unique_ptr<StoreLock> lock = store_->lock(name);
    return put(name, 0).name;
  }
}

void StoredSession::reset() {
  settle();
  session_ = engine_.new_session();
  tried_tokens_ = saved_tokens_ = 0;
  changed_ = saved_.generation != 0;
}

void StoredSession::switch_to(const std::string& name) {
  settle();
  StoredSession other(engine_, name);
  std::swap(name_, other.name_);
  std::swap(store_, other.store_);
  std::swap(lock_, other.lock_);
  std::swap(session_, other.session_);
  std::swap(saved_, other.saved_);
  tried_tokens_ = saved_tokens_ = tokens_read();
  changed_ = false;
}

bool StoredSession::saves_by_itself() const {
  return engine_.settings().store.save_every != "never";
}

void StoredSession::save_by_itself(bool quiet) {
  settle();
  if (!saves_by_itself() || !unsaved()) return;
  save();
  note(fmt::format("saved session '{}' at token {}", name_, grouped(session_.position())), quiet);
}

void StoredSession::keep_through(const std::function<void()>& work, bool quiet) {
  try {
    work();
  } catch (const NotFiniteError&) {
    settle();
    throw;  // what was read last would spoil the memory
  } catch (const std::exception&) {
    try {
      save_by_itself(quiet);
    } catch (const Error& error) {  // the one that ended the work is told by whoever gets it
      note(fmt::format("perdure: {}", error.what()));
    }
    throw;
  }
  save_by_itself(quiet);
}

std::string greeting(StoredSession& stored) {
  const StoredSnapshot& saved = stored.saved();
  if (saved.generation == 0)
    return fmt::format("new session '{}'; /help lists the commands", stored.name());
  return fmt::format("session '{}' continues at token {}, saved {}; /help lists the commands",
                     stored.name(), grouped(stored.session().position()),
                     time_text(saved.saved_at));
}

// ---- while a long text is read

Checkpoint StoredSession::checkpoint() {
  if (!saves_by_itself()) return {};
  return {[this] { return checkpoint_due(); }, [this] { take_checkpoint(); }};
}

bool StoredSession::read_document(Generator& generator, Document& document, const std::string& name,
                                  bool quiet) {
  const std::string total = grouped(document.total());
  if (document.done() > 0)
    note(fmt::format("{} continues at token {} of {}", name, grouped(document.done()), total),
         quiet);
  const auto remember = [&, begin = session_.position() - document.done()] {
    document.set_done(session_.position() - begin);
  };
  const Checkpoint save = checkpoint();
  generator.set_checkpoint({[&] {
                              remember();
                              return save.due && save.due();
                            },
                            save.take});
  const bool whole = generator.read(document.rest(), "reading " + name, quiet);
  generator.set_checkpoint(save);
  remember();
  note(fmt::format("read {} of {} tokens of {}{}", grouped(document.done()), total, name,
                   whole ? "" : ", then " + interrupt_name() + " came"),
       quiet);
  return whole;
}

// `auto`: after 60 times what a save takes, so that saving costs less than 2 % of the time. Before
// the first save its time is guessed from a slow disk's speed.
bool StoredSession::interval_is_over() const {
  const int64_t every = engine_.settings().store.save_every_tokens;
  if (every > 0) return tokens_read() - tried_tokens_ >= every;
  constexpr std::chrono::seconds kShortest(5);
  const Clock::duration passed = Clock::now() - tried_at_;
  if (running_ || passed < kShortest) return false;
  constexpr double kBytesPerSecond = 50e6;
  const auto guess = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(static_cast<double>(session_.state_bytes()) / kBytesPerSecond));
  return passed >= 60 * (save_takes_ > Clock::duration::zero() ? save_takes_ : guess);
}

bool StoredSession::checkpoint_due() const {
  return (running_ && running_->save->is_done()) || interval_is_over();
}

void StoredSession::take_checkpoint() {
  if (!interval_is_over()) return settle();
  try {
    save_beside();
  } catch (const Error& error) {
    note(fmt::format("perdure: {}", error.what()));
  }
}

}  // namespace perdure::app
