// SPDX-License-Identifier: Apache-2.0

// The face of the library: an Engine is a model compiled for one strategy, one set of kernels and
// one thread pool; a Session is one endless text that it reads. One session or many, prompt or
// single token: the same call.
//
//   Engine engine(load_settings("run.yaml", {}));
//   Session session = engine.new_session();
//   engine.feed(session, tokens, logits);       // logits of the last token
//
// Thread safety: one thread at a time per engine and its sessions; another one may save a session
// while it is fed (background_save.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/strategy.hpp"
#include "core/config/settings.hpp"
#include "core/engine/sampler.hpp"
#include "core/engine/session_values.hpp"
#include "core/engine/token_counts.hpp"
#include "core/model/model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "core/runtime/plugin_host.hpp"

namespace perdure {

class Engine;
class Json;         // core/base/json/json.hpp
class SharedModel;  // shared_model.hpp

// One endless text: 64-bit position, state tensors, token tail, random generator. Movable; must not
// outlive its engine. Never sees another session's rows.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  int64_t position() const;               // tokens read so far
  std::span<const int32_t> tail() const;  // the last tokens read, at most kTailLength
  // Tokens read of an input stream. Errors: Error for an unknown stream.
  int64_t stream_length(const std::string& stream) const;
  // Tokens of each chunk of an input stream that it has now. Errors: as stream_length.
  std::span<const int64_t> stream_chunks(const std::string& stream) const;
  // The running segment: how many came before it, and how many tokens of it are read. Without
  // segments it is the whole text.
  int64_t segment_number() const;
  int64_t segment_tokens() const;
  RandomState& random();
  // What was written lately, as the caller counts it; for penalties. Nothing counts by itself.
  TokenCounts& counts();
  int64_t state_bytes() const;  // live bytes of all state tensors
  static constexpr int64_t kTailLength = 64;

  // Names of the state tensors ("blk.0.attn_k", "blk.0.mem_raw").
  std::vector<std::string> state_names() const;
  // Copies live logical rows [first, first + count) of a state, F32, [count, columns].
  // Errors: Error for an unknown name or rows that are not live.
  std::vector<float> read_state(const std::string& name, int64_t first, int64_t count) const;
  // Overwrites rows of a fixed state (import of foreign memory files). Errors: as read_state, or a
  // size that differs.
  void write_state(const std::string& name, int64_t first, std::span<const float> values);
  // For imports: the position at which the session continues. Errors: Error if it is below 0 or
  // above 2^62, or where state grows.
  void set_position(int64_t position);

  // What an application wants to remember with the session, for example which documents were read;
  // saved and restored with it. nullopt: not set. set_value with nullopt removes.
  // Errors: Error for a name that begins with "engine.", which are the engine's own.
  std::optional<SessionValue> value(std::string_view name) const;
  void set_value(std::string_view name, std::optional<SessionValue> value);

  // One self-describing blob: identity, values, tensors, checksums (docs/formats.md). Complete: a
  // restored session continues bit for bit. Errors: Error for state that could not be restored:
  // values that are not numbers, or beyond 1e30 where the strategy does not expect them.
  std::vector<std::byte> snapshot() const;
  // The same in pieces of at most 1 MiB, of which it holds one. Errors: besides, whatever the sink
  // throws; what the sink received by then is worth nothing.
  void snapshot(const std::function<void(std::span<const std::byte> piece)>& sink) const;
  // Validates everything first; on any Error the session is as it was, bit for bit.
  // Errors: Error that names the damaged byte range, the part of the identity that differs or the
  // tensor with impossible values.
  void restore(std::span<const std::byte> snapshot);
  // The same, and gives the bytes back while it reads them: it takes little more memory than the
  // larger of snapshot and session.
  void restore(std::vector<std::byte>&& snapshot);

  struct Impl;
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }

 private:
  friend class Engine;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Receives logits of one token row: index of the feed, index of the token in that feed,
// [vocab_size] logits valid during the call.
using LogitsSink = std::function<void(size_t feed, size_t token, std::span<const float> logits)>;

// Tokens that one session is to read in a call.
struct Feed {
  // kAll: of every token as if it were the last. kWindow: of those tokens that are in the last
  // one's window, as the network computes them beside it; for strategies that look ahead only
  // (Traits::window_length).
  enum class Logits { kNone, kLast, kAll, kWindow };

  Session* session = nullptr;
  std::span<const int32_t> tokens;
  Logits logits = Logits::kNone;
};

// Chunks of an input stream that one session is to read in a call.
struct InputFeed {
  Session* session = nullptr;
  std::span<const std::span<const int32_t>> chunks;
};

// How a text of known length is cut into segments: full ones from the left and a short last one;
// full ones up to its end and a short first one; or equal ones, as few as hold it (the last may be
// shorter).
enum class Alignment { kLeft, kRight, kCenter };

