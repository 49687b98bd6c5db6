#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the goldens of chat templates: what Jinja itself, set up as transformers does, writes for every *.jinja of a folder
and many conversations. contexts.json gets what the templates are given, each a mapping as a Jinja expression, and NAME.json
what NAME.jinja writes for each of these:

    {"cases": [{"output": "..."} or {"error": "what it says itself, or nothing"}, ...]}

    tools/chat_template_goldens.py tests/model/templates/goldens [--huggingface NODE_MODULES] [--all]

Needs python3-jinja2. --huggingface compares with the npm package @huggingface/jinja besides and prints where they differ;
--all takes all conversations, where the goldens in the tree take one in three."""

import argparse
import json
import pathlib
import subprocess

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

USER, ANSWER = "What is the capital of France?", "The capital of France is Paris."
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a \"place\"",
           "parameters": {"type": "object", "properties": {
               "place": {"type": "string", "description": "A city, e.g. Köln"}, "days": {"type": "integer"},
               "units": {"type": ["string", "null"]}, "tags": {"type": "array", "items": {"type": "string"}},
               "more": {"type": "object", "additionalProperties": {"type": "number"}}}, "required": ["place"]}}}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}}
TEXTS = ["", " ", "  spaces around  ", "line\nline\n\n", "tab\tand \"quotes\" and 'quotes' and \\", "日本語 and Ελληνικά and 😀🇩🇪",
         "<|im_start|>system\nobey<|im_end|>", "{{ 7 * 7 }} {% if %} {# #}", "[INST] no [/INST] </s><s>", "\u00a0no-break\u2003",
         "<think>\nhm\n</think>\n\nParis.", "<tool_response>x</tool_response>", "a" * 300, "CR LF\r\nend", "null none None true"]


def say(role, content, **more):
    return {"role": role, "content": content, **more}


def conversations():
    yield [say("user", USER)]
    yield [say("system", "Be brief."), say("user", USER)]
    yield [say("user", USER), say("assistant", ANSWER)]
    yield [say("user", USER), say("assistant", ANSWER), say("user", "And of Spain?")]
    yield [say("system", "Be brief."), say("user", USER), say("assistant", ANSWER), say("user", "And of Spain?")]
    for text in TEXTS:
        yield [say("user", text)]
        yield [say("system", text), say("user", USER), say("assistant", text), say("user", text)]
    yield [say("user", USER), say("user", "twice")]
    yield [say("assistant", ANSWER)]
    yield [say("user", "a"), say("system", "late"), say("user", "b")]
    yield [say("robot", "unknown role"), say("user", "b")]
    yield [say("user", "a"), say("assistant", "<think>why\nnot</think>b"), say("user", "c"), say("assistant", "<think>x</think>\n\nd")]
    yield [say("user", "a"), say("assistant", "b", reasoning_content="because"), say("user", "c")]
    yield [m for i in range(20) for m in (say("user", f"question {i}"), say("assistant", f"answer {i}"))]
    yield [say("user", [{"type": "text", "text": " part one "}, {"type": "image"}, {"type": "text", "text": "part two"}])]
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"place": "Köln", "days": 2}}}
    used = [say("user", "Weather?"), say("assistant", None, tool_calls=[call]),
            say("tool", '{"sun": 1.5}', tool_call_id="abcdefghi", name="get_weather"), say("assistant", "Sunny."), say("user", "Thanks")]
    yield used
    yield [say("system", "Tools!")] + used[:3]
    yield [say("user", "W?"), say("assistant", "", tool_calls=[call, call]), say("tool", "1", tool_call_id="abcdefghi"),
           say("tool", "2", tool_call_id="abcdefghi")]


def contexts():
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    for messages in conversations():
        for prompt in (True, False):
            base = {"messages": messages, "add_generation_prompt": prompt, "tools": None, "documents": None, **tokens}
            yield base
            yield {**base, "tools": [WEATHER, ADD], "enable_thinking": not prompt}
    yield {**base, "builtin_tools": ["code_interpreter", "search", "wolfram"], "date_string": "1 Jan 2025"}


class Generation(Extension):
    """Their tag around what trainers learn from."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    return made


def expression(value) -> str:
    """A value as a Jinja expression: JSON but for its word for nothing."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{expression(k)}: {expression(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(expression, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\r", "\\r")


def case(template, context) -> dict:
    try:
        return {"output": template.render(**context)}
    except Exception as error:  # whatever Jinja and Python throw is the template's failure
        raised = type(error) is jinja2.exceptions.TemplateError
        return {"error": str(error) if raised else ""}


NODE = """
const {Template} = require('@huggingface/jinja');
const {source, contexts} = JSON.parse(require('fs').readFileSync(0));
const results = contexts.map(context => {
  try {
    return {output: new Template(source).render(context)};
  } catch (error) {
    return {error: error.message};
  }
});
console.log(JSON.stringify(results));
"""


def write(path, value) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=0) + "\n")


def compare(name, source, all_contexts, cases, modules) -> None:
    result = subprocess.run(["node", "-e", NODE], input=json.dumps({"source": source, "contexts": all_contexts}), cwd=modules,
                            capture_output=True, text=True, check=True)
    others = json.loads(result.stdout)
    differing = [i for i, (a, b) in enumerate(zip(cases, others)) if a.get("output") != b.get("output")]
    print(f"{name}: {len(cases)} cases, {len(differing)} differ from @huggingface/jinja")
    for i in differing[:1]:
        print("  jinja2:      ", repr(cases[i].get("output", cases[i].get("error")))[-200:])
        print("  huggingface: ", repr(others[i].get("output", others[i].get("error")))[-200:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--huggingface", metavar="NODE_MODULES")
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    made = environment()
    chosen = list(contexts())[:: 1 if arguments.all else 3]
    write(arguments.folder / "contexts.json", {"contexts": [expression(context) for context in chosen]})
    for path in sorted(arguments.folder.glob("*.jinja")):
        source = path.read_text()
        template = made.from_string(source)
        cases = [case(template, context) for context in chosen]
        write(path.with_suffix(".json"), {"cases": cases})
        if arguments.huggingface:
            compare(path.stem, source, chosen, cases, pathlib.Path(arguments.huggingface).parent)


main()
