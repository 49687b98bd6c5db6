// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/chat_template.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"
#include "core/base/outside_text.hpp"
#include "core/model/formats/foreign_file.hpp"
#include "core/model/formats/gguf.hpp"
#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/templates/jinja/run.hpp"
#include "core/model/templates/named_templates.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUsual = "llama2";
constexpr std::string_view kGgufKey = "tokenizer.chat_template";

std::optional<ChatTemplate> own(std::string name, std::string_view source) {
  if (source.empty()) return std::nullopt;
  return ChatTemplate{std::move(name), std::string(source)};
}

ChatTemplate or_usual(std::optional<ChatTemplate> found) {
  if (found) return *std::move(found);
  ChatTemplate usual = find_chat_template(kUsual);
  usual.is_guess = true;
  return usual;
}

ChatTemplate gguf_template(const MappedFile& file) {
  const Gguf gguf(file.bytes(), file.path());
  return or_usual(
      own(file.path() + ": " + std::string(kGgufKey), gguf.text(kGgufKey).value_or("")));
}

ChatTemplate folder_template(const fs::path& folder) {
  const TokenizerConfig config = read_tokenizer_config(folder.string());
  ChatTemplate chosen =
      or_usual(own((folder / "chat_template").lexically_normal().string(), config.chat_template));
  chosen.is_guess &= fs::exists(folder / "config.json");
  return chosen;
}

ChatTemplate file_template(const std::string& path) {
  try {
    const MappedFile file(path);
    refuse_foreign_file(file.bytes(), path, Wanted::kText);
    if (file.bytes().size() > jinja::kMostTemplateBytes)
      throw Error(path + ": a chat template takes at most " +
                  std::to_string(jinja::kMostTemplateBytes) + " bytes");
    const auto* text = reinterpret_cast<const char*>(file.bytes().data());
    return {path, normalise_text({text, file.bytes().size()}, path, LineEnds::kLf).text};
  } catch (const Error& error) {
    throw UsageError(std::string("chat.template_file: ") + error.what());
  }
}

bool is_jinja(std::string_view text) {
  return text.find("{{") != text.npos || text.find("{%") != text.npos;
}

}  // namespace

std::vector<std::string_view> chat_template_names() {
  std::vector<std::string_view> names;
  for (const NamedTemplate& entry : named_templates()) names.push_back(entry.name);
  return names;
}

ChatTemplate find_chat_template(std::string_view name) {
  std::string known;
  for (const NamedTemplate& entry : named_templates()) {
    if (entry.name == name) return {std::string(name), std::string(entry.source)};
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw UsageError("chat.template: '" + std::string(name) + "' is unknown; known: auto, " + known);
}

ChatTemplate model_chat_template(const std::string& model_path) {
  const fs::path path = model_path;
  if (fs::is_directory(path)) return folder_template(path);
  const MappedFile file(model_path);
  return is_gguf(file.bytes()) ? gguf_template(file) : folder_template(path.parent_path());
}

ChatTemplate choose_chat_template(const Settings& settings) {
  const auto& chat = settings.chat;
  if (!chat.template_file.empty()) {
    if (chat.chat_template != "auto")
      throw UsageError("chat.template and chat.template_file are both set; leave one of them out");
    return file_template(chat.template_file);
  }
  if (chat.chat_template == "auto") return model_chat_template(settings.model.path);
  if (is_jinja(chat.chat_template)) return {"chat.template", chat.chat_template};
  return find_chat_template(chat.chat_template);
}

}  // namespace perdure
