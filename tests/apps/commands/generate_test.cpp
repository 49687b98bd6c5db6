// SPDX-License-Identifier: Apache-2.0

// perdure generate: what stands on standard output, where it stops, and sessions that go on.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "apps/perdure/commands/model_files.hpp"
#include "core/base/json/json.hpp"
#include "core/config/settings.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
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

TEST_CASE("a session that is continued gives the text of one long run") {
  const TemporaryFolder folder;
  const Words store = {"--set", "store.path=" + (folder / "store"), "--session", "s"};
  const Outcome first =
      run_perdure(generate(kEndless, store + Words{"-p", "the sun is", "-n", "0"}));
  CHECK(first.status == 0);
  CHECK(first.err.find("saved session 's'") != std::string::npos);
  const Outcome second =
      run_perdure(generate(kEndless, store + Words{"-p", " in the sky", "-n", "6"}));
  const Outcome whole = run_perdure(generate(kEndless, {"-p", "the sun is in the sky", "-n", "6"}));
  CHECK("the sun is" + second.out == whole.out);
}

TEST_CASE("a session without a new prompt writes on, as if it had never stopped") {
  const TemporaryFolder folder;
  for (const std::string name : {"endless", "memory"}) {
    const Words words = generate(name == "memory" ? kMemory : kEndless,
                                 {"--ignore-eos", "--temp", "1", "--seed", "7"});
    const Words session =
        words + Words{"--set", "store.path=" + (folder / "store"), "--session", name};
    std::string parts = run_perdure(session + Words{"-p", "the", "-n", "0"}).out;
    for (const char* n : {"3", "1", "5"}) parts += run_perdure(session + Words{"-n", n}).out;
    CHECK(parts == run_perdure(words + Words{"-p", "the", "-n", "9"}).out);
  }
}

TEST_CASE(
    "a session whose output was cut off writes on from the first token that did not get out") {
  const TemporaryFolder folder;
  const Words words = generate(
      kEndless, {"--set", "store.path=" + (folder / "store"), "--session", "s", "--temp", "1"});
  CHECK(
      run_perdure(words + Words{"-p", "the sun", "-n", "9"}, {.output_path = "/dev/full"}).status ==
      1);
  const std::string rest = run_perdure(words + Words{"-n", "9"}).out;
  const std::string whole =
      run_perdure(generate(kEndless, {"--temp", "1", "-p", "the sun", "-n", "9"})).out;
  CHECK("the sun" + rest == whole);
}

TEST_CASE("a session of a chat needs a prompt to be continued by generate, and says so") {
  const TemporaryFolder folder;
  const Words store = {"--set", "store.path=" + (folder / "store"), "--session", "s"};
  CHECK(run_perdure(Words{"chat", "-n", "2"} + kMemory + store, {.input = "hello\n"}).status == 0);
  const Outcome outcome = run_perdure(generate(kMemory, store + Words{"-n", "2"}));
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("give a prompt with -p or -f") != std::string::npos);
  CHECK(run_perdure(generate(kMemory, store + Words{"-n", "2", "-p", "b"})).status == 0);
}

TEST_CASE("text that is cut anywhere is read as a continuation, without a space in between") {
  const std::string text = "the sun is in the sky and she was happy";
  const perdure::Settings settings = [] {
    perdure::Settings s;
    const std::string folder = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
    s.model.path = folder + "llama.v0.bin";
    s.model.tokenizer = folder + "tok_320.bin";
    return s;
  }();
  perdure::ModelInfo info;
  info.vocab_size = 320;
  const auto tokenizer = perdure::open_tokenizer(settings.model.tokenizer, info);
  std::mt19937 random(1);
  for (int round = 0; round < 6; ++round) {
    const size_t cut = 1 + random() % (text.size() - 1);
    const std::string head = text.substr(0, cut), rest = text.substr(cut);
    CAPTURE(cut);
    const TemporaryFolder folder;
    const Words store = {"--set", "store.path=" + (folder / "store"), "--session", "s"};
    run_perdure(generate(kEndless, store + Words{"-p", head, "-n", "0"}));
    const Outcome outcome =
        run_perdure(generate(kEndless, store + Words{"-p", rest, "-n", "0", "--json"}));
    std::string decoded = head;  // the tokens that were read spell the text that was printed
    const auto tokens = tokenizer->encode_text(rest, false);
    for (const int32_t token : tokens) decoded += tokenizer->decode(-1, token);
    CHECK(decoded == text);
    CHECK(outcome.out.find("\"prompt_tokens\":" + std::to_string(tokens.size()) + ",") !=
          std::string::npos);
  }
}

