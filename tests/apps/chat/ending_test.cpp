// SPDX-License-Identifier: Apache-2.0

// Whatever ends a session short of SIGKILL saves it; SIGKILL takes no more than what was read since
// the last interval; and a model that changes under a session never reaches its memory.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "core/base/json/json.hpp"
#include "core/engine/snapshot.hpp"
#include "core/runtime/plugin_host.hpp"
#include "plugins/linked_plugins.hpp"
#include "tests/apps/program.hpp"

using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

// Greedy, this model repeats itself and never ends a text; the memory model reads without end.
const Words kEndless = golden_words("llama.v0.bin");
const Words kMemory = golden_words("memC_zero_unshared.q80.bin");
const Words kWriteOn = {"generate", "--session", "s", "-p", "Once upon a time", "-n", "1000000000"};

struct Place {
  TemporaryFolder folder;
  Words store = {"--set", "store.path=" + (folder / "store")};

  // Tokens that the saved memory has read; -1 if there is none.
  int64_t position(const std::string& name = "s") {
    const Outcome outcome = run_perdure(Words{"memory", "inspect", name, "--json"} + store);
    return outcome.status == 0 ? perdure::Json::parse(outcome.out, "out").at("position").integer()
                               : -1;
  }
  // A text of many tokens.
  std::string book() {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "tell me one more. ";
    write_all(folder / "book.txt", text);
    return folder / "book.txt";
  }
};

bool comes_true(const std::function<bool()>& condition) {
  using namespace std::chrono;
  const auto deadline = steady_clock::now() + seconds(60);
  while (steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

// Overwrites the end of a file in place.
void overwrite_end(const std::string& path, size_t size) {
  const int file = open(path.c_str(), O_WRONLY);
  const std::string bytes(size, '\x3f');
  CHECK(pwrite(file, bytes.data(), size, static_cast<off_t>(fs::file_size(path) - size)) > 0);
  close(file);
}

}  // namespace

TEST_CASE("a signal that asks for the end saves the session and is what the program dies of") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGALRM, SIGUSR1}) {
    CAPTURE(signal);
    Place place;
    Terminal terminal(kWriteOn + kEndless + place.store, place.folder / "state");
    REQUIRE(terminal.shows("eeee"));
    terminal.send(signal);
    CHECK(terminal.wait() == 128 + signal);
    CHECK(place.position() > 10);
  }
}

TEST_CASE("a document that is interrupted while it is read is not printed, and is read on") {
  Place place;
  const Words words = Words{"generate", "--session", "s", "-f", place.book(), "-n", "1"} +
                      kEndless + place.store + Words{"--set", "store.save_every_tokens=64"};
  Terminal terminal(words, place.folder / "state");
  REQUIRE(comes_true([&] { return place.position() > 0; }));
  terminal.send(SIGINT);
  CHECK(terminal.wait() == 128 + SIGINT);
  CHECK(terminal.screen().find("then Ctrl-C came") != std::string::npos);
  CHECK(terminal.screen().find("tell me one more") == std::string::npos);
}

TEST_CASE("a terminal that is closed saves the session, of generate and of chat") {
  Place place;
  Terminal writing(kWriteOn + kEndless + place.store, place.folder / "state");
  REQUIRE(writing.shows("eeee"));
  writing.hang_up();
  CHECK(writing.wait() == 128 + SIGHUP);
  CHECK(place.position() > 10);

  Terminal chat(Words{"chat", "--session", "c", "-n", "1000000000"} + kEndless + place.store,
                place.folder / "state");
  REQUIRE(chat.shows("User: "));
  chat.type("hello\n");
  REQUIRE(chat.shows("]]]]"));
  chat.hang_up();
  CHECK(chat.wait() == 128 + SIGHUP);
  CHECK(place.position("c") > 10);
}

