// SPDX-License-Identifier: Apache-2.0

// The engine's parts, shared by the files of this room. Not a public header.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/engine/shared_model.hpp"
#include "core/graph/graph.hpp"
#include "core/runtime/executor.hpp"
#include "core/runtime/kernel_choice.hpp"
#include "core/runtime/plan.hpp"
#include "core/runtime/state.hpp"

namespace perdure {

// A strategy as configured, and the layers it serves.
struct ConfiguredStrategy {
  const AttentionPlugin* plugin = nullptr;
  Options options;
  std::vector<int64_t> layers;
  std::unique_ptr<AttentionStrategy> strategy;
  PluginOrigin origin;

  // "; declared by the plugin attention.mine (/lib/mine.so)", for the end of a sentence about what
  // it declares; empty for one that is built in.
  std::string author() const;
};

// The author of the strategy that declares this state, or this input stream.
std::string author_of_state(std::span<const ConfiguredStrategy> strategies, std::string_view state);
std::string author_of_stream(std::span<const ConfiguredStrategy> strategies,
                             std::string_view stream);

// Where the user names no strategy: the one that the model was trained for, and another one in
// layers that were trained for that.
void choose_as_trained(Settings& settings, const Model& model);

// Creates the strategies of all layers: the main one first, then the overrides in
// order. Layers are disjoint and cover the model. Errors: UsageError for what the configuration
// asks in vain.
std::vector<ConfiguredStrategy> configure_strategies(const Settings& settings, const Model& model,
                                                     const PluginHost& plugins);

// Traits of all strategies together. Errors: UsageError for two segment lengths, two window
// lengths, or extra rows beside another strategy; Error for a strategy that declares what it may
// not have without segments, or with whole windows.
Traits combine_traits(std::span<const ConfiguredStrategy> strategies);

// The strategies' options as people read them: shown_options() of each.
std::vector<Options> shown_options(std::span<const ConfiguredStrategy> strategies);

// How an identity writes the value of an option.
std::string value_text(const OptionValue& value);

// The identity lines of an engine (see Engine::identity).
std::string make_identity(std::span<const ConfiguredStrategy> strategies, const Model& model,
                          const Tokenizer* tokenizer, std::span<const StateSpec> states);
// The types of the states' values: the name of one if it is that of all, otherwise each by name.
std::string types_text(std::span<const StateSpec> states);

struct StrategyNodes;  // core/model/architectures/architecture.hpp

// A graph and its plans, smallest first.
struct CompiledGraph {
  Graph graph;
  std::vector<Plan> plans;
  std::string note;  // for people: what was not fused, and why

  // The smallest plan that holds so many rows.
  Plan& plan_for(int64_t n_rows);
};

// Rows of extra kinds that surround a segment's tokens, in the order they enter a step.
struct ExtraRowsPlan {
  ExtraRows rows;
  int32_t source = 0;  // number of their source in row_input
};

// An input stream and the graph that reads its chunks.
struct InputGraph {
  InputStream stream;
  CompiledGraph compiled;
};

// The running segment of a session's text; of a strategy without segments the whole text.
struct Segment {
  int64_t number = 0;  // segments before it
  int64_t start = 0;   // position of its first token
  int64_t end = 0;     // position at which it is full
  // An aligned text: up to `aligned_end` segments have `piece` tokens, the last what is left.
  int64_t piece = 0;
  int64_t aligned_end = 0;

  bool operator==(const Segment&) const = default;
  // As all segments of `length` tokens before `position` are full.
  static Segment of_full_ones(int64_t position, int64_t length);
  // Goes on to the next, which starts at `position`.
  void close(int64_t position, int64_t length);
  // The part of it that a snapshot keeps, and back. Errors: Error for what no session can have.
  std::vector<int64_t> values() const;
  static Segment from_values(std::span<const int64_t> values, int64_t position, int64_t length);
};

struct Session::Impl {
  Impl(const Engine::Impl& owner, const StateLayout& layout);
  // A session that continues where `other` is. Requires: `other` is intact.
  Impl(const Impl& other);

  const Engine::Impl* engine;
  StateSet state;
  int64_t position = 0;
  Segment segment;
  std::vector<int32_t> tail;  // at most the engine's tail_length()
  // Of the engine's inputs, same order: tokens, and tokens of each chunk.
  std::vector<int64_t> stream_lengths;
  std::vector<std::vector<int64_t>> stream_chunks;
  RandomState random;
  TokenCounts counts;
  SessionValues values;                 // the application's
  std::unique_ptr<StateShadow> shadow;  // under kernels.check only
  bool failed = false;  // a step failed in the middle: what its state holds is unknown
  int64_t call = 0;     // the latest call of Engine::feed that named it