TEST_CASE("a model as a prompt is named as what it is, and zero bytes in a text are mentioned") {
  const TemporaryFolder folder;
  const std::string model = std::string(PERDURE_SOURCE_DIR) + "/models/fables/fables.bin";
  const auto run = [&](const std::string& path) {
    return run_perdure(generate(kEndless, {"-n", "1", "-f", path}));
  };
  CHECK(run(model).err == "perdure: " + model +
                              ": this is a model of llama2.c or llama2Rnn, not a text; name a text "
                              "file in UTF-8\n");
  write_all(folder / "zeros", std::string("the sun\0is up, and so are we", 28));
  CHECK(run(folder / "zeros").err.find("has zero bytes, so it is probably not a text\n") !=
        std::string::npos);
}

TEST_CASE("byte order marks and CR LF change nothing, are mentioned once, and UTF-16 is refused") {
  const TemporaryFolder folder;
  write_all(folder / "unix", "the sun\nis up\n");
  write_all(folder / "dos", "\xef\xbb\xbfthe sun\r\nis up\r\n");
  write_all(folder / "wide", std::string("\xff\xfet\0h\0e\0", 8));
  const auto run = [&](const char* name, const Words& more = {}) {
    return run_perdure(generate(kEndless, Words{"-n", "4", "-f", folder / name} + more));
  };
  const Outcome dos = run("dos");
  CHECK(dos.out == run("unix").out);
  CHECK(dos.err.find((folder / "dos") + ": dropped a byte order mark and read CR LF line ends as "
                                        "LF (input.line_ends)\n") != std::string::npos);
  CHECK(run("unix").err.find("input.line_ends") == std::string::npos);
  CHECK(run("dos", {"--set", "input.line_ends=keep"}).out.starts_with("the sun\r\n"));
  CHECK(run("dos", {"-q"}).err.empty());
  const Outcome wide = run("wide");
  CHECK(wide.status == 1);
  CHECK(wide.err.find((folder / "wide") + " is UTF-16 text; convert it to UTF-8") !=
        std::string::npos);
  CHECK(run_perdure(generate(kEndless, {"-n", "0", "-p", "\xef\xbb\xbfhi"})).out == "hi");
}

TEST_CASE("a session that fills up has read every token that was printed") {
  const TemporaryFolder folder;
  const Words words = generate(kEndless, {"--set", "store.path=" + (folder / "store"), "--session",
                                          "s", "--set", "attention.max_length=20"});
  const Outcome outcome = run_perdure(words + Words{"-p", "the sun", "-n", "100", "--json"});
  const auto result = perdure::Json::parse(outcome.out, "out");
  CHECK(result.at("position").integer() == 20);
  CHECK(result.at("prompt_tokens").integer() + result.at("generated_tokens").integer() == 20);
  CHECK(result.find("stop") != nullptr);
}

TEST_CASE("a session that is full says so in one sentence, and continues where it may be longer") {
  const TemporaryFolder folder;
  const Words words =
      generate(kEndless, {"--set", "store.path=" + (folder / "store"), "--session", "s"});
  const Words tight = {"--set", "attention.max_length=20"};
  const std::string first = run_perdure(words + tight + Words{"-p", "the sun", "-n", "99"}).out;
  const Outcome full = run_perdure(words + tight + Words{"-n", "9"});
  CHECK(full.status == 1);
  CHECK(full.out.empty());
  CHECK(full.err.find("perdure: this session is full: it is limited to 20 tokens; use a strategy "
                      "with constant state, or raise attention.max_length\n") != std::string::npos);
  const std::string rest = run_perdure(words + Words{"-n", "9"}).out;
  const std::string whole = run_perdure(generate(kEndless, {"-p", "the sun", "-n", "40"})).out;
  CHECK_FALSE(rest.empty());
  CHECK(whole.starts_with(first + rest));
}

