// SPDX-License-Identifier: Apache-2.0

// One function for every kind of golden case: runs it through the public engine and says how it
// went.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/perdure_golden/golden_set.hpp"
#include "apps/perdure_golden/judge.hpp"
#include "apps/perdure_golden/methods.hpp"
#include "core/engine/engine.hpp"

namespace perdure::golden {

// What all cases of a run share.
struct Context {
  const Set& set;
  std::vector<std::string> overrides;  // the user's --set
  // q80 in the original's order of operations: the strict tolerance holds.
  bool exact_kernels = true;
};

// An engine for a model of the set, given relative to it: scalar kernels and one thread, then
// `settings`, then the user's overrides. Errors: as Engine.
std::unique_ptr<Engine> make_engine(const Context& context, const std::string& model,
                                    std::vector<std::string> settings);
// The same with a model that is already open.
std::unique_ptr<Engine> make_engine(const Context& context, Model model,
                                    std::vector<std::string> settings);

// The configuration that does what the original does with a case's `args` and `more` beside them.
MethodChoice method_of(const Case& c, const std::map<std::string, std::string>& more = {});

// What q80 models are allowed with other kernels than the exact ones. Errors: Error if no figure
// fits the model.
Limits noise_limits(const Context& context, const Case& c);

// How far a case's numbers may be off with the kernels of this run.
Limits limits_of(const Context& context, const Case& c);

// Fails if `found` prefers another token than the golden logits by more than twice what a logit may
// be off.
void require_same_choice(Judge& judge, const std::string& what, std::span<const float> found,
                         std::span<const float> golden);

Outcome run_runqm(const Context& context, const Case& c);
Outcome run_llama2c(const Context& context, const Case& c);
Outcome run_torch(const Context& context, const Case& c);      // torch_memory, torch_lstm
Outcome run_attention(const Context& context, const Case& c);  // torch_attention
Outcome run_eval(const Context& context, const Case& c);       // torch_eval
Outcome run_tokenizer(const Context& context, const Case& c);
Outcome run_text(const Context& context, const Case& c);  // cli, chat

}  // namespace perdure::golden
