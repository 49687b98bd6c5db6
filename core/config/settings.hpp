// SPDX-License-Identifier: Apache-2.0

// The effective configuration: built-in defaults < YAML file < --set key=value. Everything is
// checked on reading; errors name file, line, key and the nearest valid key. No YAML type leaves
// this room.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/options.hpp"
#include "core/base/outside_text.hpp"

namespace perdure {

// Where a piece of configuration was written: "run.yaml:12" or "--set attention.window".
struct SourcePlace {
  std::string text;
};

// A value of the configuration that only a plugin can check: scalars keep their text and place.
struct RawOption {
  std::string text;
  SourcePlace place;
  bool quoted = false;  // written as a YAML string: never a number or a bool
};

// One strategy and its options, as written: `attention:` itself or an entry of `attention.layers`.
struct StrategyChoice {
  std::string strategy;  // empty: chosen by the model (memory if it has one, else full)
  std::map<std::string, RawOption> options;  // every other key of the map
  SourcePlace place;
};

struct LayerOverride {
  std::vector<int64_t> layers;  // from '0,4-7', ascending, no duplicates
  StrategyChoice choice;
};

enum class Activations { kAuto, kF32, kQ8 };

struct Settings {
  struct {
    std::string path, tokenizer;
    std::string initial_state;  // a file with the state that sessions begin with; "" = none
  } model;
  struct {
    StrategyChoice choice;
    std::vector<LayerOverride> layers;
    int64_t eval_length = 0;            // attention.eval_length; 0 = not given
    std::vector<std::string> contexts;  // texts that sessions consult, absolute paths
  } attention;
  struct {
    std::vector<std::string> prefer{"simd"};
    std::string isa = "auto";
    Activations activations = Activations::kAuto;
    bool reproducible = true;
    bool check = false;                      // judge every access to state; slow
    std::map<std::string, std::string> pin;  // operation -> kernel name
  } kernels;
  struct {
    std::string backend = "tbb";
    int64_t count = 0;  // 0 = auto
  } threads;
  struct {
    std::string kind = "file", path, session = "default";
    std::string save_every = "turn";  // turn | never
    int64_t save_every_tokens = 0;    // while a long text is read; 0 = auto
    int64_t keep = 2;                 // generations
    double keep_days = 0;
    int64_t max_bytes = 0;                     // 0 = no limit
    std::map<std::string, RawOption> options;  // every other key: the store plugin's own
    // Where memories lie besides `path`: the default place of before, or empty.
    std::string elsewhere;
  } store;
  struct {
    double temperature = 0.8;
    int64_t top_k = 40;
    double top_p = 0.95, min_p = 0.0, repeat_penalty = 1.0;
    std::string order = "temperature_first";  // temperature_first | temperature_last
    double presence_penalty = 0.0, frequency_penalty = 0.0, penalty_decay = 0.996;
    int64_t seed = 1;
  } sampling;
  struct {
    std::vector<std::string> passages;  // texts that the prompt stands behind, absolute paths
    std::vector<double> scores;         // one per passage; empty: all alike
    double temperature = 1.0;
  } ensemble;
  struct {
    LineEnds line_ends = LineEnds::kLf;  // of prompts, documents and other texts
  } input;
  struct {
    std::string chat_template = "auto";  // chat.template: a name, or Jinja
    std::string template_file, system;
    bool clock = false;
  } chat;
  struct {
    int64_t max_rows = 256;  // step.max_rows: rows of one step
    int64_t max_logits_bytes = int64_t{256} << 20;
  } step;
  struct {
    int64_t max_bytes = 0;  // state.max_bytes: of all sessions together; 0 = by the machine
  } state;
  struct {
    std::vector<std::string> load;  // absolute paths
  } plugins;
};

// Reads `path` (empty: defaults only), then applies overrides of the form "key.sub=value" in order.
// Relative paths in the file are relative to it, in overrides to the working directory; "~" is the
// user's home. A section `compare` is left to load_comparison (comparison.hpp). Errors: UsageError,
// one sentence with file:line and the nearest valid key.
Settings load_settings(const std::string& path, const std::vector<std::string>& overrides);
// The same from text; `name` stands for the file in messages, `directory` is what relative paths
// are relative to.
Settings parse_settings(const std::string& text, const std::string& name,
                        const std::string& directory,
                        const std::vector<std::string>& overrides = {});

// Checks raw options against a plugin's schema and fills in defaults. `what` names the plugin in
// messages. Errors: UsageError for unknown (nearest name given), ill-typed or out-of-range options.
Options resolve_options(const StrategyChoice& choice, const std::vector<OptionSpec>& schema,
                        const std::string& what);

// Keys of the sections `attention` and `store` that the host reads itself: an option of a plugin
// that has such a name could never be given.
std::span<const std::string_view> attention_keys();
std::span<const std::string_view> store_keys();

// Options for people to read: `auto` where 0 stands for it, and nothing where a number or text is
// only the sign that it was not given. Read back they give the same run. `schema`: as for
// resolve_options.
Options shown_options(const Options& options, const std::vector<OptionSpec>& schema);

// The effective configuration as YAML that reproduces the run when read back, keys in a fixed
// order. `resolved`: options of the strategies as filled in by resolve_options, main choice first,
// then the overrides in order; may be empty, then the options are printed as written.
std::string dump_settings(const Settings& settings, std::span<const Options> resolved = {});

// The text of dump_settings as one line of JSON, with the same keys in the same order; numbers and
// truth values are those of YAML, quoted scalars stay texts. Pure.
std::string dump_as_json(const std::string& dump);

// The candidate nearest to `word`: that it shortens, by edit distance, or one that is its begin or
// end or has it there; "" if none is near.
std::string nearest(const std::string& word, std::span<const std::string> candidates);

}  // namespace perdure
