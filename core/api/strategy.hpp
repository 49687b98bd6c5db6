// SPDX-License-Identifier: Apache-2.0

// Attention strategies: how a layer mixes tokens with what it remembers. A strategy states facts,
// declares state and contributes nodes; it owns no memory, no threads and no file. Because state is
// declared, the framework saves and restores it. Interfaces here are C++: a plugin is accepted only
// if its build id equals the host's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"
#include "core/api/model_info.hpp"
#include "core/api/options.hpp"

namespace perdure {

// Facts a strategy states about itself.
struct Traits {
  bool constant_memory = false;  // state bytes do not grow with the position
  // What a session will give depends on the tokens before its position and on nothing else in its
  // state, so that it may be cut back to an earlier position as far as its rows are still there.
  bool can_rewind = false;
  bool needs_trained_weights = false;
  // 0 = none; otherwise the most tokens of a segment, `begin` and `end` happen around each.
  int64_t segment_length = 0;
  // Segments may have fewer tokens: the strategy takes a row's place from `segment_index` and what
  // its `end` graph has to do from `segment_tokens`. Otherwise all segments are full.
  bool short_segments = false;
  // Largest number of token rows of one session in a step; 0 = no limit. 1: each row changes what
  // the next one reads.
  int64_t max_rows_per_step = 0;
  // 0 = rows see what came before them. Otherwise the network looks ahead inside a window of so
  // many tokens: every step computes the last window_length tokens of the session again and gives
  // the logits of the last. Such a strategy declares no state, no segments and no extra rows.
  int64_t window_length = 0;
};

// How the rows of a state tensor live.
enum class Growth {
  kFixed,     // `rows` rows, all live
  kAppended,  // one row per token of `stream`, all live; `rows` is the most there may be
  kRing,      // the first `sinks` rows and the last `rows` of the others stay readable
  // The first so many of `rows` rows; how many, the writer says, whatever the reason (keys
  // that were evicted, chunks that were padded): perdure_state_view.count. 0 at first; saved.
  kCounted
};

// A state tensor of a layer ("blk.3.attn_k") or of the session ("memory").
struct StateSpec {
  enum class Initial { kZero, kWeight, kInit };  // kInit: what the `init` graph writes

  std::string name;
  int64_t columns = 0;  // values per row
  Growth growth = Growth::kFixed;
  int64_t rows = 0;
  int64_t sinks = 0;
  Initial initial = Initial::kZero;
  std::string initial_weight = {};  // kWeight: [rows, columns]
  std::string stream = {};          // kAppended: the input stream it grows with; "" = the text
  // Values beyond 1e30 and infinities are part of the method, as an exponent that starts at -1e38.
  // Without it they count as damage, as NaN always does: such a state is neither saved nor
  // restored.
  bool extremes = false;
  // Of an appended state or a ring that follows the text: tokens that share a row, so that token t
  // belongs to logical row t / tokens_per_row, which is live from its first token on. 0: one token,
  // and only `state_write` at `row_index` may write the state; a strategy that computes its places
  // otherwise says 1 or more, because saving depends on it.
  int64_t tokens_per_row = 0;
  uint32_t type = PERDURE_F32;  // enum perdure_dtype of the values; no other than F32 so far
};

// Another stream of tokens that a session may be given beside its text, for example passages that
// it may consult. It comes in chunks; every chunk is read by the graph `input:NAME` as rows of its
// own, with positions from 0, in one step; `segment_index` is a row's number in its chunk. What the
// text sees of it is state with that `stream`. A chunk may be taken out again, and rows behind it
// move up: they may depend on their chunk only.
struct InputStream {
  std::string name;
  int64_t vocab_size = 0;  // tokens are below it
  int64_t max_chunk = 0;   // most tokens of a chunk
  // So many tokens at the end of every chunk are a query to it: their rows have the role kQueryRole
  // and the places behind the longest chunk, max_chunk - query on, however short the chunk is.
  int64_t query = 0;
  bool keeps_query = true;    // false: those rows have no row of the state
  int64_t rows_per_step = 0;  // most rows of a step of its graph; 0: as many as of other steps

