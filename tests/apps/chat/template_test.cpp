// SPDX-License-Identifier: Apache-2.0

// perdure chat: whose template writes the turns, and what it does to a conversation.
#include <doctest/doctest.h>

#include <fstream>

#include "core/base/json/json.hpp"
#include "tests/apps/program.hpp"

using namespace perdure::testing;

namespace {

// Greedy, this model never ends an answer.
const Words kModel = golden_words("llama.v0.bin");

struct Chat {
  TemporaryFolder folder;
  Words store = {"--set", "store.path=" + (folder / "store")};

  Outcome with_file(const std::string& text, const std::string& lines, const Words& more = {}) {
    std::ofstream(folder / "own.jinja") << text;
    return run_perdure(
        Words{"chat", "-n", "1", "--set", "chat.template_file=" + (folder / "own.jinja")} + kModel +
            store + more,
        {.input = lines});
  }
  int64_t position() const {
    const Outcome outcome = run_perdure(Words{"memory", "inspect", "default", "--json"} + store);
    return perdure::Json::parse(outcome.out, "out").at("position").integer();
  }
};

// Tokens of a conversation of two turns whose template is `text`.
int64_t tokens_of(const std::string& text) {
  Chat chat;
  CHECK(chat.with_file(text, "hello\nmore\n").status == 0);
  return chat.position();
}

}  // namespace

TEST_CASE("a template of one's own writes every turn, its control tokens as tokens") {
  const std::string begin = "{% for m in messages %}", end = "{{ m.content }}</s>{% endfor %}";
  const int64_t tokens = tokens_of(begin + end);
  CHECK(tokens_of(begin + "{{ bos_token }}" + end) == tokens + 2);
  CHECK(tokens_of(begin + "<s></s>" + end) == tokens + 4);
  CHECK(tokens_of("{{ bos_token }}" + begin + end) == tokens + 1);  // the first turn only
}

TEST_CASE("a template that refuses the system prompt ends chat with its own sentence") {
  Chat chat;
  const Outcome outcome = chat.with_file(
      "{% for m in messages %}\n{% if m.role == 'system' %}\n"
      "{{ raise_exception('System role not supported') }}{% endif %}{{ m.content }}</s>"
      "{% endfor %}",
      "hello\n", {"--set", "chat.system=be kind"});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(outcome.err == "perdure: " + (chat.folder / "own.jinja") +
                           ": line 3: the chat template says: System role not supported\n");
}

TEST_CASE("a template that is wrong or not known ends chat before a session is made") {
  Chat chat;
  const Outcome wrong =
      chat.with_file("{% for m in messages %}\n{{ m.content | shuffle }}", "hi\n");
  CHECK(wrong.status == 2);
  CHECK(wrong.err == "perdure: " + (chat.folder / "own.jinja") +
                         ": line 2: the filter 'shuffle' is not supported\n");
  const Outcome unknown =
      run_perdure(Words{"chat", "--set", "chat.template=lama2"} + kModel + chat.store);
  CHECK(unknown.status == 2);
  CHECK(unknown.err.find("chat.template cannot be 'lama2'; did you mean 'llama2'?") !=
        std::string::npos);
  CHECK(run_perdure(Words{"memory", "list"} + chat.store).out.find("default") == std::string::npos);
}

TEST_CASE("where no token ends an answer the begin of the next turn does, also after a restart") {
  const std::string source =
      "{% for m in messages %}{{ m.content }}{{ 'e' if m.role == 'assistant' else ' ' }}"
      "{% endfor %}";
  Chat chat;
  std::ofstream(chat.folder / "own.jinja") << source;
  const Words words =
      Words{"chat", "-n", "60", "--set", "chat.template_file=" + (chat.folder / "own.jinja")} +
      kModel + chat.store;
  for (int round = 0; round < 2; ++round) {
    const Outcome outcome = run_perdure(words, {.input = "once upon a time\n"});
    CHECK(outcome.status == 0);
    const size_t begin = outcome.out.find("Assistant: ") + 11;
    const std::string answer = outcome.out.substr(begin, outcome.out.find('\n', begin) - begin);
    CHECK(answer.find('e') == std::string::npos);
  }
}
