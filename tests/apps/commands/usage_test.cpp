// SPDX-License-Identifier: Apache-2.0

// The command line itself: help, versions, mistakes and exit statuses.
#include <doctest/doctest.h>

#include "tests/apps/program.hpp"

using namespace perdure::testing;

TEST_CASE("help and version go to standard output with status 0") {
  const Outcome help = run_perdure({"--help"});
  CHECK(help.status == 0);
  CHECK(help.err.empty());
  for (const char* command : {"generate", "chat", "compare", "logits", "tokenize", "detokenize",
                              "bench", "memory", "plugin", "inspect", "config"}) {
    CAPTURE(command);
    CHECK(help.out.find(command) != std::string::npos);
    const Outcome own = run_perdure({command, "--help"});
    CHECK(own.status == 0);
    CHECK(own.err.empty());
    CHECK(own.out.starts_with("usage: perdure " + std::string(command)));
  }
  CHECK(
      run_perdure({"memory", "verify", "--help"}).out.starts_with("usage: perdure memory verify"));
  CHECK(run_perdure({"chat", "-h"}).out.find("\n  -n, --tokens N ") != std::string::npos);
  const Outcome version = run_perdure({"--version"});
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("perdure 0."));
}

TEST_CASE("help is a command too, of the program and of its commands") {
  CHECK(run_perdure({"help"}).out == run_perdure({"--help"}).out);
  CHECK(run_perdure({"help", "chat"}).out == run_perdure({"chat", "--help"}).out);
  CHECK(run_perdure({"help", "memory"}).out == run_perdure({"memory", "--help"}).out);
  for (const Words& words : {Words{"help", "memory", "log"}, Words{"memory", "help", "log"}})
    CHECK(run_perdure(words).out == run_perdure({"memory", "log", "--help"}).out);
}

TEST_CASE("the model may be a word before the graph that is inspected") {
  const Words models = {PERDURE_SOURCE_DIR "/models/fables"};
  for (const char* what : {"plan", "graph"}) {
    const Outcome named = run_perdure(Words{"inspect", what, "step", "-m"} + models);
    CHECK(named.status == 0);
    CHECK(run_perdure(Words{"inspect", what} + models + Words{"step"}).out == named.out);
    CHECK(run_perdure(Words{"inspect", what} + models).out.size() >= named.out.size());
    CHECK(run_perdure(Words{"inspect", what} + models + Words{"-m", "other"}).err ==
          "perdure: the model is given twice, as a word and with -m\n");
  }
}

TEST_CASE("a mistake on the command line is one sentence with the remedy and status 2") {
  const struct {
    Words words;
    const char* sentence;
  } cases[] = {
      {{}, "perdure: no command is given; see perdure --help\n"},
      {{"genrate"}, "perdure: unknown command 'perdure genrate'; did you mean 'generate'?\n"},
      {{"xyzzy"}, "perdure: unknown command 'perdure xyzzy'; see perdure --help\n"},
      {{"memory", "lst"}, "perdure: unknown command 'perdure memory lst'; did you mean 'list'?\n"},
      {{"generate", "--promt", "x"}, "perdure: unknown option --promt; did you mean --prompt?\n"},
      {{"generate", "-n", "-1"}, "perdure: --tokens must be at least 0, but is -1\n"},
      {{"generate", "-p", "x", "-f", "y"},
       "perdure: -p and -f both give a prompt; use one of them\n"},
      {{"logits", "--out", "x"}, "perdure: logits needs --tokens FILE and --out FILE\n"},
      {{"memory", "export", "x"},
       "perdure: which session, to which file? perdure memory export NAME FILE\n"},
      {{"generate"},
       "perdure: no model is given; name its file or folder with -m, or write model.path in the "
       "configuration (-c)\n"},
      {{"inspect", "graph", "step"},
       "perdure: no model is given; name its file or folder with -m, or write model.path in the "
       "configuration (-c)\n"},
      {{"inspect", "plan", "stpe"},
       "perdure: 'stpe' is neither a model nor a graph; did you mean 'step'?\n"},
      {{"inspect", "plan", "one", "step", "two"},
       "perdure: unexpected word 'two'; see perdure inspect plan --help\n"},
      {{"generate", "--temperature", "1"},
       "perdure: unknown option --temperature; did you mean --temp?\n"},
      {{"generate", "--max-tokens=5"},
       "perdure: unknown option --max-tokens; did you mean --tokens?\n"},
      {{"generate", "--top_k", "5"}, "perdure: unknown option --top_k; did you mean --top-k?\n"},
      {{"chat", "--sess", "x"}, "perdure: unknown option --sess; did you mean --session?\n"},
      {{"chat", "--again"}, "perdure: --again means nothing without -f\n"},
      {{"generate", "--again", "--session", "s"}, "perdure: --again means nothing without -f\n"},
      {{"generate", "--again", "-f", "x"}, "perdure: --again means nothing without --session\n"},
      {{"help", "genrate"},
       "perdure: unknown command 'perdure genrate'; did you mean 'generate'?\n"},
      {{"inspect", "model", "/proc/self/fdinfo"},
       "perdure: the directory /proc/self/fdinfo has no model (.bin, .safetensors or .gguf); name "
       "a file\n"},
      {{"generate", "-n", "1e3"},
       "perdure: --tokens must be a whole number in plain digits, but is '1e3'; see perdure "
       "generate "
       "--help\n"},
      {{"generate", "-n", "99999999999999999999"},
       "perdure: --tokens must be a whole number of at most 9223372036854775807, but is "
       "'99999999999999999999'; see perdure generate --help\n"},
      {{"generate", "--stop", ""},
       "perdure: --stop is an empty text; give one, or leave the option out\n"},
      {{"completion", "bash", "zsh"},
       "perdure: unexpected word 'zsh'; see perdure completion --help\n"},
      {{"generate", "one", "/tmp"},
       "perdure: unexpected word '/tmp'; see perdure generate --help\n"},
  };
  for (const auto& [words, sentence] : cases) {
    const Outcome outcome = run_perdure(words);
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err == sentence);
  }
  CHECK(run_perdure({"generate", "-n", "many"}).status == 2);
  CHECK(run_perdure({"generate", "one", "two"}).status == 2);
  CHECK(run_perdure({"generate", "-p"}).status == 2);
}

