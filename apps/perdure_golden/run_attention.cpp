// SPDX-License-Identifier: Apache-2.0

// Cases of plain attention at several lengths: one method of llama2Rnn, logits of every position of
// a text (or of the rows that are listed), and the losses of its evaluation.
#include <cmath>

#include "apps/perdure_golden/runners.hpp"
#include "core/eval/engines.hpp"
#include "core/eval/measure.hpp"

namespace perdure::golden {
namespace {

// One text of a case, read at once.
void run_text_length(const Context& context, const Case& c, const Json& run, Judge& judge) {
  const std::string& tag = run.at("tag").text();
  const MethodChoice method =
      method_of(c, {{"extend_seq_len", std::to_string(run.at("extend_seq_len").integer())}});
  std::span<const int32_t> tokens(c.tensor("tokens").integers);
  tokens = tokens.first(static_cast<size_t>(run.at("seq_len").integer()));
  const auto train_length = static_cast<size_t>(c.json.at("args").at("max_seq_len").integer());
  if (method.clip && tokens.size() > train_length) tokens = tokens.last(train_length);

  const Tensor& golden = c.tensor("logits_" + tag);
  const std::string rows_name = "rows_" + tag;
  const std::vector<int32_t>* rows = c.has(rows_name) ? &c.tensor(rows_name).integers : nullptr;
  const auto vocab = static_cast<size_t>(golden.shape.at(1));
  const auto engine =
      make_engine(context, c.json.at("model").text(), {"attention=" + method.attention});
  Session session = engine->new_session();
  const Feed feeds[] = {{&session, tokens, Feed::Logits::kAll}};
  size_t n = 0;
  engine->feed(feeds, [&](size_t, size_t token, std::span<const float> found) {
    const bool listed =
        rows == nullptr || (n < rows->size() && static_cast<size_t>((*rows)[n]) == token);
    if (!listed || (n + 1) * vocab > golden.reals.size()) return;
    judge.logits(tag + ": logits after token " + std::to_string(token), found,
                 std::span(golden.reals).subspan(n * vocab, vocab));
    ++n;
  });
  judge.require(n * vocab == golden.reals.size() && (rows != nullptr || n == tokens.size()),
                tag + ": other rows than the golden ones gave logits");
}

}  // namespace

Outcome run_attention(const Context& context, const Case& c) {
  Judge judge(limits_of(context, c));
  for (const Json& run : c.json.at("runs").list()) run_text_length(context, c, run, judge);
  return judge.verdict();
}

Outcome run_eval(const Context& context, const Case& c) {
  Judge judge({.max_abs = c.json.at("tolerance").at("loss_abs").real()});
  const std::vector<int32_t>& tokens = c.tensor("tokens").integers;
  const int64_t train_length = c.json.at("args").at("max_seq_len").integer();
  for (const Json& row : c.json.at("results").list()) {
    const int64_t length = row.at("seq_len").integer();
    const std::string& words = row.at("extend_method").text();
    const MethodChoice method =
        method_of(c, {{"extend_method", words}, {"extend_seq_len", std::to_string(length)}});
    const auto engine =
        make_engine(context, c.json.at("model").text(), {"attention=" + method.attention});
    MeasureSpec spec{.kept = train_length,
                     .samples = 1,
                     .tail = row.at("eval_last").flag() ? 1 : row.at("rows").integer()};
    if (row.at("repeat_tokens").flag()) spec.input = InputForm::kRepeat;
    if (method.clip) spec.input = InputForm::kClip;  // of what is repeated too
    const auto result =
        run_measure(*engine, spec, length,
                    make_eval_text(c.name, {tokens.begin(), tokens.begin() + length + 1}));
    const std::string what = words + " at " + std::to_string(length);
    judge.require(result.has_value(), what + " was not measured");
    if (!result) continue;
    const auto found = [&](size_t figure) {
      return static_cast<float>(result->figures.at(figure).points.at(0).samples.at(0));
    };
    judge.state("loss of " + what, std::array{found(0)},
                std::array{static_cast<float>(row.at("loss").real())});
    judge.state("accuracy of " + what, std::array{found(1)},
                std::array{static_cast<float>(row.at("acc").real())});
  }
  return judge.verdict();
}

}  // namespace perdure::golden
