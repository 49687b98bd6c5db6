// SPDX-License-Identifier: Apache-2.0

// Padding is left out of what the engine reads, and what the original computes for it is not
// compared.
#include "apps/perdure_golden/run_cepe.hpp"

#include "apps/perdure_golden/cepe_texts.hpp"
#include "apps/perdure_golden/numbers.hpp"
#include "core/api/error.hpp"

namespace perdure::golden {
namespace {

// A session's rows [tokens, heads * n] as the original keeps them, [heads, tokens, n].
std::vector<float> by_head(const std::vector<float>& rows, size_t n_tokens, size_t n_heads) {
  const size_t n = rows.size() / (n_tokens * n_heads);
  std::vector<float> turned;
  for (size_t head = 0; head < n_heads; ++head)
    for (size_t t = 0; t < n_tokens; ++t) {
      const auto from = rows_of(rows, n, t * n_heads + head, 1);
      turned.insert(turned.end(), from.begin(), from.end());
    }
  return turned;
}

// The runs of one case of a llama with contexts, with keys and values of contexts or without.
class ContextRuns {
 public:
  ContextRuns(Judge& judge, const Case& golden, const std::vector<std::string>& overrides,
              bool absorbed)
      : judge_(judge),
        golden_(golden),
        texts_(golden),
        overrides_(overrides),
        absorbed_(absorbed),
        engine_(make({})) {}

  void run(const Json& run) {
    const std::string name = run.at("run").text();
    if (name == "noctx") return without_contexts();
    if (name == "ctx") return with_contexts();
    if (name == "incr") return in_pieces(run.at("cuts").list());
    if (name == "padded") return padded();
    if (name == "gen") return greedy();
    if (name == "loss") return loss();
    if (name == "distill") return distilled(run.at("kl_loss_cof").real());
    if (name.starts_with("with_query")) return with_query(name, run.at("encode_mode").text());
    throw Error(golden_.name + ": a run '" + name + "' is unknown");
  }

 private:
  std::unique_ptr<Engine> make(std::vector<std::string> settings) const {
    settings.insert(settings.end(),
                    {absorbed_ ? "attention.cross=absorbed" : "attention.cross=cached",
                     "attention.chunk=" + std::to_string(texts_.chunk()), "attention.max_length=64",
                     "attention.max_contexts=64"});
    return scalar_engine(golden_.folder, settings, overrides_);
  }

  std::string label(const std::string& what) const {
    return what + (absorbed_ ? " (absorbed)" : " (cached)");
  }

  const std::vector<float>& reals(const std::string& tensor) const {
    return golden_.tensor(tensor).reals;
  }
  size_t vocabulary() const { return static_cast<size_t>(engine_->spec().info.vocab_size); }

  Session session_with(Engine& engine, size_t text, const std::string& mask,
                       const Tokens& query = {}) const {
    Session session = engine.new_session();
    const std::vector<Tokens> chunks = texts_.chunks(text, mask, query);
    const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
    engine.feed_input(session, "contexts", views);
    return session;
  }

  // Keys and values of the text's own attention.
  void compare_keys(const std::string& run, const Session& session, size_t text) {
    const ModelInfo& info = engine_->spec().info;
    for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer)
      for (const char* what : {"k", "v"}) {
        const std::string name = run + "." + what + "." + std::to_string(layer);
        const std::string state = "blk." + std::to_string(layer) + ".attn_" + what;
        const auto rows = session.read_state(state, 0, session.position());
        const auto golden = rows_of(reals(name), rows.size(), text, 1);
        judge_.state(label(name),
                     by_head(rows, texts_.length(), static_cast<size_t>(info.num_key_value_heads)),
                     golden);
      }
  }

  // The llama alone, which is `full`'s to the last bit.
  void without_contexts() {
    const auto full = scalar_engine(golden_.folder, {"attention.strategy=full"}, overrides_);
    std::vector<float> all;
    for (size_t text = 0; text < texts_.count(); ++text) {
      Session session = engine_->new_session(), plain = full->new_session();
      const auto logits = all_logits(*engine_, session, texts_.text(text));
      judge_.require(all_logits(*full, plain, texts_.text(text)) == logits,
                     label("noctx: the logits are not those of attention.strategy: full"));
      all.insert(all.end(), logits.begin(), logits.end());
      compare_keys("noctx", session, text);
    }
    judge_.logits(label("noctx.logits"), all, reals("noctx.logits"));
  }

