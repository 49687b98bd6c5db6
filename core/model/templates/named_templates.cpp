// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/named_templates.hpp"

#include <string>

namespace perdure {
namespace {

// A system prompt goes into the question behind it, and every question begins with BOS.
constexpr std::string_view kLlama2 = R"(
{%- set ns = namespace(system='') %}
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {%- set ns.system = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' %}
    {%- elif message.role == 'user' %}
        {{- bos_token + '[INST] ' + ns.system + message.content + ' [/INST]' }}
        {%- set ns.system = '' %}
    {%- else %}
        {{- ' ' + message.content + eos_token }}
    {%- endif %}
{%- endfor %})";

constexpr std::string_view kLlama3 = R"(
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
    {{- message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})";

constexpr std::string_view kChatml = R"(
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %})";

// Of Mistral's first instruction models, which know no system prompt: it goes before the question.
constexpr std::string_view kMistral = R"(
{{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {%- set ns.system = message.content + '\n\n' %}
    {%- elif message.role == 'user' %}
        {{- '[INST] ' + ns.system + message.content + ' [/INST]' }}
        {%- set ns.system = '' %}
    {%- else %}
        {{- ' ' + message.content + eos_token }}
    {%- endif %}
{%- endfor %})";

// Before ChatML: the system prompt that Qwen 2 was trained with where none is given.
constexpr std::string_view kQwenSystem = R"(
{%- if messages[0].role != 'system' %}
    {{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %})";

// For models that were trained on texts only, and for RWKV's.
constexpr std::string_view kPlain = R"(
{{- bos_token }}
{%- for message in messages %}
    {%- if not loop.first %}
        {{- '\n\n' }}
    {%- endif %}
    {{- message.role | capitalize + ': ' + message.content }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '\n\nAssistant:' }}
{%- endif %})";

}  // namespace

std::span<const NamedTemplate> named_templates() {
  static const std::string qwen = std::string(kQwenSystem).append(kChatml);
  static const NamedTemplate templates[] = {
      {"llama2", kLlama2},   {"llama3", kLlama3}, {"chatml", kChatml},
      {"mistral", kMistral}, {"qwen", qwen},      {"plain", kPlain},
  };
  return templates;
}

}  // namespace perdure