TEST_CASE("SIGTERM ends a chat, in an answer and at the prompt") {
  Place place;
  const Words words = Words{"chat", "--session", "c", "-n", "1000000000"} + kEndless + place.store;
  Terminal answering(words, place.folder / "state");
  REQUIRE(answering.shows("User: "));
  answering.type("hello\n");
  REQUIRE(answering.shows("]]]]"));
  answering.send(SIGTERM);
  CHECK(answering.wait() == 128 + SIGTERM);
  CHECK(answering.screen().find("saved session 'c' at token ") != std::string::npos);
  CHECK(place.position("c") > 10);
  Terminal waiting(words, place.folder / "state");
  REQUIRE(waiting.shows("User: "));
  waiting.send(SIGTERM);
  CHECK(waiting.wait() == 128 + SIGTERM);
}

TEST_CASE(
    "a pipe that is closed ends generate with status 1, and saves what was read and written") {
  Place place;
  const std::string pipe = place.folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  std::thread head([&] {
    char bytes[5];
    comes_true([&] { return read(reader, bytes, sizeof bytes) > 0; });
    close(reader);
  });
  const Outcome outcome = run_perdure(kWriteOn + kEndless + place.store, {.output_path = pipe});
  head.join();
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("saved session 's' at token") != std::string::npos);
  CHECK(outcome.err.find("cannot write to standard output: Broken pipe") != std::string::npos);
  CHECK(place.position() > 4);
}

TEST_CASE("a standard output that is full ends with status 1, and saves what was read") {
  if (!fs::exists("/dev/full")) return;
  Place place;
  const Outcome written =
      run_perdure(kWriteOn + kEndless + place.store, {.output_path = "/dev/full"});
  CHECK(written.status == 1);
  CHECK(place.position() > 4);
  write_all(place.folder / "short.txt", "the sun");
  const Outcome chat = run_perdure(
      Words{"chat", "--session", "c", "-f", place.folder / "short.txt"} + kMemory + place.store,
      {.input = "hello\n", .output_path = "/dev/full"});
  CHECK(chat.status == 1);
  CHECK(chat.err.find("No space left on device") != std::string::npos);
  CHECK(place.position("c") > 1);
}

TEST_CASE("a turn whose echo and answer cannot be printed is saved, whole, and it says how far") {
  if (!fs::exists("/dev/full")) return;
  Place place, other;
  const Words words = Words{"chat", "--session", "c"} + kMemory;
  const Outcome outcome =
      run_perdure(words + place.store, {.input = "hello\nmore\n", .output_path = "/dev/full"});
  CHECK(outcome.status == 1);
  const int64_t position = place.position("c");
  CHECK(position > 5);
  CHECK(outcome.err.ends_with("saved session 'c' at token " + std::to_string(position) +
                              "\nperdure: cannot write to standard output: No space left on "
                              "device\n"));
  // A chat whose answer was cut before its first word has read the same.
  CHECK(run_perdure(words + place.store, {.input = "more\n"}).status == 0);
  CHECK(place.position("c") > position);
  CHECK(run_perdure(words + other.store, {.input = "", .output_path = "/dev/full"}).status == 1);
  CHECK(other.position("c") == -1);
}

TEST_CASE("no file is taken for a standard stream that was closed") {
  Place place;
  const Words chat = Words{"chat", "--session", "c"} + kMemory + place.store;
  const Outcome deaf = run_perdure(chat, {.closed_stream = STDIN_FILENO});
  CHECK(deaf.status == 1);
  CHECK(deaf.err.find("cannot read standard input: Bad file descriptor") != std::string::npos);
  CHECK(place.position("c") <= 0);
  const Outcome mute =
      run_perdure(kWriteOn + kEndless + place.store, {.closed_stream = STDOUT_FILENO});
  CHECK(mute.status == 1);
  CHECK(mute.err.find("cannot write to standard output") != std::string::npos);
  CHECK(run_perdure(Words{"memory", "verify"} + place.store).status == 0);
}

TEST_CASE("store.save_every: never also holds for what a signal ends, and for generate") {
  Place place;
  const Words never = {"--set", "store.save_every=never"};
  CHECK(run_perdure(Words{"generate", "--session", "s", "-p", "x", "-n", "1"} + kEndless +
                    place.store + never)
            .status == 0);
  Terminal terminal(kWriteOn + kEndless + place.store + never, place.folder / "state");
  REQUIRE(terminal.shows("eeee"));
  terminal.send(SIGTERM);
  CHECK(terminal.wait() == 128 + SIGTERM);
  CHECK(place.position() == -1);
}