  // Of all texts; `query`: so many of a text's first tokens stand behind its chunks.
  std::vector<float> logits_with_contexts(Engine& engine, const std::string& mask, size_t query) {
    std::vector<float> all;
    for (size_t text = 0; text < texts_.count(); ++text) {
      const Tokens tokens = texts_.text(text);
      const Tokens first(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(query));
      Session session = session_with(engine, text, mask, first);
      const auto logits = all_logits(engine, session, tokens);
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  void with_contexts() {
    for (size_t text = 0; absorbed_ && text < texts_.count(); ++text)
      compare_states(session_with(*engine_, text, {}), text);
    judge_.logits(label("ctx.logits"), logits_with_contexts(*engine_, {}, 0), reals("ctx.logits"));
  }

  // The encoder's rows, as far as a layer reads them.
  void compare_states(const Session& session, size_t text) {
    const int64_t n = session.stream_length("contexts");
    for (const std::string& name : session.state_names()) {
      if (!name.starts_with("encoder_states")) continue;
      const size_t dot = name.find('.');
      const std::string golden =
          "ctx.encoder_hidden_states" + (dot == std::string::npos ? ".0" : name.substr(dot));
      const auto rows = session.read_state(name, 0, n);
      judge_.state(label(golden), rows, rows_of(reals(golden), rows.size(), text, 1));
    }
  }

  void in_pieces(const std::vector<Json>& cuts) {
    std::vector<float> all;
    for (size_t text = 0; text < texts_.count(); ++text) {
      Session session = session_with(*engine_, text, {});
      const Tokens tokens = texts_.text(text);
      for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        const auto begin = static_cast<size_t>(cuts[i].integer());
        const auto end = static_cast<size_t>(cuts[i + 1].integer());
        const auto logits =
            all_logits(*engine_, session, std::span(tokens).subspan(begin, end - begin));
        all.insert(all.end(), logits.begin(), logits.end());
      }
      compare_keys("incr", session, text);
    }
    judge_.logits(label("incr.logits"), all, reals("incr.logits"));
    judge_.require(all == logits_with_contexts(*engine_, {}, 0),
                   label("incr: the logits are not those of reading the text whole"));
  }

  void padded() {
    const std::string mask = "padded.attention_mask";
    std::vector<float> found, golden;
    for (size_t text = 0; text < texts_.count(); ++text) {
      Session session = session_with(*engine_, text, "padded.encoder_attention_mask");
      const auto logits = all_logits(*engine_, session, texts_.text(text, mask));
      const size_t n_padding = texts_.padding(text, mask);
      const auto expected =
          rows_of(reals("padded.logits"), vocabulary(), text * texts_.length() + n_padding,
                  texts_.length() - n_padding);
      found.insert(found.end(), logits.begin(), logits.end());
      golden.insert(golden.end(), expected.begin(), expected.end());
    }
    judge_.logits(label("padded.logits"), found, golden);
  }

  void greedy() {
    const std::string mask = "gen.attention_mask";
    const Tensor& output = golden_.tensor("gen.output_ids");
    const auto n = static_cast<size_t>(output.shape.at(1)), n_steps = n - texts_.length();
    std::vector<float> all;
    for (size_t text = 0; text < texts_.count(); ++text) {
      Session session = session_with(*engine_, text, "gen.encoder_attention_mask");
      const auto prompt = all_logits(*engine_, session, texts_.text(text, mask));
      const auto golden = rows_of(output.integers, n, text, 1).last(n_steps);
      const auto logits = continue_greedily(judge_, *engine_, session,
                                            std::span(prompt).last(vocabulary()), golden);
      all.insert(all.end(), logits.begin(), logits.end());
    }
    judge_.logits(label("gen.step_logits"), all, reals("gen.step_logits"));
  }

  double loss_of_labels() {
    return mean_loss(logits_with_contexts(*engine_, {}, 0), vocabulary(),
                     golden_.tensor("loss.labels").integers, texts_.length());
  }

  void number(const std::string& tensor, double found) {
    const float one[] = {static_cast<float>(found)};
    judge_.state(label(tensor), one, reals(tensor));
  }

  void loss() { number("loss.value", loss_of_labels()); }

  void distilled(double factor) {
    const Tensor& index = golden_.tensor("distill.index");
    const auto n_places = static_cast<size_t>(index.shape.at(1));
    const auto logits = logits_with_contexts(*engine_, {}, 0);
    for (const bool smooth : {true, false}) {
      double sum = 0;
      for (size_t text = 0; text < texts_.count(); ++text)
        for (size_t i = 0; i < n_places; ++i) {
          const size_t row = text * n_places + i;
          const auto n_kept = static_cast<size_t>(index.shape.back());
          const size_t place = (text + 1) * texts_.length() - n_places + i;
          sum += divergence(rows_of(logits, vocabulary(), place, 1),
                            rows_of(reals("distill.prob"), n_kept + 1, row, 1),
                            rows_of(index.integers, n_kept, row, 1), smooth);
        }
      number(smooth ? "distill.loss_smooth" : "distill.loss_drop",
             loss_of_labels() + factor * sum / static_cast<double>(texts_.count() * n_places));
    }
  }

  void with_query(const std::string& name, const std::string& mode) {
    const auto engine = make({"attention.encode_mode=" + mode});
    const size_t query = static_cast<size_t>(std::stoul(mode.substr(mode.rfind('-') + 1)));
    judge_.logits(label(name + ".logits"),
                  logits_with_contexts(*engine, "encoder_attention_mask", query),
                  reals(name + ".logits"));
  }

  Judge& judge_;
  const Case& golden_;
  Texts texts_;
  const std::vector<std::string>& overrides_;
  bool absorbed_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

Outcome run_contexts(const Case& golden, const std::vector<std::string>& overrides) {
  Judge judge({.max_abs = kCepeTolerance});
  for (const bool absorbed : {false, true}) {
    ContextRuns runs(judge, golden, overrides, absorbed);
    for (const Json& run : golden.json.at("golden").at("runs").list()) runs.run(run);
  }
  return judge.verdict();
}

Outcome run_masked(const Case& golden, const std::vector<std::string>& overrides) {
  Judge judge({.max_abs = kCepeTolerance});
  const auto engine = scalar_engine(golden.folder, {}, overrides);
  const auto width = static_cast<size_t>(engine->spec().info.vocab_size);
  const Texts texts(golden);
  for (size_t text = 0; text < texts.count(); ++text) {
    const Tokens tokens = texts.text(text, "attention_mask");
    Session session = engine->new_session();
    judge.logits("logits of text " + std::to_string(text),
                 all_logits(*engine, session, tokens, Feed::Logits::kWindow),
                 rows_of(golden.tensor("logits").reals, width * texts.length(), text, 1)
                     .first(tokens.size() * width));
  }
  return judge.verdict();
}

}  // namespace perdure::golden
