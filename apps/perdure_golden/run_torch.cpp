// SPDX-License-Identifier: Apache-2.0

// Cases made by model.py: a batch is as many sessions, a forward call one feed.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "apps/perdure_golden/runners.hpp"

namespace perdure::golden {
namespace {

// The q80 round trip of the exporter, groups over the flattened matrix.
std::vector<float> round_trip(const Weight& weight, int64_t group_size) {
  std::vector<float> values(static_cast<size_t>(weight.size()));
  std::memcpy(values.data(), weight.data, values.size() * sizeof(float));  // may be unaligned
  for (size_t begin = 0; begin < values.size(); begin += static_cast<size_t>(group_size)) {
    const auto group = std::span(values).subspan(begin, static_cast<size_t>(group_size));
    float largest = 0;
    for (const float v : group) largest = std::max(largest, std::abs(v));
    const float scale = largest / 127.0f;
    for (float& v : group) v = scale == 0 ? 0 : std::nearbyint(v / scale) * scale;
  }
  return values;
}

bool is_matrix(const std::string& name) { return name.ends_with(".weight"); }

void quantise_and_back(Model& model, int64_t group_size) {
  std::vector<std::string> names;
  for (const auto& [name, weight] : model.weights())
    if (is_matrix(name) && weight.rows > 1) names.push_back(name);
  for (const std::string& name : names) {
    const Weight& w = *model.find(name);
    model.replace(name, w.rows, w.columns, round_trip(w, group_size));
  }
}

// The model's file, changed as the case says.
Model open_model(const Context& context, const Case& c) {
  Model model = Model::open(context.set.path(c.json.at("model").text()));
  if (const Json* group_size = c.json.find("dequantized_group_size"))
    quantise_and_back(model, group_size->integer());
  for (int64_t layer = 0; layer < model.spec().info.num_hidden_layers; ++layer) {
    const std::string saved = "memory." + std::to_string(layer);
    if (!c.has(saved)) continue;
    const Tensor& memory = c.tensor(saved);  // [1, mem_len, d]
    model.replace("blk." + std::to_string(layer) + ".mem_init", memory.shape.at(1),
                  memory.shape.at(2), memory.reals);
  }
  return model;
}

bool blends_memories(const Case& c) {
  const Json* method = c.json.at("args").find("extend_method");
  return method && method->text().find("emamem") != std::string::npos;
}

// One forward call of the original: all sequences in one feed, logits of every position.
void forward(Judge& judge, Engine& engine, std::vector<Session>& sessions, const Tensor& tokens,
             const Tensor& logits) {
  const auto length = static_cast<size_t>(tokens.shape.at(1)),
             vocab = static_cast<size_t>(logits.shape.at(2));
  std::vector<Feed> feeds;
  for (size_t b = 0; b < sessions.size(); ++b)
    feeds.push_back({.session = &sessions[b],
                     .tokens = std::span(tokens.integers).subspan(b * length, length),
                     .logits = Feed::Logits::kAll});
  size_t n_received = 0;
  engine.feed(feeds, [&](size_t feed, size_t token, std::span<const float> found) {
    ++n_received;
    judge.logits(
        "logits of sequence " + std::to_string(feed) + " after token " + std::to_string(token),
        found, std::span(logits.reals).subspan((feed * length + token) * vocab, vocab));
  });
  judge.require(n_received == sessions.size() * length, "not every position gave logits");
}

// `golden`: "memory_first" or "memory_second", one tensor [B, mem_len, d] a layer.
void compare_memory(Judge& judge, const std::vector<Session>& sessions, const Case& c,
                    const std::string& golden) {
  const std::string state = blends_memories(c) ? ".mem_ema" : ".mem_raw";
  for (int64_t layer = 0; c.has(golden + "." + std::to_string(layer)); ++layer) {
    const Tensor& memory = c.tensor(golden + "." + std::to_string(layer));
    const auto size = static_cast<size_t>(memory.shape.at(1) * memory.shape.at(2));
    for (size_t b = 0; b < sessions.size(); ++b)
      judge.state(
          golden + " of layer " + std::to_string(layer),
          sessions[b].read_state("blk." + std::to_string(layer) + state, 0, memory.shape.at(1)),
          std::span(memory.reals).subspan(b * size, size));
  }
}

}  // namespace

Outcome run_torch(const Context& context, const Case& c) {
  Judge judge(limits_of(context, c));
  const Tensor& tokens = c.tensor("tokens");
  const MethodChoice method = method_of(c);
  for (const std::string& word : method.ignored)
    judge.remark("\"" + word + "\" does nothing inside memory attention");
  std::vector<std::string> settings{"attention=" + method.attention};
  if (blends_memories(c))
    settings.push_back("attention.ema_every=" + std::to_string(tokens.shape.at(1)));
  const auto engine = make_engine(context, open_model(context, c), std::move(settings));
  std::vector<Session> sessions;
  for (int64_t b = 0; b < tokens.shape.at(0); ++b) sessions.push_back(engine->new_session());

  if (!c.has("tokens_second")) {
    forward(judge, *engine, sessions, tokens, c.tensor("logits"));
    return judge.verdict();
  }
  forward(judge, *engine, sessions, tokens, c.tensor("logits_first"));
  compare_memory(judge, sessions, c, "memory_first");
  forward(judge, *engine, sessions, c.tensor("tokens_second"), c.tensor("logits_second"));
  compare_memory(judge, sessions, c, "memory_second");
  return judge.verdict();
}

}  // namespace perdure::golden
