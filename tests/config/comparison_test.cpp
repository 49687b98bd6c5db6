// SPDX-License-Identifier: Apache-2.0

// The section `compare`: what entries take over from the file, what is refused and with which
// sentence.
#include <doctest/doctest.h>

#include <fstream>

#include "core/config/comparison.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using perdure::testing::TemporaryFolder;

namespace {

struct File {
  TemporaryFolder folder;
  std::string path = folder / "compare.yaml";

  explicit File(const std::string& text) { std::ofstream(path) << text; }
  ComparisonSettings load(const std::vector<std::string>& overrides = {}) const {
    return load_comparison(path, overrides);
  }
};

// The message of the UsageError behind the file's name; "" if there is none.
std::string refusal(const std::string& text) {
  const File file(text);
  try {
    file.load();
  } catch (const UsageError& error) {
    const std::string message = error.what();
    return message.starts_with(file.path) ? message.substr(file.path.size()) : message;
  }
  return "";
}

constexpr const char* kWhole = R"(
model: {path: m.bin}
attention: {strategy: full, train_length: 128}
kernels: {prefer: [scalar]}
compare:
  title: A table
  entries:
    plain: {}
    linear: {attention: {rope_scaling: linear}, kernels: {isa: avx2}}
    window: {attention: {strategy: sliding_window, window: 8}, input: clip}
    other: {model: {path: o.bin}}
  baseline: plain
  lengths: [512, 128, 256, 128]
  measures: [loss, {passkey: {depths: [0, 0.5], samples: 3}}]
  text: [b.txt, a.txt]
  separator: "<|endoftext|>"
  out: results
  seed: 7
  samples: 20
)";

}  // namespace

TEST_CASE("every key of the section is read") {
  const File file(kWhole);
  const ComparisonSettings s = file.load();
  CHECK(s.title == "A table");
  CHECK(s.entries.size() == 4);
  CHECK(s.baseline == 0);
  CHECK(s.lengths == std::vector<int64_t>{128, 256, 512});
  REQUIRE(s.measures.size() == 2);
  CHECK(s.measures[0].name == "loss");
  CHECK(s.measures[1].name == "passkey");
  CHECK(s.measures[1].options.at("depths").text == "0,0.5");
  CHECK(s.measures[1].options.at("samples").text == "3");
  CHECK(s.text == std::vector<std::string>{file.folder / "b.txt", file.folder / "a.txt"});
  CHECK(s.separator == "<|endoftext|>");
  CHECK(s.out == file.folder / "results");
  CHECK(s.seed == 7);
  CHECK(s.samples == 20);
}

TEST_CASE("equal states need a baseline") {
  const File file(kWhole);
  CHECK_FALSE(file.load().equal_state);
  CHECK(file.load({"compare.equal_state=true"}).equal_state);
  const File without("compare: {entries: {a: {}}, lengths: [8], equal_state: true}\n");
  CHECK_THROWS_AS(without.load(), UsageError);
}

TEST_CASE("an entry is the file's configuration with what it changes, key by key") {
  const File file(kWhole);
  const ComparisonSettings s = file.load();
  const auto& plain = s.entries[0];
  CHECK(plain.name == "plain");
  CHECK(plain.input == "whole");
  CHECK(plain.settings.model.path == file.folder / "m.bin");
  CHECK(plain.settings.attention.choice.options.at("train_length").text == "128");
  const auto& linear = s.entries[1];
  CHECK(linear.settings.attention.choice.strategy == "full");
  CHECK(linear.settings.attention.choice.options.size() == 2);
  CHECK(linear.settings.kernels.prefer == std::vector<std::string>{"scalar"});
  CHECK(linear.settings.kernels.isa == "avx2");
  CHECK(s.entries[3].settings.model.path == file.folder / "o.bin");
}

TEST_CASE("an entry that names a strategy takes over no options of another") {
  const ComparisonSettings s = File(kWhole).load();
  const auto& window = s.entries[2];
  CHECK(window.settings.attention.choice.strategy == "sliding_window");
  CHECK(window.settings.attention.choice.options.size() == 1);
  CHECK(window.settings.kernels.prefer == std::vector<std::string>{"scalar"});
  CHECK(window.input == "clip");
}

TEST_CASE("an entry's input is a word, or a map with the keys of the section input beside it") {
  const ComparisonSettings s =
      File(
          "compare: {lengths: 8, entries: {a: {input: {line_ends: keep}},\n"
          "  b: {input: {tokens: clip, line_ends: keep}}, c: {input: repeat}}}\n")
          .load();
  CHECK(s.entries[0].input == "whole");
  CHECK(s.entries[0].settings.input.line_ends == LineEnds::kKeep);
  CHECK(s.entries[1].input == "clip");
  CHECK(s.entries[1].settings.input.line_ends == LineEnds::kKeep);
  CHECK(s.entries[2].input == "repeat");
  CHECK(s.entries[2].settings.input.line_ends == LineEnds::kLf);
}

