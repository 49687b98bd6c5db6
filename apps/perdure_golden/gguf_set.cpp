// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/gguf (its README.md says what is in it): one model in
// every type of GGUF as small-TYPE.gguf, and in golden.safetensors one text and llama.cpp's logits
// of each.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/perdure_golden/folder_case.hpp"
#include "core/api/error.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README: with activations in F32, and in shares of what llama.cpp's own
// quantised activations change.
constexpr double kF32Logits = 2e-4;
constexpr double kShareOfMax = 2.0, kShareOfMean = 1.5;

constexpr const char* kStem = "small-";
constexpr const char* kExtension = ".gguf";

// A case that is one file for all types.
struct GgufCase {
  std::string folder, type;
  bool quantised = false;  // activations
  std::vector<std::string> overrides;
};

std::unique_ptr<Engine> engine_of(const GgufCase& c) {
  return scalar_engine(c.folder + "/" + kStem + c.type + kExtension,
                       {"attention={strategy: full}",
                        std::string("kernels.activations=") + (c.quantised ? "q8" : "f32")},
                       c.overrides);
}

Limits noise_limits(const std::vector<float>& quantised, const std::vector<float>& exact) {
  if (quantised.size() != exact.size()) throw Error("golden.safetensors lacks logits of this type");
  double max = 0, sum = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double difference = std::abs(quantised[i] - exact[i]);
    max = std::max(max, difference);
    sum += difference;
  }
  return {.max_abs = kShareOfMax * max,
          .mean_abs = kShareOfMean * sum / static_cast<double>(exact.size())};
}

std::vector<float> logits_of_prompt(Engine& engine, const std::vector<int32_t>& tokens) {
  Session session = engine.new_session();
  std::vector<float> all;
  const Feed one[] = {{&session, tokens, Feed::Logits::kAll}};
  engine.feed(one, [&](size_t, size_t, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
  });
  return all;
}

std::vector<float> logits_of_tokens(Engine& engine, const std::vector<int32_t>& tokens) {
  Session session = engine.new_session();
  std::vector<float> all, logits(static_cast<size_t>(engine.spec().info.vocab_size));
  for (const int32_t token : tokens) {
    engine.feed(session, {&token, 1}, logits);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

// F32 weights have nothing to de-quantise first.
const std::vector<float>& exact_logits(std::map<std::string, Tensor>& tensors,
                                       const std::string& type) {
  const auto found = tensors.find("logits_f32_activations." + type);
  return found != tensors.end() ? found->second.reals : tensors["logits." + type].reals;
}

Outcome run_type(const GgufCase& c) {
  auto tensors = read_tensors(c.folder + "/golden.safetensors");
  const std::vector<float>& exact = exact_logits(tensors, c.type);
  const std::vector<int32_t>& tokens = tensors["tokens"].integers;
  Judge judge(c.quantised ? noise_limits(tensors["logits." + c.type].reals, exact)
                          : Limits{.max_abs = kF32Logits});
  const auto engine = engine_of(c);
  judge.logits("logits of the whole prompt", logits_of_prompt(*engine, tokens), exact);
  judge.logits("logits token by token", logits_of_tokens(*engine, tokens), exact);
  return judge.verdict();
}

bool is_plain(const std::string& type) { return type == "F32" || type == "F16" || type == "BF16"; }

// "Q4_K" of ".../small-Q4_K.gguf"; empty for other files.
std::string type_of(const std::string& file) {
  const std::string name = last_name(file), stem = kStem, extension = kExtension;
  if (!name.starts_with(stem) || !name.ends_with(extension)) return {};
  return name.substr(stem.size(), name.size() - stem.size() - extension.size());
}

std::vector<std::string> types_of(const std::string& folder) {
  std::vector<std::string> types;
  if (!std::filesystem::exists(folder + "/golden.safetensors")) return types;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const std::string type = type_of(entry.path().string()); !type.empty())
      types.push_back(type);
  std::ranges::sort(types);
  return types;
}

}  // namespace

std::vector<FolderCase> gguf_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  const auto add = [&](const std::string& type, bool quantised) {
    const GgufCase c{setting.folder, type, quantised, setting.overrides};
    cases.push_back(
        {type + (quantised ? "/quantised" : "/f32"), [=] { return run_type(c); }, !is_plain(type)});
  };
  for (const std::string& type : types_of(setting.folder)) {
    add(type, false);
    if (!is_plain(type)) add(type, true);
  }
  return cases;
}

}  // namespace perdure::golden
