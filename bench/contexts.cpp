// SPDX-License-Identifier: Apache-2.0

// What parallel encoding saves (CEPE's claim: ten times the throughput, a sixth of the memory): one
// window of so many tokens, the logits of its last 256, read
//   whole     through the decoder (strategy full),
//   cached    in chunks of 256 through the encoder but for the last DECODER tokens, with keys and
//   absorbed  values of contexts cached or absorbed,
// and then what a token costs that is decoded behind it. Random weights in the proportions of the
// released model: widths, head sizes and numbers of layers are an eighth of its. Every reading in a
// process of its own, whose peak of RAM is what it cost.
//   bench_contexts DECODER TOTAL[,TOTAL ...] [key=value ...]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/engine/contexts.hpp"
#include "core/model/formats/safetensors.hpp"
#include "plugins/linked_plugins.hpp"

namespace {

using perdure::Engine;
using perdure::Session;

constexpr int64_t kScored = 256, kDecoded = 32;

struct Stack {
  int64_t width, hidden, layers, heads;
};
constexpr Stack kDecoder{512, 1376, 4, 32}, kEncoder{128, 512, 3, 16};
constexpr int64_t kVocabulary = 2048;

std::string stack_config(const Stack& s, const char* is_decoder, int64_t positions) {
  const auto number = [](const char* name, int64_t value) {
    return ", \"" + std::string(name) + "\": " + std::to_string(value);
  };
  return "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, "
         "\"is_decoder\": " +
         std::string(is_decoder) + number("vocab_size", kVocabulary) +
         number("hidden_size", s.width) + number("intermediate_size", s.hidden) +
         number("num_hidden_layers", s.layers) + number("num_attention_heads", s.heads) +
         number("num_key_value_heads", s.heads) + number("max_position_embeddings", positions);
}

void write_config(const std::string& path) {
  std::ofstream(path)
      << "{\"architectures\": [\"LlamaForCausalContextLM\"], \"model_type\": \"llama\", "
         "\"do_cross_attention\": true, \"num_cross_attn_hidden_states\": 1, "
         "\"num_cross_attn_layers\": "
      << kDecoder.layers << ", \"encoder_hidden_size\": " << kEncoder.width
      << ", \"encoder_is_model\": false, \"encode_mode\": \"context_only\", "
      << "\"encoder_config\": {" << stack_config(kEncoder, "false", 512) << "}, "
      << stack_config(kDecoder, "true", 4096) << "}";
}

using Declared = std::vector<perdure::SafetensorsWriter::Declared>;

void declare_attention(Declared& all, const std::string& layer, int64_t width, int64_t keys_of) {
  all.push_back({layer + "q_proj.weight", "F32", {width, width}});
  all.push_back({layer + "k_proj.weight", "F32", {width, keys_of}});
  all.push_back({layer + "v_proj.weight", "F32", {width, keys_of}});
  all.push_back({layer + "o_proj.weight", "F32", {width, width}});
}

void declare_stack(Declared& all, const std::string& prefix, const Stack& s, int64_t cross) {
  all.push_back({prefix + "embed_tokens.weight", "F32", {kVocabulary, s.width}});
  all.push_back({prefix + "norm.weight", "F32", {s.width}});
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = prefix + "layers." + std::to_string(i) + ".";
    for (const char* norm : {"input_layernorm.weight", "post_attention_layernorm.weight"})
      all.push_back({layer + norm, "F32", {s.width}});
    declare_attention(all, layer + "self_attn.", s.width, s.width);
    all.push_back({layer + "mlp.gate_proj.weight", "F32", {s.hidden, s.width}});
    all.push_back({layer + "mlp.up_proj.weight", "F32", {s.hidden, s.width}});
    all.push_back({layer + "mlp.down_proj.weight", "F32", {s.width, s.hidden}});
    if (cross == 0) continue;
    declare_attention(all, layer + "cross_attn.", s.width, cross);
    all.push_back({layer + "cross_attn.layernorm.weight", "F32", {s.width}});
  }
}

void write_model(const std::filesystem::path& folder) {
  write_config(folder / "config.json");
  Declared all;
  declare_stack(all, "model.", kDecoder, kEncoder.width);
  declare_stack(all, "encoder.", kEncoder, 0);
  all.push_back({"lm_head.weight", "F32", {kVocabulary, kDecoder.width}});
  perdure::SafetensorsWriter writer(folder / "model.safetensors", all);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  for (const auto& tensor : all) {
    size_t n = 1;
    for (const int64_t size : tensor.shape) n *= static_cast<size_t>(size);
    std::vector<float> values(n);
    for (float& value : values) value = tensor.shape.size() == 1 ? 1.0f : normal(random);
    writer.write(std::as_bytes(std::span(values)));
  }
  writer.close();
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<int32_t> random_tokens(int64_t n) {
  std::minstd_rand random(7);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocabulary);
  return tokens;
}