  void remember(std::span<const int32_t> tokens);
  // Errors: Error if the session has failed.
  void require_intact() const;
  // For the checked mode: what state there is counts as written. After it was replaced as a whole.
  void trust_state();
};

// How far a call of feed_input is.
struct InputProgress {
  std::vector<size_t> read;   // chunks read, per feed
  std::vector<size_t> next;   // the same when the step under construction is computed
  std::vector<int64_t> ends;  // and then the tokens of its stream
  size_t first = 0;           // the feed whose turn comes first in the next step
};

// One session's part of a step under construction.
struct StepPart {
  size_t feed = 0;
  Session::Impl* session = nullptr;
  int64_t n_tokens = 0;
};

// Rows beside and behind a position are counted too, so that positions end well below 2^63.
inline constexpr int64_t kLongestSession = int64_t{1} << 62;

// What a step has not given away yet.
struct StepRoom {
  int64_t rows = 0;
  int64_t outputs = 0;  // rows that may ask for logits
};

// What every feed may take of a step, as far as it wants so much.
struct StepShares {
  int64_t tokens = 0;
  int64_t logits = 0;  // tokens of a feed that wants all logits
  // Left by equal shares: one more each, as far as they go.
  int64_t spare_rows = 0;
  int64_t spare_logits = 0;
};

struct Engine::Impl {
  Impl(const Settings& settings, std::span<const StaticPlugin> static_plugins,
       std::shared_ptr<SharedModel> given);
  // The graphs of `like` with other strategies, never compiled: what such an engine would compute.
  Impl(const Impl& like, std::vector<ConfiguredStrategy> others);

  // Construction, in this order (graphs.cpp up to build_graphs, then compile.cpp).
  void add_architecture_operations();
  void gather_declarations();
  void check_source(const ExtraRows& extra) const;
  void check_own_kernels() const;
  void check_activations() const;
  void build_graphs();
  void build_phase(Phase phase, const char* name, int64_t n_rows,
                   std::optional<CompiledGraph>& result) const;
  void each_strategy(Builder& b, const std::function<void(AttentionStrategy&)>& add) const;
  const ConfiguredStrategy& serving(int64_t layer) const;
  StrategyNodes nodes_of_strategies(Builder& b) const;
  void check_classifier() const;
  void check_places(const Graph& graph) const;
  void find_rewritten();
  void find_rewritten(const CompiledGraph& compiled);
  bool appends(const CompiledGraph& compiled, const Node& node, const StateSpec& spec) const;
  void check_live_ranges(const Graph& graph) const;
  Graph build_graph(const std::string& name, const std::function<void(Builder&)>& fill) const;
  int64_t logits_per_step() const;
  void compile();
  void compile_graphs();
  std::vector<CompiledGraph*> all_graphs();
  void bind_plans();
  void reserve_step();
  bool is_weight(const void* data) const;
  void compile_plans(CompiledGraph& graph, std::span<const int64_t> row_classes,
                     int64_t max_outputs);
  void run_init();

