// SPDX-License-Identifier: Apache-2.0

// perdure generate: what stands on standard output, where it stops, and sessions that go on.
#include <doctest/doctest.h>

#include "tests/apps/program.hpp"
#include "tests/support/damaged_model.hpp"

using namespace perdure::testing;

namespace {

// Greedy, this model repeats itself and never ends; the memory model ends soon.
const Words kEndless = golden_words("llama.v0.bin");
const Words kMemory = golden_words("memC_zero_unshared.q80.bin");

Words generate(const Words& model, const Words& more) { return Words{"generate"} + model + more; }

}  // namespace

TEST_CASE("standard output has the prompt and its continuation and nothing else") {
  const Outcome outcome = run_perdure(generate(kEndless, {"-p", "the sun", "-n", "8"}));
  CHECK(outcome.status == 0);
  CHECK(outcome.out.starts_with("the sun"));
  CHECK(outcome.out.size() > 7);
  CHECK(outcome.out.back() != '\n');
  CHECK(outcome.err.find("wrote 8") != std::string::npos);
  CHECK(run_perdure(generate(kEndless, {"-p", "the sun", "-n", "8", "-q"})).err.empty());
}

TEST_CASE("a longer run starts with the text of a shorter one") {
  const std::string four = run_perdure(generate(kEndless, {"-p", "a", "-n", "4"})).out;
  const std::string nine = run_perdure(generate(kEndless, {"-p", "a", "-n", "9"})).out;
  CHECK(nine.size() > four.size());
  CHECK(nine.starts_with(four));
  CHECK(run_perdure(generate(kEndless, {"-p", "a", "-n", "0"})).out == "a");
}

TEST_CASE("an empty prompt starts from BOS") {
  const Outcome empty = run_perdure(generate(kEndless, {"-p", "", "-n", "5"}));
  const Outcome none = run_perdure(generate(kEndless, {"-n", "5"}));
  CHECK(empty.status == 0);
  CHECK_FALSE(empty.out.empty());
  CHECK(empty.out == none.out);
  CHECK(empty.err.find("read 1 tokens") != std::string::npos);
}

TEST_CASE("the text stops at EOS unless that is ignored") {
  const std::string stopped = run_perdure(generate(kMemory, {"-p", "the", "-n", "200"})).out;
  const std::string ignored =
      run_perdure(generate(kMemory, {"-p", "the", "-n", "200", "--ignore-eos"})).out;
  CHECK(stopped.size() < ignored.size());
  CHECK(ignored.starts_with(stopped));
}

TEST_CASE("a prompt of any length is read from a file or standard input") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "tell me one more. ";
  write_all(folder / "prompt.txt", text);
  const Outcome file = run_perdure(generate(kMemory, {"-f", folder / "prompt.txt", "-n", "3"}));
  CHECK(file.status == 0);
  CHECK(file.out.starts_with(text));
  CHECK(run_perdure(generate(kMemory, {"-f", "-", "-n", "3"}), {.input = text}).out == file.out);
}

TEST_CASE("invalid UTF-8 in a prompt is read as bytes and printed as it came") {
  const std::string prompt = "a\xff\xc3(z";
  const Outcome outcome = run_perdure(generate(kEndless, {"-p", prompt, "-n", "2"}));
  CHECK(outcome.status == 0);
  CHECK(outcome.out.starts_with(prompt));
}

TEST_CASE("a byte that the vocabulary cannot express is an error with its offset") {
  const Words words = golden_words("memA.q80.bin", "tok_96.bin");
  const Outcome outcome = run_perdure(generate(words, {"-p", "ab\xff", "-n", "2"}));
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("byte offset 2") != std::string::npos);
}

TEST_CASE("sampling is repeatable by its seed") {
  const auto text = [](const char* seed) {
    return run_perdure(generate(kEndless, {"-p", "a", "-n", "30", "--set", "sampling.temperature=1",
                                           "--set", std::string("sampling.seed=") + seed}))
        .out;
  };
  CHECK(text("5") == text("5"));
  CHECK(text("5") != text("6"));
}

TEST_CASE("a session that is gone on with gives the text of one long run") {
  const TemporaryFolder folder;
  const Words store = {"--set", "store.path=" + (folder / "store"), "--session", "s"};
  const Outcome first =
      run_perdure(generate(kEndless, store + Words{"-p", "the sun is", "-n", "0"}));
  CHECK(first.status == 0);
  CHECK(first.err.find("saved memory 's'") != std::string::npos);
  const Outcome second =
      run_perdure(generate(kEndless, store + Words{"-p", " in the sky", "-n", "6"}));
  const Outcome whole = run_perdure(generate(kEndless, {"-p", "the sun is in the sky", "-n", "6"}));
  CHECK("the sun is" + second.out == whole.out);
}

TEST_CASE("a session without a new prompt is refused, and stays") {
  const TemporaryFolder folder;
  const Words words =
      generate(kMemory, {"--set", "store.path=" + (folder / "store"), "--session", "s", "-n", "1"});
  CHECK(run_perdure(words + Words{"-p", "a"}).status == 0);
  const Outcome outcome = run_perdure(words);
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("goes on from a prompt") != std::string::npos);
  CHECK(run_perdure(words + Words{"-p", "b"}).status == 0);
}

TEST_CASE("a session that can be no longer stops with a remark") {
  const Outcome outcome =
      run_perdure(generate(kEndless, {"-p", "a", "-n", "500", "--set", "attention.max_length=40"}));
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("can have no more than 40 tokens") != std::string::npos);
}

TEST_CASE("a prompt longer than a session can be is refused before anything is printed") {
  const Outcome outcome = run_perdure(
      generate(kEndless, {"-p", "tell me one more", "--set", "attention.max_length=4"}));
  CHECK(outcome.status == 1);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.find("at most 4 tokens") != std::string::npos);
}

TEST_CASE("an empty name of a prompt's file is refused") {
  const Outcome outcome = run_perdure(generate(kEndless, {"-f", ""}));
  CHECK(outcome.status == 2);
  CHECK(outcome.err == "perdure: the name of the file to read is empty; give one\n");
}

TEST_CASE("a standard output that takes nothing is an error") {
  const Outcome outcome =
      run_perdure(generate(kEndless, {"-p", "a", "-n", "5"}), {.output_path = "/dev/full"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "perdure: cannot write to standard output: No space left on device\n");
}

TEST_CASE("logits that are no numbers end generate and chat with a sentence and leave the memory") {
  const TemporaryFolder folder;
  const Words damaged = {"--set", "model.path=" + model_with_nan(folder, 300)};
  for (const char* temperature : {"0", "1"}) {
    const Outcome outcome = run_perdure(
        generate(kEndless, damaged + Words{"-p", "the", "-n", "5", "--set",
                                           std::string("sampling.temperature=") + temperature}));
    CHECK(outcome.status == 1);
    CHECK(outcome.err.find("the model's logits are not finite after token ") != std::string::npos);
    CHECK(outcome.err.find("that of token 300 is nan") != std::string::npos);
  }
  const Words store = {"--set", "store.path=" + (folder / "store"), "--session", "s"};
  CHECK(run_perdure(generate(kEndless, damaged + store + Words{"-p", "the", "-n", "5"})).status ==
        1);
  CHECK(run_perdure(Words{"chat"} + kEndless + damaged + store, {.input = "hello\n"}).status == 1);
  CHECK(run_perdure({"memory", "list", "--set", "store.path=" + (folder / "store")})
            .out.find("\ns ") == std::string::npos);
}
