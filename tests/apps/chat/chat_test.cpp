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

TEST_CASE("every turn has a prompt, and the end of input ends the chat") {
  Talk talk;
  const Outcome outcome = talk.say("who is in the sun?\n\ntell me one more\n");
  CHECK(outcome.status == 0);
  const std::string out = without_times(outcome.out);
  CHECK(out.starts_with("User: who is in the sun?\nAssistant: "));
  CHECK(count(out, "User: ") == 4);
  CHECK(count(out, "Assistant: ") == 2);
  CHECK(talk.say("a last line without an end", {}).status == 0);
}

TEST_CASE("one space stands before an answer") {
  Talk talk;
  const Words chatty = {"-c", PERDURE_SOURCE_DIR "/configs/chat.yaml"};
  const std::string out = talk.say("My name is Halbert.\n", {}, chatty).out;
  CHECK(out.find("Assistant: Your name is Halbert.") != std::string::npos);
}

TEST_CASE("the session is saved after every turn and continues by itself") {
  Talk talk;
  talk.say("hello\n");
  const int64_t first = talk.position();
  CHECK(first > 0);
  const Outcome second = talk.say("hello\n");
  CHECK(second.err.find("session 'default' continues at token " + std::to_string(first)) !=
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
  const std::string end = "User: \n";
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
  CHECK(outcome.out.find("session 'default' in ") != std::string::npos);
  CHECK(outcome.out.find("generation 1)") != std::string::npos);
  CHECK(outcome.out.find("tokens/s") != std::string::npos);
  CHECK(outcome.err.find("/sve is not a command; did you mean /save?") != std::string::npos);
  CHECK(outcome.out.find("not read") == std::string::npos);
}

TEST_CASE("/reset starts anew, also if nothing follows it, and the old session can be restored") {
  Talk talk;
  const std::string fresh = talk.say("hello there\n").out;
  const int64_t saved = talk.position();
  const Outcome reset = talk.say("/reset\n/quit\n");
  CHECK(reset.err.find("started over; the old session is kept as 'default.1', /load default.1 "
                       "continues it\n") != std::string::npos);
  CHECK(talk.position() == 0);
  CHECK(talk.position("default.1") == saved);
  const Outcome pruned = run_perdure(
      Words{"memory", "prune", "--json", "--dry-run", "--set", "store.keep=1"} + talk.store);
  CHECK(count(pruned.out, "\"generation\":1,") == 1);
  const Outcome restored =
      run_perdure(Words{"memory", "restore", "default@1", "--json"} + talk.store);
  CHECK(restored.status == 0);
  CHECK(perdure::Json::parse(restored.out, "out").at("generation").integer() == 3);
  CHECK(talk.position() == saved);
  CHECK(talk.say("/reset\nhello there\n").out == "User: /reset\n" + fresh);
  CHECK(talk.position() == saved);
}

TEST_CASE("what /reset says of the old session stays true however often is saved") {
  Talk talk;
  talk.say("hello there\n");
  const int64_t first = talk.position();
  const Outcome twice = talk.say("/reset\none\ntwo\nthree\nfour\n/reset\nfive\nsix\nseven\n");
  CHECK(twice.err.find("kept as 'default.2'") != std::string::npos);
  CHECK(talk.position("default.1") == first);
  CHECK(talk.position("default.2") > first);
  const Outcome back = talk.say("/load default.1\n/memory\n");
  CHECK(back.out.find("session 'default.1' in ") != std::string::npos);
  CHECK(back.out.find("\n" + std::to_string(first) + " tokens read") != std::string::npos);
  const Outcome empty = talk.say("/reset\n/reset\n");
  CHECK(count(empty.err, "started over\n") == 1);  // the second drops nothing
  const std::string longest(64, 'n');
  talk.say("hello\n/reset\n", {"--session", longest});
  CHECK(talk.position(longest.substr(2) + ".1") > 0);
}

TEST_CASE("/reset drops nothing that it cannot keep") {
  Talk talk;
  talk.say("hello there\n");
  const int64_t saved = talk.position();
  const Outcome full = talk.say("/reset\n/memory\n", {"--set", "store.max_bytes=1000"});
  CHECK(full.err.find("store.max_bytes, 1000 bytes") != std::string::npos);
  CHECK(full.out.find("\n" + std::to_string(saved) + " tokens read") != std::string::npos);
  CHECK(talk.position() == saved);
  const Outcome never = talk.say("/reset\nhello\n", {"--set", "store.save_every=never"});
  CHECK(never.err.find("started over; what was saved stays until /save\n") != std::string::npos);
  CHECK(talk.position() == saved);
}

TEST_CASE("the system prompt is given once, in the first turn") {
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

TEST_CASE("a system prompt is given whenever it has not been, and what has no effect says so") {
  const Words one = {"-n", "1"}, kind = {"-n", "1", "--set", "chat.system=be kind"};
  Talk plain, late;
  plain.say("hi\nho\n", one, kEndless);
  late.say("hi\n", one, kEndless);
  const Outcome added = late.say("ho\n", kind, kEndless);  // the key came later
  CHECK(added.err.find("the system prompt is given with the next turn") != std::string::npos);
  const int64_t told = late.position() - plain.position();
  CHECK(told > 8);
  plain.say("ho\n", one, kEndless);
  CHECK(late.say("ho\n", kind, kEndless).err.find("system") == std::string::npos);
  CHECK(late.position() - plain.position() == told);
  const Outcome gone = late.say("/quit\n", one, kEndless);
  CHECK(gone.err.find("given a system prompt before, which stays in effect") != std::string::npos);
  const Outcome asked = late.say("/system\n", one, kEndless);
  CHECK(asked.out.find("system prompt: be kind") != std::string::npos);
  CHECK(count(asked.err, "chat.system is empty") == 1);

  Talk document, bare;  // -f in an earlier process
  write_all(document.folder / "d.txt", "tell me one more. ");
  write_all(bare.folder / "d.txt", "tell me one more. ");
  document.say("", one + Words{"-f", document.folder / "d.txt"}, kEndless);
  bare.say("", one + Words{"-f", bare.folder / "d.txt"}, kEndless);
  document.say("hi\n", kind, kEndless);
  bare.say("hi\n", one, kEndless);
  CHECK(document.position() - bare.position() == told);
}

TEST_CASE("/system shows a prompt before the first turn has given it, and after") {
  Talk talk;
  const Words kind = {"-n", "1", "--set", "chat.system=be kind"};
  const Outcome outcome = talk.say("/system\nhi\n/system\n", kind, kEndless);
  CHECK(outcome.out.find("system prompt, given with the next turn: be kind\n") !=
        std::string::npos);
  CHECK(outcome.out.find("\nsystem prompt: be kind\n") != std::string::npos);
  CHECK(outcome.out.find("no system prompt") == std::string::npos);
}

TEST_CASE("/system takes effect with the next turn") {
  Talk plain, kind;
  plain.say("hi\nhi\n", {"-n", "1"}, kEndless);
  kind.say("hi\n/system be kind\nhi\n", {"-n", "1"}, kEndless);
  CHECK(kind.position() > plain.position() + 8);
}

TEST_CASE("a turn that is taken back was never there, and can be answered again") {
  for (const Words& model : {kEndless, kMemory}) {
    Talk undone, plain;
    const Words few = {"-n", "6"};
    const std::string after = undone.say("hello\nwho is it?\n/undo\nmore\n", few, model).out;
    const std::string never = plain.say("hello\nmore\n", few, model).out;
    CHECK(after.substr(after.rfind("User: more")) == never.substr(never.rfind("User: more")));
    CHECK(undone.position() == plain.position());
    const std::string again = plain.say("and?\n/regenerate\n", few, model).out;
    const size_t first = again.find("Assistant: "), second = again.rfind("Assistant: ");
    CHECK(again.substr(first, again.find('\n', first) - first) ==
          again.substr(second, again.find('\n', second) - second));
    undone.say("and?\n", few, model);
    CHECK(undone.position() == plain.position());
  }
  CHECK(Talk().say("/undo\n").err.find("there is no turn to take back") != std::string::npos);
}

TEST_CASE("copies for /undo give way where state.max_bytes has no room for a turn beside them") {
  Talk fixed;
  const Words one_copy = {"-n", "4", "--set", "state.max_bytes=100000"};
  const Outcome turns = fixed.say("hello\nwho is it?\nmore\n/undo\n/undo\n", one_copy);
  CHECK(turns.err.find("state.max_bytes") == std::string::npos);
  CHECK(turns.err.find("took back: more\n") != std::string::npos);
  CHECK(turns.err.find("cannot be cut back") != std::string::npos);
  const Outcome others = fixed.say("hello\n/new other\nhello\n/reset\nhello\n", one_copy);
  CHECK(others.err.find("state.max_bytes") == std::string::npos);
  CHECK(fixed.position("other") > 0);

  Talk free, tight;  // the second answer outgrows the first memory block of its session
  const Words grows = {"-n", "250"};
  const std::string expected = free.say("hello\nhello\n", grows, kEndless).out;
  const Outcome grown =
      tight.say("hello\nhello\n", grows + Words{"--set", "state.max_bytes=600000"}, kEndless);
  CHECK(grown.err.find("state.max_bytes") == std::string::npos);
  CHECK(grown.out == expected);
  CHECK(tight.position() == free.position());
  CHECK(tight.position() > 512);
}

TEST_CASE("a turn that is taken back without a copy takes its penalties with it") {
  Talk undone, plain;
  const Words words = {"-n",    "6",
                       "--set", "sampling.frequency_penalty=4",  // and no room for copies
                       "--set", "state.max_bytes=270000"};
  const Outcome after = undone.say("hello\nwho is it?\n/undo\nmore\n", words, kEndless);
  const std::string never = plain.say("hello\nmore\n", words, kEndless).out;
  CHECK(after.err.find("took back: who is it?") != std::string::npos);
  CHECK(after.out.substr(after.out.rfind("User: more")) == never.substr(never.rfind("User: more")));
}

TEST_CASE("another answer of the same length is saved") {
  Talk talk;
  talk.say("hello\n", {"-n", "4", "--temp", "1"}, kEndless);
  const std::string first = run_perdure(Words{"memory", "list"} + talk.store).out;
  talk.say("hello\n/regenerate\n", {"-n", "4", "--temp", "1"}, kEndless);
  const Outcome log = run_perdure(Words{"memory", "log", "default", "--json"} + talk.store);
  CHECK(log.out.find("\"generation\":3") != std::string::npos);
}

TEST_CASE("/new and /load save one session and continue another") {
  Talk talk;
  talk.say("hello\n/new other\nhello\n/load default\n/quit\n");
  CHECK(talk.position() == talk.position("other"));
  CHECK(talk.position() > 0);
}

TEST_CASE("/load of a session that is not there keeps the one that is, and /new replaces none") {
  Talk talk;
  const Outcome absent = talk.say("hello\n/load othr\n/memory\n");
  CHECK(absent.err.find("perdure: there is no session 'othr'; /new othr begins it\n") !=
        std::string::npos);
  CHECK(absent.out.find("session 'default' in ") != std::string::npos);
  CHECK(talk.position("othr") == -1);
  talk.say("hello\n", {"--session", "other"});
  const int64_t other = talk.position("other");
  const Outcome there = talk.say("/new other\n/new default\n/new\n/load ../up\n/quit\n");
  CHECK(there.err.find("perdure: session 'other' exists; /load other continues it\n") !=
        std::string::npos);
  CHECK(there.err.find("perdure: this is session 'default' already\n") != std::string::npos);
  CHECK(there.err.find("perdure: under which name? /new NAME\n") != std::string::npos);
  CHECK(there.err.find("'../up' is not a session name") != std::string::npos);
  CHECK(talk.position("other") == other);
}

TEST_CASE("/load and /new save the session also where nothing else does") {
  Talk talk;
  const Words never = {"--set", "store.save_every=never"};
  talk.say("hello\n/new other\n/quit\n", never);
  const int64_t saved = talk.position();
  CHECK(saved > 0);
  CHECK(talk.position("other") == -1);
  talk.say("hello\n/save\n/load default\nhello\n/load other\n/quit\n",
           never + Words{"--session", "other"});
  CHECK(talk.position() > saved);
}

TEST_CASE("a turn for which state.max_bytes has no room is not there, and what was is saved") {
  Talk talk;
  write_all(talk.folder / "long.txt", std::string(4000, 'x'));
  const Outcome outcome = talk.say("hello\n/file " + (talk.folder / "long.txt") + "\n/memory\n",
                                   {"-n", "6", "--set", "state.max_bytes=600000"}, kEndless);
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("raise state.max_bytes") != std::string::npos);
  Talk plain;
  plain.say("hello\n", {"-n", "6"}, kEndless);
  CHECK(talk.position() == plain.position());
}

TEST_CASE("an answer that fills state.max_bytes ends, and the chat continues") {
  Talk talk;
  const Outcome outcome = talk.say("hello\n/memory\nhello\n/reset\nhello\n",
                                   {"-n", "2000", "--set", "state.max_bytes=600000"}, kEndless);
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("(this session is full: the states of all sessions would take ") !=
        std::string::npos);
  CHECK(outcome.err.find("; /reset starts it over)") != std::string::npos);
  CHECK(outcome.out.find(" tokens read") != std::string::npos);
  CHECK(talk.position("default.1") > 0);
}

