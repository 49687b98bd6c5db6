// SPDX-License-Identifier: Apache-2.0

#include "core/base/shown_name.hpp"

#include <doctest/doctest.h>

#include "core/base/escape.hpp"

namespace perdure {

TEST_CASE("a name is shown on one line, with the codes that texts are shown with") {
  CHECK(shown_name("blk.0\n\x1b[2J\tä") == "blk.0\\x0a\\x1b[2J\\x09ä");
  CHECK(shown_name("\x9b\u202e") == escaped("\x9b\u202e"));
  CHECK(shown_name("") == "");
}

TEST_CASE("a long name is cut after a whole character") {
  const std::string longest(80, 'a');
  CHECK(shown_name(longest) == longest);
  CHECK(shown_name(longest + "b") == longest + "...");
  CHECK(shown_name(std::string(79, 'a') + "äb") == std::string(79, 'a') + "...");
  CHECK(shown_name(std::string(78, 'a') + "äb") == std::string(78, 'a') + "ä...");
}

}  // namespace perdure