  bool operator==(const InputStream&) const = default;
  // Rows of the state that a chunk of `n_tokens` has.
  int64_t kept(int64_t n_tokens) const { return keeps_query ? n_tokens : n_tokens - query; }
};
inline constexpr int32_t kQueryRole = 1;

// Extra rows that pass through the step graph beside the tokens, once per segment.
struct ExtraRows {
  enum class When { kBegin, kEnd };  // before the segment's first token row, after its last

  When when = When::kBegin;
  int32_t role = 1;    // 1 to 62; nodes tell the rows apart by it
  int64_t count = 0;   // rows 0 .. count - 1 of the source
  std::string source;  // name of a state or a weight with hidden_size columns
};

// What starts a graph besides `step`. `kInit`: once per model, may only depend on weights; its
// state is copied to every new session. `kBegin` / `kEnd`: of each segment. `kPromptEnd`: when the
// application says that a prompt is complete (Engine::end_prompt), for example to keep only those
// rows of it that mattered. Rows are those of phase_rows().
enum class Phase { kInit, kBegin, kEnd, kPromptEnd };

// One configured strategy, serving the layers it was created for. Called while graphs are built,
// never per token.
class AttentionStrategy {
 public:
  virtual ~AttentionStrategy() = default;

  virtual Traits traits() const = 0;
  virtual std::vector<StateSpec> states() const = 0;

  // Nodes of layer `layer` in the step graph. x: the normed input [rows, hidden_size]; result: what
  // is added to the residual stream [rows, hidden_size]. Errors: Error if the model lacks a weight
  // or the options do not fit the model.
  virtual Value mix(GraphBuilder& g, int64_t layer, Value x) = 0;

  // Nodes of a second block between mixing and feed-forward, for strategies that have one.
  // residual: the stream [rows, hidden_size] after `mix` was added; result: what is added to it, or
  // an invalid value for nothing.
  virtual Value extra_block(GraphBuilder&, int64_t layer, Value residual) {
    static_cast<void>(layer);
    static_cast<void>(residual);
    return {};
  }

  // Rows of a phase's graph; 0 = the strategy has no such graph. Row r of kEnd has position s + r,
  // s being the first token of the segment that ended; of kBegin s + r of the one that begins; of
  // kInit r; of kPromptEnd s + r, s being the token that comes next. Their segment_index is r.
  virtual int64_t phase_rows(Phase) const { return 0; }
  // Nodes of that graph, for all layers of this strategy.
  virtual void contribute(Phase, GraphBuilder&) {}

  virtual std::vector<ExtraRows> extra_rows() const { return {}; }

  // The input streams, and the nodes of the graph `input:NAME` of each, from embedding to state.
  // Strategies of different layers may state the same stream; all contribute to its graph.
  virtual std::vector<InputStream> input_streams() const { return {}; }
  virtual void contribute_input(const std::string& stream, GraphBuilder&) {
    static_cast<void>(stream);
  }

  // Whether another value of this option, all others being as they are, would give other numbers.
  // One that would not is no part of a memory's identity.
  virtual bool depends_on(std::string_view option) const {
    static_cast<void>(option);
    return true;
  }

  // Nodes behind the last layer in the step graph, for memory that has passed through the whole
  // model. x: the residual stream [rows, hidden_size] before the output norm, extra rows included.
  virtual void finish(GraphBuilder&, Value x) { static_cast<void>(x); }
};

// The plugin: makes strategies from options. Lives for ever; const methods may be called by several
// threads.
class AttentionPlugin {
 public:
  virtual ~AttentionPlugin() = default;

  // The value of `attention.strategy`.
  virtual std::string_view name() const = 0;
  // Part of a memory's identity: raise it when equal options give other numbers than before.
  virtual int version() const = 0;
  virtual std::vector<OptionSpec> options() const = 0;
  // Errors: UsageError, one sentence, if the options contradict each other or the model.
  virtual std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                                    std::span<const int64_t> layers) const = 0;

  // Operations of its own, each with at least a scalar kernel. Registered when the plugin is
  // loaded.
  virtual std::vector<Operation> operations() const { return {}; }
  virtual std::span<const perdure_kernel> kernels() const { return {}; }
};

}  // namespace perdure