TEST_CASE("a session that filled state.max_bytes says so, and continues where it has more") {
  const TemporaryFolder folder;
  const Words words =
      generate(kEndless, {"--set", "store.path=" + (folder / "store"), "--session", "s"});
  const Words tight = {"--set", "state.max_bytes=600000"};
  const Outcome filled = run_perdure(words + tight + Words{"-p", "the sun", "-n", "3000"});
  CHECK(filled.status == 0);
  CHECK(filled.err.find("stopped: this session is full: the states of all sessions would take ") !=
        std::string::npos);
  const Outcome full = run_perdure(words + tight + Words{"-n", "9"});
  CHECK(full.status == 1);
  CHECK(full.out.empty());
  CHECK(full.err.find("perdure: this session is full: ") != std::string::npos);
  CHECK(full.err.find("or raise state.max_bytes\n") != std::string::npos);
  const std::string rest = run_perdure(words + Words{"-n", "9"}).out;
  const std::string whole = run_perdure(generate(kEndless, {"-p", "the sun", "-n", "3000"})).out;
  CHECK_FALSE(rest.empty());
  CHECK(whole.starts_with(filled.out + rest));
}

TEST_CASE("an empty file is an empty prompt: a session writes on") {
  const TemporaryFolder folder;
  write_all(folder / "empty", "");
  const Words words =
      generate(kEndless, {"--set", "store.path=" + (folder / "store"), "--session", "s"});
  const std::string first = run_perdure(words + Words{"-p", "the sun", "-n", "3"}).out;
  const Outcome rest = run_perdure(words + Words{"-f", folder / "empty", "-n", "4"});
  CHECK(rest.status == 0);
  CHECK(first + rest.out == run_perdure(generate(kEndless, {"-p", "the sun", "-n", "7"})).out);
}

TEST_CASE("a text stops before a stop text, and --json says why it stopped") {
  const auto run = [](const Words& more) {
    return run_perdure(generate(kEndless, Words{"-p", "the sun", "-n", "30"} + more)).out;
  };
  const std::string whole = run({}), stop = whole.substr(12, 3);
  CHECK(run({"--stop", stop}) == whole.substr(0, whole.find(stop, 7)));
  CHECK(run({"--stop", stop, "--json"}).find("\"stop\":\"stop_text\"") != std::string::npos);
  CHECK(run({"--json"}).find("\"stop\":\"length\"") != std::string::npos);
}

TEST_CASE("a model alone is enough where its tokenizer lies beside it") {
  const std::string models = PERDURE_SOURCE_DIR "/models/";
  const Words few = {"-p", "Once", "-n", "3", "--temp", "0"};
  const Outcome file = run_perdure(Words{"generate", models + "fables/fables.bin"} + few);
  CHECK(file.status == 0);
  CHECK(run_perdure(Words{"generate", models + "fables"} + few).out == file.out);
  CHECK(run_perdure(Words{"generate", "-m", models + "fables"} + few).out == file.out);
  CHECK(run_perdure({"generate", models}).err.find("has no model") != std::string::npos);
  const TemporaryFolder folder;
  for (const char* name : {"a.bin", "b.bin", "tokenizer.bin"}) write_all(folder / name, "x");
  CHECK(run_perdure({"generate", folder.path().string()})
            .err.find("has several models; name one of them: a.bin, b.bin") != std::string::npos);
  CHECK(run_perdure({"chat", "run.yaml"}).err ==
        "perdure: run.yaml is a configuration, not a model; use -c run.yaml\n");
}

TEST_CASE("a Hugging Face folder has its tokenizer.json, or its tokenizer.model, by itself") {
  const TemporaryFolder folder;
  const auto found = [&] {
    perdure::Settings settings;
    settings.model.path = folder.path().string();
    perdure::app::complete_model(settings);
    return settings.model.tokenizer;
  };
  write_all(folder / "config.json", "{}");
  CHECK(found().empty());
  write_all(folder / "tokenizer.bin", "x");
  CHECK(found() == folder / "tokenizer.bin");
  write_all(folder / "tokenizer.model", "x");
  CHECK(found() == folder / "tokenizer.model");
  write_all(folder / "tokenizer.json", "x");
  CHECK(found() == folder / "tokenizer.json");
}

