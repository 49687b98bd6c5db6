// SPDX-License-Identifier: Apache-2.0

// The command lines of run, runq and runqm over our engine: the originals' loops and print rule,
// bugs included (specification, section 7), so that their recorded texts can be compared. Nothing
// of this is in our own program.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/json/json.hpp"
#include "core/engine/engine.hpp"

namespace perdure::golden {

struct LegacyArguments {
  std::string checkpoint, tokenizer;
  std::optional<std::string> prompt;       // -i
  std::optional<std::string> memory_name;  // -o, as messages show it
  std::string system;                      // -y
  double temperature = 1.0, top_p = 0.9;
  uint64_t seed = 0;
  int64_t steps = 256;  // 0: the model's training length
  int64_t update_mode = 0;
  bool chat = false;
};

// Errors: Error for an option the originals do not have.
LegacyArguments parse_legacy_arguments(const Json::List& args);

// Sees the logits and the token sampled from them; says with which token to continue.
using Chooser = std::function<int32_t(std::span<const float> logits, int32_t sampled)>;

class LegacyProgram {
 public:
  // `has_memory`: runqm. `memory_path`: where -o really lies; read at the start if `load` says so.
  LegacyProgram(Engine& engine, const LegacyArguments& arguments, bool has_memory, Chooser chooser);

  // Runs to the end, or to where the program would wait for a line that `input` does not have.
  // Returns stdout, time stamps as "(TIMESTAMP)". `load_from`: the memory file found at -o;
  // `save_to`: where -o is written. Errors: Error for what the golden set does not contain.
  std::string run(const std::optional<std::string>& load_from, const std::string& save_to,
                  const std::string& input);

 private:
  void generate();
  void chat(const std::string& input);
  std::string render_turn(const std::string& user) const;
  void read(int32_t token);
  int32_t sample();
  void print(int32_t previous, int32_t token);
  void save();

  Engine& engine_;
  LegacyArguments arguments_;
  bool has_memory_;
  Chooser chooser_;
  Session session_;
  int64_t position_ = 0;  // the original's `pos`
  Sampler sampler_;
  SamplingOptions sampling_;
  RandomState random_;
  std::vector<float> logits_, scratch_;
  std::string save_to_, out_;
};

}  // namespace perdure::golden
