// SPDX-License-Identifier: Apache-2.0

// Settings: what may be written, what is refused and with which sentence, and that a dump reads
// back.
#include <doctest/doctest.h>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/config/settings.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using perdure::testing::kSanitized;

namespace {

Settings parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_settings(text, "run.yaml", "/base", overrides);
}

// The message of the UsageError that the text causes; "" if there is none.
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("an empty configuration gives the defaults and a store in the user's home") {
  for (const char* text : {"", "# nothing\n", "---\n", "model:\n"}) {
    const Settings settings = parse(text);
    CHECK(settings.attention.choice.strategy.empty());
    CHECK(settings.kernels.prefer == std::vector<std::string>{"simd"});
    CHECK(settings.sampling.temperature == 0.8);
    CHECK(settings.threads.count == 0);
    CHECK(settings.store.path.starts_with('/'));
    CHECK(settings.store.path.ends_with(".local/share/perdure"));
  }
}

TEST_CASE("every key of the design page is read") {
  const Settings s = parse(R"(
model:   {path: models/m.bin, tokenizer: /abs/t.bin}
attention:
  strategy: memory
  update: token
  layers: {'0,4-6': {strategy: full, logn: true}}
  eval_length: 4096
kernels: {prefer: [simd, mine], isa: avx2, activations: q8, reproducible: false, pin: {mat_mul: mat_mul_f32_avx2}}
threads: {backend: serial, count: 2}
store:   {kind: file, path: ../mem, session: alice, save_every: never}
sampling: {temperature: 0, top_k: 0, top_p: 0.5, min_p: 0.1, repeat_penalty: 1.1, seed: 7,
           order: temperature_last, presence_penalty: 0.2, frequency_penalty: 0.3, penalty_decay: 0.9}
chat:    {template: llama2, system: "be kind", clock: true}
step:    {max_rows: 8}
plugins: {load: [./libmine.so]}
)");
  CHECK(s.model.path == "/base/models/m.bin");
  CHECK(s.model.tokenizer == "/abs/t.bin");
  CHECK(s.attention.choice.strategy == "memory");
  CHECK(s.attention.choice.options.at("update").text == "token");
  CHECK(s.attention.choice.options.at("update").place.text == "run.yaml:5");
  CHECK(s.attention.choice.options.size() == 1);
  REQUIRE(s.attention.layers.size() == 1);
  CHECK(s.attention.layers[0].layers == std::vector<int64_t>{0, 4, 5, 6});
  CHECK(s.attention.layers[0].choice.strategy == "full");
  CHECK(s.attention.layers[0].choice.options.at("logn").text == "true");
  CHECK(s.attention.eval_length == 4096);
  CHECK(s.kernels.prefer == std::vector<std::string>{"simd", "mine"});
  CHECK(s.kernels.isa == "avx2");
  CHECK(!s.kernels.reproducible);
  CHECK(s.kernels.activations == Activations::kQ8);
  CHECK(s.kernels.pin.at("mat_mul") == "mat_mul_f32_avx2");
  CHECK(s.threads.backend == "serial");
  CHECK(s.threads.count == 2);
  CHECK(s.store.path == "/mem");
  CHECK(s.store.session == "alice");
  CHECK(s.store.save_every == "never");
  CHECK(s.sampling.temperature == 0.0);
  CHECK(s.sampling.top_k == 0);
  CHECK(s.sampling.seed == 7);
  CHECK(s.sampling.order == "temperature_last");
  CHECK(s.sampling.presence_penalty == 0.2);
  CHECK(s.sampling.frequency_penalty == 0.3);
  CHECK(s.sampling.penalty_decay == 0.9);
  CHECK(s.chat.system == "be kind");
  CHECK(s.chat.clock);
  CHECK(s.step.max_rows == 8);
  CHECK(s.plugins.load == std::vector<std::string>{"/base/libmine.so"});
}

