// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/run_rwkv.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "apps/perdure_golden/folder_case.hpp"
#include "core/api/error.hpp"
#include "core/engine/snapshot.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README.
constexpr double kLogits = 2e-4, kState = 1e-4, kStressedState = 5e-4;
// How rwkv.cpp's own tests cut a text.
constexpr size_t kPieces[] = {1, 2, 8, 10};

// Compares one case's numbers with what engines give.
class Comparison {
 public:
  Comparison(const std::string& folder, const std::string& model,
             const std::vector<std::string>& overrides)
      : case_(load_case(folder)),
        model_(folder + "/" + model),
        overrides_(overrides),
        is_7_(case_.json.at("version").text() == "7"),
        logits_({.max_abs = kLogits}),
        states_({.max_abs = case_.name.ends_with("stress") ? kStressedState : kState}) {}

  const Case& golden() const { return case_; }
  const std::vector<int32_t>& tokens() const { return case_.tensor("tokens").integers; }

  std::unique_ptr<Engine> engine(std::vector<std::string> settings = {}) const {
    settings.emplace_back("kernels.activations=f32");
    return scalar_engine(model_, settings, overrides_);
  }

  // Reads `tokens` in pieces of these sizes, over and over; `at` is called between them.
  std::vector<float> read(Engine& engine, Session& session, const std::vector<int32_t>& tokens,
                          std::span<const size_t> pieces,
                          const std::function<void(size_t)>& at = {}) const {
    std::vector<float> all;
    size_t n_pieces = 0;
    for (size_t first = 0; first < tokens.size();) {
      const size_t n = std::min(pieces[n_pieces++ % pieces.size()], tokens.size() - first);
      const Feed one[] = {{&session, std::span(tokens).subspan(first, n), Feed::Logits::kAll}};
      engine.feed(one, [&](size_t, size_t, std::span<const float> logits) {
        all.insert(all.end(), logits.begin(), logits.end());
      });
      first += n;
      if (at) at(first);
    }
    return all;
  }

  void logits(const std::string& what, std::span<const float> found, const std::string& tensor) {
    logits_.logits(what, found, case_.tensor(tensor).reals);
  }

  // All states of the session against the tensors `prefix`.LAYER.*.
  void states(const Session& session, const Engine& engine, const std::string& prefix) {
    const ModelInfo& info = engine.spec().info;
    for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) {
      const std::string golden = prefix + "." + std::to_string(layer) + ".",
                        own = "blk." + std::to_string(layer) + ".";
      for (const char* name : {"att_x", "ffn_x"})
        state(golden + name, session.read_state(own + name, 0, 1));
      if (case_.has(golden + "att_kv")) {
        state(golden + "att_kv", matrices(session, own + "wkv", info));
        continue;
      }
      const char* rows[] = {"att_aa", "att_bb", "att_pp"};
      for (int64_t row = 0; row < 3; ++row)
        state(golden + rows[row], session.read_state(own + "wkv", row, 1));
    }
  }

  // Goes on from the end of the text, of which these are the logits.
  void greedy_path(Engine& engine, Session& session, std::span<const float> logits) {
    const auto width = static_cast<size_t>(engine.spec().info.vocab_size);
    continue_greedily(logits_, engine, session, logits.last(width),
                      case_.tensor("greedy").integers);
  }

  void require(bool holds, const std::string& otherwise) { logits_.require(holds, otherwise); }

  Outcome verdict() const {
    Outcome outcome = logits_.verdict();
    const Outcome of_states = states_.verdict();
    char remark[64];
    std::snprintf(remark, sizeof remark, "states %.2g of (1 + value)", of_states.worst);
    if (outcome.status == Status::kOk) {
      outcome.status = of_states.status;
      outcome.reason = of_states.status != Status::kOk ? of_states.reason
                       : has_states_                   ? remark
                                                       : "no states to compare";
    }
    return outcome;
  }

 private:
  // Differences are counted in parts of 1 + |golden|.
  void state(const std::string& tensor, std::vector<float> found) {
    has_states_ = true;
    const std::vector<float>& golden = case_.tensor(tensor).reals;
    for (size_t i = 0; i < std::min(found.size(), golden.size()); ++i)
      found[i] = (found[i] - golden[i]) / (1.0f + std::fabs(golden[i]));
    states_.state(tensor, found, std::vector<float>(golden.size(), 0.0f));
  }

  // The state as the original has it: version 7 keeps values outside and keys inside.
  std::vector<float> matrices(const Session& session, const std::string& name,
                              const ModelInfo& info) const {
    const std::vector<float> own = session.read_state(name, 0, info.hidden_size);
    if (!is_7_) return own;
    const auto n = static_cast<size_t>(info.head_size);
    std::vector<float> turned(own.size());
    for (size_t i = 0; i < own.size(); ++i) {
      const size_t head = i / (n * n), key = i / n % n, value = i % n;
      turned[(head * n + value) * n + key] = own[i];
    }
    return turned;
  }

  Case case_;
  std::string model_;
  std::vector<std::string> overrides_;
  bool is_7_;
  bool has_states_ = false;
  Judge logits_, states_;
};