  // Feeding (feed.cpp).
  void check(std::span<const Feed> feeds);
  // Reads everything; `cursors` [feeds] counts tokens read. Allocates nothing.
  template <class Sink, class KeepGoing>
  void feed(std::span<const Feed> feeds, std::span<size_t> cursors, const Sink& sink,
            const KeepGoing& keep_going);
  template <class Sink>
  void give_logits(std::span<const Feed> feeds, std::span<const size_t> cursors, const Sink& sink);
  void finish_step(std::span<const Feed> feeds, std::span<size_t> cursors);
  void fill_step(std::span<const Feed> feeds, std::span<const size_t> cursors);
  void add_part(const StepPart& part, const Feed& feed, size_t cursor);
  void add_window(const StepPart& part, const Feed& feed, size_t cursor);
  perdure_row row_at(const Session::Impl& session, int64_t position) const;
  void add_extra_rows(ExtraRows::When when, const Session::Impl& session, int64_t position);
  // Whether the sink gets logits of a token.
  bool wants_logits(const Feed& feed, size_t token) const;
  void add_row(const perdure_row& row, bool logits);
  void run_phase(std::optional<CompiledGraph>& graph, Phase phase,
                 std::span<Session::Impl* const> sessions);
  int64_t rows_of_phase(Phase phase) const;
  // Runs the step under construction. Errors: Error; the step's sessions have failed then.
  void run_step(CompiledGraph& graph);
  void require_room(const Plan& largest, const perdure_step& step) const;
  void require_all_read(std::span<const Feed> feeds, std::span<const size_t> cursors) const;
  void run_checked(CompiledGraph& graph, const perdure_step& step);
  void add_session(Session::Impl& session, int64_t first_row, int64_t n_rows);
  void clear_step();
  // Who reads how much in a step (schedule.cpp).
  bool choose_parts(std::span<const Feed> feeds, std::span<const size_t> cursors, size_t& first);
  bool choose_part(const Feed& feed, size_t number, size_t cursor, StepShares& shares,
                   StepRoom& room);
  bool choose_window(const Feed& feed, size_t number, size_t cursor, StepRoom& room);
  StepShares fair_shares(std::span<const Feed> feeds, std::span<const size_t> cursors) const;
  int64_t tokens_of(const Feed& feed, size_t cursor, StepShares& shares,
                    const StepRoom& room) const;
  int64_t wanted(const Feed& feed, size_t cursor) const;
  int64_t rows_of(const Session::Impl& session, int64_t n) const;
  int64_t window_rows(const Session::Impl& session, int64_t n) const;
  int64_t window_outputs(const Feed& feed) const;
  void check_window_logits(const Feed& feed) const;
  // What happens between tokens (boundaries.cpp).
  void close_segments(std::span<Session::Impl* const> sessions);
  void run_end_rows(std::span<Session::Impl* const> sessions);
  void check_session(const Session& session) const;
  void check_rewind(const Session::Impl& session, int64_t position) const;
  void reset(Session::Impl& session) const;
  void clear_shared_rows(Session::Impl& session, int64_t position) const;
  // Input streams (feed_input.cpp).
  void add_input(const InputStream& stream);
  void check_inputs() const;
  size_t input_number(const std::string& stream) const;
  void check_chunks(const InputStream& stream, std::span<const std::span<const int32_t>> chunks,
                    int64_t length) const;
  void add_chunk(Session::Impl& session, const InputStream& stream, std::span<const int32_t> chunk,
                 int64_t stream_index);
  int64_t input_rows(const InputStream& stream) const;
  bool add_next_chunk(size_t number, const InputFeed& feed, size_t& next, int64_t& end);
  bool fill_input(size_t number, std::span<const InputFeed> feeds, InputProgress& progress);
  void finish_input(size_t number, std::span<const InputFeed> feeds, InputProgress& progress);
  void set_stream_length(Session::Impl& session, size_t number, int64_t length);
  void check_input(size_t number, std::span<const InputFeed> feeds);
  // Whether an engine of that identity computes what this one does (effect.cpp).
  bool computes_as(const std::string& identity) const;
  // Computed on first use: it needs the hash of all weights, and whoever neither saves nor restores
  // needs neither.
  const std::string& identity() const;
  // The most tokens that a session can read: what its state holds, and positions that leave room
  // for arithmetic.
  int64_t longest() const { return std::min(layout->max_length(), kLongestSession); }
  // The most tokens that a session remembers: its tail, or a whole window.
  int64_t tail_length() const { return std::max(Session::kTailLength, traits.window_length); }

  // Declaration order is destruction order reversed: borrowers are declared later.
  Settings settings;
  std::shared_ptr<const PluginHost> plugin_host;
  const PluginHost& plugins;  // of plugin_host
  std::shared_ptr<SharedModel> shared_model;
  const Model& model;                          // of shared_model
  std::unique_ptr<const Tokenizer> tokenizer;  // null: none was named
  OperationTable operations;
  std::map<std::string, perdure_tensor, std::less<>> weights;
  std::vector<ConfiguredStrategy> strategies;
  std::vector<Options> options;  // of the strategies, same order
  Traits traits;
  std::vector<ExtraRowsPlan> extra_rows;
  std::vector<std::string> sources;
  int64_t max_rows = 0;     // rows of the largest step, extra rows included
  int64_t max_outputs = 0;  // rows of a step that may ask for logits
  int64_t begin_rows = 0, end_rows = 0, init_rows = 0, prompt_end_rows = 0;
  int64_t begin_extra = 0, end_extra = 0;  // extra rows of a segment
  std::optional<StateLayout> layout;
  StateTypes state_types;
  StateNumbers state_numbers;
  // Of every state, whether rows below the position (of a stream: below its length) may be written
  // again while its session only reads on.
  std::vector<bool> is_rewritten;
  std::vector<PluginHost::KernelSet> own_kernels;
  std::optional<KernelChooser> chooser;
  PackedWeights packed;  // of constants; those of weights are the shared model's
  CompiledGraph step;
  std::optional<CompiledGraph> init, begin, end, prompt_end;
  std::vector<InputGraph> inputs;
  std::unique_ptr<Threads> threads;
  Buffer arena;
  std::optional<Executor> executor;
  std::optional<StateSet> initial_state;

  uint64_t n_checked = 0;           // nodes that the checked mode has judged
  int64_t calls = 0;                // of feed
  mutable uint64_t n_sessions = 0;  // made so far

  // The step under construction; capacity for the largest, so that nothing allocates while feeding.
  std::vector<perdure_row> rows;
  std::vector<int64_t> output_rows;
  std::vector<perdure_session> sessions;
  std::vector<Session::Impl*> in_step;  // behind `sessions`, same order; chunks repeat theirs
  std::vector<StepPart> parts;          // chosen first, then filled into rows
  std::vector<Session::Impl*> due;      // sessions at a boundary

  mutable std::string known_identity;  // empty until identity() is first asked
};

}  // namespace perdure