TEST_CASE("a value is a value, also if it is empty or looks like an option") {
  const auto tokens = [](const Words& words) {
    return run_perdure(Words{"generate", "-n", "0", "-q"} + golden_words("llama.v0.bin") + words);
  };
  CHECK(tokens({"-p", "-h"}).out == "-h");
  CHECK(tokens({"--prompt", "--help"}).out == "--help");
  CHECK(tokens({"--prompt=a=b"}).out == "a=b");
  CHECK(tokens({"-pab"}).out == "ab");
  CHECK(tokens({"--prompt="}).status == 0);
  CHECK(tokens({"-p", ""}).out.empty());
  CHECK(run_perdure({"generate", "-qh"}).out.starts_with("usage: "));
  CHECK(run_perdure({"generate", "-p"}).err ==
        "perdure: the value of -p is missing; see perdure generate --help\n");
  CHECK(run_perdure({"generate", "--quiet=1"}).err ==
        "perdure: --quiet takes no value; see perdure generate --help\n");
  CHECK(run_perdure({"generate", "--tokn=3"}).err ==
        "perdure: unknown option --tokn; did you mean --tokens?\n");
  const Words ids = Words{"tokenize"} + golden_words("llama.v0.bin");
  CHECK(run_perdure(ids + Words{"--", "-h"}).out == run_perdure(ids, {.input = "-h"}).out);
}

TEST_CASE("mistakes in the configuration name file, line, key and the nearest key, with status 2") {
  const TemporaryFolder folder;
  const std::string path = folder / "run.yaml";
  write_all(path, "sampling:\n  temprature: 1\n");
  const Outcome outcome = run_perdure({"config", "-c", path});
  CHECK(outcome.status == 2);
  CHECK(outcome.err == "perdure: " + path +
                           ":2: unknown key 'sampling.temprature'; did you mean 'temperature'?\n");
  CHECK(run_perdure({"config", "-c", folder / "none"}).err ==
        "perdure: cannot read configuration " + (folder / "none") +
            ": No such file or directory\n");
}

TEST_CASE("config prints what reads back to itself, with and without a model") {
  const TemporaryFolder folder;
  const std::string path = folder / "dump.yaml";
  const Words variants[] = {
      {"--set", "sampling.seed=9"},
      {"--set", "attention={strategy: sliding_window, window: 7}"},
      golden_words("memC_zero_unshared.q80.bin"),
      golden_words("llama.v0.bin") +
          Words{"--set", "attention.layers={1: {strategy: sliding_window, window: 8}}"},
  };
  for (const Words& words : variants) {
    const Outcome first = run_perdure(Words{"config"} + words);
    REQUIRE(first.status == 0);
    write_all(path, first.out);
    const Outcome second = run_perdure({"config", "-c", path});
    CHECK(second.out == first.out);
    CHECK(second.err == first.err);  // the hash
  }
  CHECK(run_perdure(Words{"config", "-q"} + golden_words("memC_zero_unshared.q80.bin"))
            .out.find("  strategy: memory\n") != std::string::npos);
}