// All states, one after the other.
std::vector<float> state_values(const Session& session) {
  std::vector<float> values;
  for (const SnapshotTensor& tensor : decode_snapshot(session.snapshot()).tensors)
    values.insert(values.end(), tensor.values.begin(), tensor.values.end());
  return values;
}

// The text token by token; returns the states at its end.
std::vector<float> run_by_token(Comparison& c, Engine& engine) {
  const Json& mid = c.golden().json.at("mid_len");
  const bool has_mid = std::holds_alternative<int64_t>(mid.content());
  Session session = engine.new_session();
  const size_t one[] = {1};
  const auto logits = c.read(engine, session, c.tokens(), one, [&](size_t position) {
    if (has_mid && static_cast<int64_t>(position) == mid.integer())
      c.states(session, engine, "mid");
  });
  c.logits("logits, token by token", logits, "logits");
  c.states(session, engine, "state");
  auto end = state_values(session);
  c.greedy_path(engine, session, logits);
  return end;
}

// In pieces; the states must be those of reading token by token, bit for bit.
void run_in_pieces(Comparison& c, Engine& engine, const std::string& what,
                   std::span<const size_t> pieces, const std::vector<float>& by_token) {
  Session session = engine.new_session();
  c.logits("logits, " + what, c.read(engine, session, c.tokens(), pieces), "logits");
  c.states(session, engine, "state");
  c.require(state_values(session) == by_token,
            "the states of reading " + what + " are not those of reading token by token");
}

// What rwkv.cpp ships: logits after three tokens.
void run_rwkvcpp(Comparison& c, Engine& engine) {
  const std::vector<int32_t>& tokens = c.golden().tensor("rwkvcpp.tokens").integers;
  Session session = engine.new_session();
  std::vector<float> last(static_cast<size_t>(engine.spec().info.vocab_size));
  engine.feed(session, tokens, last);
  c.logits("rwkv.cpp's expected logits", last, "rwkvcpp.expected_logits");
}

}  // namespace

Outcome run_rwkv_model(const std::string& folder, const std::vector<std::string>& overrides) {
  Comparison c(folder, "model.safetensors", overrides);
  const auto engine = c.engine();
  const auto by_token = run_by_token(c, *engine);
  const size_t whole[] = {c.tokens().size()};
  run_in_pieces(c, *engine, "whole", whole, by_token);
  run_in_pieces(c, *engine, "in pieces", kPieces, by_token);
  if (c.golden().has("rwkvcpp.tokens")) run_rwkvcpp(c, *engine);
  if (c.golden().has("logits_gn64e-5")) {
    const auto official = c.engine({"attention.group_norm_eps=64e-5"});
    Session session = official->new_session();
    c.logits("logits with the official eps", c.read(*official, session, c.tokens(), whole),
             "logits_gn64e-5");
  }
  return c.verdict();
}

Outcome run_rwkv_bin(const std::string& folder, const std::string& type,
                     const std::vector<std::string>& overrides) {
  Comparison c(folder, "model-" + type + ".bin", overrides);
  const auto engine = c.engine();
  const size_t whole[] = {c.tokens().size()}, one[] = {1};
  for (const auto pieces : {std::span<const size_t>(one), std::span<const size_t>(whole)}) {
    Session session = engine->new_session();
    c.logits(pieces[0] == 1 ? "logits, token by token" : "logits, whole",
             c.read(*engine, session, c.tokens(), pieces), "logits." + type);
    const std::string states = "state." + type;
    if (c.golden().has(states + ".0.att_x")) c.states(session, *engine, states);
  }
  return c.verdict();
}

}  // namespace perdure::golden
