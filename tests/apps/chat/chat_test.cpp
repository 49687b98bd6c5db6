// SPDX-License-Identifier: Apache-2.0

// perdure chat: turns, commands, the memory that survives, and Ctrl-C on a terminal.
#include <doctest/doctest.h>
#include <signal.h>

#include <regex>

#include "core/base/json/json.hpp"
#include "tests/apps/program.hpp"

using namespace perdure::testing;

namespace {

// Greedy, this model repeats itself and never ends an answer; the memory model ends its own.
const Words kEndless = golden_words("llama.v0.bin");
const Words kMemory = golden_words("memC_zero_unshared.q80.bin");

struct Talk {
  TemporaryFolder folder;
  Words store = {"--set", "store.path=" + (folder / "store")};

  Outcome say(const std::string& lines, const Words& more = {}, const Words& model = kMemory) {
    return run_perdure(Words{"chat"} + model + store + more, {.input = lines});
  }
  // Tokens that the saved memory has read; -1 if there is none.
  int64_t position(const std::string& name = "default") {
    const Outcome outcome = run_perdure(Words{"memory", "inspect", name, "--json"} + store);
    return outcome.status == 0 ? perdure::Json::parse(outcome.out, "out").at("position").integer()
                               : -1;
  }
};

std::string without_times(const std::string& text) {
  return std::regex_replace(text, std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"), "TIME");
}

size_t count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("turns have time-stamped prompts, and the end of input ends the chat") {
  Talk talk;
  const Outcome outcome = talk.say("who is in the sun?\n\ntell me one more\n");
  CHECK(outcome.status == 0);
  const std::string out = without_times(outcome.out);
  CHECK(out.starts_with("(TIME)  User: who is in the sun?\nAssistant: "));
  CHECK(count(out, "(TIME)  User: ") == 4);
  CHECK(count(out, "Assistant: ") == 2);
  CHECK(talk.say("a last line without an end", {}).status == 0);
}

TEST_CASE("one space stands before an answer") {
  Talk talk;
  const Words chatty = {"-c", PERDURE_SOURCE_DIR "/configs/chat.yaml"};
  const std::string out = talk.say("My name is Halbert.\n", {}, chatty).out;
  CHECK(out.find("Assistant: Your name is Halbert.") != std::string::npos);
}

TEST_CASE("the memory is saved after every turn and goes on by itself") {
  Talk talk;
  talk.say("hello\n");
  const int64_t first = talk.position();
  CHECK(first > 0);
  const Outcome second = talk.say("hello\n");
  CHECK(second.err.find("memory 'default' goes on at token " + std::to_string(first)) !=
        std::string::npos);
  CHECK(talk.position() > first);
  talk.say("hello\n", {"--session", "alice"});
  CHECK(talk.position("alice") == first);
}

TEST_CASE("a conversation in two processes is the conversation of one") {
  Talk apart, together;
  const std::string first = without_times(apart.say("hello there\n").out);
  const std::string second = without_times(apart.say("and now?\n").out);
  const std::string both = without_times(together.say("hello there\nand now?\n").out);
  const std::string end = "(TIME)  User: \n";
  REQUIRE(first.ends_with(end));
  CHECK(first.substr(0, first.size() - end.size()) + second == both);
  CHECK(apart.position() == together.position());
}

TEST_CASE("store.save_every: never saves only where /save says so") {
  Talk talk;
  const Words never = {"--set", "store.save_every=never"};
  talk.say("hello\n/quit\n", never);
  CHECK(talk.position() == -1);
  talk.say("hello\n/save\nmore\n", never);
  const int64_t saved = talk.position();
  CHECK(saved > 0);
  talk.say("hello\n/quit\n", never);
  CHECK(talk.position() == saved);
}

TEST_CASE("the commands do what /help says") {
  Talk talk;
  const Outcome outcome = talk.say("/help\nhello\n/memory\n/stats\n/sve\n/quit\nnot read\n");
  CHECK(outcome.status == 0);
  for (const char* word : {"/save", "/reset", "/memory", "/stats", "/quit"})
    CHECK(outcome.out.find(word) != std::string::npos);
  CHECK(outcome.out.find("memory 'default' in ") != std::string::npos);
  CHECK(outcome.out.find("generation 1)") != std::string::npos);
  CHECK(outcome.out.find("tokens/s") != std::string::npos);
  CHECK(outcome.err.find("/sve is no command; did you mean /save?") != std::string::npos);
  CHECK(outcome.out.find("not read") == std::string::npos);
}

TEST_CASE("/reset forgets, and what is saved stays until the next save") {
  Talk talk;
  const std::string fresh = without_times(talk.say("hello there\n").out);
  const int64_t saved = talk.position();
  talk.say("/reset\n/quit\n");
  CHECK(talk.position() == saved);
  const std::string after = without_times(talk.say("/reset\nhello there\n").out);
  CHECK(after == "(TIME)  User: /reset\n" + fresh);
  CHECK(talk.position() == saved);
}

TEST_CASE("the system prompt is told once, in the first turn") {
  const Words one = {"-n", "1"}, kind = {"-n", "1", "--set", "chat.system=be kind"};
  Talk plain, system;
  plain.say("hi\n", one, kEndless);
  system.say("hi\n", kind, kEndless);
  const int64_t difference = system.position() - plain.position();
  CHECK(difference > 8);
  plain.say("hi\n", one, kEndless);
  system.say("hi\n", kind, kEndless);
  CHECK(system.position() - plain.position() == difference);
}

TEST_CASE("chat.clock tells the model the time of the turn") {
  Talk silent, clock;
  silent.say("hi\n", {"-n", "1"}, kEndless);
  clock.say("hi\n", {"-n", "1", "--set", "chat.clock=true"}, kEndless);
  CHECK(clock.position() > silent.position() + 8);
}

TEST_CASE("a document is read in first and saved at once") {
  Talk talk;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "tell me one more. ";
  write_all(talk.folder / "doc.txt", text);
  const Outcome outcome = talk.say("/quit\n", {"-f", talk.folder / "doc.txt"});
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("tokens of " + (talk.folder / "doc.txt")) != std::string::npos);
  CHECK(talk.position() > 1000);
  CHECK(talk.say("", {"-f", talk.folder / "none"}).err ==
        "perdure: cannot read " + (talk.folder / "none") + ": No such file or directory\n");
}

TEST_CASE("the longest answer is limited by -n") {
  Talk talk;
  talk.say("hello\n", {"-n", "3"}, kEndless);
  const int64_t three = talk.position();
  Talk other;
  other.say("hello\n", {"-n", "10"}, kEndless);
  CHECK(other.position() == three + 7);
}

TEST_CASE("a full memory and a full disk are told, and the chat goes on") {
  Talk talk;
  const Outcome full = talk.say("hello\nhello\n/memory\n",
                                {"--set", "attention.max_length=60", "-n", "400"}, kEndless);
  CHECK(full.status == 0);
  CHECK(full.err.find("this memory is full") != std::string::npos);
  CHECK(count(full.err, "can have at most 60 tokens") == 1);  // the second turn has no place
  CHECK(full.out.find("tokens read") != std::string::npos);
  CHECK(full.out.find("never saved") == std::string::npos);
  Talk disk;
  const Outcome outcome = run_perdure(Words{"chat"} + kMemory + disk.store,
                                      {.input = "hello\n/memory\n", .most_file_bytes = 8192});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("cannot save memory 'default'") != std::string::npos);
  CHECK(outcome.out.find("never saved") != std::string::npos);
}