void read_window(Engine& engine, Session& session, std::span<const int32_t> tokens,
                 size_t n_contexts) {
  if (n_contexts > 0) {
    const auto chunks =
        perdure::context_chunks(perdure::context_stream(engine), tokens.first(n_contexts), {});
    const std::vector<std::span<const int32_t>> views(chunks.begin(), chunks.end());
    engine.feed_input(session, perdure::kContextStream, views);
  }
  const auto text = tokens.subspan(n_contexts);
  const size_t n_before = text.size() - static_cast<size_t>(kScored);
  const auto ignore = [](size_t, size_t, std::span<const float>) {};
  const perdure::Feed before[] = {{&session, text.first(n_before), perdure::Feed::Logits::kNone}};
  const perdure::Feed scored[] = {{&session, text.subspan(n_before), perdure::Feed::Logits::kAll}};
  engine.feed(before, ignore);
  engine.feed(scored, ignore);
}

double us_per_decoded_token(Engine& engine, Session& session) {
  std::vector<float> logits(static_cast<size_t>(kVocabulary));
  std::vector<double> times;
  for (int64_t i = 0; i < kDecoded; ++i) {
    const int32_t token[] = {static_cast<int32_t>(i)};
    times.push_back(1e6 * seconds_of([&] { engine.feed(session, token, logits); }));
  }
  std::nth_element(times.begin(), times.begin() + kDecoded / 2, times.end());
  return times[kDecoded / 2];
}

// One line of the table.
void measure(const std::string& way, int64_t total, int64_t decoder,
             const std::vector<std::string>& settings) {
  std::vector<std::string> all = settings;
  if (way == "whole")
    all.push_back("attention.strategy=full");
  else
    all.insert(all.end(), {"attention.cross=" + way, "attention.chunk=256"});
  Engine engine(perdure::load_settings("", all), perdure::linked_plugins());
  Session session = engine.new_session();
  const auto tokens = random_tokens(total);
  const int64_t n_contexts = way == "whole" ? 0 : std::max<int64_t>(total - decoder, 0);
  const double seconds =
      seconds_of([&] { read_window(engine, session, tokens, static_cast<size_t>(n_contexts)); });
  const double us = us_per_decoded_token(engine, session);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%8lld %-9s %10.3f %10.4f %12lld %10.1f %12.1f\n", static_cast<long long>(total),
              way.c_str(), seconds, 1 / seconds, static_cast<long long>(session.state_bytes()),
              static_cast<double>(usage.ru_maxrss) / 1024, us);
  std::fflush(stdout);
}

// Runs `work` in a process of its own. False if it failed.
bool apart(const std::function<void()>& work) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    try {
      work();
      _exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench_contexts: %s\n", error.what());
      _exit(1);
    }
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

std::vector<int64_t> numbers(const std::string& list) {
  std::vector<int64_t> result;
  for (size_t first = 0; first < list.size();) {
    const size_t end = std::min(list.find(',', first), list.size());
    result.push_back(std::atoll(list.substr(first, end - first).c_str()));
    first = end + 1;
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t decoder = argc < 3 ? 0 : std::atoll(argv[1]);
  const std::vector<int64_t> totals = argc < 3 ? std::vector<int64_t>{} : numbers(argv[2]);
  if (decoder < kScored || totals.empty() || *std::ranges::min_element(totals) < kScored) {
    std::fprintf(stderr,
                 "usage: bench_contexts DECODER TOTAL[,TOTAL ...] [key=value ...], each at least "
                 "%lld\n",
                 static_cast<long long>(kScored));
    return 2;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "contexts-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return std::perror("bench_contexts"), 1;
  std::vector<std::string> settings{"model.path=" + folder};
  settings.insert(settings.end(), argv + 3, argv + argc);
  bool good = apart([&] { write_model(folder); });
  std::printf("   total way          seconds  windows/s  state bytes   peak MB  us per token\n");
  for (const int64_t total : totals)
    for (const char* way : {"whole", "cached", "absorbed"})
      good = good && apart([&] { measure(way, total, decoder, settings); });
  std::filesystem::remove_all(folder);
  return good ? 0 : 1;
}
