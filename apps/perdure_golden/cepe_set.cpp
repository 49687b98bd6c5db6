// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/cepe (its README.md says what is in it): folders with a
// model as CEPE saves it, and what it gives for texts with and without contexts. Padding is left
// out of what the engine reads, and what the original computes for it is not compared.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "apps/perdure_golden/cepe_numbers.hpp"
#include "apps/perdure_golden/folder_case.hpp"
#include "core/api/error.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README, without what it allows beside in parts of the value.
constexpr double kTolerance = 1e-4;
constexpr std::array kClasses = {"LlamaForCausalContextLM", "LlamaForMLM",
                                 "LlamaForReplugCausalLM"};

using Tokens = std::vector<int32_t>;

// The inner rows of a tensor [.., n], as many as `n_rows`, from row `first` on.
template <class T>
std::span<const T> rows_of(const std::vector<T>& values, size_t n, size_t first, size_t n_rows) {
  return std::span(values).subspan(first * n, n_rows * n);
}

// Those of `tokens` whose mask is set; all if there is none.
Tokens unmasked(std::span<const int32_t> tokens, std::span<const int32_t> mask) {
  Tokens kept;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (mask.empty() || mask[i] != 0) kept.push_back(tokens[i]);
  return kept;
}

std::vector<float> all_logits(Engine& engine, Session& session, std::span<const int32_t> tokens,
                              Feed::Logits which = Feed::Logits::kAll) {
  std::vector<float> all;
  const Feed one[] = {{&session, tokens, which}};
  engine.feed(one, [&](size_t, size_t, std::span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  });
  return all;
}

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

// The texts and contexts of a case.
class Texts {
 public:
  explicit Texts(const Case& golden)
      : golden_(golden),
        n_texts_(size("input_ids", 0)),
        length_(size("input_ids", 1)),
        n_chunks_(golden.has("encoder_input_ids") ? size("encoder_input_ids", 1) : 0),
        chunk_(n_chunks_ > 0 ? size("encoder_input_ids", 2) : 0) {}

  size_t count() const { return n_texts_; }
  size_t length() const { return length_; }
  size_t chunk() const { return chunk_; }

  // The tokens of a text, `mask` naming a tensor of the case that need not be there.
  Tokens text(size_t number, const std::string& mask = {}) const {
    return unmasked(rows("input_ids", length_, number, 1), rows(mask, length_, number, 1));
  }
  // Padding in front of it.
  size_t padding(size_t number, const std::string& mask) const {
    return length_ - text(number, mask).size();
  }

  // The chunks of its contexts that are not all padding, each with `query` behind it.
  std::vector<Tokens> chunks(size_t number, const std::string& mask, const Tokens& query) const {
    std::vector<Tokens> chunks;
    for (size_t c = 0; c < n_chunks_; ++c) {
      const size_t row = number * n_chunks_ + c;
      Tokens chunk =
          unmasked(rows("encoder_input_ids", chunk_, row, 1), rows(mask, chunk_, row, 1));
      if (chunk.empty()) continue;
      chunk.insert(chunk.end(), query.begin(), query.end());
      chunks.push_back(std::move(chunk));
    }
    return chunks;
  }

 private:
  size_t size(const std::string& tensor, size_t axis) const {
    return static_cast<size_t>(golden_.tensor(tensor).shape.at(axis));
  }
  std::span<const int32_t> rows(const std::string& tensor, size_t n, size_t first,
                                size_t n_rows) const {
    if (!golden_.has(tensor)) return {};
    return rows_of(golden_.tensor(tensor).integers, n, first, n_rows);
  }

  const Case& golden_;
  size_t n_texts_, length_, n_chunks_, chunk_;
};

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
    for (size_t text = 0; text < texts_.count(); ++text) {
      const Session session = session_with(*engine_, text, {}, {});
      if (absorbed_) compare_states(session, text);
    }
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
      Session session = session_with(*engine_, text, {}, {});
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
      Session session = session_with(*engine_, text, "padded.encoder_attention_mask", {});
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
      Session session = session_with(*engine_, text, "gen.encoder_attention_mask", {});
      const auto prompt = all_logits(*engine_, session, texts_.text(text, mask));
      const auto golden = rows_of(output.integers, n, text, 1).last(n_steps);
      std::vector<float> last(prompt.end() - static_cast<std::ptrdiff_t>(vocabulary()),
                              prompt.end());
      for (const int32_t expected : golden) {
        all.insert(all.end(), last.begin(), last.end());
        const auto token = static_cast<int32_t>(std::ranges::max_element(last) - last.begin());
        judge_.require(token == expected, label("gen: the greedy path has token ") +
                                              std::to_string(token) + " instead of " +
                                              std::to_string(expected));
        engine_->feed(session, {&token, 1}, last);
      }
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