TEST_CASE("a long text is saved at intervals: kill -9 does not take all of it") {
  Place place;
  const Words every = {"--set", "store.save_every_tokens=500"};
  for (const Words& command :
       {Words{"generate", "--session", "s", "-n", "1"}, Words{"chat", "--session", "s"}}) {
    CAPTURE(command[0]);
    const int64_t before = std::max<int64_t>(place.position(), 0);
    Running program(command + Words{"-f", place.book()} + kMemory + place.store + every);
    CHECK(comes_true([&] { return place.position() >= before + 500; }));
    program.send(SIGKILL);
    CHECK(program.wait() == 128 + SIGKILL);
    CHECK(place.position() >= before + 500);
    CHECK(run_perdure(Words{"memory", "verify"} + place.store).status == 0);
  }
}

TEST_CASE("a text that kill -9 cuts short while it is written continues as one long run") {
  Place place;
  const Words model = kMemory + place.store + Words{"--set", "sampling.temperature=1"};
  const Words begin = {"-p", "Once upon a time", "--ignore-eos", "-n"};
  const auto generate = [&](const Words& words) {
    const Outcome outcome = run_perdure(Words{"generate", "-q", "--session"} + words + model);
    CHECK(outcome.status == 0);
    return outcome.out;
  };
  generate(Words{"none"} + begin + Words{"0"});
  Running writing(Words{"generate", "--session", "s"} + begin + Words{"1000000000"} + model +
                  Words{"--set", "store.save_every_tokens=16"});
  CHECK(comes_true([&] { return place.position() > 60; }));
  writing.send(SIGKILL);
  CHECK(writing.wait() == 128 + SIGKILL);
  const std::string continued = generate({"s", "--ignore-eos", "-n", "25"});
  const int64_t written = place.position() - place.position("none");
  const std::string whole = generate(Words{"u"} + begin + Words{std::to_string(written)});
  CHECK(place.position("u") == place.position());
  CHECK(continued.size() > 10);
  CHECK(whole.ends_with(continued));
}

TEST_CASE("an answer that kill -9 cuts short is saved at intervals, and the next chat closes it") {
  Place place;
  const Words words = Words{"chat", "--session", "s"} + kEndless + place.store +
                      Words{"--set", "store.save_every_tokens=64"};
  Terminal answering(words + Words{"-n", "1000000000"}, place.folder / "state");
  REQUIRE(answering.shows("User: "));
  answering.type("hello\n");
  CHECK(comes_true([&] { return place.position() > 200; }));
  answering.send(SIGKILL);
  CHECK(answering.wait() == 128 + SIGKILL);
  const int64_t cut = place.position();
  const auto says_so = [&](const char* input) {
    const Outcome next = run_perdure(words + Words{"-n", "2"}, {.input = input});
    CHECK(next.status == 0);
    return next.err.find("the last turn was cut short") != std::string::npos;
  };
  CHECK(says_so("hello\n"));
  CHECK(place.position() > cut);
  CHECK_FALSE(says_so("hello\n"));
}