TEST_CASE("the nearest word is one with few other letters, a longer form, or a part") {
  const std::vector<std::string> words = {"--tokens", "--temp", "--top-k", "--out"};
  CHECK(nearest("--tokn", words) == "--tokens");
  CHECK(nearest("--temperature", words) == "--temp");
  CHECK(nearest("--max-tokens", words) == "--tokens");
  CHECK(nearest("--tok", words) == "--tokens");
  CHECK(nearest("fulltail", std::vector<std::string>{"full", "full_tail"}) == "full_tail");
  CHECK(nearest("--xyzzy-quux", words).empty());
  CHECK(nearest("--output-directory", words) == "--out");
  CHECK(nearest("temp", std::vector<std::string>{"temperature"}) == "temperature");
  CHECK(nearest("", words).empty());
  CHECK(nearest(std::string(101, 'x') + "-tokens", words).empty());
}

TEST_CASE("an unknown key is refused with file, line, key and the nearest valid key") {
  CHECK(refusal("sampling:\n  temprature: 1\n") ==
        "run.yaml:2: unknown key 'sampling.temprature'; did you mean 'temperature'?");
  CHECK(refusal("\n\natention: {}\n") ==
        "run.yaml:3: unknown key 'atention'; did you mean 'attention'?");
  CHECK(refusal("model: {weights: x}\n") ==
        "run.yaml:1: unknown key 'model.weights'; valid: path, tokenizer, initial_state");
}

TEST_CASE("a key that occurs twice is refused with both places") {
  CHECK(refusal("chat: {clock: true}\nmodel: {}\nchat: {clock: false}\n") ==
        "run.yaml:3: key 'chat' occurs twice; the first one is at run.yaml:1");
  CHECK(refusal("chat:\n  clock: true\n  clock: true\n")
            .starts_with("run.yaml:3: key 'clock' occurs twice"));
}

TEST_CASE("wrong types and values out of range are refused with the place and what is right") {
  CHECK(refusal("sampling:\n  temperature: hot\n") ==
        "run.yaml:2: sampling.temperature must be a number (between 0 and 1000), but is 'hot'");
  CHECK(refusal("sampling: {top_p: 1.5}") ==
        "run.yaml:1: sampling.top_p must be a number (between 0 and 1), but is '1.5'");
  CHECK(refusal("sampling: {top_k: -1}") ==
        "run.yaml:1: sampling.top_k must be a whole number (at least 0), but is '-1'");
  CHECK(refusal("sampling: {top_k: \"4\"}").find("must be a whole number") != std::string::npos);
  CHECK(refusal("sampling: {temperature: .inf}").find("must be a number") != std::string::npos);
  CHECK(refusal("sampling: {temperature: nan}").find("must be a number") != std::string::npos);
  CHECK(refusal("threads: {count: 0}") ==
        "run.yaml:1: threads.count must be a whole number (between 1 and 1024), but is '0'");
  CHECK(refusal("chat: {clock: yes}") ==
        "run.yaml:1: chat.clock must be true or false, but is 'yes'");
  CHECK(refusal("chat: {template: lama2}") ==
        "run.yaml:1: chat.template cannot be 'lama2'; did you mean 'llama2'?");
  CHECK(refusal("kernels: {activations: int8}") ==
        "run.yaml:1: kernels.activations cannot be 'int8'; valid: auto, f32, q8");
  CHECK(refusal("model: {path: [a]}") == "run.yaml:1: model.path must be a path, but is a list");
  CHECK(refusal("model: {path: }") == "run.yaml:1: model.path must be a path, but is nothing");
  CHECK(refusal("model: here.bin") == "run.yaml:1: 'model' must be a map of keys and values");
  CHECK(refusal("just words") == "run.yaml:1: a configuration must be a map of keys and values");
  CHECK(refusal("plugins: {load: {a: b}}") == "run.yaml:1: plugins.load must be a list of texts");
  CHECK(refusal("attention: {window: {a: 1}}") ==
        "run.yaml:1: attention.window must be a single value or a list of them");
  CHECK(refusal("attention: {window: [1, [2]]}") ==
        "run.yaml:1: attention.window must be a list of single values");
  CHECK(refusal("attention: {rope_scaling: {factor: {a: 1}}}") ==
        "run.yaml:1: attention.rope_scaling.factor must be a single value or a list of them");
}