Outcome run_contexts(const Case& golden, const std::vector<std::string>& overrides) {
  Judge judge({.max_abs = kTolerance});
  for (const bool absorbed : {false, true}) {
    ContextRuns runs(judge, golden, overrides, absorbed);
    for (const Json& run : golden.json.at("golden").at("runs").list()) runs.run(run);
  }
  return judge.verdict();
}

// The encoder alone: whole texts as one window.
Outcome run_masked(const Case& golden, const std::vector<std::string>& overrides) {
  Judge judge({.max_abs = kTolerance});
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

// RePlug: the text behind each passage, and the mixture of what the model then expects.
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
    Judge judge({.max_abs = kTolerance});
    const auto& labels = golden_.tensor("labels").integers;
    const auto n_before = static_cast<size_t>(
        std::ranges::find_if(labels, [](int32_t label) { return label >= 0; }) - labels.begin());
    std::vector<float> mixtures;
    Tokens one_label_each;
    for (size_t text = 0; text < static_cast<size_t>(shape_.at(0)); ++text) {
      const std::vector<float> mixed = mixture(text);
      const auto golden = rows_of(golden_.tensor("log_prob").reals, width_ * length_, text, 1);
      judge.logits("log_prob", std::span(mixed).subspan(n_before * width_),
                   golden.subspan(n_before * width_));
      mixtures.insert(mixtures.end(), mixed.begin(), mixed.end());
      const auto first = rows_of(labels, length_, text * n_passages_, 1);
      one_label_each.insert(one_label_each.end(), first.begin(), first.end());
    }
    const float loss[] = {static_cast<float>(mean_loss(mixtures, width_, one_label_each, length_))};
    judge.state("loss.value", loss, golden_.tensor("loss.value").reals);
    return judge.verdict();
  }

 private:
  // [length, vocabulary]; zeros at padding that any passage has.
  std::vector<float> mixture(size_t text) {
    std::vector<std::vector<float>> logits;
    std::vector<size_t> padding;
    for (size_t k = 0; k < n_passages_; ++k) {
      const size_t row = text * n_passages_ + k;
      const Tokens tokens =
          unmasked(rows_of(golden_.tensor("input_ids").integers, length_, row, 1),
                   rows_of(golden_.tensor("attention_mask").integers, length_, row, 1));
      Session session = engine_->new_session();
      logits.push_back(all_logits(*engine_, session, tokens));
      padding.push_back(length_ - tokens.size());
    }
    const auto scores = rows_of(golden_.tensor("context_scores").reals, n_passages_, text, 1);
    const double temperature = golden_.json.at("replug_passage_temperature").real();
    std::vector<float> mixed(*std::ranges::max_element(padding) * width_, 0.0f);
    for (size_t place = mixed.size() / width_; place < length_; ++place) {
      std::vector<std::span<const float>> at;
      for (size_t k = 0; k < n_passages_; ++k)
        at.push_back(rows_of(logits[k], width_, place - padding[k], 1));
      const auto row = log_mixture(at, scores, temperature);
      mixed.insert(mixed.end(), row.begin(), row.end());
    }
    return mixed;
  }

  const Case& golden_;
  std::unique_ptr<Engine> engine_;
  std::vector<int64_t> shape_;
  size_t n_passages_, length_, width_;
};

Outcome run_case(const std::string& folder, const std::string& name,
                 const std::vector<std::string>& overrides) {
  const Case golden = load_case(folder, "config.json", "io.safetensors");
  if (name == kClasses[0]) return run_contexts(golden, overrides);
  if (name == kClasses[1]) return run_masked(golden, overrides);
  return ReplugRun(golden, overrides).run();
}

// The class that saved a folder; empty if it is none of CEPE's.
std::string class_of(const std::string& folder) {
  const std::string path = folder + "/config.json";
  if (!std::filesystem::exists(path) || !std::filesystem::exists(folder + "/io.safetensors"))
    return {};
  const Json config = Json::parse(read_file(path), path);
  const Json* names = config.find("architectures");
  const auto* list = names == nullptr ? nullptr : std::get_if<Json::List>(&names->content());
  const std::string name = list == nullptr || list->empty() ? "" : list->front().scalar_text();
  return std::ranges::count(kClasses, name) > 0 ? name : "";
}

}  // namespace

std::vector<FolderCase> cepe_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  for (const std::string& folder : subfolders(setting.folder))
    if (const std::string name = class_of(folder); !name.empty())
      cases.push_back({last_name(folder), [=, overrides = setting.overrides] {
                         return run_case(folder, name, overrides);
                       }});
  return cases;
}

}  // namespace perdure::golden