TEST_CASE("statistics that go into the file of the text begin a line of their own") {
  const TemporaryFolder folder;
  std::string command = "exec \"" PERDURE_PROGRAM "\" generate -m " PERDURE_SOURCE_DIR
                        "/models/fables -p Once -n 3 >" +
                        (folder / "both") + " 2>&1";
  CHECK(std::system(command.c_str()) == 0);
  CHECK(read_all(folder / "both").find("\nread ") != std::string::npos);
}

TEST_CASE("an error that follows a text into the same file begins a line of its own") {
  const TemporaryFolder folder;
  std::string command = "exec \"" PERDURE_PROGRAM "\"";
  for (const std::string& word :
       generate(kEndless, {"--set", "model.path=" + model_with_nan(folder, 300), "-p", "Once"}))
    command += " '" + word + "'";
  CHECK(std::system((command + " >" + (folder / "both") + " 2>&1").c_str()) != 0);
  CHECK(read_all(folder / "both").find("Once\nperdure: the model's logits") != std::string::npos);
}

TEST_CASE("keys of chat on the command line are said to have no effect on generate") {
  const Outcome outcome =
      run_perdure(generate(kEndless, {"-p", "a", "-n", "1", "--set", "chat.system=be kind"}));
  CHECK(outcome.status == 0);
  CHECK(outcome.err.starts_with("chat.system has no effect on generate"));
  const Words plain = generate(kEndless, {"-p", "a", "-n", "1"});
  CHECK(run_perdure(plain).err.find("chat") == std::string::npos);
}

TEST_CASE("escape sequences in a text and in messages never drive a terminal, and pipes get them") {
  const TemporaryFolder folder;
  const std::string foreign = "a\x1b]0;owned\x07z";
  const Words words = generate(kEndless, {"-p", foreign, "-n", "0"});
  CHECK(run_perdure(words).out == foreign);
  Terminal text(words, folder / "state");
  CHECK(text.shows("a\\x1b]0;owned\\x07z"));
  text.wait();
  CHECK(text.screen().find("\x1b]0") == std::string::npos);
  Terminal message(Words{"generate", foreign}, folder / "state");
  CHECK(message.shows("a\\x1b]0;owned\\x07z"));
  message.wait();
  CHECK(message.screen().find("\x1b]0") == std::string::npos);
  CHECK(run_perdure({"generate", foreign}).err.find("\x1b") == std::string::npos);
}

TEST_CASE("a short option with a wrong value is named as it was typed") {
  const auto complaint = [](const Words& more) {
    const Outcome outcome = run_perdure(generate(kEndless, more));
    CHECK(outcome.status == 2);
    return outcome.err;
  };
  CHECK(complaint({"--temp", "x"}) ==
        "perdure: --temp must be a number (between 0 and 1000), but is 'x'\n");
  CHECK(complaint({"--top-k", "1.5"}) ==
        "perdure: --top-k must be a whole number (at least 0), but is '1.5'\n");
  CHECK(complaint({"--seed=0"}) ==
        "perdure: --seed must be a whole number (at least 1), but is '0'\n");
  CHECK(complaint({"--min-p", "[1"}).starts_with("perdure: --min-p "));
  CHECK(complaint({"--top-p", ""}).starts_with("perdure: --top-p must be a number "));
}

TEST_CASE("short options mean the keys that they stand for, and win") {
  const auto run = [](const Words& more) {
    return run_perdure(generate(kEndless, Words{"-p", "a", "-n", "20"} + more)).out;
  };
  const Words hot = {"--set", "sampling.temperature=1", "--set", "sampling.seed=5"};
  CHECK(run({"--temp", "1", "--seed", "5"}) == run(hot));
  CHECK(run({"--temp", "1", "--seed", "6"}) != run(hot));
  CHECK(run({"--temp", "1", "--seed", "5", "--top-k", "1"}) == run({}));
}

TEST_CASE("a session that can be no longer stops with a remark") {
  const Outcome outcome =
      run_perdure(generate(kEndless, {"-p", "a", "-n", "500", "--set", "attention.max_length=40"}));
  CHECK(outcome.status == 0);
  CHECK(outcome.err.find("is limited to 40 tokens") != std::string::npos);
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
