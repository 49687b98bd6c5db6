// SPDX-License-Identifier: Apache-2.0

// Loss of texts with passages that were retrieved for them, by the number of passages (CEPE's
// retrieval setting; specification, section 8): the first `query` tokens of a text, which passages
// were retrieved by, are read and not scored. How passages are given is the entry's input: as
// contexts, one before the text each (RePlug, weighted by their scores), all before the text
// (whole), or not at all (clip). The length is the most that is read of a text.
#include <cmath>

#include "core/engine/contexts.hpp"
#include "core/engine/ensemble.hpp"
#include "core/eval/measure_kind.hpp"
#include "core/eval/task_file.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

using Tokens = std::vector<int32_t>;

std::vector<RetrievedText> texts_of(const MeasureSpec& spec) {
  if (spec.tasks.empty())
    throw UsageError("the measure '" + spec.name +
                     "' needs a file of texts and their passages; give it as tasks");
  std::vector<RetrievedText> texts = read_retrieved(spec.tasks);
  texts.resize(static_cast<size_t>(std::min(spec.samples, std::ssize(texts))));
  return texts;
}

Window text_alone(const MeasureRun& run, const RetrievedText& text) {
  Window window;
  window.tokens = run.engine.tokenizer().encode(text.text, true, false);
  const auto most = static_cast<size_t>(run.length) + 1;  // the last is a target only
  window.tokens.resize(std::min(window.tokens.size(), most));
  const int64_t n_scored = std::ssize(window.tokens) - run.spec.query;
  if (n_scored < 1)
    throw UsageError(text.place + ": the text has " + std::to_string(window.tokens.size()) +
                     " tokens at this length, and the first " + std::to_string(run.spec.query) +
                     " are not scored; make query smaller or leave out this length");
  window.targets.assign(window.tokens.end() - n_scored, window.tokens.end());
  window.tokens.pop_back();
  return window;
}

std::vector<Tokens> passages_of(const MeasureRun& run, const RetrievedText& text, int64_t count) {
  std::vector<Tokens> passages;
  for (int64_t i = 0; i < count; ++i) {
    passages.push_back(
        run.engine.tokenizer().encode_text(text.passages[static_cast<size_t>(i)], false));
    if (std::ssize(passages.back()) > run.spec.chunk)
      passages.back().resize(static_cast<size_t>(run.spec.chunk));
  }
  return passages;
}

// BOS, where the vocabulary has one, stays at the very beginning.
std::ptrdiff_t bos_length(const MeasureRun& run, const Window& window) {
  return window.tokens.front() == run.engine.tokenizer().bos_id() ? 1 : 0;
}

void put_before(const MeasureRun& run, Window& window, const std::vector<Tokens>& passages) {
  auto at = window.tokens.begin() + bos_length(run, window);
  for (const Tokens& passage : passages)
    at = window.tokens.insert(at, passage.begin(), passage.end()) + std::ssize(passage);
}

void give_contexts(const MeasureRun& run, Window& window, const std::vector<Tokens>& passages) {
  const InputStream stream = context_stream(run.engine);
  const auto query =
      std::span(window.tokens)
          .first(static_cast<size_t>(std::min<int64_t>(stream.query, std::ssize(window.tokens))));
  for (const Tokens& passage : passages)
    for (Tokens& chunk : context_chunks(stream, passage, query))
      window.contexts.push_back(std::move(chunk));
}

// Every session begins with BOS and the passage; without passages there is one of the text alone.
void give_passages(const MeasureRun& run, Window& window, const std::vector<Tokens>& passages) {
  const auto first = window.tokens.begin(), own = first + bos_length(run, window);
  window.passages.assign(std::max<size_t>(passages.size(), 1), Tokens(first, own));
  for (size_t i = 0; i < passages.size(); ++i)
    window.passages[i].insert(window.passages[i].end(), passages[i].begin(), passages[i].end());
  window.tokens.erase(first, own);
}

Window make_window(const MeasureRun& run, const RetrievedText& text, int64_t count) {
  Window window = text_alone(run, text);
  const std::vector<Tokens> passages = passages_of(run, text, count);
  switch (run.spec.input) {
    case InputForm::kWhole:
      put_before(run, window, passages);
      break;
    case InputForm::kContexts:
      give_contexts(run, window, passages);
      break;
    case InputForm::kPassages:
      give_passages(run, window, passages);
      if (!text.scores.empty())
        window.scores.assign(text.scores.begin(), text.scores.begin() + count);
      break;
    case InputForm::kClip:
      break;
    case InputForm::kRepeat:
      throw UsageError("the measure 'passages' has no input repeat");
  }
  return window;
}

bool has_passages(const RetrievedText& text, int64_t count) {
  return std::ssize(text.passages) >= count;
}

// Of the texts that have so many passages at least.
std::optional<MeasurePoint> run_count(const MeasureRun& run, std::vector<RetrievedText> texts,
                                      int64_t count) {
  std::erase_if(texts, [&](const RetrievedText& text) { return !has_passages(text, count); });
  if (texts.empty())
    throw UsageError(run.spec.tasks + ": no text has " + std::to_string(count) +
                     " passages; leave this number out of counts");
  MeasurePoint point{.axis = static_cast<double>(count)};
  const auto read = run.spec.input == InputForm::kPassages ? read_mixtures : read_windows;
  const bool whole = read(
      run.engine, std::ssize(texts),
      [&](int64_t i) { return make_window(run, texts[static_cast<size_t>(i)], count); },
      [&](int64_t, std::span<const RowScore> scores) {
        point.samples.push_back(mean_loss(scores));
      },
      run.progress);
  return whole ? std::optional(std::move(point)) : std::nullopt;
}

std::optional<MeasureResult> run_passages(const MeasureRun& run) {
  FigureSamples figure{
      "passages", {}, std::log(static_cast<double>(run.engine.spec().info.vocab_size))};
  const std::vector<RetrievedText> texts = texts_of(run.spec);
  for (const int64_t count : run.spec.counts) {
    auto point = run_count(run, texts, count);
    if (!point) return std::nullopt;
    figure.points.push_back(std::move(*point));
  }
  return MeasureResult{{std::move(figure)}};
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "passages",
           .title = "Loss with retrieved passages",
           .unit = "nats",
           .axis = "passages"}};
}

// Of a text with so many passages, about.
int64_t tokens_read(const MeasureSpec& spec, int64_t length, int64_t count) {
  if (spec.input == InputForm::kClip) return length;
  const int64_t times = spec.input == InputForm::kPassages ? std::max<int64_t>(count, 1) : 1;
  return times * length + count * spec.chunk;
}

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  int64_t n = 0;
  for (const RetrievedText& text : texts_of(spec))
    for (const int64_t count : spec.counts)
      if (has_passages(text, count)) n += tokens_read(spec, length, count);
  return n;
}

}  // namespace

MeasureKind passages_measure() {
  return {.info = {.name = "passages",
                   .help = "Loss of texts with passages that were retrieved for them, by number of "
                           "passages.",
                   .reads_text = false,
                   .options = {"samples", "tasks", "counts", "query"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_passages};
}

}  // namespace perdure
