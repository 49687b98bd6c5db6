// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/generator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <utility>

#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "core/runtime/state.hpp"

namespace perdure::app {
namespace {

// Adds the time of its life and a number of tokens to a Speed.
class Stopwatch {
 public:
  explicit Stopwatch(Speed& speed) : speed_(speed) {}
  ~Stopwatch() { speed_.seconds += std::chrono::duration<double>(Clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  Speed& speed_;
  Clock::time_point start_ = Clock::now();
};

// Whole vocabularies are looked at for every token: a loop over bits that compilers vectorise.
bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000u;
  uint32_t n_bad = 0;
  for (const float x : values) n_bad += (std::bit_cast<uint32_t>(x) & kExponent) == kExponent;
  return n_bad == 0;
}

}  // namespace

void require_finite(std::span<const float> logits, int32_t token, int64_t position) {
  if (all_finite(logits)) return;
  const auto wrong =
      std::find_if(logits.begin(), logits.end(), [](float x) { return !std::isfinite(x); });
  throw NotFiniteError(fmt::format(
      "the model's logits are not finite after token {} at position {} (that of token {} is {}); "
      "check the weights and the attention options",
      token, position, wrong - logits.begin(), *wrong));
}

void require_stop_texts(const StopRule& rule) {
  if (std::ranges::count(rule.texts, "") > 0)
    throw UsageError("--stop is an empty text; give one, or leave the option out");
}

bool ends_text(int32_t token, const StopRule& rule, const ModelInfo& model,
               const Tokenizer* tokenizer) {
  if (rule.ignore_eos) return false;
  if (std::ranges::count(rule.ends, token) > 0) return true;
  if (model.bos_id < 0 && model.eos_ids.empty())
    return tokenizer != nullptr && tokenizer->is_special(token);
  return token == model.bos_id || std::ranges::count(model.eos_ids, token) > 0;
}

void with_room(const std::function<bool()>& make_room, const std::function<void()>& work) {
  while (true) try {
      return work();
    } catch (const StateBudgetError&) {
      if (!make_room || !make_room()) throw;
    }
}

SamplingOptions sampling_options(const Settings& settings) {
  const auto& sampling = settings.sampling;
  return {.temperature = sampling.temperature,
          .top_k = sampling.top_k,
          .top_p = sampling.top_p,
          .min_p = sampling.min_p,
          .repeat_penalty = sampling.repeat_penalty,
          .temperature_last = sampling.order == "temperature_last",
          .presence_penalty = sampling.presence_penalty,
          .frequency_penalty = sampling.frequency_penalty,
          .penalty_decay = sampling.penalty_decay};
}

Generator::Generator(Engine& engine, Session& session)
    : engine_(engine),
      session_(session),
      sampler_(engine.spec().info.vocab_size),
      sampling_(sampling_options(engine.settings())),
      logits_(static_cast<size_t>(engine.spec().info.vocab_size)) {}

bool Generator::read(std::span<const int32_t> tokens, const std::string& what, bool quiet) {
  Progress progress(what, static_cast<int64_t>(tokens.size()), quiet);
  const Stopwatch watch(reading_);
  next_.reset();
  no_room_.clear();
  const int64_t start = session_.position();
  size_t done = 0;
  while (true) {
    done += read_on(tokens.subspan(done), [&] { progress.update(session_.position() - start); });
    if (done == tokens.size() || interrupted() || !checkpoint_due()) break;
    checkpoint_.take();
  }
  reading_.tokens += static_cast<int64_t>(done);
  return done == tokens.size();
}

size_t Generator::read_on(std::span<const int32_t> tokens,
                          const std::function<void()>& before_step) {
  const int64_t start = session_.position();
  const auto n_read = [&] { return static_cast<size_t>(session_.position() - start); };
  const auto keep_going = [&] {
    before_step();
    const bool due = checkpoint_due();  // asked before every step, also before none
    return !due && !interrupted();
  };
  if (ensemble_ != nullptr) {
    feed_ensemble(tokens, keep_going);
    return n_read();
  }
  with_room(make_room_, [&] {
    const Feed feed[] = {{&session_, tokens.subspan(n_read()), Feed::Logits::kLast}};
    engine_.feed(
        feed,
        [this](size_t, size_t, std::span<const float> logits) {
          std::copy(logits.begin(), logits.end(), logits_.begin());
        },
        keep_going);
  });
  return n_read();
}

bool Generator::is_longest() const {
  const auto longest = engine_.max_length();
  return longest && session_.position() >= *longest;
}

std::string Generator::why_full() const {
  if (!is_longest()) return no_room_;
  return fmt::format(
      "this session is full: it is limited to {} tokens; use a strategy with constant state, or "
      "raise attention.max_length",
      session_.position());
}

int32_t Generator::sample(RandomState& random) {
  require_finite(logits_, session_.tail().back(), session_.position() - 1);
  return sampler_.sample(logits_, sampling_, session_.tail(), random, session_.counts().counts());
}

int32_t Generator::take_next() {
  if (!next_) return sample(session_.random());
  const NextToken next = *std::exchange(next_, std::nullopt);
  session_.random() = next.random;
  return next.token;
}

NextToken Generator::next() {
  if (next_) return *next_;
  RandomState random = session_.random();
  const int32_t token = sample(random);
  return {token, random};
}

bool Generator::feed(int32_t token) {
  next_.reset();
  no_room_.clear();
  try {
    if (ensemble_ != nullptr)
      feed_ensemble({&token, 1}, {});
    else
      with_room(make_room_, [&] { engine_.feed(session_, {&token, 1}, logits_); });
  } catch (const StateBudgetError& error) {
    no_room_ = std::string("this session is full: ") + error.what();
    next_ = {token, session_.random(), true};
  }
  return no_room_.empty();
}

// What an earlier run wrote and had no room to read. False if there still is none.
bool Generator::read_emitted() {
  if (!next_ || !next_->is_emitted) return true;
  session_.random() = next_->random;
  return feed(next_->token);
}

void Generator::feed_ensemble(std::span<const int32_t> tokens,
                              const std::function<bool()>& keep_going) {
  if (!tokens.empty() && ensemble_->feed(tokens, 1, {}, keep_going))
    std::ranges::copy(ensemble_->last(), logits_.begin());
}

Stop Generator::write(const StopRule& rule, const std::function<bool(int32_t)>& emit) {
  const Stopwatch watch(writing_);
  if (!is_longest() && !read_emitted()) return Stop::kFull;
  for (int64_t written = 0; written < rule.max_tokens; ++written) {
    if (interrupted()) return Stop::kInterrupted;
    if (rule.read_last && is_longest()) return Stop::kFull;
    const int32_t token = take_next();
    if (ends_text(token, rule, engine_.spec().info, engine_.find_tokenizer())) {
      next_ = {token, session_.random()};
      return Stop::kEndToken;
    }
    if (rule.read_last)
      next_ = {token, session_.random()};  // until it is read, also if emit throws
    const bool goes_on = emit(token);
    if (sampling_.counts_tokens())
      session_.counts().add(token, static_cast<float>(sampling_.penalty_decay));
    ++writing_.tokens;
    if (!rule.read_last && (!goes_on || written + 1 == rule.max_tokens))
      return goes_on ? Stop::kLimit : Stop::kText;
    if (is_longest() || !feed(token)) return Stop::kFull;
    if (checkpoint_due()) checkpoint_.take();
    if (!goes_on) return Stop::kText;
  }
  return Stop::kLimit;
}

}  // namespace perdure::app