class Engine {
 public:
  // Loads plugins and model and compiles everything. `static_plugins`: what the program was linked
  // with. Errors: UsageError for the configuration, Error for files.
  Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins);
  // The same with a model that is already open (and perhaps changed by Model::replace).
  Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins, Model model);
  // The same with a model that other engines run too. Null: as if none were given.
  Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins,
         std::shared_ptr<SharedModel> model);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const ModelSpec& spec() const;
  const Model& model() const;
  // For other engines of the same model.
  std::shared_ptr<SharedModel> shared_model() const;
  const Settings& settings() const;
  Traits traits() const;  // combined over layers
  // Options of the strategies as filled in, main choice first, then layer overrides.
  std::span<const Options> strategy_options() const;
  // The same for people to read (shown_options, core/config/settings.hpp).
  std::vector<Options> shown_strategy_options() const;
  // The tokenizer. Errors: Error if the settings name none or it does not fit the model.
  const Tokenizer& tokenizer() const;
  // The same; nullptr if the settings name none.
  const Tokenizer* find_tokenizer() const;

  // Its random numbers start at sampling.seed if it is the engine's first, else at a number made of
  // that and of how many there were before.
  Session new_session() const;
  // A second session that continues where `session` is, bit for bit, and knows nothing of it
  // from then on. Costs a copy of the state. Errors: StateBudgetError where state.max_bytes has no
  // room; Error if memory is short, or the session is another engine's or failed in a step.
  Session fork(const Session& session) const;

  // Reads tokens of several sessions, in ragged steps of at most step.max_rows rows, cut at segment
  // boundaries. Feeds share a step equally: a short one does not wait for a long one. The sink gets
  // each session's logits in order, those of different sessions as they come. `keep_going`, if
  // given, is asked before every step; false ends the call after whole steps. Returns tokens read
  // per feed. Errors: Error for a token outside the vocabulary or a session at its longest, before
  // any row is computed; Error if memory runs short (StateBudgetError where state.max_bytes has no
  // room), and whatever the sink throws, after whole steps: each session is at rest at its
  // position(). The sink may not feed this engine.
  std::vector<size_t> feed(std::span<const Feed> feeds, const LogitsSink& sink,
                           const std::function<bool()>& keep_going = {});
  // One session, logits [vocab_size] of the last token. Allocates nothing.
  void feed(Session& session, std::span<const int32_t> tokens, std::span<float> last_logits);

  // Ends the running segments early, after a turn or a document: what the strategy does at the end
  // of a segment happens now, and the next token begins another. Segments without a token stay as
  // they are. Errors: Error, before anything is computed, where the strategy has full segments only
  // (Traits::short_segments).
  void end_segments(std::span<Session* const> sessions);
  void end_segment(Session& session);
  // The session's next `n_tokens` are a text of their own, cut into segments as `alignment` says; a
  // segment ends with its last token. Errors: Error where the strategy has full segments only, the
  // running segment has tokens already (end it first), or n_tokens is not positive or too large.
  void align_segments(Session& session, Alignment alignment, int64_t n_tokens);

  // The prompt that was fed is complete: runs the `prompt_end` graphs of the strategies, if they
  // have any. How often, and where, is the application's choice.
  void end_prompt(std::span<Session* const> sessions);
  void end_prompt(Session& session);

  // Cuts a session back to its first `position` tokens: what it gives from there on is, bit for
  // bit, what it would give had it never read the others. Input streams, random numbers and counts
  // stay; the tail keeps those of its tokens that remain. Errors: Error, and nothing changes, if
  // the session is not that long or the strategy cannot (Traits::can_rewind, rows that are gone, a
  // segment that has ended); position 0 is always possible.
  void rewind(Session& session, int64_t position);

  // The input streams that the strategies ask for.
  std::vector<InputStream> input_streams() const;

  // Reads chunks of an input stream that the strategy asked for (InputStream), of every session
  // after those that it already has. Chunks of all sessions pass through steps together, in turn;
  // each sees itself only. What the text reads next sees them. `keep_going`, if given, is asked
  // before every step with the chunks read so far, per feed; false ends the call. Returns chunks
  // read per feed. Errors: Error for an unknown stream, a session named twice, an empty or too long
  // chunk, a token outside the stream's vocabulary or more than the session can hold, before any
  // row is computed; Error if memory runs short, after whole chunks: stream_chunks() says which
  // were read.
  std::vector<size_t> feed_input(
      const std::string& stream, std::span<const InputFeed> feeds,
      const std::function<bool(std::span<const size_t> chunks_read)>& keep_going = {});
  void feed_input(Session& session, const std::string& stream,
                  std::span<const std::span<const int32_t>> chunks);
  // Takes chunk number `chunk`, or all chunks, out of a session's input stream, as if they had
  // never been read; what the text has read by then stays as it was. Errors: Error for an unknown
  // stream or chunk.
  void forget_input(Session& session, const std::string& stream, size_t chunk);
  void clear_input(Session& session, const std::string& stream);

  // What changes the numbers and nothing else, one "name: value" per line; part of every snapshot.
  // Two that differ in words may still compute the same; Session::restore finds that out.
  // Made on first use, which may read all weights (Model::weights_hash).
  const std::string& identity() const;

  // Text of the compiled plan, node by node: operation, kernel, types, shapes, buffer. `graph`:
  // step, init, begin, end, prompt_end, input:NAME.
  std::string describe_plan(const std::string& graph) const;
  // The graph as text or as Graphviz DOT.
  std::string describe_graph(const std::string& graph, bool dot) const;
  // Both for scripts, as Plan::describe_json and to_json say; a graph's plans are a list, for few
  // rows and for many.
  Json plan_json(const std::string& graph) const;
  Json graph_json(const std::string& graph) const;
  std::vector<std::string> graph_names() const;
  // Bytes of weights a single-token step reads.
  int64_t weight_bytes_per_token() const;
  // Live bytes of a session's state after `position` tokens and no input stream, without reading.
  int64_t state_bytes(int64_t position) const;
  // Longest position a session can reach; nullopt: no limit.
  std::optional<int64_t> max_length() const;
  // The most threads that compute a step, the caller included.
  int n_threads() const;

  const PluginHost& plugins() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace perdure