TEST_CASE("a list of values is one text, and a scaling may be a map as Hugging Face writes it") {
  const auto options = [](const char* text) {
    std::map<std::string, std::string> texts;
    for (const auto& [name, raw] : parse(text).attention.choice.options) texts[name] = raw.text;
    return texts;
  };
  using Texts = std::map<std::string, std::string>;
  CHECK(options("attention: {long_factor: [1, 2.5, 4e1]}") ==
        Texts{{"long_factor", "1, 2.5, 4e1"}});
  CHECK(options("attention: {rope_scaling: {rope_type: yarn, factor: 4.0}, log_n: true}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4.0"}, {"log_n", "true"}});
  CHECK(options("attention: {rope_scaling: {type: linear}}") == Texts{{"rope_scaling", "linear"}});
  for (const char* none : {"attention: {rope_scaling: null}", "attention: {rope_scaling: default}",
                           "attention: {rope_scaling: {rope_type: default}}"})
    CHECK(options(none) == Texts{{"rope_scaling", "none"}});
  CHECK(refusal("attention: {factor: 2, rope_scaling: {rope_type: linear, factor: 4}}") ==
        "run.yaml:1: attention.rope_scaling says 'factor' twice, with different values");
}

TEST_CASE("a scaling from a config.json is read with what else stands in it") {
  using Texts = std::map<std::string, std::string>;
  const auto options = [](const std::string& map) {
    Texts texts;
    const Settings s = parse("attention: {rope_scaling: " + map + "}");
    for (const auto& [name, raw] : s.attention.choice.options) texts[name] = raw.text;
    return texts;
  };
  CHECK(options("{type: yarn, rope_type: yarn, factor: 4.0, beta_fast: null}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4.0"}});
  CHECK(options("{type: su, short_factor: [1, 2], long_factor: [1, 4]}") ==
        Texts{{"rope_scaling", "longrope"}, {"short_factor", "1, 2"}, {"long_factor", "1, 4"}});
  CHECK(options("{rope_type: yarn, factor: 4, truncate: true, finetuned: true}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4"}});
  CHECK(options("{rope_type: yarn, factor: 4, truncate: false}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "4"}, {"truncate", "false"}});
  CHECK(options("{type: mrope, mrope_section: [16, 24, 24]}") == Texts{{"rope_scaling", "none"}});
  // DeepSeek's: equal ones cancel each other out, one alone is YaRN's own temperature.
  CHECK(options("{type: yarn, factor: 40, mscale: 1.0, mscale_all_dim: 1.0}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "40"}, {"attention_factor", "1"}});
  CHECK(options("{type: yarn, factor: 40, mscale_all_dim: 1.0}") ==
        Texts{{"rope_scaling", "yarn"}, {"factor", "40"}});
  CHECK(parse("attention: {factor: 4, rope_scaling: {type: linear, factor: 4.0}}")
            .attention.choice.options.at("factor")
            .text == "4");
  CHECK(refusal("attention: {rope_scaling: {type: yarn, rope_type: linear}}") ==
        "run.yaml:1: attention.rope_scaling gives two types, 'yarn' and 'linear'; type and "
        "rope_type must be the same");
}

TEST_CASE("a file full of short keys takes no longer than its bytes") {
  std::string pins = "kernels:\n  pin:\n";
  for (int i = 0; i < 60000; ++i) pins += "    k" + std::to_string(i) + ": x\n";
  const auto start = std::chrono::steady_clock::now();
  CHECK(parse(pins).kernels.pin.size() == 60000);
  // It takes a quarter of a second; a linear look-up per key took eight.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(kSanitized ? 60 : 5));
}

TEST_CASE("layer lists are read in any order and refused if malformed or overlapping") {
  const Settings s = parse("attention: {layers: {'7,2-3': {strategy: a}, '0': {strategy: b}}}");
  REQUIRE(s.attention.layers.size() == 2);
  CHECK(s.attention.layers[0].layers == std::vector<int64_t>{0});
  CHECK(s.attention.layers[1].layers == std::vector<int64_t>{2, 3, 7});
  for (const char* bad : {"x", "1-", "-1", "3-1", "1,,2", "1 2", "99999999", "0-99999", ""}) {
    CAPTURE(bad);
    CHECK(refusal("attention: {layers: {'" + std::string(bad) + "': {strategy: a}}}")
              .find("is not a list of layers") != std::string::npos);
  }
  CHECK(refusal("attention:\n  layers:\n    0-3: {strategy: a}\n    3: {strategy: b}\n") ==
        "run.yaml:4: attention.layers: '3' names layer 3 a second time");
  CHECK(refusal("attention: {layers: {0: {window: 4}}}").find("needs a strategy") !=
        std::string::npos);
}

TEST_CASE("--set overrides the file with YAML values, nested keys included") {
  const Settings s =
      parse("attention: {strategy: full}\nthreads: {count: 1}\n",
            {"attention.strategy=sliding_window", "attention.window=64",
             "sampling={temperature: 0, seed: 3}", "kernels.prefer=[scalar]",
             "chat.system=", "threads.count=auto", "kernels.pin.attend=attend_f32_scalar"});
  CHECK(s.attention.choice.strategy == "sliding_window");
  CHECK(s.attention.choice.options.at("window").text == "64");
  CHECK(s.attention.choice.options.at("window").place.text == "--set attention.window");
  CHECK(s.sampling.temperature == 0.0);
  CHECK(s.sampling.seed == 3);
  CHECK(s.kernels.prefer == std::vector<std::string>{"scalar"});
  CHECK(s.kernels.pin.at("attend") == "attend_f32_scalar");
  CHECK(s.chat.system.empty());
  CHECK(s.threads.count == 0);
}

TEST_CASE("a wrong --set is refused by its key") {
  CHECK(refusal("", {"sampling.top_q=1"}) ==
        "--set sampling.top_q: unknown key 'sampling.top_q'; did you mean 'top_k'?");
  CHECK(refusal("", {"sampling.top_p"}) ==
        "--set sampling.top_p: no '='; write --set section.key=value");
  CHECK(refusal("", {"=1"}).find("the key is incomplete") != std::string::npos);
  CHECK(refusal("", {"a..b=1"}).find("the key is incomplete") != std::string::npos);
  CHECK(refusal("", {"chat.=1"}).find("the key is incomplete") != std::string::npos);
  CHECK(refusal("chat: {clock: true}", {"chat.clock.on=1"}) ==
        "--set chat.clock.on: 'on' cannot be set inside a single value (written at run.yaml:1)");
  CHECK(refusal("", {"sampling.seed=[1"}).starts_with("--set sampling.seed: not valid YAML: "));
}

TEST_CASE("paths are relative to the file, in --set to the working directory, and ~ is the home") {
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  setenv("HOME", "/home/somebody", 1);
  const Settings s =
      parse("model: {path: ~/m.bin, tokenizer: ./sub/../t.bin}", {"store.path=here"});
  CHECK(s.model.path == "/home/somebody/m.bin");
  CHECK(s.model.tokenizer == "/base/t.bin");
  CHECK(s.store.path == (std::filesystem::current_path() / "here").string());
  setenv("HOME", home.c_str(), 1);
}

TEST_CASE("what is not a plain YAML document is refused with its line") {
  CHECK(refusal("a: [1,\n").starts_with("run.yaml:"));
  CHECK(refusal("a: b: c\n").starts_with("run.yaml:1: not valid YAML: "));
  CHECK(refusal("model: &m {path: x}\n").find("anchors (&name) are not supported") !=
        std::string::npos);
  CHECK(refusal("model: {path: &p x, tokenizer: *p}\n").find("not supported") != std::string::npos);
  CHECK(refusal("model: !mine {path: x}\n").find("tag") != std::string::npos);
  CHECK(refusal("model: {}\n---\nmodel: {}\n").find("one YAML document") != std::string::npos);
  CHECK(refusal("? [a, b]\n: c\n").find("a key must be a word") != std::string::npos);
}

TEST_CASE("deep nesting and endless files are refused before they cost anything") {
  CHECK(refusal(std::string(100000, '[')).find("nested deeper than 64 levels") !=
        std::string::npos);
  CHECK(refusal(std::string(100000, '{')).find("nested deeper than 64 levels") !=
        std::string::npos);
  std::string dashes, indented;
  for (int i = 0; i < 20000; ++i) dashes += "- ";
  for (int i = 0; i < 300; ++i) indented += std::string(static_cast<size_t>(i), ' ') + "k:\n";
  CHECK(refusal(dashes + "x").find("nested deeper than 64 levels") != std::string::npos);
  CHECK(refusal(indented).find("nested deeper than 64 levels") != std::string::npos);
  CHECK(refusal(std::string((1 << 20) + 1, '#')).find("longer than 1 MiB") != std::string::npos);
}

TEST_CASE("a dump reads back to the same dump, whatever was written") {
  const char* texts[] = {
      "",
      "model: {path: 'sp ace: \"q\"#.bin'}\nchat: {system: \"line\\nnext \\\\ \\x07 ü\", clock: "
      "true}\n",
      "attention: {strategy: memory, update: never, theta: 1e4, word: 'yes', number: '12', flag: "
      "true, odd: a b}\n",
      "attention: {eval_length: 9, layers: {'5,0-2': {strategy: full}, 7: {strategy: x, window: "
      "3}}}\n",
      "sampling: {temperature: 0.1, top_p: 0.30000000000000004, seed: 9223372036854775807}\n",
      "kernels: {pin: {mat_mul: k}, prefer: []}\nthreads: {count: 4}\nplugins: {load: [a, 'b "
      "c']}\n",
  };
  for (const char* text : texts) {
    CAPTURE(text);
    const std::string dump = dump_settings(parse(text));
    CHECK(dump_settings(parse_settings(dump, "dump", "/elsewhere")) == dump);
  }
}

TEST_CASE("a dump keeps every value") {
  const Settings s = parse_settings(
      dump_settings(parse(
          "chat: {system: \"a\\tb: #\\\"c\"}\nattention: {strategy: s, number: '12', plain: 12}\n"
          "sampling: {top_p: 0.1, order: temperature_last, presence_penalty: 0.25, "
          "frequency_penalty: 0.5, penalty_decay: 0.75}")),
      "dump", "");
  CHECK(s.chat.system == "a\tb: #\"c");
  CHECK(s.attention.choice.options.at("number").quoted);
  CHECK_FALSE(s.attention.choice.options.at("plain").quoted);
  CHECK(s.sampling.top_p == 0.1);
  CHECK(s.sampling.order == "temperature_last");
  CHECK(s.sampling.presence_penalty == 0.25);
  CHECK(s.sampling.frequency_penalty == 0.5);
  CHECK(s.sampling.penalty_decay == 0.75);
}

TEST_CASE("load_settings reads a file relative to itself and says what cannot be read") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("perdure_config_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "run.yaml").string();
  std::ofstream(path) << "model: {path: m.bin}\n";
  CHECK(load_settings(path, {"threads.count=3"}).model.path == (folder / "m.bin").string());
  CHECK(load_settings("", {"threads.count=3"}).threads.count == 3);
  CHECK_THROWS_WITH_AS(
      load_settings(path + ".no", {}),
      ("cannot read configuration " + path + ".no: No such file or directory").c_str(), UsageError);
  CHECK_THROWS_AS(load_settings(folder.string(), {}), UsageError);
  std::filesystem::remove_all(folder);
}

TEST_CASE("nearest finds what was meant and nothing that was not") {
  const std::string words[] = {"temperature", "top_k", "seed"};
  CHECK(nearest("temprature", words) == "temperature");
  CHECK(nearest("sed", words) == "seed");
  CHECK(nearest("elephant", words).empty());
  CHECK(nearest(std::string(100000, 'x'), words).empty());
}

TEST_CASE("a NUL in a text is refused instead of cutting a path") {
  CHECK(refusal("model: {path: \"models/a.bin\\0.gguf\"}\n").find("model.path holds a NUL") !=
        std::string::npos);
  CHECK(refusal("plugins: {load: \"/a.so\\0\"}\n").find("plugins.load holds a NUL") !=
        std::string::npos);
  CHECK(refusal("", {"store.path=\"a\\0b\""}).find("store.path holds a NUL") != std::string::npos);
}

TEST_CASE("the store's section has limits of its own and leaves other keys to the plugin") {
  const Settings s = parse(
      "store: {keep: 9, keep_days: 0.5, max_bytes: 1000, save_every_tokens: 64, durability: "
      "relaxed}");
  CHECK(s.store.keep == 9);
  CHECK(s.store.keep_days == 0.5);
  CHECK(s.store.max_bytes == 1000);
  CHECK(s.store.save_every_tokens == 64);
  CHECK(s.store.options.at("durability").text == "relaxed");
  CHECK(parse("store: {save_every_tokens: auto}").store.save_every_tokens == 0);
  CHECK(parse("state: {max_bytes: auto}").state.max_bytes == 0);
  CHECK(parse("state: {max_bytes: 0}").state.max_bytes == 0);
  CHECK(dump_settings(parse("")).find("state:\n  max_bytes: auto\n") != std::string::npos);
  CHECK(parse(dump_settings(s)).store.options.at("durability").text == "relaxed");
  CHECK(parse(dump_settings(s)).store.keep == 9);
  CHECK_THROWS_AS(parse("store: {keep: 0}"), UsageError);
}

TEST_CASE(
    "no length and no limit are the word none, and what is documented as invalid is refused") {
  CHECK(parse("attention: {eval_length: none}").attention.eval_length == 0);
  CHECK(refusal("attention: {eval_length: 0}")
            .find("eval_length must be a whole number (at least 1), but is '0'") !=
        std::string::npos);
  CHECK(parse("store: {max_bytes: none}").store.max_bytes == 0);
  CHECK(dump_settings(parse("store: {max_bytes: 0}")).find("  max_bytes: none\n") !=
        std::string::npos);
  CHECK(parse(dump_settings(parse(""))).store.max_bytes == 0);
  CHECK(refusal("store: {session: a/b}").find("'a/b' is not a session name") != std::string::npos);
  CHECK(refusal("store: {session: ''}").find("'' is not a session name") != std::string::npos);
  CHECK(refusal("ensemble: {scores: [1]}").find("has no effect without ensemble.passages") !=
        std::string::npos);
  CHECK(refusal("ensemble: {temperature: 0}").find("(between 1e-06 and 1000000)") !=
        std::string::npos);
}

TEST_CASE("XDG_DATA_HOME moves the store, but not away from memories that lie in the old place") {
  namespace fs = std::filesystem;
  const testing::TemporaryFolder folder;
  const auto variable = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  const std::string home_before = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  variable("HOME", folder.path());
  variable("XDG_DATA_HOME", folder / "data");
  const std::string old_place = folder / ".local/share/perdure", moved = folder / "data/perdure";
  CHECK(parse("").store.path == moved);
  fs::create_directories(old_place + "/plugins");  // no memory
  CHECK(parse("").store.path == moved);
  std::ofstream(old_place + "/alice@1") << "x";
  CHECK(parse("").store.path == old_place);
  CHECK(parse("").store.elsewhere.empty());
  fs::create_directories(moved);
  std::ofstream(moved + "/bob@1") << "x";
  CHECK(parse("").store.path == moved);
  CHECK(parse("").store.elsewhere == old_place);
  variable("XDG_DATA_HOME", "relative");
  CHECK(parse("").store.path == old_place);
  ::unsetenv("XDG_DATA_HOME");
  CHECK(parse("").store.path == old_place);
  variable("HOME", home_before);
}
