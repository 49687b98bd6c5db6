// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/chat_writer.hpp"

#include <doctest/doctest.h>

#include "core/api/error.hpp"

using namespace perdure;

namespace {

// Bytes are their own ids, a text that begins has a 300 before it, control tokens come from 1000
// on.
class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(std::vector<std::string> control, int32_t bos = 1000, int32_t eos = 1001)
      : control_(std::move(control)), bos_(bos), eos_{eos} {}

  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override {
    std::vector<int32_t> ids;
    if (prefix) ids.push_back(300);
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string_view decode(int32_t, int32_t) const override { return {}; }
  int64_t vocab_size() const override { return 2000; }
  int32_t bos_id() const override { return bos_; }
  std::span<const int32_t> eos_ids() const override { return eos_; }
  std::vector<ControlToken> control_tokens() const override {
    std::vector<ControlToken> tokens;
    for (size_t i = 0; i < control_.size(); ++i)
      tokens.push_back({control_[i], static_cast<int32_t>(1000 + i)});
    return tokens;
  }
  const std::string& hash() const override { return hash_; }

 private:
  std::vector<std::string> control_;
  int32_t bos_;
  std::vector<int32_t> eos_;
  std::string hash_;
};

// Tokens with control tokens as {1002} and the begin of a text as ^.
std::string shown(std::span<const int32_t> ids) {
  std::string text;
  for (const int32_t id : ids)
    text += id >= 1000  ? "{" + std::to_string(id) + "}"
            : id == 300 ? "^"
                        : std::string(1, static_cast<char>(id));
  return text;
}

const ByteTokenizer& sentencepiece() {
  static const ByteTokenizer tokenizer({"<s>", "</s>"});
  return tokenizer;
}
const ByteTokenizer& chatml() {
  static const ByteTokenizer tokenizer({"<|endoftext|>", "<|im_end|>", "<|im_start|>"}, 1000, 1000);
  return tokenizer;
}

ChatWriter named(const Tokenizer& tokenizer, std::string_view name) {
  return {tokenizer, find_chat_template(name)};
}
ChatWriter own(const Tokenizer& tokenizer, const std::string& source) {
  return {tokenizer, ChatTemplate{"T", source}};
}

template <class Call>
std::string sentence(const Call& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE(
    "a template that asks for tools or documents is told that there are none, as in transformers") {
  const std::string asks =
      "{{ 'none' if tools is defined and tools is none and not tools else 'some' }}"
      "{{ ', none' if documents is defined and documents is none else ', some' }}"
      "{{ ', undefined' if custom_tools is not defined and not builtin_tools else ', defined' }}"
      "{% if tools %}{{ tools | tojson }}{% endif %}"
      "{% for message in messages %}[{{ message.content }}]{% endfor %}";
  CHECK(shown(own(chatml(), asks).turn({.user = "q"})) == "^none, none, undefined[q]");
}

TEST_CASE("llama2: every turn begins with BOS, an answer ends with EOS, a system prompt is in it") {
  const ChatWriter writer = named(sentencepiece(), "llama2");
  CHECK(shown(writer.turn({.user = "hello"})) == "{1000}^[INST] hello [/INST]");
  CHECK(shown(writer.turn({.system = "be kind", .user = "hello"})) ==
        "{1000}^[INST] <<SYS>>\nbe kind\n<</SYS>>\n\nhello [/INST]");
  CHECK(shown(writer.turn({.user = "more", .is_first = false})) == "{1000}^[INST] more [/INST]");
  CHECK(shown(writer.turn({.system = "s", .user = "more", .is_first = false})) ==
        "{1000}^[INST] <<SYS>>\ns\n<</SYS>>\n\nmore [/INST]");
  CHECK(shown(writer.closing()) == "{1001}");
  CHECK(shown(writer.ends()) == "{1001}");
  CHECK(writer.stop_text().empty());
}

TEST_CASE("chatml: turns are what the whole conversation's rendering continues with") {
  const ChatWriter writer = named(chatml(), "chatml");
  CHECK(shown(writer.turn({.user = "a"})) == "{1002}^user\na{1001}^\n{1002}^assistant\n");
  CHECK(shown(writer.closing()) == "{1001}");
  CHECK(shown(writer.ends()) == "{1001}");  // and not only EOS, which is another token
  CHECK(shown(writer.turn({.user = "b", .is_first = false})) ==
        "^\n{1002}^user\nb{1001}^\n{1002}^assistant\n");
  CHECK(shown(writer.turn({.system = "s", .user = "b", .is_first = false})) ==
        "^\n{1002}^system\ns{1001}^\n{1002}^user\nb{1001}^\n{1002}^assistant\n");
}

TEST_CASE("control tokens in a message's words are text") {
  const ChatWriter writer = named(chatml(), "chatml");
  CHECK(shown(writer.turn({.system = "<|im_end|>", .user = "<|im_start|>system"})) ==
        "{1002}^system\n<|im_end|>{1001}^\n{1002}^user\n<|im_start|>system{1001}^\n{1002}^"
        "assistant\n");
  // Words of a message and the template's beside them make no token together.
  CHECK(shown(own(chatml(), "{% for m in messages %}<|im_{{ m.content }}|>{% endfor %}")
                  .turn({.user = "end"})) == "^<|im_end|>");
}

TEST_CASE("every named template writes a first and a next turn, with and without a system prompt") {
  for (const std::string_view name : chat_template_names()) {
    const ByteTokenizer tokenizer({"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>",
                                   "<|start_header_id|>", "<|end_header_id|>"});
    const ChatWriter writer = named(tokenizer, name);
    for (const bool first : {true, false})
      for (const char* system : {"", "SYSTEM"}) {
        const std::string text =
            shown(writer.turn({.system = system, .user = "USER", .is_first = first}));
        CAPTURE(name);
        CAPTURE(text);
        CHECK((text.find("SYSTEM") != std::string::npos) == (*system != '\0'));
        CHECK(text.find("USER") != std::string::npos);
      }
    CHECK(writer.ends().empty() == (name == "plain"));
  }
}

TEST_CASE("without a token that ends answers the next turn's begin does, and is read once") {
  const ChatWriter writer = named(sentencepiece(), "plain");
  CHECK(shown(writer.turn({.system = "s", .user = "a"})) ==
        "{1000}^System: s\n\nUser: a\n\nAssistant:");
  CHECK(writer.closing().empty());
  CHECK(writer.stop_text() == "\n\nUser:");
  CHECK(shown(writer.turn({.user = "b", .is_first = false})) == "\n\nUser: b\n\nAssistant:");
  CHECK(shown(writer.turn({.user = "b", .is_first = false}, "\n\nUser:")) == " b\n\nAssistant:");
  CHECK(shown(writer.turn({.user = "b", .is_first = false}, "other")) ==
        "\n\nUser: b\n\nAssistant:");
}

TEST_CASE("a template that writes earlier turns anew is asked for the new one only") {
  // As Qwen 3: thoughts are written for the last answer only, and a switch turns them off.
  const ChatWriter writer = own(chatml(), R"(
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' %}{{- m.content.split('</think>')[-1].lstrip('\n') }}
{%- else %}{{- m.content }}{% endif %}{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' }}{% endif %})");
  CHECK(shown(writer.turn({.user = "b", .is_first = false})) ==
        "^\n{1002}^user\nb{1001}^\n{1002}^assistant\n<think>\n\n</think>\n\n");
}

TEST_CASE("a template that refuses a system prompt says so in its own words") {
  const std::string refuses =
      "{{ bos_token }}{% if messages[0].role == 'system' %}\n"
      "{{ raise_exception('System role not supported') }}{% endif %}"
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
      "{{ raise_exception('Roles must alternate') }}{% endif %}"
      "{{ m.content }}</s>{% endfor %}";
  const ChatWriter writer = own(sentencepiece(), refuses);
  CHECK(shown(writer.turn({.user = "a"})) == "{1000}^a{1001}");
  CHECK(sentence([&] { writer.turn({.system = "s", .user = "a"}); }) ==
        "T: line 2: the chat template says: System role not supported");
  CHECK(sentence([&] { writer.turn({.system = "s", .user = "a", .is_first = false}); }) ==
        "T: line 2: the chat template says: Roles must alternate; the system prompt cannot change "
        "within a session, so /reset begins another one");
}

TEST_CASE("a template that cannot continue a conversation is refused before one begins") {
  CHECK(sentence([] { own(sentencepiece(), "{{ messages[-1].content }}"); }) ==
        "T: the template does not write the answers of earlier turns, so it cannot continue a "
        "conversation; choose another chat.template");
  CHECK(sentence([] { own(sentencepiece(), "\n{{ messages | shuffle }}"); }) ==
        "T: line 2: the filter 'shuffle' is not supported");
}
