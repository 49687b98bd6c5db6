// SPDX-License-Identifier: Apache-2.0

#include "core/base/json/json_write.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace perdure;

TEST_CASE("JSON text reads back, whatever the texts hold") {
  const Json written =
      object({member("text", "a\"b\\c\n\x01\xc3\xa4"), member("list", std::vector{1, 2}),
              member("real", 0.1), member("flag", true), member("none", Json())});
  const std::string text = json_text(written);
  CHECK(text == R"({"text":"a\"b\\c\n\u0001ä","list":[1,2],"real":0.1,"flag":true,"none":null})");
  CHECK(json_text(Json::parse(text, "text")) == text);
  CHECK(json_text(json(std::numeric_limits<double>::infinity())) == "null");
}
