// SPDX-License-Identifier: Apache-2.0

// Reading and writing with one session: the loop that generate, chat and bench share.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/api/error.hpp"
#include "core/engine/ensemble.hpp"

namespace perdure::app {

// The model's logits are not numbers. The session's state is probably damaged as well: whoever
// catches this must not save it.
class NotFiniteError : public Error {
 public:
  using Error::Error;
};

// Errors: NotFiniteError naming `token`, which was read at `position`, unless all logits after it
// are finite.
void require_finite(std::span<const float> logits, int32_t token, int64_t position);

// When a text ends.
struct StopRule {
  int64_t max_tokens = 256;
  bool ignore_eos = false;         // BOS and EOS are tokens like others
  std::vector<int32_t> ends = {};  // tokens that end it too
  std::vector<std::string> texts;  // end it too; whoever decodes the tokens looks for them
  bool read_last = false;  // the model also reads the last token: the session will go on later
};

// Errors: UsageError for an empty text, which would never be found.
void require_stop_texts(const StopRule& rule);

enum class Stop { kLimit, kEndToken, kText, kInterrupted, kFull };

// A token that was sampled and not yet read, and the random numbers behind it.
struct NextToken {
  int32_t token = 0;
  RandomState random;
  bool is_emitted = false;  // it is part of the text: state.max_bytes had no room to read it
};

// True for the model's BOS and EOS unless the rule ignores them; for those of the tokenizer where
// the model's file states none and there is a tokenizer.
bool ends_text(int32_t token, const StopRule& rule, const ModelInfo& model,
               const Tokenizer* tokenizer);

// What reading and writing took so far.
struct Speed {
  int64_t tokens = 0;
  double seconds = 0;
  double per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

// A pause between steps, where the session is at rest: to save it while a long text is read.
struct Checkpoint {
  std::function<bool()> due;  // asked before every step; false at once after take()
  std::function<void()> take;
};

// Borrows engine and session. One thread.
class Generator {
 public:
  Generator(Engine& engine, Session& session);

  // From now on; {}: none.
  void set_checkpoint(Checkpoint checkpoint) { checkpoint_ = std::move(checkpoint); }

  // From now on logits are those of an ensemble, whose first session is the one of this generator;
  // what it reads, the ensemble reads. Borrowed.
  void set_ensemble(Ensemble& ensemble) { ensemble_ = &ensemble; }

  // Who makes room where the session cannot grow (see with_room). {}: nobody.
  void set_room(std::function<bool()> make_room) { make_room_ = std::move(make_room); }

  // Reads tokens with a progress bar called `what`. False if a signal stopped it after whole steps.
  // Errors: Error if the session is full, before anything is read.
  bool read(std::span<const int32_t> tokens, const std::string& what, bool quiet);

  // Writes until the rule, `emit`, a signal or a full session ends it; `emit` gets every token but
  // the end token, and says whether the text goes on. With rule.read_last the model has read every
  // token that was emitted, but the one that state.max_bytes had no room for (next()). Requires:
  // the last read() read at least one token, or resume(). Errors: as require_finite.
  Stop write(const StopRule& rule, const std::function<bool(int32_t)>& emit);

  // The token with which another write() would begin, in a session that has room for it. Nothing
  // may be written afterwards. Errors: as write.
  NextToken next();
  // write() begins with this token, as next() gave it for a session at the same position.
  void resume(NextToken next) { next_ = next; }

  // Reads one token, whatever signals say. False if state.max_bytes has no room for it: it is then
  // what next() gives. Errors: Error if the session is at its longest.
  bool feed(int32_t token);

  // No token can be read any more: the session is at its longest, or the last feed() found no room.
  bool is_full() const { return is_longest() || !no_room_.empty(); }
  // Why, and what to do about it; "" if it is not full.
  std::string why_full() const;

  const Speed& reading() const { return reading_; }
  const Speed& writing() const { return writing_; }

 private:
  // Reads up to the end, a signal or a checkpoint; the number of tokens.
  size_t read_on(std::span<const int32_t> tokens, const std::function<void()>& before_step);
  bool checkpoint_due() const { return checkpoint_.due && checkpoint_.due(); }
  void feed_ensemble(std::span<const int32_t> tokens, const std::function<bool()>& keep_going);
  bool is_longest() const;
  bool read_emitted();
  int32_t sample(RandomState& random);
  int32_t take_next();

  Engine& engine_;
  Session& session_;
  Sampler sampler_;
  SamplingOptions sampling_;
  std::vector<float> logits_;
  std::optional<NextToken> next_;
  std::string no_room_;  // the sentence of the last feed() that found none; "" if it found some
  Checkpoint checkpoint_;
  std::function<bool()> make_room_;
  Ensemble* ensemble_ = nullptr;
  Speed reading_, writing_;
};

// Runs `work`, and again as long as state.max_bytes has no room for it and make_room() says that it
// made some. Errors: those of `work`.
void with_room(const std::function<bool()>& make_room, const std::function<void()>& work);

// The options of the sampler as configured.
SamplingOptions sampling_options(const Settings& settings);

}  // namespace perdure::app
