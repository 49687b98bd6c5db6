// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/chat_template.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "core/api/error.hpp"
#include "core/model/formats/tokenizer_config.hpp"
#include "tests/model/gguf_file.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;
using perdure::testing::TemporaryFolder;

namespace {

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Settings settings_of(const std::string& model, const std::string& chat_template) {
  Settings settings;
  settings.model.path = model;
  settings.chat.chat_template = chat_template;
  return settings;
}

std::string sentence(const Settings& settings) {
  try {
    choose_chat_template(settings);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("an unknown chat template is refused, and the known ones are listed") {
  CHECK_THROWS_WITH_AS(find_chat_template("nobodys"),
                       "chat.template: 'nobodys' is unknown; known: auto, llama2, llama3, chatml, "
                       "mistral, qwen, plain",
                       UsageError);
}

TEST_CASE("a GGUF model's template is the one in its metadata") {
  const TemporaryFolder folder;
  GgufFile file = small_gguf();
  write(folder / "m.gguf", file.text());
  CHECK(model_chat_template(folder / "m.gguf").name == "llama2");
  CHECK(model_chat_template(folder / "m.gguf").is_guess);
  file.set_text("tokenizer.chat_template", "{{ bos_token }}");
  write(folder / "m.gguf", file.text());
  const ChatTemplate found = choose_chat_template(settings_of(folder / "m.gguf", "auto"));
  CHECK(found.source == "{{ bos_token }}");
  CHECK(found.name == (folder / "m.gguf") + ": tokenizer.chat_template");
  CHECK_FALSE(found.is_guess);
}

TEST_CASE("a folder's template is the one of its tokenizer, of a file too that lies in it") {
  const TemporaryFolder folder;
  write(folder / "model.bin", "weights");
  CHECK(model_chat_template(folder / "model.bin").name == "llama2");
  CHECK_FALSE(model_chat_template(folder / "model.bin").is_guess);  // llama2.c's files bring none
  write(folder / "config.json", "{}");
  CHECK(model_chat_template(folder.path().string()).is_guess);
  write(folder / "tokenizer_config.json", R"({"chat_template": "{{ 1 }}"})");
  CHECK(model_chat_template(folder.path().string()).source == "{{ 1 }}");
  CHECK(model_chat_template(folder / "model.bin").source == "{{ 1 }}");
}

TEST_CASE("a template of one's own is a file, or Jinja in the configuration") {
  const TemporaryFolder folder;
  write(folder / "own.jinja", "{{ 2 }}");
  Settings settings = settings_of("no model", "auto");
  settings.chat.template_file = folder / "own.jinja";
  CHECK(choose_chat_template(settings).source == "{{ 2 }}");
  CHECK(choose_chat_template(settings_of("", "{{ 3 }}")).source == "{{ 3 }}");
  CHECK(choose_chat_template(settings_of("", "{{ 3 }}")).name == "chat.template");
}

TEST_CASE("a template's file is read as texts are: no byte order mark, LF, no other encoding") {
  const TemporaryFolder folder;
  Settings settings = settings_of("", "auto");
  settings.chat.template_file = folder / "windows.jinja";
  write(settings.chat.template_file, "\xef\xbb\xbf{{ 1 }}\r\n{{ 2 }}");
  CHECK(choose_chat_template(settings).source == "{{ 1 }}\n{{ 2 }}");
  write(settings.chat.template_file, std::string("\xff\xfe{\0{\0", 6));
  CHECK(sentence(settings) == "chat.template_file: " + settings.chat.template_file +
                                  " is UTF-16 text; convert it to UTF-8, for example with iconv -f "
                                  "UTF-16");
  write(settings.chat.template_file, "version https://git-lfs.github.com/spec/v1\n");
  CHECK(sentence(settings).find("this is a Git LFS pointer") != std::string::npos);
  write(folder / "chat_template.jinja", "\xef\xbb\xbf{{ 1 }}\r\n{{ 3 }}");
  CHECK(read_tokenizer_config(folder.path().string()).chat_template == "{{ 1 }}\n{{ 3 }}");
}

TEST_CASE("a template's file that cannot be taken is refused in one sentence") {
  const TemporaryFolder folder;
  Settings settings = settings_of("", "auto");
  settings.chat.template_file = folder / "none.jinja";
  CHECK(sentence(settings).starts_with("chat.template_file: "));
  write(folder / "large.jinja", std::string(300000, 'a'));
  settings.chat.template_file = folder / "large.jinja";
  CHECK(sentence(settings) == "chat.template_file: " + (folder / "large.jinja") +
                                  ": a chat template takes at most 262144 bytes");
  settings.chat.chat_template = "chatml";
  CHECK(sentence(settings) ==
        "chat.template and chat.template_file are both set; leave one of them out");
}
