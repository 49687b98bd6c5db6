// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/run_rmt.hpp"

#include "apps/perdure_golden/folder_case.hpp"
#include "apps/perdure_golden/numbers.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README, without what it allows beside in parts of the value.
constexpr double kTolerance = 1e-4;

// How the segments of a case are read.
struct Way {
  bool by_token;        // token by token, or whole, all texts of the batch in one call
  bool expected_state;  // every segment begins from what the original left, or from our own
};

class NetworkCase {
 public:
  NetworkCase(const std::string& folder, const std::vector<std::string>& overrides)
      : case_(load_case(folder, "config.json", "io.safetensors")), overrides_(overrides) {}

  Outcome run() {
    std::vector<std::string> settings;
    if (case_.has("seg0.mask")) settings.push_back("attention.padding=true");
    const auto engine = make_engine(settings);
    for (const bool by_token : {false, true})
      for (const bool expected_state : {false, true})
        if (!by_token || engine->spec().info.size("rmt.causal") != 0)
          read_segments(*engine, {by_token, expected_state});
    if (case_.has("wrapper.tokens")) read_as_wrapper(*make_engine({"attention.xl_memories=false"}));
    for (const char* name : {"gen_a", "gen_b", "gen_c"})
      if (case_.has(std::string(name) + ".prime")) generate(*engine, name);
    return judge_.verdict();
  }

 private:
  std::unique_ptr<Engine> make_engine(const std::vector<std::string>& settings) const {
    return scalar_engine(case_.folder + "/model.safetensors", settings, overrides_);
  }

  // The part of text `text` of a tensor [batch, ...].
  template <class T>
  static std::span<const T> of_text(const std::vector<T>& all, const Tensor& tensor, size_t text) {
    const size_t size = all.size() / static_cast<size_t>(tensor.shape.at(0));
    return std::span(all).subspan(text * size, size);
  }
  std::span<const int32_t> integers(const std::string& name, size_t text) const {
    return of_text(case_.tensor(name).integers, case_.tensor(name), text);
  }
  std::span<const float> reals(const std::string& name, size_t text) const {
    return of_text(case_.tensor(name).reals, case_.tensor(name), text);
  }

  static std::vector<Session> new_sessions(const Engine& engine, size_t n) {
    std::vector<Session> sessions;
    for (size_t i = 0; i < n; ++i) sessions.push_back(engine.new_session());
    return sessions;
  }

