// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/chat_template.hpp"

#include <doctest/doctest.h>

#include "core/api/error.hpp"

using namespace perdure;

TEST_CASE("a turn is written as llama2's chat models were trained on it") {
  const ChatTemplate& llama2 = find_chat_template("llama2");
  CHECK(llama2.turn("", "hello") == "[INST] hello [/INST]");
  CHECK(llama2.turn("be kind", "hello") == "[INST] <<SYS>>\nbe kind\n<</SYS>>\n\nhello [/INST]");
}

TEST_CASE("an unknown chat template is refused, and the known ones are listed") {
  CHECK_THROWS_WITH_AS(find_chat_template("chatml"),
                       "chat.template: 'chatml' is unknown; known: llama2", UsageError);
}