TEST_CASE("lines that end in a backslash, and a file, are one turn") {
  Talk lines, file;
  const std::string out = lines.say("tell me \\\none more\n").out;
  CHECK(count(out, "Assistant: ") == 1);
  write_all(file.folder / "turn.txt", "\xef\xbb\xbftell me \r\none more\r\n");
  CHECK(count(file.say("/file " + (file.folder / "turn.txt") + "\n").out, "Assistant: ") == 1);
  CHECK(file.position() == lines.position());
}

TEST_CASE("/file sends neither standard input nor nothing, and tells what it changes once") {
  Talk talk;
  const Outcome input = talk.say("/file -\nhello\n");
  CHECK(count(input.out, "Assistant: ") == 1);
  CHECK(input.err.find("perdure: /file - is not possible: chat reads your turns from standard "
                       "input") != std::string::npos);
  const std::string empty = talk.folder / "empty", windows = talk.folder / "windows";
  write_all(empty, " \n");
  const Outcome nothing = talk.say("/file " + empty + "\n");
  CHECK(count(nothing.out, "Assistant: ") == 0);
  CHECK(nothing.err.find("perdure: " + empty + " has no text to send\n") != std::string::npos);
  write_all(windows, "hello\r\n");
  const Outcome twice = talk.say("/file " + windows + "\n/file " + windows + "\n");
  CHECK(count(twice.out, "Assistant: ") == 2);
  CHECK(count(twice.err, windows + ": read CR LF") == 1);
}

