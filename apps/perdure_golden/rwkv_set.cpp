// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/rwkv (its README.md says what is in it): folders rand_*
// and tiny_* with a model and what the original computed, bin_* with rwkv.cpp's files, and
// tokenizer_world. Finds the cases, and compares texts and ids; run_rwkv.cpp compares numbers.
#include "apps/perdure_golden/folder_case.hpp"

#include <filesystem>

#include "apps/perdure_golden/run_rwkv.hpp"
#include "core/api/error.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::golden {
namespace {

namespace fs = std::filesystem;

// As their files call them.
constexpr const char* kBinTypes[] = {"FP32", "FP16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"};

bool is_quantised(const std::string& type) { return type.starts_with('Q'); }

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

// Every text of cases.json has the ids of that name, and these are decoded to the text.
Outcome run_vocabulary(const std::string& folder, const std::string& vocabulary,
                       const char* ids_name) {
  Judge judge({});
  ModelInfo info;
  info.vocab_size = 65536;
  const auto tokenizer = open_tokenizer(vocabulary, info);
  const std::string path = folder + "/cases.json";
  const Json file = Json::parse(read_file(path), path);
  for (const Json& one : file.at("cases").list()) {
    const std::string& digits = one.at("hex").text();
    const std::string text = from_hex(digits);
    std::vector<int32_t> golden;
    for (const Json& id : one.at(ids_name).list())
      golden.push_back(static_cast<int32_t>(id.integer()));
    judge.require(tokenizer->encode_text(text, false) == golden, digits + " has other ids");
    std::string decoded;
    for (const int32_t id : golden) decoded += tokenizer->decode(-1, id);
    judge.require(decoded == text, digits + " is decoded otherwise");
  }
  return judge.verdict();
}

void add_vocabularies(const std::string& folder, const std::string& full,
                      std::vector<FolderCase>& cases) {
  const std::string name = "tokenizer_world/";
  cases.push_back({name + "mini",
                   [=] { return run_vocabulary(folder, folder + "/mini_vocab.txt", "mini_ids"); }});
  if (full.empty()) return;
  cases.push_back({name + "full", [=] { return run_vocabulary(folder, full, "full_ids"); }});
}

}  // namespace

std::vector<FolderCase> rwkv_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  for (const std::string& folder : subfolders(setting.folder)) {
    const std::string name = last_name(folder);
    const std::vector<std::string>& overrides = setting.overrides;
    if (name.starts_with("rand_") || name.starts_with("tiny_"))
      cases.push_back({name, [=] { return run_rwkv_model(folder, overrides); }});
    if (name.starts_with("bin_"))
      for (const std::string type : kBinTypes)
        if (fs::exists(folder + "/model-" + type + ".bin"))
          cases.push_back({name + "/" + type, [=] { return run_rwkv_bin(folder, type, overrides); },
                           is_quantised(type)});
    if (name == "tokenizer_world") add_vocabularies(folder, setting.vocabulary, cases);
  }
  return cases;
}

}  // namespace perdure::golden
