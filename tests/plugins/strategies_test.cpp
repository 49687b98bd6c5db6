// SPDX-License-Identifier: Apache-2.0

// What the attention plugins state before anything runs: traits, states, and refusals of options
// that contradict each other or the model. What they compute is checked in tests/conformance and by
// the golden cases.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/runtime/plugin_host.hpp"
#include "plugins/linked_plugins.hpp"
#include "sdk/rotary_attention.hpp"

using namespace perdure;

namespace {

const PluginHost& host() {
  static const PluginHost plugins(linked_plugins(), {});
  return plugins;
}

ModelInfo small_model() {
  return {.hidden_size = 32,
          .num_hidden_layers = 3,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .head_size = 8,
          .vocab_size = 40,
          .train_length = 64,
          .mem_len = 8};
}

using Changes = std::map<std::string, OptionValue>;

Options options_of(const std::string& strategy, const Changes& changes) {
  Options options;
  for (const OptionSpec& spec : host().attention(strategy).options())
    options.set(spec.name, spec.default_value);
  for (const auto& [name, value] : changes) {
    REQUIRE(options.all().contains(name));
    options.set(name, value);
  }
  return options;
}

std::unique_ptr<AttentionStrategy> create(const std::string& strategy, const Changes& changes = {},
                                          const ModelInfo& model = small_model(),
                                          std::vector<int64_t> layers = {0, 2}) {
  return host().attention(strategy).create(model, options_of(strategy, changes), layers);
}

// The refusal's sentence, or "" if the strategy is created.
std::string refusal(const std::string& strategy, const Changes& changes,
                    const ModelInfo& model = small_model()) {
  try {
    create(strategy, changes, model);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

void check_refused(const std::string& strategy, const Changes& changes, const std::string& word,
                   const ModelInfo& model = small_model()) {
  const std::string sentence = refusal(strategy, changes, model);
  CAPTURE(strategy);
  CAPTURE(sentence);
  CHECK(sentence.find(word) != std::string::npos);
  CHECK(sentence.find("attention.") != std::string::npos);
}

StateSpec state(const std::vector<StateSpec>& states, const std::string& name) {
  const auto it =
      std::find_if(states.begin(), states.end(), [&](const auto& s) { return s.name == name; });
  REQUIRE_MESSAGE(it != states.end(), name);
  return *it;
}

const std::string kStrategies[] = {"full", "sliding_window", "memory", "chunk_lstm"};

}  // namespace

TEST_CASE(
    "every option of a strategy has a sentence, a default of its type and a name of its own") {
  for (const std::string& strategy : kStrategies) {
    CAPTURE(strategy);
    std::set<std::string> names;
    for (const OptionSpec& spec : host().attention(strategy).options()) {
      CAPTURE(spec.name);
      CHECK(names.insert(spec.name).second);
      CHECK(spec.help.size() > 10);
      CHECK(spec.help.ends_with("."));
      CHECK(spec.default_value.index() == static_cast<size_t>(spec.type));
      if (!spec.choices.empty())
        CHECK(std::find(spec.choices.begin(), spec.choices.end(),
                        std::get<std::string>(spec.default_value)) != spec.choices.end());
    }
    CHECK(names.contains("eval_length"));
  }
}

TEST_CASE("states carry their layer, so strategies of other layers cannot collide") {
  std::set<std::string> names;
  for (const std::string& strategy : kStrategies)
    for (const StateSpec& spec : create(strategy, {}, small_model(), {1})->states())
      CHECK(spec.name.starts_with("blk.1."));
  for (const int64_t layer : {0, 1, 2})
    for (const StateSpec& spec :
         create(layer == 1 ? "full" : "memory", {}, small_model(), {layer})->states())
      CHECK(names.insert(spec.name).second);
}

TEST_CASE("full keeps one key and value row per token and can rewind") {
  const auto strategy = create("full", {{"max_length", int64_t{100}}});
  const Traits traits = strategy->traits();
  CHECK_FALSE(traits.constant_memory);
  CHECK(traits.can_rewind);
  CHECK_FALSE(traits.needs_trained_weights);
  CHECK(traits.segment_length == 0);
  const auto states = strategy->states();
  CHECK(states.size() == 4);
  const StateSpec keys = state(states, "blk.2.attn_k");
  CHECK(keys.growth == Growth::kAppended);
  CHECK(keys.rows == 100);
  CHECK(keys.columns == 16);
}

TEST_CASE(
    "sliding_window keeps sinks and window in a ring, by default the training length in all") {
  const auto strategy = create("sliding_window", {{"sinks", int64_t{4}}});
  CHECK(strategy->traits().constant_memory);
  CHECK_FALSE(strategy->traits().can_rewind);
  const StateSpec keys = state(strategy->states(), "blk.0.attn_k");
  CHECK(keys.growth == Growth::kRing);
  CHECK(keys.rows == 60);
  CHECK(keys.sinks == 4);
}

TEST_CASE("memory has segments of its length, and its states are fixed") {
  const auto strategy = create("memory", {{"ema", 0.6}});
  const Traits traits = strategy->traits();
  CHECK(traits.constant_memory);
  CHECK(traits.needs_trained_weights);
  CHECK(traits.segment_length == 8);
  CHECK(strategy->phase_rows(Phase::kInit) == 8);
  CHECK(strategy->phase_rows(Phase::kBegin) == 0);
  CHECK(strategy->phase_rows(Phase::kEnd) == 8);
  const auto states = strategy->states();
  CHECK(std::all_of(states.begin(), states.end(),
                    [](const StateSpec& s) { return s.growth == Growth::kFixed; }));
  CHECK(state(states, "blk.0.mem_raw").initial_weight == "blk.0.mem_init");
  CHECK(state(states, "blk.0.mem_ema").rows == 8);
  CHECK(state(states, "blk.0.attn_k").rows == 16);
  CHECK(state(states, "blk.0.attn_k").columns == 16);
  CHECK(state(states, "blk.0.attn_v").initial == StateSpec::Initial::kInit);
}

TEST_CASE("memory updated by token has one row per step, never updated has no end graph") {
  const auto by_token = create("memory", {{"update", std::string("token")}});
  CHECK(by_token->traits().segment_length == 1);
  CHECK(by_token->traits().max_rows_per_step == 1);
  CHECK(by_token->phase_rows(Phase::kEnd) == 1);
  CHECK(by_token->phase_rows(Phase::kInit) == 8);
  const auto never = create("memory", {{"update", std::string("never")}});
  CHECK(never->traits().segment_length == 8);
  CHECK(never->phase_rows(Phase::kEnd) == 0);
}

TEST_CASE("memory of a model without one starts at zero and has the length that was asked for") {
  ModelInfo model = small_model();
  model.mem_len = 0;
  check_refused("memory", {}, "needs a model with memory", model);
  check_refused("memory", {{"mem_len", int64_t{4}}}, "initial: zero", model);
  const auto strategy =
      create("memory", {{"mem_len", int64_t{4}}, {"initial", std::string("zero")}}, model);
  CHECK(strategy->traits().segment_length == 4);
  CHECK(state(strategy->states(), "blk.0.mem_raw").initial == StateSpec::Initial::kZero);
}

TEST_CASE(
    "memory refuses a length that differs from its trained memory, and blends that cannot be") {
  check_refused("memory", {{"mem_len", int64_t{4}}}, "has 8 rows");
  check_refused("memory", {{"ema_every", int64_t{16}}}, "has an effect only with attention.ema");
  check_refused("memory", {{"ema", 0.5}, {"ema_every", int64_t{12}}}, "multiple");
  check_refused("memory", {{"ema", 0.5}, {"update", std::string("token")}}, "update: segment");
}

TEST_CASE("linear scaling takes its factor from the lengths, and says so where there are none") {
  check_refused("full", {{"rope_scaling", std::string("linear")}}, "eval_length");
  check_refused("full", {{"factor", 2.0}}, "rope_scaling");
  const Options options =
      options_of("full", {{"rope_scaling", std::string("linear")}, {"eval_length", int64_t{32}}});
  CHECK(read_rotary_options(small_model(), options).scaling.divisor == 1);  // trained at 64
  const Options longer =
      options_of("full", {{"rope_scaling", std::string("linear")}, {"eval_length", int64_t{128}}});
  CHECK(read_rotary_options(small_model(), longer).scaling.divisor == 2);
  const Options given = options_of(
      "full",
      {{"rope_scaling", std::string("linear")}, {"eval_length", int64_t{32}}, {"factor", 3.0}});
  CHECK(read_rotary_options(small_model(), given).scaling.divisor == 3.0);
}

TEST_CASE("below the training length scaling changes nothing unless a factor says so") {
  const auto frequencies = [](const char* form, int64_t eval_length, double factor) {
    const Options options = options_of(
        "full",
        {{"rope_scaling", std::string(form)}, {"eval_length", eval_length}, {"factor", factor}});
    return read_rotary_options(small_model(), options).scaling.frequencies;
  };
  for (const char* form : {"ntk", "ntk_mixed", "radix"}) {
    CAPTURE(form);
    CHECK(frequencies(form, 32, 0) == frequencies(form, 64, 0));
    CHECK(frequencies(form, 32, 0.5) != frequencies(form, 32, 0));
  }
}

TEST_CASE("a parameter of a scaling that does not take it is refused") {
  const auto scaling = [](const char* form) { return OptionValue(std::string(form)); };
  check_refused("full", {{"beta_fast", 16.0}}, "yarn");
  check_refused("full", {{"rope_scaling", scaling("linear")}, {"factor", 2.0}, {"mscale", 1.0}},
                "attention.mscale has an effect only with attention.rope_scaling: yarn");
  check_refused("full", {{"rope_scaling", scaling("yarn")}, {"low_freq_factor", 1.0}}, "llama3");
  check_refused("full", {{"rope_scaling", scaling("ntk")}, {"long_factor", std::string("1, 2")}},
                "longrope");
  check_refused("full", {{"attention_factor", 1.0}}, "yarn, longrope");
  check_refused("full", {{"truncate", false}}, "yarn");
}

TEST_CASE("YaRN's passage has whole bounds or those of its formula, as transformers computes it") {
  // _compute_yarn_parameters: dim 16, base 10000, factor 4, 4096 trained, beta_fast 32,
  // beta_slow 1.
  const std::vector<double>
      whole = {1, 0.316227766, 0.1, 0.025693506, 0.00625, 0.00138349648, 0.00025, 7.90569415e-05},
      exact = {1,       0.316227766,   0.1, 0.0286136088, 0.00655697152, 0.00128563203,
               0.00025, 7.90569415e-05};
  ModelInfo model = small_model();
  model.head_size = 16;
  model.train_length = 4096;
  for (const bool truncate : {true, false}) {
    CAPTURE(truncate);
    const Options options = options_of(
        "full", {{"rope_scaling", std::string("yarn")}, {"factor", 4.0}, {"truncate", truncate}});
    const std::vector<float> found = read_rotary_options(model, options).scaling.frequencies;
    const std::vector<double>& wanted = truncate ? whole : exact;
    REQUIRE(found.size() == wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i)
      CHECK(found[i] == doctest::Approx(wanted[i]).epsilon(1e-6));
  }
}

TEST_CASE("a scaling refuses what it cannot compute with") {
  const auto scaling = [](const char* form) { return OptionValue(std::string(form)); };
  ModelInfo model = small_model();
  model.train_length = 0;
  for (const char* form : {"ntk", "ntk_mixed", "radix", "yarn", "llama3"})
    check_refused("full", {{"rope_scaling", scaling(form)}}, "eval_length");
  for (const char* form : {"yarn", "llama3"})
    check_refused("full", {{"rope_scaling", scaling(form)}, {"factor", 2.0}},
                  "original_max_position_embeddings", model);
  check_refused("full", {{"rope_scaling", scaling("dynamic")}}, "needs the training length", model);
  check_refused(
      "full",
      {{"rope_scaling", scaling("yarn")}, {"factor", 2.0}, {"beta_fast", 1.0}, {"beta_slow", 2.0}},
      "attention.beta_fast must be larger");
  check_refused("full", {{"rope_scaling", scaling("ntk")}, {"factor", 1e14}, {"rope_theta", 1e37}},
                "range of F32");
  check_refused("full", {{"rope_scaling", scaling("longrope")}}, "attention.short_factor");
  check_refused("full",
                {{"rope_scaling", scaling("longrope")},
                 {"short_factor", std::string("1, 1, 1, 1")},
                 {"long_factor", std::string("1, 2, x, 4")}},
                "attention.long_factor must be a list of 4 positive numbers");
  check_refused("full", {{"rope_scaling", scaling("dynamic")}, {"max_length", int64_t{1} << 25}},
                "max_length");
  CHECK(refusal("full", {{"rope_scaling", scaling("dynamic")}}).empty());
}

TEST_CASE("scalings that turn keys anew need a strategy that does") {
  const Changes dynamic{{"rope_scaling", std::string("dynamic")}};
  check_refused("sliding_window", dynamic, "attention.strategy: full");
  check_refused("memory", dynamic, "attention.strategy: full");
  Changes both = dynamic;
  both["xpos"] = 32.0;
  both["max_length"] = int64_t{1000};
  check_refused("full", both, "attention.xpos");
  both = dynamic;
  both["distances"] = std::string("clamped");
  check_refused("full", both, "use one of the two");
}

TEST_CASE("distances refuse lengths that are missing or leave no room, and options without use") {
  const OptionValue clamped = std::string("clamped"), grouped = std::string("grouped");
  ModelInfo model = small_model();
  model.train_length = 0;
  check_refused("full", {{"near", int64_t{4}}}, "has an effect only with attention.distances");
  check_refused("full", {{"group", int64_t{4}}}, "grouped");
  check_refused("full", {{"distances", clamped}, {"group", int64_t{4}}}, "grouped");
  check_refused("full", {{"distances", clamped}}, "attention.near", model);
  check_refused("full", {{"distances", clamped}, {"near", int64_t{0}}}, "at least 1");
  check_refused("full", {{"distances", grouped}}, "eval_length");
  check_refused("full", {{"distances", grouped}, {"group", int64_t{4}}}, "attention.near must be");
  check_refused("full",
                {{"distances", grouped}, {"eval_length", int64_t{128}}, {"near", int64_t{64}}},
                "leaves nothing");
  check_refused("sliding_window", {{"distances", clamped}, {"positions", std::string("reindexed")}},
                "absolute");
  check_refused("sliding_window", {{"distances", clamped}, {"positions", std::string("none")}},
                "absolute");
  for (const int64_t length : {1, 8, 31, 32, 64, 65, 1000})
    CHECK(refusal("full", {{"distances", grouped}, {"eval_length", length}}).empty());
}

TEST_CASE("ways of bringing places into the scores exclude each other") {
  const auto word = [](const char* text) { return OptionValue(std::string(text)); };
  const std::pair<const char*, OptionValue> ways[] = {{"positions", word("none")},
                                                      {"positions", word("wrapped")},
                                                      {"distances", word("clamped")},
                                                      {"rope_scaling", word("dynamic")},
                                                      {"concat_pe", true},
                                                      {"sum_cis", true},
                                                      {"freqs_abs", true},
                                                      {"xpos", 32.0}};
  const auto compatible = [](const std::string& a, const std::string& b) {
    return a == b || (a == "sum_cis" && b == "freqs_abs") ||
           (a == "concat_pe" && b == "freqs_abs") || (a == "distances" && b == "xpos");
  };
  for (const auto& a : ways)
    for (const auto& b : ways) {
      if (&a >= &b || a.first == std::string(b.first)) continue;
      CAPTURE(a.first);
      CAPTURE(b.first);
      const Changes both{{a.first, a.second}, {b.first, b.second}, {"max_length", int64_t{1000}}};
      CHECK(refusal("full", both).empty() == compatible(a.first, b.first));
    }
  check_refused("full",
                {{"positions", word("none")}, {"rope_scaling", word("linear")}, {"factor", 2.0}},
                "use one of the two");
  check_refused("sliding_window",
                {{"positions", word("none")}, {"rope_scaling", word("linear")}, {"factor", 2.0}},
                "positions: none has no rotation");
}

TEST_CASE("places that wrap or are clipped need their lengths, sinks a window") {
  ModelInfo model = small_model();
  model.train_length = 0;
  const OptionValue wrapped = std::string("wrapped"), clipped = std::string("clipped");
  check_refused("full", {{"positions", wrapped}}, "training length", model);
  check_refused("full", {{"positions", clipped}}, "eval_length");
  check_refused("full", {{"positions", clipped}, {"eval_length", int64_t{100}}}, "multiple");
  check_refused("full", {{"sinks", int64_t{4}}}, "attention.window");
}

TEST_CASE("eval_length concerns the methods that need it and no others") {
  const auto depends = [](const std::string& strategy, Changes changes) {
    changes["eval_length"] = int64_t{128};
    return create(strategy, changes)->depends_on("eval_length");
  };
  const OptionValue linear = std::string("linear"), grouped = std::string("grouped");
  for (const char* strategy : {"full", "sliding_window", "memory"}) {
    CHECK_FALSE(depends(strategy, {}));
    CHECK(depends(strategy, {{"rope_scaling", linear}}));
    CHECK_FALSE(depends(strategy, {{"rope_scaling", linear}, {"factor", 2.0}}));
  }
  CHECK(depends("full", {{"window", int64_t{8}}, {"full_tail", int64_t{4}}}));
  CHECK(depends("full", {{"distances", grouped}}));
  CHECK_FALSE(
      depends("full", {{"distances", grouped}, {"near", int64_t{8}}, {"group", int64_t{4}}}));
  CHECK(depends("full", {{"positions", std::string("clipped")}}));
}

TEST_CASE("keys are kept twice only where near and far ones are rotated differently") {
  CHECK(create("full")->states().size() == 4);
  const auto states = create("full", {{"distances", std::string("clamped")}})->states();
  CHECK(states.size() == 6);
  CHECK(state(states, "blk.2.attn_k_far").growth == Growth::kAppended);
  const auto ring =
      create("sliding_window", {{"distances", std::string("clamped")}, {"sinks", int64_t{4}}})
          ->states();
  CHECK(state(ring, "blk.0.attn_k_far").sinks == 4);
}

TEST_CASE("log_n needs a training length and its clamp needs log_n") {
  ModelInfo model = small_model();
  model.train_length = 0;
  check_refused("full", {{"log_n", true}}, "training length", model);
  check_refused("memory", {{"log_n_clamp", false}}, "log_n: true");
}

TEST_CASE(
    "full refuses a tail without window or without the text's length, and xpos beyond its range") {
  check_refused("full", {{"full_tail", int64_t{8}}, {"eval_length", int64_t{64}}}, "window");
  check_refused("full", {{"full_tail", int64_t{8}}, {"window", int64_t{16}}}, "eval_length");
  check_refused("full", {{"xpos", 32.0}}, "max_length");
  CHECK(refusal("full", {{"xpos", 32.0}, {"max_length", int64_t{2000}}}).empty());
}

TEST_CASE("sliding_window refuses what an endless session cannot keep") {
  const OptionValue reindexed = std::string("reindexed");
  check_refused("sliding_window", {{"xpos", 32.0}}, "strategy: full");
  check_refused("sliding_window", {{"log_n", true}, {"positions", reindexed}}, "log_n");
  check_refused("sliding_window", {{"sinks", int64_t{64}}}, "set attention.window");
  check_refused("sliding_window", {{"window", int64_t{1}}, {"positions", reindexed}}, "visible");
  check_refused("sliding_window", {{"window", int64_t{1} << 18}, {"positions", reindexed}},
                "visible");
  CHECK(refusal("sliding_window", {{"window", int64_t{1}}}).empty());
}

TEST_CASE("chunk_lstm has a row of state for every place of its chunk and needs a model with one") {
  const auto strategy = create("chunk_lstm");
  CHECK(strategy->traits().segment_length == 8);
  CHECK(strategy->phase_rows(Phase::kEnd) == 0);
  const auto states = strategy->states();
  CHECK(state(states, "blk.2.lstm_u").initial == StateSpec::Initial::kZero);
  CHECK(state(states, "blk.2.lstm_h").initial_weight == "blk.2.lstm_h");
  CHECK(state(states, "blk.2.lstm_c").rows == 8);
  ModelInfo model = small_model();
  model.mem_len = 0;
  check_refused("chunk_lstm", {}, "LSTM", model);
}

namespace {

ModelInfo small_rwkv(int64_t version) {
  ModelInfo model = small_model();
  model.architecture = "rwkv";
  model.num_key_value_heads = model.mem_len = model.train_length = 0;
  model.sizes["rwkv.version"] = version;
  model.reals["rwkv.group_norm_eps"] = 64e-5;
  return model;
}

}  // namespace

TEST_CASE("rwkv keeps its last inputs and a matrix per head, or in version 4 three vectors") {
  const std::vector<int64_t> all{0, 1, 2};
  const auto matrices = create("rwkv", {}, small_rwkv(7), all);
  CHECK(matrices->traits().constant_memory);
  CHECK(!matrices->traits().can_rewind);
  CHECK(matrices->traits().segment_length == 0);
  CHECK(state(matrices->states(), "blk.0.att_x").columns == 32);
  CHECK(state(matrices->states(), "blk.2.ffn_x").rows == 1);
  const StateSpec matrix = state(matrices->states(), "blk.2.wkv");
  CHECK(matrix.rows == 32);
  CHECK(matrix.columns == 8);
  CHECK(matrix.initial == StateSpec::Initial::kZero);
  CHECK(matrices->phase_rows(Phase::kInit) == 0);
  const auto vectors = create("rwkv", {}, small_rwkv(4), all);
  const StateSpec sums = state(vectors->states(), "blk.1.wkv");
  CHECK(sums.rows == 3);
  CHECK(sums.columns == 32);
  CHECK(sums.initial == StateSpec::Initial::kInit);
  CHECK(sums.extremes);
  CHECK(vectors->phase_rows(Phase::kInit) == 1);
}

TEST_CASE("rwkv starts with a tuned state where the model has one") {
  ModelInfo model = small_rwkv(6);
  model.sizes["rwkv.tuned_states"] = 1;
  const StateSpec matrix = state(create("rwkv", {}, model, {0, 1, 2})->states(), "blk.1.wkv");
  CHECK(matrix.initial == StateSpec::Initial::kWeight);
  CHECK(matrix.initial_weight == "blk.1.wkv_start");
}

TEST_CASE("attention refuses a model without keys, and rwkv one without a recurrence") {
  for (const char* strategy : {"full", "sliding_window", "memory"})
    check_refused(strategy, {}, "the architecture 'rwkv' has no queries and keys", small_rwkv(6));
  check_refused("chunk_lstm", {}, "which this model lacks", small_rwkv(6));
  check_refused("rwkv", {}, "needs an RWKV model, and this one is a 'llama'");
}

TEST_CASE("rwkv serves all layers of a model or none") {
  check_refused("rwkv", {}, "no layers that another strategy could serve", small_rwkv(5));
}