TEST_CASE("piped turns have neither byte order mark nor carriage returns, and UTF-16 is refused") {
  Talk plain, windows;
  plain.say("hello\nmore\n");
  const Outcome outcome = windows.say("\xef\xbb\xbfhello\r\nmore\r\n");
  CHECK(windows.position() == plain.position());
  CHECK(count(outcome.err, "standard input: dropped a byte order mark and read CR LF") == 1);
  const Outcome utf16 = Talk().say(std::string("\xff\xfeh\0i\0\n\0", 8));
  CHECK(utf16.status == 1);
  CHECK(utf16.err.find("standard input is UTF-16 text") != std::string::npos);
}

TEST_CASE("an answer ends before a stop text") {
  Talk talk;
  const std::string whole = talk.say("hello\n", {"-n", "20"}, kEndless).out;
  Talk other;
  const std::string stopped = other.say("hello\n", {"-n", "20", "--stop", "]"}, kEndless).out;
  CHECK(whole.find(']') != std::string::npos);
  CHECK(stopped.find(']') == std::string::npos);
  CHECK(other.position() < talk.position());
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

TEST_CASE("a full session and a full disk are reported, and the chat continues") {
  Talk talk;
  const Outcome full = talk.say("hello\nhello\n/memory\n",
                                {"--set", "attention.max_length=60", "-n", "400"}, kEndless);
  CHECK(full.status == 0);
  CHECK(full.err.find("this session is full") != std::string::npos);
  CHECK(count(full.err, "can have at most 60 tokens") == 1);  // the second turn has no place
  CHECK(full.out.find("tokens read") != std::string::npos);
  CHECK(full.out.find("never saved") == std::string::npos);
  Talk disk;
  const Outcome outcome = run_perdure(Words{"chat"} + kMemory + disk.store,
                                      {.input = "hello\n/memory\n", .most_file_bytes = 8192});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("cannot save session 'default'") != std::string::npos);
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

TEST_CASE("half a character that is typed swallows neither the next key nor Enter") {
  Talk talk;
  Terminal terminal(Words{"chat", "-q"} + kMemory + talk.store, talk.folder / "state");
  REQUIRE(terminal.shows("User: "));
  terminal.type("/stat\xc3s\xe2\x82\n");
  CHECK(terminal.shows("read 0 tokens"));
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x04");
  CHECK(terminal.wait() == 0);
}

TEST_CASE("what is pasted into a terminal is one turn") {
  Talk talk;
  Terminal terminal(Words{"chat", "-q"} + kMemory + talk.store, talk.folder / "state");
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x1b[200~tell me\rone more\r\x1b[201~");
  terminal.type("\n");
  REQUIRE(terminal.shows("Assistant: "));
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x04");
  CHECK(terminal.wait() == 0);
  Talk lines;
  lines.say("tell me\\\none more\n");
  CHECK(talk.position() == lines.position());
}

TEST_CASE("on a terminal lines are edited and remembered, and Ctrl-D ends the chat") {
  Talk talk;
  const std::string state = talk.folder / "state";
  Terminal terminal(Words{"chat", "-q"} + kMemory + talk.store, state);
  REQUIRE(terminal.shows("User: "));
  terminal.type("/memor\xc3\xa4\x7fy\n");  // one key takes back both bytes
  REQUIRE(terminal.shows("session 'default' in "));
  REQUIRE(terminal.shows("User: "));
  terminal.type("\x10\n");  // Ctrl-P: the line before
  REQUIRE(terminal.shows("session 'default' in "));
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