TEST_CASE("Ctrl-C stops the answer and not the program, and the memory is saved") {
  Talk talk;
  Terminal terminal(Words{"chat", "-n", "1000000000"} + kEndless + talk.store,
                    talk.folder / "state");
  REQUIRE(terminal.shows("User: "));
  terminal.type("hello\n");
  REQUIRE(terminal.shows("Assistant: "));
  REQUIRE(terminal.shows("]]]]"));
  terminal.type("\x03");
  REQUIRE(terminal.shows("User: "));
  const int64_t saved = talk.position();
  CHECK(saved > 0);
  terminal.type("\x03");  // at the prompt: nothing but a hint
  REQUIRE(terminal.shows("/quit or Ctrl-D ends the chat"));
  REQUIRE(terminal.shows("User: "));
  terminal.type("more\n");
  REQUIRE(terminal.shows("Assistant: "));
  REQUIRE(terminal.shows("]]]]"));
  terminal.type("\x03");
  REQUIRE(terminal.shows("User: "));
  terminal.type("/quit\n");
  CHECK(terminal.wait() == 0);
  CHECK(talk.position() > saved);
}

TEST_CASE("on a terminal lines are edited and remembered, and Ctrl-D ends the chat") {
  Talk talk;
  const std::string state = talk.folder / "state";
  Terminal terminal(Words{"chat", "-q"} + kMemory + talk.store, state);
  REQUIRE(terminal.shows("User: "));
  terminal.type("/memor\xc3\xa4\x7fy\n");  // one key takes back both bytes
  REQUIRE(terminal.shows("memory 'default' in "));
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x10\n");  // Ctrl-P: the line before
  REQUIRE(terminal.shows("memory 'default' in "));
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x04");
  CHECK(terminal.wait() == 0);
  CHECK(read_all(state + "/perdure/history").find("memory") != std::string::npos);
}

TEST_CASE("Ctrl-C while generate writes ends it as shells expect, the session saved") {
  Talk talk;
  Terminal terminal(
      Words{"generate", "--session", "s", "-p", "Once upon a time", "-n", "1000000000"} + kEndless +
          talk.store,
      talk.folder / "state");
  REQUIRE(terminal.shows("Once upon a time"));
  REQUIRE(terminal.shows("eeee"));
  terminal.type("\x03");
  CHECK(terminal.wait() == 128 + SIGINT);
  CHECK(talk.position("s") > 0);
}