  void read_segments(Engine& engine, const Way& way) {
    const size_t n_texts = static_cast<size_t>(case_.tensor("seg0.tokens").shape.at(0));
    std::vector<Session> sessions = new_sessions(engine, n_texts);
    const Json::List& steps = case_.json.at("steps").list();
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::string segment = "seg" + std::to_string(i) + ".";
      for (size_t text = 0; text < n_texts; ++text) {
        if (way.expected_state && i > 0)
          write_expected(engine, sessions[text], "seg" + std::to_string(i - 1) + ".", text);
        write_inputs(sessions[text], steps[i], text);
        engine.align_segments(sessions[text], Alignment::kLeft,
                              case_.tensor(segment + "tokens").shape.at(1));
      }
      judge_.logits(segment + "logits", read(engine, sessions, segment + "tokens", way.by_token),
                    case_.tensor(segment + "logits").reals);
      for (size_t text = 0; text < n_texts; ++text)
        compare_states(engine, sessions[text], segment, text);
    }
  }

  // Logits of all tokens, text after text.
  std::vector<float> read(Engine& engine, std::vector<Session>& sessions, const std::string& name,
                          bool by_token) const {
    std::vector<std::vector<float>> logits(sessions.size());
    const auto n_tokens = static_cast<size_t>(case_.tensor(name).shape.at(1));
    const size_t at_once = by_token ? 1 : n_tokens;
    for (size_t first = 0; first < n_tokens; first += at_once) {
      std::vector<Feed> feeds;
      for (size_t text = 0; text < sessions.size(); ++text)
        feeds.push_back(
            {&sessions[text], integers(name, text).subspan(first, at_once), Feed::Logits::kAll});
      engine.feed(feeds, [&](size_t feed, size_t, std::span<const float> row) {
        logits[feed].insert(logits[feed].end(), row.begin(), row.end());
      });
    }
    std::vector<float> all;
    for (const auto& of_text : logits) all.insert(all.end(), of_text.begin(), of_text.end());
    return all;
  }

  // What a step of the case hands in beside tokens and what the segment before left.
  void write_inputs(Session& session, const Json& step, size_t text) const {
    const auto* memory = std::get_if<std::string>(&step.at("read_memories").content());
    if (memory != nullptr && memory->ends_with("_in")) {
      session.write_state("memory", 0, reals(*memory, text));
      session.write_state("memory_use", 0, std::vector{1.0f});
    }
    if (step.at("mask_out_read_memories").flag())
      session.write_state("memory_use", 0, std::vector{2.0f});
    if (const auto* mask = std::get_if<std::string>(&step.at("mask").content())) {
      std::vector<float> padding(
          static_cast<size_t>(case_.json.at("constructor").at("seq_len").integer()), 0.0f);
      const auto kept = integers(*mask, text);
      for (size_t i = 0; i < kept.size(); ++i) padding[i] = kept[i] == 0 ? 1.0f : 0.0f;
      session.write_state("padding", 0, padding);
    }
  }

  void write_expected(const Engine& engine, Session& session, const std::string& before,
                      size_t text) const {
    session.write_state("memory", 0, reals(before + "memories", text));
    each_kept(engine, before, [&](const std::string& state, size_t which, const Tensor& golden) {
      const int64_t n = golden.shape.at(3);
      session.write_state("kept_rows", 0, std::vector{static_cast<float>(n)});
      session.write_state(state, kept_length(engine) - n, kept_rows(golden, which, text));
    });
  }

  void compare_states(const Engine& engine, const Session& session, const std::string& segment,
                      size_t text) {
    const auto golden = reals(segment + "memories", text);
    const int64_t n_rows = case_.tensor(segment + "memories").shape.at(1);
    judge_.state(segment + "memories", session.read_state("memory", 0, n_rows), golden);
    each_kept(engine, segment, [&](const std::string& state, size_t which, const Tensor& kept) {
      const int64_t n = kept.shape.at(3);
      judge_.require(session.read_state("kept_rows", 0, 1)[0] == static_cast<float>(n),
                     segment + "xl has another number of rows");
      judge_.state(segment + "xl, " + state, session.read_state(state, kept_length(engine) - n, n),
                   kept_rows(kept, which, text));
    });
  }

  static int64_t kept_length(const Engine& engine) {
    return engine.spec().info.size("rmt.xl_mem_len");
  }

  // visit(state, 0 for keys or 1 for values, golden tensor [2, b, h, x, d]) for every layer.
  template <class Visit>
  void each_kept(const Engine& engine, const std::string& segment, const Visit& visit) const {
    for (int64_t layer = 0; layer < engine.spec().info.num_hidden_layers; ++layer) {
      const std::string number = std::to_string(layer);
      if (!case_.has(segment + "xl." + number)) continue;
      const Tensor& golden = case_.tensor(segment + "xl." + number);
      visit("blk." + number + ".attn_k", 0, golden);
      visit("blk." + number + ".attn_v", 1, golden);
    }
  }

  // As our state has them: [x, h * d].
  static std::vector<float> kept_rows(const Tensor& golden, size_t which, size_t text) {
    const auto size = [&](size_t axis) { return static_cast<size_t>(golden.shape.at(axis)); };
    const size_t heads = size(2), rows = size(3), d = size(4);
    std::vector<float> all;
    for (size_t row = 0; row < rows; ++row)
      for (size_t head = 0; head < heads; ++head) {
        const size_t at = (((which * size(1) + text) * heads + head) * rows + row) * d;
        all.insert(all.end(), golden.reals.begin() + static_cast<std::ptrdiff_t>(at),
                   golden.reals.begin() + static_cast<std::ptrdiff_t>(at + d));
      }
    return all;
  }

  // The whole text in one call; nothing but the memory passes from segment to segment.
  void read_as_wrapper(Engine& engine) {
    const Tensor& tokens = case_.tensor("wrapper.tokens");
    const auto n_texts = static_cast<size_t>(tokens.shape.at(0));
    std::vector<Session> sessions = new_sessions(engine, n_texts);
    for (Session& session : sessions)
      engine.align_segments(session, Alignment::kLeft, tokens.shape.at(1));
    const auto logits = read(engine, sessions, "wrapper.tokens", false);
    judge_.logits("wrapper.logits", logits, case_.tensor("wrapper.logits").reals);
    const int64_t n_rows = case_.tensor("wrapper.memories").shape.at(1);
    for (size_t text = 0; text < n_texts; ++text)
      judge_.state("wrapper.memories", sessions[text].read_state("memory", 0, n_rows),
                   reals("wrapper.memories", text));
    const auto length = static_cast<size_t>(tokens.shape.at(1));
    const size_t width = logits.size() / (n_texts * length);
    const float loss[] = {static_cast<float>(mean_loss(logits, width, tokens.integers, length))};
    judge_.state("wrapper.loss", loss, case_.tensor("wrapper.loss").reals);
  }

  void generate(Engine& engine, const std::string& name) {
    const auto n_texts = static_cast<size_t>(case_.tensor(name + ".prime").shape.at(0));
    for (size_t text = 0; text < n_texts; ++text) {
      Session session = engine.new_session();
      std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
      engine.feed(session, integers(name + ".prime", text), logits);
      continue_greedily(judge_, engine, session, logits, integers(name + ".output", text));
    }
  }

  Case case_;
  std::vector<std::string> overrides_;
  Judge judge_{{.max_abs = kTolerance}};
};

}  // namespace

Outcome run_rmt_network(const std::string& folder, const std::vector<std::string>& overrides) {
  return NetworkCase(folder, overrides).run();
}

}  // namespace perdure::golden
