// SPDX-License-Identifier: Apache-2.0

// The table of llama2Rnn's methods: what a text becomes, what is refused, and that people are told
// the same.
#include "apps/perdure_golden/methods.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "core/api/error.hpp"

using namespace perdure;

namespace {

std::string attention(const std::string& extend_method,
                      const std::string& type = "memory_attention",
                      const std::string& extend_seq_len = "64") {
  return translate_llama2rnn_args({{"n_layers", "3"},
                                   {"max_seq_len", "16"},
                                   {"extend_seq_len", extend_seq_len},
                                   {"attention_type", type},
                                   {"extend_method", extend_method}})
      .attention;
}

std::string cell(const std::optional<std::string>& options) {
  if (!options) return "–";
  if (options->empty()) return "nothing to set";
  return *options == kIgnored || *options == kOfInput ? *options : "`" + *options + "`";
}

}  // namespace

TEST_CASE("docs/methods.md shows the table that runs, line by line") {
  std::ifstream file(std::string(PERDURE_SOURCE_DIR) + "/docs/methods.md");
  REQUIRE(file);
  std::string line;
  while (std::getline(file, line) && !line.starts_with("| word in `extend_method`")) {
  }
  REQUIRE(std::getline(file, line));
  for (const Method& m : llama2rnn_methods()) {
    REQUIRE(std::getline(file, line));
    CHECK(line == "| `" + m.text + "` | " + cell(m.plain) + " | " + cell(m.memory) + " |");
  }
  REQUIRE(std::getline(file, line));
  CHECK(line.empty());
}

TEST_CASE("a method becomes the options of the strategy that its layers have") {
  CHECK(attention("") == "{eval_length: 64, strategy: memory, train_length: 16}");
  CHECK(attention("logn_train") ==
        "{eval_length: 64, strategy: memory, train_length: 16, log_n: true, log_n_clamp: false}");
  CHECK(attention("train") == "{eval_length: 64, strategy: memory, train_length: 16}");
  CHECK(attention("xpos512") == "{eval_length: 64, strategy: memory, train_length: 16, xpos: 512}");
  CHECK(attention("xpos", "") ==
        "{eval_length: 64, strategy: full, train_length: 16, xpos: 32, max_length: 64}");
  CHECK(attention("memlayer0_memlayer2_SWAHalf") ==
        "{eval_length: 64, strategy: memory, train_length: 16, layers: {'1': {strategy: full, "
        "train_length: 16, window: 16, full_tail: 8}}}");
  CHECK(attention("memlayer10") ==
        "{eval_length: 64, strategy: memory, train_length: 16, layers: {'0,2': {strategy: full, "
        "train_length: 16}}}");
  CHECK(translate_llama2rnn_args({{"attention_type", "LSTM"}}).attention ==
        "{strategy: chunk_lstm}");
}

TEST_CASE("what the original ignores in memory attention is dropped and named") {
  const MethodChoice choice =
      translate_llama2rnn_args({{"n_layers", "1"},
                                {"attention_type", "memory_attention"},
                                {"extend_method", "sumCis_nope_layer1adapt_SWA"}});
  CHECK(choice.attention == "{strategy: memory}");
  CHECK(choice.ignored == std::vector<std::string>{"sumCis", "nope", "layer{N}adapt", "SWA"});
}

TEST_CASE("of two words for the frequencies the first of the table counts") {
  CHECK(attention("interpolation_extrapolation") == attention("extrapolation"));
  CHECK(attention("radix_interpolation") == attention("interpolation"));
}

TEST_CASE("options beside extend_method are translated too") {
  std::map<std::string, std::string> args{{"n_layers", "1"},
                                          {"attention_type", "memory_attention"},
                                          {"extend_method", "emamem"},
                                          {"key_norm", "true"},
                                          {"theta", "5000"}};
  CHECK(translate_llama2rnn_args(args).attention ==
        "{strategy: memory, rope_theta: 5000, key_norm: true}");
  args["update_memory"] = "true";
  CHECK(translate_llama2rnn_args(args).attention ==
        "{strategy: memory, rope_theta: 5000, key_norm: true, initial: zero, ema: 0.6}");
}

