// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "apps/perdure_golden/cepe_texts.hpp"
#include "apps/perdure_golden/numbers.hpp"
#include "apps/perdure_golden/run_cepe.hpp"
#include "core/engine/ensemble.hpp"

namespace perdure::golden {
namespace {

class ReplugRun {
 public:
  ReplugRun(const Case& golden, const std::vector<std::string>& overrides)
      : golden_(golden),
        engine_(scalar_engine(golden.folder, {}, overrides)),
        shape_(golden.tensor("input_ids").shape),
        n_passages_(static_cast<size_t>(shape_.at(1))),
        length_(static_cast<size_t>(shape_.at(2))),
        width_(static_cast<size_t>(engine_->spec().info.vocab_size)) {}

  Outcome run() {
    Judge judge({.max_abs = kCepeTolerance});
    const auto& labels = golden_.tensor("labels").integers;
    const auto n_before = static_cast<size_t>(
        std::ranges::find_if(labels, [](int32_t label) { return label >= 0; }) - labels.begin());
    std::vector<float> mixtures;
    Tokens one_label_each;
    for (size_t text = 0; text < static_cast<size_t>(shape_.at(0)); ++text) {
      const std::vector<float> mixed = mixture(text, n_before);
      const auto golden = rows_of(golden_.tensor("log_prob").reals, width_ * length_, text, 1);
      judge.logits("log_prob", mixed, golden.subspan((n_before - 1) * width_));
      mixtures.insert(mixtures.end(), mixed.begin(), mixed.end());
      const auto first = rows_of(labels, length_, text * n_passages_, 1).subspan(n_before - 1);
      one_label_each.insert(one_label_each.end(), first.begin(), first.end());
    }
    const float loss[] = {
        static_cast<float>(mean_loss(mixtures, width_, one_label_each, length_ - n_before + 1))};
    judge.state("loss.value", loss, golden_.tensor("loss.value").reals);
    return judge.verdict();
  }

 private:
  // [length - n_before + 1, vocabulary]: after the last token of the passages and all of the text.
  std::vector<float> mixture(size_t text, size_t n_before) {
    std::vector<Tokens> passages;
    Tokens own;
    for (size_t k = 0; k < n_passages_; ++k) {
      const size_t row = text * n_passages_ + k;
      const auto ids = rows_of(golden_.tensor("input_ids").integers, length_, row, 1);
      const auto mask = rows_of(golden_.tensor("attention_mask").integers, length_, row, 1);
      passages.push_back(unmasked(ids.first(n_before), mask.first(n_before)));
      own.assign(ids.begin() + static_cast<std::ptrdiff_t>(n_before), ids.end());
    }
    const auto scores = rows_of(golden_.tensor("context_scores").reals, n_passages_, text, 1);
    Ensemble ensemble(*engine_, passages,
                      {.scores = {scores.begin(), scores.end()},
                       .temperature = golden_.json.at("replug_passage_temperature").real()});
    std::vector<float> mixed(ensemble.last().begin(), ensemble.last().end());
    ensemble.feed(own, own.size(), [&](size_t, std::span<const float> row) {
      mixed.insert(mixed.end(), row.begin(), row.end());
    });
    return mixed;
  }

  const Case& golden_;
  std::unique_ptr<Engine> engine_;
  std::vector<int64_t> shape_;
  size_t n_passages_, length_, width_;
};

}  // namespace

Outcome run_replug(const Case& golden, const std::vector<std::string>& overrides) {
  return ReplugRun(golden, overrides).run();
}

}  // namespace perdure::golden
