// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/json/json.hpp"
#include "core/model/templates/jinja/jinja_template.hpp"

using namespace perdure;

namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string rendered(const std::string& source, const std::string& context = "{}") {
  return jinja::Template(source, "T")
      .render(jinja::evaluate(context, "C"), context.size(), 1'000'000'000)
      .text();
}

// What is said instead; "" if nothing is.
std::string refusal(const std::string& source, const std::string& context = "{}") {
  try {
    rendered(source, context);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

// Where a rendering and its golden differ; "" if they do not.
std::string difference(const jinja::Template& made, const std::string& context,
                       const Json& golden) {
  try {
    const std::string text =
        made.render(jinja::evaluate(context, "context"), context.size(), 0).text();
    const Json* output = golden.find("output");
    return output != nullptr && output->text() == text ? "" : context + "\ngives " + text;
  } catch (const UsageError& error) {
    const Json* sentence = golden.find("error");
    const bool same = sentence != nullptr &&
                      std::string(error.what()).find(sentence->text()) != std::string::npos;
    return same ? "" : context + "\nfails: " + error.what();
  }
}

// Each byte's origin: t, m, a.
std::string origins(const MarkedText& text) {
  std::string letters;
  for (size_t i = 0; i < text.size(); ++i) letters += "tma"[static_cast<size_t>(text.origin(i))];
  return letters;
}

MarkedText rendered_words(const std::string& source, const std::string& words) {
  auto map = std::make_shared<jinja::Map>();
  map->items.emplace_back(std::make_shared<const MarkedText>("m", Origin::kTemplate),
                          std::make_shared<const MarkedText>(words, Origin::kMessage));
  return jinja::Template(source, "T").render(std::shared_ptr<const jinja::Map>(map), 100, 0);
}

}  // namespace

TEST_CASE("templates of many families write what Jinja writes, or fail with the same words") {
  const fs::path folder = fs::path(PERDURE_SOURCE_DIR) / "tests/model/templates/goldens";
  const Json contexts = Json::parse(contents(folder / "contexts.json"), "contexts");
  size_t n_templates = 0, n_cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().stem().string();
    const jinja::Template made(contents(entry.path()), name);
    const Json goldens = Json::parse(contents(folder / (name + ".json")), name);
    const Json::List& cases = goldens.at("cases").list();
    REQUIRE(cases.size() == contexts.at("contexts").list().size());
    ++n_templates;
    for (size_t i = 0; i < cases.size(); ++i, ++n_cases)
      CHECK_MESSAGE(
          difference(made, contexts.at("contexts").list()[i].text(), cases[i]).empty(),
          name << " " << difference(made, contexts.at("contexts").list()[i].text(), cases[i]));
  }
  CHECK(n_templates >= 10);
  CHECK(n_cases >= 10 * 60);
}

TEST_CASE("white space around tags goes as transformers sets Jinja up") {
  CHECK(rendered("  {% if true %}\n  a\n  {% endif %}\nb\n") == "  a\nb");
  CHECK(rendered("a {{- 1 -}} \n b") == "a1b");
  CHECK(rendered("{{ 1 }}\n{{ 2 }}\n\n") == "1\n2\n");
  CHECK(rendered("x\n  {# c #}\n  y") == "x\n  y");
  CHECK(rendered("{%+ if true +%}\n x{% endif %}") == "\n x");
  CHECK(rendered("{{ 'a' }}  {% if true %}b{% endif %}") == "a  b");
  CHECK(rendered("a\r\nb\rc\n") == "a\nb\nc");
  CHECK(rendered("{% generation %}a{% endgeneration %}") == "a");
}

TEST_CASE("dates have the format that a template asks for") {
  CHECK(rendered("{{ strftime_now('%Y') }}") == "2001");
  CHECK(rendered("[{{ strftime_now('') }}]") == "[]");
  CHECK(refusal("{{ strftime_now('%999999d') }}") ==
        "T: line 1: 'strftime_now' cannot write '%999999d'");
}

TEST_CASE("whatever a template does to a message's words, they stay distinct from its own") {
  CHECK(origins(rendered_words("a{{ m }}b", "xy")) == "tmmt");
  CHECK(origins(rendered_words("{{ 'a' + m + 'b' }}", "xy")) == "tmmt");
  CHECK(origins(rendered_words("{{ m | trim }}{{ m.strip().upper() }}", " xy ")) == "mmmm");
  CHECK(origins(rendered_words("{{ m[::-1] }}{{ m[0] }}{{ m[1:] }}", "xyz")) == "mmmmmm");
  CHECK(origins(rendered_words("{{ m.split(',') | join('+') }}", "x,y")) == "mtm");
  CHECK(origins(rendered_words("{{ m | replace('x', 'ab') }}", "xy")) == "ttm");
  CHECK(origins(rendered_words("{{ 'axb' | replace('x', m) }}", "yy")) == "tmmt");
  CHECK(origins(rendered_words("{{ [m] | tojson }}", "x\n")) == "ttmmmtt");
  CHECK(origins(rendered_words("{{ [m] }}", "x")) == "ttmtt");
  CHECK(origins(rendered_words("{% set b %}a{{ m }}{% endset %}{{ b }}", "x")) == "tm");
  CHECK(origins(rendered_words("{% macro f(v) %}<{{ v }}>{% endmacro %}{{ f(m) ~ m }}", "x")) ==
        "tmtm");
  CHECK(origins(rendered_words("{% for c in m %}{{ c }},{% endfor %}", "xy")) == "mtmt");
  CHECK(origins(rendered_words("{{ m | indent(1) }}", "x\ny")) == "mttm");
  CHECK(origins(rendered_words("{{ [m, m] | map('upper') | join }}", "x")) == "mm");
  CHECK(origins(rendered_words("{% set ns = namespace(v=m) %}{{ ns.v | title }}", "xy")) == "mm");
}

TEST_CASE("a template that is wrong is refused in one sentence that names the line") {
  const auto check = [](const std::string& source, const std::string& sentence) {
    CHECK(refusal(source) == "T: " + sentence);
  };
  check("a\n{{ x", "line 2: the tag that begins here has no end '}}'");
  check("{# x", "line 1: the comment that begins here has no end '#}'");
  check("{{ 'x }}", "line 1: the string that begins here has no end");
  check("{{ x ! }}", "line 1: '!' is not expected here");
  check("{{ (1 }}", "line 1: '}' closes nothing that was opened");
  check("{{ 1) }}", "line 1: ')' closes nothing that was opened");
  check("{{ '\\u12' }}", "line 1: the escape in this string is not one of a character");
  check("{{ }}", "line 1: a value is expected before '}}'");
  check("{{ 1 2 }}", "line 1: '}}' is expected before '2'");
  check("{{ a. }}", "line 1: the name of an attribute is expected before '}}'");
  check("{{ a[1 }}", "line 1: '}' closes nothing that was opened");
  check("{{ {1} }}", "line 1: ':' is expected before '}'");
  check("{{ f(a=1, 2) }}", "line 1: an argument without a name follows one with a name");
  check("{{ f(*a) }}", "line 1: arguments with '*' are not supported");
  check("{{ 99999999999999999999 }}", "line 1: the number 99999999999999999999 is too large");
  check("{% if true %}\n\nx", "line 3: the 'if' of line 1 has no end");
  check("{% for x in [] %}", "line 1: the 'for' of line 1 has no end");
  check("\n{% endif %}", "line 2: the tag 'endif' ends or continues nothing that was begun");
  check("{% if true %}{% endfor %}",
        "line 1: the tag 'endfor' ends or continues nothing that was "
        "begun");
  check("{% for x of [] %}{% endfor %}", "line 1: 'in' is expected before 'of'");
  check("{% set x %}", "line 1: the 'set' of line 1 has no end");
  check("{% set 1 = 2 %}", "line 1: the name of a variable is expected before '1'");
  check("{% break %}", "line 1: 'break' is outside a loop");
  check("{% for x in [1] %}{% macro f() %}{% continue %}{% endmacro %}{% endfor %}",
        "line 1: 'continue' is outside a loop");
  check("{% %}", "line 1: the name of a tag is expected before '%}'");
}

TEST_CASE("what the interpreter lacks is named with its line") {
  const auto check = [](const std::string& source, const std::string& sentence) {
    CHECK(refusal(source) == "T: " + sentence);
  };
  check("\n\n{% include 'x' %}", "line 3: the tag 'include' is not supported");
  check("{% import 'os' as os %}", "line 1: the tag 'import' is not supported");
  check("{% extends 'x' %}", "line 1: the tag 'extends' is not supported");
  check("{% raw %}{% endraw %}", "line 1: the tag 'raw' is not supported");
  check("{{ x | shuffle }}", "line 1: the filter 'shuffle' is not supported");
  check("{{ x is prime }}", "line 1: the test 'prime' is not supported");
  check("{{ [1] | map('shuffle') | list }}", "line 1: the filter 'shuffle' is not supported");
  check("{{ [1] | select('prime') | list }}", "line 1: the test 'prime' is not supported");
  check("{{ cycler('a') }}", "line 1: 'cycler' is called, which is undefined or not supported");
  check("{{ 'a'.encode() }}", "line 1: 'encode' is called, which is undefined or not supported");
  check("{{ ''.__class__.__mro__ }}", "line 1: '__class__' is undefined");
  check("{{ [].append(1) }}", "line 1: 'append' is called, which is undefined or not supported");
  check("{{ 'a' | trim(nothing=1) }}",
        "line 1: the argument 'nothing' of the filter 'trim' is not supported");
  check("{% for x in [] recursive %}{% endfor %}", "line 1: 'recursive' is not supported");
  check("{{ '%s' % 1 }}", "line 1: '%' between a string and an integer is not supported");
  check("{{ {1: 2} }}", "line 1: the key of a mapping is an integer and no string");
}

TEST_CASE("an error of a template while it writes is one sentence with the line") {
  const auto check = [](const std::string& source, const std::string& sentence) {
    CHECK(refusal(source) == "T: " + sentence);
  };
  check("a\n{{ raise_exception('System role\nnot supported') }}",
        "line 2: the chat template says: System role not supported");
  check("{{ nothing.at_all }}", "line 1: 'nothing' is undefined");
  check("{{ 'a' + nothing }}", "line 1: 'nothing' is undefined");
  check("{{ nothing() }}", "line 1: 'nothing' is called, which is undefined or not supported");
  check("{{ 'a' + 1 }}", "line 1: '+' between a string and an integer is not supported");
  check("{{ 1 < 'a' }}", "line 1: '<' between an integer and a string is not supported");
  check("{{ 1 / 0 }}", "line 1: division by zero");
  check("{{ 9223372036854775807 + 1 }}", "line 1: a number becomes too large");
  check("{{ 9 ** 99 }}", "line 1: a number becomes too large");
  check("{% for x in 5 %}{% endfor %}", "line 1: an integer cannot be walked through");
  check("{% for a, b in [[1]] %}{% endfor %}", "line 1: 2 names are set from 1 values");
  check("{{ none | length }}", "line 1: none has no length");
  check("{{ nothing | tojson }}", "line 1: an undefined value cannot be written as text");
  check("{{ 1 | items }}", "line 1: 'items' of an integer");
  check("{% set x.y = 1 %}", "line 1: 'x' is set into and no namespace");
  check("{{ [1][::0] }}", "line 1: the step of a slice is zero");
  check("{{ range(1, 2, 0) }}", "line 1: the step of 'range' is zero");
  check("{{ 'a'.split('') }}", "line 1: split() by an empty string is not supported");
  check("{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
        "line 1: the macro 'f' takes at most 1 arguments");
  check("{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "line 1: the macro 'f' has no parameter 'b'");
}

TEST_CASE("a template ends in bounded time and memory, whatever it wants") {
  const auto ends = [](const std::string& source, const std::string& part) {
    CHECK_MESSAGE(refusal(source).find(part) != std::string::npos, source.substr(0, 60)
                                                                       << ": " << refusal(source));
  };
  ends("{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}",
       "bytes of text");
  ends("{% for a in range(30000) %}{% if a" + repeated(" + 1", 99) + " %}{% endif %}{% endfor %}",
       "steps");
  ends("{{ range(1000000000000) }}", "steps");
  ends("{% for i in range(1000000) %}{{ 'a' * 1000 }}{% endfor %}", "bytes of text");
  ends("{{ 'a' * 1000000000000 }}", "bytes of text");
  ends(
      "{% set ns = namespace(t='a') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}"
      "{% endfor %}",
      "bytes of text");
  ends(
      "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}"
      "{% endfor %}",
      "bytes of text");
  ends(
      "{% set ns = namespace(t=1) %}{% for i in range(99) %}{% set ns.t = [ns.t, ns.t] %}"
      "{% endfor %}",
      "nested deeper");
  ends(
      "{% set ns = namespace(t=1) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}"
      "{% endfor %}{{ ns.t == [ns.t] or ns.t | tojson }}",
      "steps");
  ends(
      "{% set ns = namespace(m={}) %}{% for i in range(99999) %}"
      "{% set ns.m = {'a': ns.m.get} %}{% endfor %}",
      "nested deeper");
  ends("{% set ns = namespace() %}{% set ns.self = ns %}", "namespace");
  ends("{% set t = 'a' * 500000 %}{% for i in range(100) %}{{ 'b' in t }}{% endfor %}",
       "bytes of text");
  ends("{% set t = 'a' * 600000 %}{{ t }}{{ t }}", "writes more than");
  ends("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "nested deeper");
  ends("{{ 'a' | indent(99999999999) }}", "bytes of text");
  ends("{{ " + repeated("(", 99) + "1" + repeated(")", 99) + " }}", "nested deeper");
  ends("{{ " + repeated("not ", 99) + "1 }}", "nested deeper");
  ends("{{ " + repeated("-", 99) + "1 }}", "nested deeper");
  ends("{{ " + repeated("1 if 1 else ", 99) + "1 }}", "nested deeper");
  ends("{{ 1" + repeated(" + 1", 9999) + " }}", "operators in each other");
  ends("{{ a" + repeated(".a", 9999) + " }}", "operators in each other");
  ends("{{ a" + repeated("|trim", 9999) + " }}", "operators in each other");
  ends(repeated("{% if 1 %}", 99), "nested deeper");
  ends("{{ ['a']" + repeated("|map('map'", 1) + repeated(", 'map'", 999) + ") }}", "nested deeper");
  ends(repeated("a", 300000), "a chat template takes at most");
}