TEST_CASE("what one layer does otherwise is an entry of its own") {
  const auto plain = [](const std::string& extend_method, const char* n_layers) {
    return translate_llama2rnn_args(
               {{"n_layers", n_layers}, {"max_seq_len", "32"}, {"extend_method", extend_method}})
        .attention;
  };
  CHECK(plain("selfExtend_layer5group", "6") ==
        "{strategy: full, train_length: 32, distances: grouped, layers: {'5': {strategy: full, "
        "train_length: 32, distances: grouped, near: 16}}}");
  CHECK(plain("selfExtendQuater_layer5allgroup", "6") ==
        "{strategy: full, train_length: 32, distances: grouped, near: 8, layers: {'5': {strategy: "
        "full, train_length: 32, distances: grouped, near: 0}}}");
  CHECK(plain("selfExtend_layer5group", "5") == plain("selfExtend", "5"));
  CHECK(plain("layer2adapt_interpolation_logn", "3") ==
        "{strategy: full, train_length: 32, rope_scaling: linear, log_n: true, layers: {'2': "
        "{strategy: full, train_length: 32, positions: none, log_n: true}}}");
  CHECK(plain("layeradapt", "6") ==
        "{strategy: full, train_length: 32, layers: {'5': {strategy: full, train_length: 32, "
        "positions: none}}}");
  CHECK(plain("layer7adapt", "8") == "{strategy: full, train_length: 32}");
}

TEST_CASE("masks of fixed sizes are refused where positions would see later ones") {
  const auto masked = [](const char* mask, const char* trained) {
    return translate_llama2rnn_args(
               {{"n_layers", "1"}, {"max_seq_len", trained}, {"extend_method", mask}})
        .attention;
  };
  CHECK(masked("AMask", "1024") == "{strategy: full, train_length: 1024, window: 512, sinks: 512}");
  CHECK(masked("ADoubleWindow", "256") ==
        "{strategy: full, train_length: 256, window: 256, sinks: 256}");
  CHECK_THROWS_WITH_AS(masked("AMask", "1023"),
                       "extend_method: \"AMask\" lets positions see later ones where max_seq_len "
                       "is below 1024, and it is 1023",
                       UsageError);
  CHECK_THROWS_AS(masked("ADoubleWindow", "255"), UsageError);
}

TEST_CASE("clip says what is read and leaves the layers alone") {
  const MethodChoice choice =
      translate_llama2rnn_args({{"n_layers", "1"}, {"extend_method", "clip"}});
  CHECK(choice.clip);
  CHECK(choice.attention == "{strategy: full}");
}

TEST_CASE("unknown words, methods that do not exist and lengths that are not numbers are refused") {
  CHECK_THROWS_WITH_AS(attention("memlayer0_banana"),
                       "extend_method: \"banana\" does not begin with a method of llama2Rnn; "
                       "docs/methods.md lists them",
                       UsageError);
  CHECK_THROWS_WITH_AS(attention("PEClip"),
                       "extend_method: \"PEClip\" does not exist in memory attention; "
                       "docs/methods.md lists what does",
                       UsageError);
  CHECK_THROWS_AS(attention("clip_logn"), UsageError);
  CHECK_THROWS_AS(translate_llama2rnn_args({{"n_layers", "two"}}), UsageError);
  CHECK_THROWS_AS(translate_llama2rnn_args({{"n_layers", "1"}, {"extend_method", "SWA"}}),
                  UsageError);
}

TEST_CASE("below the training length the original compresses, which perdure does only when asked") {
  CHECK(attention("interpolation", "", "8") ==
        "{eval_length: 8, strategy: full, train_length: 16, rope_scaling: linear, factor: 0.5}");
  CHECK(attention("interpolation", "", "16") ==
        "{eval_length: 16, strategy: full, train_length: 16, rope_scaling: linear}");
  CHECK(attention("logn", "", "8") ==
        "{eval_length: 8, strategy: full, train_length: 16, log_n: true}");
}
