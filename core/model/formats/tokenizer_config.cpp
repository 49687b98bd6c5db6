// SPDX-License-Identifier: Apache-2.0

// Walks over the files, so that a large one costs no tree.
#include "core/model/formats/tokenizer_config.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <string_view>

#include "core/api/error.hpp"
#include "core/base/json/json_walk.hpp"
#include "core/base/mapped_file.hpp"
#include "core/base/outside_text.hpp"
#include "core/model/formats/foreign_file.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

constexpr size_t kMostBytes = size_t{16} << 20;
constexpr size_t kMostTemplates = 256;

[[noreturn]] void fail(const std::string& path, const Keys& keys, const std::string& what) {
  throw Error(path + ": key '" + json_key(keys) + "' " + what);
}

// Calls `use` with path and text of a file of the folder, if it is there.
template <class Use>
void with_file(const std::string& folder, const char* name, const Use& use) {
  const std::string path = (fs::path(folder) / name).string();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const MappedFile file(path);
  if (file.bytes().size() > kMostBytes)
    throw Error(path + ": byte offset " + std::to_string(kMostBytes) +
                ": such a file takes at most 16 MiB");
  refuse_foreign_file(file.bytes(), path, Wanted::kText);
  use(path,
      std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()));
}

// Fills in what is not said yet.
class ConfigReader {
 public:
  ConfigReader(const std::string& path, TokenizerConfig& config) : path_(path), config_(config) {}

  void read(std::string_view text) {
    walk_json(text, path_, 0, [this](const Keys& keys, JsonKind kind, std::string_view value) {
      if (!keys.empty()) member(keys, kind, value);
    });
    for (const auto& [name, text] : templates_) config_.chat_templates.try_emplace(name, text);
    if (const auto usual = config_.chat_templates.find("default");
        config_.chat_template.empty() && usual != config_.chat_templates.end())
      config_.chat_template = usual->second;
  }

 private:
  void member(const Keys& keys, JsonKind kind, std::string_view value) {
    if (std::string* text = token(keys.front())) return token_text(keys, kind, value, *text);
    if (keys.front() == "chat_template") return template_text(keys, kind, value);
    if (keys.size() > 1 || kind == JsonKind::kNull) return;
    if (keys.front() == "tokenizer_class") set(keys, kind, value, config_.tokenizer_class);
    if (keys.front() == "add_bos_token") set(keys, kind, value, config_.add_bos_token);
    if (keys.front() == "add_eos_token") set(keys, kind, value, config_.add_eos_token);
  }

  std::string* token(std::string_view key) const {
    return key == "bos_token"   ? &config_.bos_token
           : key == "eos_token" ? &config_.eos_token
           : key == "unk_token" ? &config_.unk_token
           : key == "pad_token" ? &config_.pad_token
                                : nullptr;
  }

  // A text, or an object whose `content` is one.
  void token_text(const Keys& keys, JsonKind kind, std::string_view value, std::string& text) {
    const bool is_content = keys.size() == 2 && keys[1] == "content";
    if (keys.size() == 1 && (kind == JsonKind::kObject || kind == JsonKind::kNull)) return;
    if (keys.size() == 1 || is_content) set(keys, kind, value, text);
  }

  // A text, or a list of objects with `name` and `template`.
  void template_text(const Keys& keys, JsonKind kind, std::string_view value) {
    if (keys.size() == 1) {
      if (kind == JsonKind::kArray || kind == JsonKind::kNull) return;
      return set(keys, kind, value, config_.chat_template);
    }
    if (keys.size() == 2) {
      if (kind != JsonKind::kObject || keys[1] != "[]")
        fail(path_, keys, "must be an object with name and template");
      if (templates_.size() == kMostTemplates)
        fail(path_, {keys.front()},
             "has more than " + std::to_string(kMostTemplates) + " templates");
      templates_.emplace_back();
    } else if (keys.size() == 3 && keys[2] == "name") {
      set(keys, kind, value, templates_.back().first);
    } else if (keys.size() == 3 && keys[2] == "template") {
      set(keys, kind, value, templates_.back().second);
    }
  }

  void set(const Keys& keys, JsonKind kind, std::string_view value, std::string& text) const {
    if (kind != JsonKind::kString) fail(path_, keys, "must be a text");
    if (text.empty()) text = value;
  }
  void set(const Keys& keys, JsonKind kind, std::string_view value,
           std::optional<bool>& flag) const {
    if (kind != JsonKind::kBool) fail(path_, keys, "must be true or false");
    if (!flag) flag = value == "true";
  }

  const std::string& path_;
  TokenizerConfig& config_;
  std::vector<std::pair<std::string, std::string>> templates_;
};

}  // namespace

TokenizerConfig read_tokenizer_config(const std::string& folder) {
  TokenizerConfig config;
  with_file(folder, "chat_template.jinja", [&](const std::string& path, std::string_view text) {
    config.chat_template = normalise_text(std::string(text), path, LineEnds::kLf).text;
  });
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"})
    with_file(folder, name, [&](const std::string& path, std::string_view text) {
      ConfigReader(path, config).read(text);
    });
  return config;
}

std::optional<std::vector<int64_t>> read_generation_ends(const std::string& folder,
                                                         int64_t vocab_size) {
  std::optional<std::vector<int64_t>> ends;
  const auto visit = [&](const std::string& path, const Keys& keys, JsonKind kind,
                         std::string_view value) {
    if (keys.empty() || keys.front() != "eos_token_id") return;
    if (keys.size() == 1 && kind == JsonKind::kNull) return;
    if (!ends) ends.emplace();
    if (keys.size() == 1 && kind == JsonKind::kArray) return;
    int64_t id = -1;
    if (kind == JsonKind::kInteger) std::from_chars(value.data(), value.data() + value.size(), id);
    if (keys.size() > 2 || id < 0 || id > std::numeric_limits<int32_t>::max())
      fail(path, keys, "must be an id or a list of ids");
    if (id >= vocab_size)
      fail(path, {keys.front()},
           "is " + std::to_string(id) + ", which is not a token of a vocabulary of " +
               std::to_string(vocab_size));
    if (std::ranges::count(*ends, id) == 0) ends->push_back(id);
    if (ends->size() > 1024) fail(path, keys, "has more than 1024 ids");
  };
  with_file(folder, "generation_config.json", [&](const std::string& path, std::string_view text) {
    walk_json(text, path, 0, [&](const Keys& keys, JsonKind kind, std::string_view value) {
      visit(path, keys, kind, value);
    });
  });
  return ends;
}

}  // namespace perdure
