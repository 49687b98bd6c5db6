// SPDX-License-Identifier: Apache-2.0

// One prompt under several configurations: columns on a terminal, one after the other elsewhere.
#include <doctest/doctest.h>

#include "apps/perdure/terminal/columns.hpp"
#include "tests/apps/program.hpp"

using namespace perdure::app;
using namespace perdure::testing;

namespace {

// Configurations of a golden model that differ in what a token sees.
struct Configurations {
  TemporaryFolder folder;
  std::string plain = folder / "plain.yaml", window = folder / "window.yaml";

  Configurations() {
    const std::string models = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
    const std::string common = "model: {path: " + models + "llama.v0.bin, tokenizer: " + models +
                               "tok_320.bin}\nsampling: {temperature: 2}\n"
                               "kernels: {prefer: [scalar]}\nthreads: {backend: serial}\n";
    write_all(plain, common);
    write_all(window, common + "attention: {strategy: sliding_window, window: 3}\n");
  }
};

}  // namespace

TEST_CASE("the width of text is that of its characters on a terminal") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("äöü") == 3);
  CHECK(display_width("西游记") == 6);
  CHECK(display_width("e\u0301") == 1);
  CHECK(display_width("\xff\xe8\xa5") == 3);
  CHECK(fitted("西游记", 5) == "西游 ");
  CHECK(fitted("ab", 4) == "ab  ");
}

TEST_CASE(
    "text is wrapped between words, by width, and control characters are shown as their codes") {
  WrappedText text(8);
  text.append("one two three\tfour\x1b[2J\n\nunbreakable-word 西游记西游记");
  CHECK(text.lines() == std::vector<std::string>{"one two", "three", "four\\x1b", "[2J", "",
                                                 "unbreaka", "ble-word", "西游记西", "游记"});
}

TEST_CASE("text wraps in the same way however it is cut into pieces") {
  const std::string whole = "the quick brown fox 西游记 jumps over";
  WrappedText once(7), pieces(7);
  once.append(whole);
  for (const std::string piece : {"the qu", "ick ", "brown f", "ox 西", "游记 ju", "mps over"})
    pieces.append(piece);
  CHECK(pieces.lines() == once.lines());
}

TEST_CASE("a row shows every column, empty where a text has ended") {
  std::vector<WrappedText> columns(3, WrappedText(4));
  columns[0].append("ab cd ef");
  columns[1].append("西");
  columns[2].append("xyz uvw");
  CHECK(columns_row(columns, 0, 4) == "ab   | 西   | xyz");
  CHECK(columns_row(columns, 1, 4) == "cd   |      | uvw");
  CHECK(columns_row(columns, 2, 4) == "ef   |      |");
}

TEST_CASE("configurations run in order, each with the result it has alone") {
  const Configurations files;
  const Words prompt = {"-p", "Once upon", "-n", "24", "--ignore-eos", "-q"};
  const Outcome both =
      run_perdure(Words{"generate", "--with", files.plain, "--with", files.window} + prompt);
  REQUIRE(both.status == 0);
  CHECK(both.err.empty());
  const Outcome plain = run_perdure(Words{"generate", "-c", files.plain} + prompt);
  const Outcome window = run_perdure(Words{"generate", "-c", files.window} + prompt);
  CHECK(plain.out != window.out);
  CHECK(both.out == "== plain ==\n" + plain.out + "\n== window ==\n" + window.out + "\n");
}

TEST_CASE("on a terminal the configurations write side by side") {
  const Configurations files;
  Terminal terminal({"generate", "--with", files.plain, "--with", files.window, "-p", "Once upon",
                     "-n", "24", "--ignore-eos"},
                    files.folder / "home");
  CHECK(terminal.shows("Once upon"));
  CHECK(terminal.shows("plain"));
  CHECK(terminal.shows("| window"));
  CHECK(terminal.shows("-+-"));
  CHECK(terminal.shows("plain: wrote 24 tokens"));
  CHECK(terminal.shows("window: wrote 24 tokens"));
  CHECK(terminal.wait() == 0);
}

TEST_CASE("--with goes together neither with -c nor with --session") {
  const Configurations files;
  const Outcome config = run_perdure({"generate", "-c", files.plain, "--with", files.window});
  CHECK(config.status == 2);
  CHECK(config.err.find("--with names all configurations") != std::string::npos);
  CHECK(run_perdure({"generate", "--session", "x", "--with", files.window}).status == 2);
  CHECK(run_perdure({"generate", "--with", files.folder / "none.yaml"}).status == 2);
}
