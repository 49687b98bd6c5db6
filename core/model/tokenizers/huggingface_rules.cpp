// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/huggingface_rules.hpp"

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/tokenizers/pre_patterns.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {
namespace {

constexpr size_t kMostSteps = 64;

[[noreturn]] void refuse_type(const JsonPlace& place, const std::string& known) {
  place.at("type").fail("is '" + shown_name(place.type()) + "', which is not supported; " + known +
                        " are");
}

// Calls `use` for each step: those of a Sequence, whose list is the member `list`, or the one.
template <class Use>
void for_each_step(const std::optional<JsonPlace>& place, const char* list, const Use& use) {
  if (!place) return;
  if (place->type() != "Sequence") return use(*place);
  const std::vector<JsonPlace> steps = place->at(list).list();
  if (steps.size() > kMostSteps) place->at(list).fail("has more than 64 steps");
  for (const JsonPlace& step : steps)
    if (step.type() == "Sequence")
      for_each_step(step, list, use);
    else
      use(step);
}

TextPattern pattern_at(const JsonPlace& place, const std::string& pattern) {
  try {
    return pattern_of_file(pattern);
  } catch (const Error& error) {
    place.fail(error.what());
  }
}

// A text that stands for itself, as a pattern.
std::string quoted(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    const bool is_plain = static_cast<unsigned char>(c) >= 0x80 || c <= ' ' ||
                          (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z');
    if (!is_plain) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

void read_normalizer(const JsonPlace& step, TextSteps& steps) {
  const std::string type = step.type();
  if (type == "NFC") return steps.compose();
  if (type == "Prepend") return steps.prepend(step.at("prepend").text(), PrefixRule::kAlways);
  if (type != "Replace") refuse_type(step, "NFC, Prepend, Replace and Sequence");
  const JsonPlace pattern = step.at("pattern");
  const std::string content = step.at("content").text();
  if (const auto regex = pattern.find("Regex"))
    return steps.replace(pattern_at(*regex, regex->text()), content);
  const JsonPlace text = pattern.at("String");
  if (text.text().empty()) text.fail("is empty");
  steps.replace(text.text(), content);
}

class PreTokenizers {
 public:
  explicit PreTokenizers(HuggingFaceRules& rules) : rules_(rules) {}

  void read(const JsonPlace& step) {
    const std::string type = step.type();
    if (rules_.is_byte_level) step.fail("comes after ByteLevel, which must be the last");
    if (type == "ByteLevel") return read_byte_level(step);
    if (type == "Split") return read_split(step);
    if (type == "Metaspace") return read_metaspace(step);
    if (type != "Digits") refuse_type(step, "ByteLevel, Split, Digits, Metaspace and Sequence");
    rules_.words.emplace_back(step.flag("individual_digits", false) ? "\\p{N}" : "\\p{N}+");
  }

 private:
  void read_byte_level(const JsonPlace& step) {
    rules_.is_byte_level = true;
    if (step.flag("add_prefix_space", true)) {
      if (!rules_.words.empty())
        step.at("add_prefix_space").fail("must be false where the text is in pieces already");
      rules_.spaces.prepend(" ", PrefixRule::kUnlessThere);
    }
    if (step.flag("use_regex", true)) rules_.words.push_back(gpt2_pattern());
  }

  void read_split(const JsonPlace& step) {
    if (step.at("behavior").text() != "Isolated")
      step.at("behavior")
          .fail("is '" + shown_name(step.at("behavior").text()) +
                "', which is not supported; Isolated is");
    const JsonPlace pattern = step.at("pattern");
    if (const auto regex = pattern.find("Regex"))
      return rules_.words.push_back(pattern_at(*regex, regex->text()));
    const JsonPlace text = pattern.at("String");
    if (text.text().empty()) text.fail("is empty");
    rules_.words.push_back(pattern_at(text, quoted(text.text())));
  }

  void read_metaspace(const JsonPlace& step) {
    const std::string space(kSentencepieceSpace);
    if (!rules_.words.empty()) step.fail("comes after what splits the text");
    if (step.text("replacement", space) != space)
      step.at("replacement").fail("is another character than U+2581, which is not supported");
    const std::string scheme =
        step.text("prepend_scheme", step.flag("add_prefix_space", true) ? "always" : "never");
    rules_.spaces.replace(" ", space);
    if (scheme == "always" || scheme == "first")
      rules_.spaces.prepend(
          space, scheme == "always" ? PrefixRule::kUnlessThere : PrefixRule::kTextUnlessThere);
    else if (scheme != "never")
      step.at("prepend_scheme").fail("must be always, first or never");
    if (step.flag("split", true))
      rules_.words.emplace_back(space + "[^" + space + "]*|[^" + space + "]+");
  }

  HuggingFaceRules& rules_;
};

void read_decoder(const JsonPlace& step, HuggingFaceRules& rules) {
  const std::string type = step.type();
  if (type == "ByteLevel" || type == "ByteFallback" || type == "Fuse") return;
  if (type == "Metaspace") {
    const std::string scheme =
        step.text("prepend_scheme", step.flag("add_prefix_space", true) ? "always" : "never");
    rules.drops_prefix |= scheme != "never";
  } else if (type == "Strip") {
    const auto stop = step.find("stop"), start = step.find("start");
    if (step.text("content", " ") != " " || (stop && stop->whole() != 0) ||
        (start && start->whole() > 1))
      step.fail("takes more away than one space at the begin, which is not supported");
    rules.drops_prefix |= start && start->whole() == 1;
  } else if (type == "Replace") {
    const JsonPlace text = step.at("pattern").at("String");
    if (text.text() != kSentencepieceSpace || step.at("content").text() != " ")
      step.fail("makes something else of a token than spaces of U+2581, which is not supported");
  } else {
    refuse_type(step, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip and Sequence");
  }
}

// What stands before a text in "single": tokens, until the text itself comes.
void read_template(const JsonPlace& step, HuggingFaceRules& rules) {
  for (const JsonPlace& item : step.at("single").list()) {
    const auto token = item.find("SpecialToken");
    if (!token) {
      if (!item.find("Sequence")) item.fail("must be a SpecialToken or a Sequence");
      return;
    }
    if (!rules.bos.empty()) item.fail("is a second token before the text, which is not supported");
    const std::string name = token->at("id").text();
    const std::vector<JsonPlace> texts = step.at("special_tokens").at(name).at("tokens").list();
    if (texts.size() != 1) token->at("id").fail("must stand for one token");
    rules.bos = texts.front().text();
    if (rules.bos.empty()) token->at("id").fail("stands for an empty text");
  }
}

void read_post_processor(const JsonPlace& step, HuggingFaceRules& rules) {
  const std::string type = step.type();
  if (type == "ByteLevel") return;  // about places in the text only
  if (type == "TemplateProcessing") return read_template(step, rules);
  refuse_type(step, "ByteLevel, TemplateProcessing and Sequence");
}

}  // namespace

HuggingFaceRules read_huggingface_rules(const JsonPlace& root) {
  HuggingFaceRules rules;
  for_each_step(root.find("normalizer"), "normalizers",
                [&](const JsonPlace& step) { read_normalizer(step, rules.normalizer); });
  PreTokenizers pre_tokenizers(rules);
  for_each_step(root.find("pre_tokenizer"), "pretokenizers",
                [&](const JsonPlace& step) { pre_tokenizers.read(step); });
  for_each_step(root.find("decoder"), "decoders",
                [&](const JsonPlace& step) { read_decoder(step, rules); });
  for_each_step(root.find("post_processor"), "processors",
                [&](const JsonPlace& step) { read_post_processor(step, rules); });
  return rules;
}

}  // namespace perdure