TEST_CASE("an entry's input says how many tokens are the text itself and how long passages are") {
  const ComparisonSettings s =
      File(
          "compare: {lengths: 8, entries: {a: {input: {tokens: passages, kept: 5, chunk: 3}},\n"
          "  b: {input: contexts}, c: {}}}\n")
          .load();
  CHECK(s.entries[0].input == "passages");
  CHECK(s.entries[0].input_keys() == "  tokens: passages\n  kept: 5\n  chunk: 3\n");
  CHECK(s.entries[1].input_keys() == "  tokens: contexts\n");
  CHECK(s.entries[2].input_keys().empty());
  CHECK_THROWS_AS(
      File("compare: {lengths: 8, entries: {a: {input: {tokens: clip, kept: 0}}}}\n").load(),
      UsageError);
}

TEST_CASE("--set reaches the file's part, an entry and the section") {
  const ComparisonSettings s =
      File(kWhole).load({"model.path=/x.bin", "compare.entries.window.attention.window=9",
                         "compare.lengths=[64]", "compare.measures=loss"});
  CHECK(s.entries[0].settings.model.path == "/x.bin");
  CHECK(s.entries[3].settings.model.path != "/x.bin");
  CHECK(s.entries[2].settings.attention.choice.options.at("window").text == "9");
  CHECK(s.lengths == std::vector<int64_t>{64});
  CHECK(s.measures.size() == 1);
}

TEST_CASE("patterns of texts are the files that match, in the order of their names") {
  const File file("compare: {entries: {a: {}}, lengths: 8, text: ['*.txt', z]}\n");
  for (const char* name : {"b.txt", "a.txt", "c.md"}) std::ofstream(file.folder / name) << "x";
  CHECK(file.load().text ==
        std::vector<std::string>{file.folder / "a.txt", file.folder / "b.txt", file.folder / "z"});
}

TEST_CASE("an ordinary command reads the file as if the section were not there") {
  const File file(kWhole);
  CHECK(load_settings(file.path, {}).attention.choice.strategy == "full");
}

TEST_CASE("mistakes are refused with their place and what to write") {
  const struct {
    const char* text;
    const char* sentence;
  } cases[] = {
      {"model: {path: x}\n",
       " has no section 'compare', which says what is compared; see "
       "configs/compare for some"},
      {"\ncompare: {lengths: 8}\n",
       ":2: compare.entries is missing; name what is compared, for example "
       "{plain: {}, linear: {attention: {strategy: full, rope_scaling: linear}}}"},
      {"compare:\n  entries: {a: {}}\n",
       ":2: compare.lengths must name at least one length, for example [256, 1024]"},
      {"compare:\n  entries: {a: {}}\n  lengths: [8, -1]\n",
       ":3: compare.lengths must be whole numbers (between 1 and 1099511627776), but one is '-1'"},
      {"compare:\n  entries: {a: {}}\n  lenghts: [8]\n  lengths: 8\n",
       ":3: unknown key 'compare.lenghts'; did you mean 'lengths'?"},
      {"compare:\n  entries: {a: {}}\n  lengths: 8\n  quick: 1\n",
       ":4: unknown key 'compare.quick'; valid: title, entries, baseline, equal_state, lengths, "
       "measures, text, "
       "separator, tokens, out, seed, samples"},
      {"compare:\n  lengths: 8\n  entries:\n    a:\n      atention: {window: 2}\n",
       ":5: unknown key 'atention'; did you mean 'attention'?"},
      {"compare:\n  lengths: 8\n  entries:\n    a/b: {}\n",
       ":4: the name of an entry must not be empty nor have a '/'"},
      {"compare:\n  lengths: 8\n  entries: {a: {input: {tokens: half}}}\n",
       ":3: compare.entries.a.input.tokens cannot be 'half'; valid: whole, clip, repeat, contexts, "
       "passages"},
      {"compare:\n  lengths: 8\n  entries: {a: {input: {line_end: keep}}}\n",
       ":3: unknown key 'input.line_end'; did you mean 'line_ends'?"},
      {"compare:\n  lengths: 8\n  entries: {a: {input: half}}\n",
       ":3: compare.entries.a.input cannot be 'half'; valid: whole, clip, repeat, contexts, "
       "passages"},
      {"compare:\n  lengths: 8\n  entries: {a: {}, b: {}}\n  baseline: c\n",
       ":4: compare.baseline cannot be 'c'; did you mean 'a'?"},
      {"compare:\n  lengths: 8\n  entries: {a: {}}\n  measures: []\n",
       ":4: compare.measures must name at least one measure"},
      {"compare:\n  lengths: 8\n  entries: {a: {}}\n  measures: [{loss: {}, recall: {}}]\n",
       ":4: compare.measures: write a measure as 'loss' or '{loss: {tail: 64}}'"},
      {"compare:\n  lengths: 8\n  entries: {a: {}}\n  measures: [{loss: {tail: {}}}]\n",
       ":4: compare.measures.loss.tail must be a value or list"},
      {"compare:\n  lengths: 8\n  entries: {a: {}}\n  text: a\n  tokens: b\n",
       ":4: compare.text and compare.tokens both say what is read; give one of them"},
      {"compare:\n  lengths: 8\n  entries: {a: {}}\n  samples: 0\n",
       ":4: compare.samples must be a whole number (between 1 and 4294967296), but is '0'"},
      {"compare: yes\n", ":1: 'compare' must be a map of keys and values"},
  };
  for (const auto& [text, sentence] : cases) CHECK(refusal(text) == sentence);
  CHECK(refusal("compare: {entries: {a: {}}, lengths: 8, text: 'none*'}\n")
            .starts_with(":1: compare.text: no file matches "));
}
