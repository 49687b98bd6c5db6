// SPDX-License-Identifier: Apache-2.0

// Sessions that another thread saves while they read on. "thread" in a name takes the test to the
// thread sanitizer too (`./run test`).
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "core/engine/background_save.hpp"
#include "plugins/stores/file/file_store.hpp"
#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

using Bytes = std::vector<std::byte>;

const Candidate kFull{"full", "llama.v0.bin", "{strategy: full, max_length: 9000}", 8, false, 0};
const Candidate kParallel{"parallel", "llama.v0.bin", "{strategy: parallel_proof}", 8, false, 0};
// The row of the running block is live, and written when the block ends.
const Candidate kBlocksKept{"blocks", "llama.v0.bin", "{strategy: block_proof, appended: true}",
                            8,        false,          0};

Bytes bytes_of(const SnapshotSource& snapshot) {
  Bytes bytes;
  snapshot([&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

std::vector<int32_t> some_tokens(const Engine& engine, size_t n, uint32_t seed) {
  return random_tokens(n, engine.spec().info.vocab_size, seed);
}

// Reads a chunk of every input stream.
void read_streams(Engine& engine, Session& session, uint32_t seed) {
  for (const InputStream& stream : engine.input_streams()) {
    const auto tokens =
        random_tokens(static_cast<size_t>(stream.query) + 7, stream.vocab_size, seed);
    const std::span<const int32_t> chunk[] = {tokens};
    engine.feed_input(session, stream.name, chunk);
  }
}

// What a session gives for a text that it reads token by token, a chunk of every stream between.
std::vector<float> read_on(Engine& engine, Session& session, std::span<const int32_t> text) {
  const size_t half = text.size() / 2;
  auto logits = logits_token_by_token(engine, session, text.first(half));
  read_streams(engine, session, 5);
  const auto rest = logits_token_by_token(engine, session, text.subspan(half));
  logits.insert(logits.end(), rest.begin(), rest.end());
  return logits;
}

// A session saved over and over by another thread while it reads on: every save is what one in the
// foreground is, and the session what it is without. None of the steps may have to wait for it.
void check_saved_beside(const Candidate& c) {
  const auto engine = make_engine(c);
  const auto text = some_tokens(*engine, 2 * c.edge + 6, 1), more = some_tokens(*engine, 9, 2);
  const size_t at = c.edge + 1;
  Session session = engine->new_session();
  read_streams(*engine, session, 3);
  all_logits(*engine, session, std::span(text).first(at));
  Session alone = engine->fork(session);
  const Bytes expected = session.snapshot();

  std::atomic<bool> enough = false;
  int n_saves = 0, n_equal = 0;
  BackgroundSave save(session, [&](const SnapshotSource& snapshot) {
    for (bool last = false; !last; ++n_saves) {
      last = enough.load();
      n_equal += bytes_of(snapshot) == expected;
      std::this_thread::yield();
    }
  });
  const auto logits = read_on(*engine, session, std::span(text).subspan(at));
  enough = true;
  save.finish();
  CHECK(n_saves > 0);
  CHECK(n_equal == n_saves);
  CHECK(logits == read_on(*engine, alone, std::span(text).subspan(at)));
  CHECK(session.snapshot() == alone.snapshot());

  Session restored = engine->new_session();
  restored.restore(expected);
  CHECK(read_on(*engine, restored, std::span(text).subspan(at)) == logits);
  CHECK(all_logits(*engine, restored, more) == all_logits(*engine, session, more));
}

// Whether `change` waits for a save of the session that is just running.
bool waits_for_save(Session& session, const std::function<void()>& change) {
  using namespace std::chrono_literals;
  const Bytes expected = session.snapshot();
  std::atomic<bool> written = false;
  bool equal = false;
  BackgroundSave save(session, [&](const SnapshotSource& snapshot) {
    std::this_thread::sleep_for(50ms);
    equal = bytes_of(snapshot) == expected;
    written = true;
  });
  change();
  const bool waited = written;
  save.finish();
  return waited && equal;
}

using file_store::FileStore;
using file_store::real_file_system;

// The text of the sessions that are killed: any length, always the same.
int32_t token_at(int64_t position) { return static_cast<int32_t>(position * 7 % 300 + 3); }

void read_to(Engine& engine, Session& session, int64_t end) {
  std::vector<int32_t> tokens;
  for (int64_t at = session.position(); at < end; ++at) tokens.push_back(token_at(at));
  all_logits(engine, session, tokens);
}

// Goes on with what is stored, saves beside every third token, and acknowledges each save by its
// position.
[[noreturn]] void read_and_save_for_ever(const std::string& place, int acknowledge) {
  const auto engine = make_engine(kFull);
  FileStore store(file_store::FileStoreSettings{.path = place, .block_bytes = 4096},
                  real_file_system());
  Session session = engine->new_session();
  if (!store.generations("s").empty()) session.restore(store.get("s"));
  while (true) {
    read_to(*engine, session, session.position() + 1);
    const int64_t position = session.position();
    BackgroundSave save(session, [&](const SnapshotSource& bytes) { store.put("s", bytes); });
    read_to(*engine, session, position + 2);
    save.finish();
    if (::write(acknowledge, &position, sizeof position) != sizeof position) ::_exit(1);
  }
}

// Kills such a child some time after it has acknowledged `saves` saves; the last that it has.
int64_t kill_while_saving(const std::string& place, int64_t before, int saves, int microseconds) {
  int channel[2];
  REQUIRE(::pipe(channel) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(channel[0]);
    read_and_save_for_ever(place, channel[1]);
  }
  ::close(channel[1]);
  int64_t last = before, position = 0;
  while (saves-- > 0 && ::read(channel[0], &position, sizeof position) == sizeof position)
    last = position;
  ::usleep(static_cast<useconds_t>(microseconds));
  ::kill(child, SIGKILL);
  while (::read(channel[0], &position, sizeof position) == sizeof position) last = position;
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  return last;
}

int64_t copied_bytes(const Session& session) { return SessionView(session).copied_bytes(); }

}  // namespace

TEST_CASE("sessions that another thread saves while they read on are saved as they were") {
  constexpr size_t kStride = kSanitized ? 3 : 1;
  for (size_t i = 0; i < candidates().size(); i += kStride) {
    const Candidate& c = candidates()[i];
    INFO("strategy: ", std::string(c.name));
    check_saved_beside(c);
  }
  check_saved_beside(kBlocksKept);
}

TEST_CASE("a save in another thread copies what steps write again, and no row that is appended") {
  for (const Candidate& c : candidates()) {
    INFO("strategy: ", std::string(c.name));
    const auto engine = make_engine(c);
    Session session = engine->new_session();
    read_streams(*engine, session, 3);
    all_logits(*engine, session, some_tokens(*engine, 3 * c.edge + 5, 1));
    const int64_t copied = copied_bytes(session), whole = session.state_bytes();
    CHECK(copied <= whole);
    if (c.constant_memory) continue;
    CHECK(copied < whole);
    all_logits(*engine, session, some_tokens(*engine, 3 * c.edge + 5, 2));
    read_streams(*engine, session, 4);
    CHECK(copied_bytes(session) == copied);
    if (c.segment_length == 0 && std::string(c.name) != "parallel_encoding and window")
      CHECK(copied == 0);
  }
}

TEST_CASE("what moves or ends the rows that another thread saves waits for it") {
  const auto engine = make_engine(kFull);
  const auto text = some_tokens(*engine, 1020, 1);
  Session session = engine->new_session();
  all_logits(*engine, session, text);
  const Bytes saved = session.snapshot();
  const auto few = some_tokens(*engine, 3, 2), many = some_tokens(*engine, 9, 3);
  CHECK_FALSE(waits_for_save(session, [&] { all_logits(*engine, session, few); }));
  // Beyond 1,024 rows the state moves.
  CHECK(waits_for_save(session, [&] { all_logits(*engine, session, many); }));
  CHECK(waits_for_save(session, [&] { engine->rewind(session, 1000); }));
  CHECK(waits_for_save(session, [&] { session.restore(saved); }));
  CHECK(session.snapshot() == saved);
  CHECK(waits_for_save(session, [&] { session = engine->new_session(); }));
  CHECK(session.position() == 0);

  const auto parallel = make_engine(kParallel);
  Session reader = parallel->new_session();
  all_logits(*parallel, reader, few);
  // The first chunk needs a larger place.
  CHECK(waits_for_save(reader, [&] { read_streams(*parallel, reader, 9); }));
  for (uint32_t seed = 1; seed <= 3; ++seed) read_streams(*parallel, reader, seed);
  CHECK_FALSE(waits_for_save(reader, [&] { read_streams(*parallel, reader, 4); }));
  CHECK(waits_for_save(reader, [&] { parallel->forget_input(reader, "contexts", 1); }));
  CHECK(waits_for_save(reader, [&] { parallel->clear_input(reader, "contexts"); }));
}

TEST_CASE("what a save in another thread throws comes when it is asked for, and is no end") {
  const auto engine = make_engine(kFull);
  Session session = engine->new_session();
  all_logits(*engine, session, some_tokens(*engine, 9, 1));
  const auto fail = [](const SnapshotSource&) { throw Error("the disk is full"); };
  BackgroundSave save(session, fail);
  CHECK_THROWS_WITH_AS(save.finish(), "the disk is full", Error);
  CHECK(save.is_done());
  CHECK_NOTHROW(save.finish());
  {
    const BackgroundSave dropped(session, fail);
  }
  engine->rewind(session, 3);
  CHECK(session.position() == 3);
}

TEST_CASE("the thread that saves has a name and takes none of the process's signals") {
  const auto engine = make_engine(kFull);
  Session session = engine->new_session();
  std::string name(16, '\0');
  sigset_t blocked;
  BackgroundSave save(session, [&](const SnapshotSource&) {
    pthread_getname_np(pthread_self(), name.data(), name.size());
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  });
  save.finish();
  CHECK(std::string(name.c_str()) == "perdure-save");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU}) CHECK(sigismember(&blocked, signal));
  CHECK_FALSE(sigismember(&blocked, SIGBUS));
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  CHECK_FALSE(sigismember(&own, SIGINT));
}

TEST_CASE("kill -9 while a session reads and is saved beside loses no acknowledged save") {
  constexpr int kKills = kSanitized ? 20 : 250;
  const TemporaryFolder folder;
  const std::string place = folder / "place";
  FileStore store(place, real_file_system());
  const auto engine = make_engine(kFull);
  Session reference = engine->new_session();
  std::mt19937 random(21);
  int64_t last = 0, acknowledged = 0;
  int while_writing = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const int64_t before = last;
    last = kill_while_saving(place, before, 1 + static_cast<int>(random() % 3),
                             static_cast<int>(random() % 6000));
    acknowledged += last > before;
    while_writing += std::filesystem::exists(place + "/s@tmp") ? 1 : 0;
    Session session = engine->new_session();
    session.restore(store.get("s"));
    REQUIRE(session.position() >= last);
    last = session.position();
    reference.random() = session.random();
    if (reference.position() > last) engine->rewind(reference, last);
    read_to(*engine, reference, last);
    CHECK(session.snapshot() == reference.snapshot());
  }
  CHECK(acknowledged == kKills);
  CHECK((kSanitized || while_writing > 0));
  MESSAGE(kKills, " kills, ", while_writing, " of them while a file was written");
}
