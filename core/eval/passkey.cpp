// SPDX-License-Identifier: Apache-2.0

// Passkey retrieval (Mohtashami and Jaggi 2023, arXiv:2305.16300): digits hidden at a depth of the
// text and asked for at its end. The text around them is the text that is evaluated.
//
// Right is a sample whose digits are all the model's first choice while the true ones are read:
// exactly when greedy decoding would give them all.
#include "core/eval/measure_kind.hpp"
#include "core/eval/question.hpp"
#include "core/eval/random.hpp"
#include "core/eval/windows.hpp"

namespace perdure {
namespace {

// The tokens of a sample around its filling.
struct Passkey {
  std::vector<int32_t> needle;
  Question question;

  int64_t size() const {  // with BOS, without the answer's last token, which is not read
    return 1 + std::ssize(needle) + std::ssize(question.prompt) + std::ssize(question.answer) - 1;
  }
};

Passkey make_passkey(const MeasureRun& run, int64_t sample) {
  EvalRandom random(run.spec.seed, static_cast<uint64_t>(sample));
  std::string digits;
  for (int64_t i = 0; i < run.spec.digits; ++i) digits += static_cast<char>('0' + random.below(10));
  const Tokenizer& tokenizer = run.engine.tokenizer();
  return {tokenizer.encode(
              "The pass key is " + digits + ". Remember it. " + digits + " is the pass key.", false,
              false),
          encode_question(tokenizer, "What is the pass key? The pass key is", digits, false)};
}

// BOS, filling, needle, filling, question. `end`: of the filling in the text.
Window make_window(const MeasureRun& run, const Passkey& key, int64_t end, double depth) {
  const int64_t n_filling = run.length - key.size();
  if (n_filling < 0)
    throw UsageError("a pass key with its question takes " + std::to_string(key.size()) +
                     " tokens, more than a length of " + std::to_string(run.length) +
                     "; leave out this length");
  const auto filling = run.text.tokens.begin() + (end - n_filling);
  const auto before =
      static_cast<std::ptrdiff_t>(std::clamp(depth, 0.0, 1.0) * static_cast<double>(n_filling));
  std::vector<int32_t> context{Tokenizer::kBos};
  context.insert(context.end(), filling, filling + before);
  context.insert(context.end(), key.needle.begin(), key.needle.end());
  context.insert(context.end(), filling + before, filling + n_filling);
  context.insert(context.end(), key.question.prompt.begin(), key.question.prompt.end());
  return answer_window(std::move(context), key.question.answer);
}

std::vector<FigureInfo> figures(const MeasureSpec&) {
  return {{.name = "passkey",
           .title = "Passkey retrieval",
           .unit = "share",
           .better = Better::kHigher,
           .summary = Summary::kShare,
           .axis = "depth"}};
}

int64_t tokens(const MeasureSpec& spec, int64_t length) {
  return spec.samples * std::ssize(spec.depths) * length;
}

std::optional<MeasureResult> run_passkey(const MeasureRun& run) {
  // Other samples may have the same filling: the keys differ.
  const std::vector<int64_t> ends =
      sample_ends(run.text, run.spec.samples, run.longest(), 1, run.spec.seed);
  const int64_t n_samples = run.spec.samples;
  std::vector<MeasurePoint> points;
  for (const double depth : run.spec.depths) points.push_back({depth, {}});
  const bool whole = read_windows(
      run.engine, n_samples * std::ssize(points),
      [&](int64_t i) {
        const int64_t sample = i % n_samples;
        return make_window(run, make_passkey(run, sample),
                           ends[static_cast<size_t>(sample) % ends.size()],
                           run.spec.depths[static_cast<size_t>(i / n_samples)]);
      },
      [&](int64_t i, std::span<const RowScore> scores) {
        points[static_cast<size_t>(i / n_samples)].samples.push_back(
            top1_share(scores) == 1.0 ? 1.0 : 0.0);
      },
      run.progress);
  if (!whole) return std::nullopt;
  return MeasureResult{{{"passkey", std::move(points)}}};
}

}  // namespace

MeasureKind passkey_measure() {
  return {.info = {.name = "passkey",
                   .help = "Share of hidden digits that are found again, by length and depth.",
                   .options = {"samples", "digits", "depths"}},
          .figures = figures,
          .tokens = tokens,
          .run = run_passkey};
}

}  // namespace perdure