TEST_CASE("a save beside the reading that fails is reported, the reading goes on, status 1") {
  Place place;
  write_all(place.folder / "text.txt", std::string(2000, 'a'));
  const Outcome outcome = run_perdure(
      Words{"generate", "--session", "s", "-n", "1", "-f", place.folder / "text.txt"} + kEndless +
      place.store + Words{"--set", "store.save_every_tokens=300", "--set", "store.max_bytes=1000"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("read 2,0") != std::string::npos);
  size_t n_said = 0;
  for (size_t at = 0; (at = outcome.err.find("beyond store.max_bytes", at)) != std::string::npos;
       ++at)
    ++n_said;
  CHECK(n_said >= 3);
}

TEST_CASE("Ctrl-C while a text is read says how far it got, and what was read is saved") {
  Place place;
  Terminal terminal(Words{"chat", "--session", "s", "-f", place.book()} + kMemory + place.store,
                    place.folder / "state");
  REQUIRE(terminal.shows(" tokens/s"));
  terminal.type("\x03");
  CHECK(terminal.shows("tokens of "));
  CHECK(terminal.shows("then Ctrl-C came"));
  REQUIRE(terminal.shows("User: "));
  CHECK(place.position() > 0);
  terminal.type("/quit\n");
  CHECK(terminal.wait() == 0);
}

TEST_CASE("a document that was cut off continues at its place, and ends as one that was not") {
  Place cut, whole;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "tell me one more. ";
  const auto read = [&](Place& place, const Words& more) {
    write_all(place.folder / "book.txt", text);
    return Words{"chat", "--session", "s", "-f", place.folder / "book.txt"} + kMemory +
           place.store + Words{"--set", "store.save_every_tokens=300"} + more;
  };
  CHECK(run_perdure(read(whole, {})).status == 0);
  const int64_t all = whole.position();
  {
    Running program(read(cut, {}));
    CHECK(comes_true([&] { return cut.position() >= 300; }));
    program.send(SIGKILL);
    program.wait();
  }
  const int64_t before = cut.position();
  CHECK(before < all);
  const Outcome rest = run_perdure(read(cut, {}));
  CHECK(rest.err.find("continues at token ") != std::string::npos);
  CHECK(cut.position() == all);
  const auto state = [](Place& place) {
    const std::string file = place.folder / "memory";
    REQUIRE(run_perdure(Words{"memory", "export", "s", file, "--strip", "--force"} + place.store)
                .status == 0);
    return read_all(file);
  };
  CHECK(state(cut) == state(whole));

  const Outcome second = run_perdure(read(cut, {}));
  CHECK(second.err.find("was read before; use --again to read it a second time") !=
        std::string::npos);
  CHECK(cut.position() == all);
  CHECK(run_perdure(read(cut, {"--again"})).status == 0);
  CHECK(cut.position() > all + 1000);
}

TEST_CASE("generate continues a document too, and reads it a second time only when told") {
  Place place;
  write_all(place.folder / "short.txt", "the sun and the moon");
  const Words words =
      Words{"generate", "--session", "s", "-n", "1", "-f", place.folder / "short.txt"} + kMemory +
      place.store;
  CHECK(run_perdure(words).status == 0);
  const int64_t first = place.position();
  const Outcome second = run_perdure(words);
  CHECK(second.status == 2);
  CHECK(second.err.find("--again reads it a second time") != std::string::npos);
  CHECK(place.position() == first);
  CHECK(run_perdure(words + Words{"--again"}).status == 0);
  CHECK(place.position() > first);
}

TEST_CASE("a document is one document for chat and generate, wherever in a session it was read") {
  Place place;
  write_all(place.folder / "doc.txt", "tell me one more. the sun and the moon");
  const Words store = kMemory + place.store + Words{"--session", "s"};
  const Words document = {"-f", place.folder / "doc.txt"};
  const auto chat = [&](const Words& more, const char* input) {
    return run_perdure(Words{"chat", "-n", "2"} + store + more, {.input = input});
  };
  const auto generate = [&](const Words& more) {
    return run_perdure(Words{"generate", "-n", "1"} + store + more);
  };
  CHECK(chat({}, "hello\n").status == 0);
  const int64_t begin = place.position();
  CHECK(chat(document, "").status == 0);
  const int64_t read = place.position();
  CHECK(read > begin);
  const Outcome again = generate(document);
  CHECK(again.status == 2);
  CHECK(again.err.find("--again reads it a second time") != std::string::npos);
  CHECK(place.position() == read);

  write_all(place.folder / "doc.txt", "and now the other way round");
  CHECK(generate(document + Words{"--ignore-eos"}).status == 0);
  const int64_t written = place.position();
  CHECK(chat(document, "").err.find("was read before; use --again") != std::string::npos);
  CHECK(place.position() == written);
  // As the rest of a text that was cut there, without a space of its own.
  write_all(place.folder / "doc.txt", "sun");
  CHECK(chat(document, "").status == 0);
  const int64_t by_chat = place.position() - written;
  CHECK(run_perdure(Words{"generate", "-p", "sun", "-n", "0"} + store).status == 0);
  CHECK(place.position() - written - by_chat == by_chat);
}

TEST_CASE("what an earlier version read to the end is read, however it cut the text into tokens") {
  Place place;
  write_all(place.folder / "doc.txt", "the sun and the moon");
  const Words words = kMemory + place.store + Words{"--session", "s"};
  CHECK(run_perdure(Words{"generate", "-n", "1", "-f", place.folder / "doc.txt"} + words).status ==
        0);
  const perdure::Settings settings =
      perdure::load_settings("", {"store.path=" + (place.folder / "store")});
  const perdure::PluginHost plugins(perdure::linked_plugins(), {});
  const auto store = perdure::app::open_store(settings, plugins);
  perdure::SnapshotContents contents = perdure::decode_snapshot(store->get("s"));
  for (auto& [name, value] : contents.values)
    if (name.starts_with("document.")) value = std::string("99 99 0");
  store->put("s", perdure::encode_snapshot(contents));
  const int64_t before = place.position();
  CHECK(run_perdure(Words{"chat", "-f", place.folder / "doc.txt"} + words)
            .err.find("was read before") != std::string::npos);
  CHECK(place.position() == before);
}

TEST_CASE("Ctrl-C that finds another thread wakes who waits for input") {
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  perdure::app::catch_interrupts();
  std::thread other([&] {
    sigset_t none;  // this thread takes the signal, the one that waits does not
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    pthread_kill(pthread_self(), SIGINT);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    CHECK(::write(pipe[1], "x", 1) == 1);
  });
  CHECK_FALSE(perdure::app::wait_for_input(pipe[0]));
  other.join();
  perdure::app::clear_interrupt();
  CHECK(perdure::app::wait_for_input(pipe[0]));  // what was dealt with wakes nobody
  signal(SIGINT, SIG_DFL);
  close(pipe[0]);
  close(pipe[1]);
}

TEST_CASE("a model that is overwritten in place is reported, and its session is not touched") {
  Place place;
  const std::string model = place.folder / "model.bin";
  fs::copy_file(PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/memC_zero_unshared.q80.bin",
                model);
  Terminal chat(Words{"chat", "--session", "c"} + kMemory + place.store +
                    Words{"--set", "model.path=" + model},
                place.folder / "state");
  REQUIRE(chat.shows("User: "));
  chat.type("hello\n");
  REQUIRE(chat.shows("Assistant: "));
  REQUIRE(chat.shows("User: "));
  const int64_t saved = place.position("c");
  CHECK(saved > 0);
  overwrite_end(model, 4096);
  chat.type("and now?\n");
  CHECK(chat.shows("session 'c' was not saved; saved generations are unchanged"));
  REQUIRE(chat.shows("User: "));
  chat.type("/quit\n");
  CHECK(chat.wait() == 1);
  CHECK(place.position("c") == saved);
}

TEST_CASE("a model that is cut while it is mapped ends the program with a sentence") {
  Place place;
  const std::string model = place.folder / "model.bin";
  fs::copy_file(PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/llama.v0.bin", model);
  Terminal chat(Words{"chat", "--session", "c", "-n", "20"} + kEndless + place.store +
                    Words{"--set", "model.path=" + model},
                place.folder / "state");
  REQUIRE(chat.shows("User: "));
  chat.type("hello\n");
  REQUIRE(chat.shows("User: "));
  const int64_t saved = place.position("c");
  CHECK(saved > 0);
  fs::resize_file(model, 100);
  chat.type("and now?\n");
  CHECK(chat.shows("was cut short while it was read"));
  CHECK(chat.wait() == 1);
  CHECK(place.position("c") == saved);
  CHECK(run_perdure(Words{"memory", "verify"} + place.store).status == 0);
}
