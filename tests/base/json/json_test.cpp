// SPDX-License-Identifier: Apache-2.0

// The JSON tree: what it reads and what it refuses.
#include "core/base/json/json.hpp"

#include <doctest/doctest.h>

#include "core/api/error.hpp"

using perdure::Error;
using perdure::Json;

TEST_CASE("a JSON text is read as the tree it writes") {
  const Json json = Json::parse(R"( {"a": [1, -2.5, "x\u00e9", null, true], "b": {"c": 7}} )", "t");
  const Json::List& list = json.at("a").list();
  CHECK(list[0].integer() == 1);
  CHECK(list[0].real() == 1.0);
  CHECK(list[1].real() == -2.5);
  CHECK(list[2].text() == "x\xc3\xa9");
  CHECK(list[4].flag());
  CHECK(json.at("b").at("c").scalar_text() == "7");
  CHECK(list[1].scalar_text() == "-2.5");
  CHECK(list[4].scalar_text() == "true");
  CHECK(json.find("z") == nullptr);
  CHECK_THROWS_WITH_AS(json.at("z"), "the key \"z\" is missing", Error);
  CHECK_THROWS_WITH_AS(list[2].integer(), "expected an integer, found a text", Error);
}

TEST_CASE("JSON that cannot be trusted is refused with the byte where it ends") {
  CHECK_THROWS_WITH_AS(Json::parse(R"({"a":1,"a":2})", "t"), "t: the key 'a' occurs twice", Error);
  CHECK_THROWS_AS(Json::parse("[1] x", "t"), Error);
  CHECK_THROWS_AS(Json::parse("18446744073709551615", "t"), Error);
  CHECK_THROWS_AS(Json::parse("1e999", "t"), Error);
  CHECK_THROWS_AS(Json::parse(R"({"a":Infinity})", "t"), Error);
  CHECK_THROWS_AS(Json::parse("[1,]", "t"), Error);
  for (const char* text : {"", "[1,", "{\"a\"", "\"x", "tru"})
    CHECK_THROWS_WITH_AS(Json::parse(text, "t"), doctest::Contains("t: byte offset "), Error);
}
