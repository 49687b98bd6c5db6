// SPDX-License-Identifier: Apache-2.0

// Text from outside: what is dropped, what is kept, what is refused.
#include <doctest/doctest.h>

#include "core/api/error.hpp"
#include "core/base/outside_text.hpp"

using namespace perdure;

namespace {

OutsideText lf(const std::string& bytes) { return normalise_text(bytes, "a.txt", LineEnds::kLf); }

}  // namespace

TEST_CASE("byte order marks go, CR LF becomes LF, and it says so") {
  CHECK(lf("\xef\xbb\xbf"
           "a\r\nb\r\n")
            .text == "a\nb\n");
  CHECK(lf("\xef\xbb\xbf"
           "a\r\n")
            .changes() == "dropped a byte order mark and read CR LF line ends as LF");
  CHECK(lf("a\r\n").changes() == "read CR LF line ends as LF");
  CHECK(lf("\xef\xbb\xbf").changes() == "dropped a byte order mark");
  CHECK(lf("\xef\xbb\xbf").text.empty());
}

TEST_CASE("what is no line end of Windows stays") {
  for (const char* text : {"", "a\n", "a\rb", "a\r", "\r\r", "a\xef\xbb\xbf"}) {
    CHECK(lf(text).text == text);
    CHECK(lf(text).changes().empty());
  }
  CHECK(lf("a\r\r\n").text == "a\r\n");
  CHECK(normalise_text("a\r\n", "t", LineEnds::kKeep).text == "a\r\n");
}

TEST_CASE("UTF-32 is refused by name and not taken for UTF-16") {
  const std::string sentence =
      "a.txt is UTF-32 text; convert it to UTF-8, for example with iconv -f UTF-32";
  for (const std::string& bytes :
       {std::string("\xff\xfe\0\0a\0\0\0", 8), std::string("\0\0\xfe\xff", 4),
        std::string("a\0\0\0\xac\x20\0\0", 8), std::string("\0\0\0a\0\0\x20\xac", 8),
        std::string("\x42\xf6\x01\0a\0\0\0", 8)})
    CHECK_THROWS_WITH_AS(lf(bytes), sentence.c_str(), Error);
  for (const std::string& bytes : {std::string("abc\0abc\0", 8), std::string(8, '\0')})
    CHECK(lf(bytes).text == bytes);
}

TEST_CASE("UTF-16 is refused by name, with and without a mark, and nothing else is") {
  const std::string sentence =
      "a.txt is UTF-16 text; convert it to UTF-8, for example with iconv -f UTF-16";
  for (const std::string& bytes : {std::string("\xff\xfe"), std::string("\xfe\xff\0a", 4),
                                   std::string("a\0b\0", 4), std::string("\0a\0b\0c", 6)})
    CHECK_THROWS_WITH_AS(lf(bytes), sentence.c_str(), Error);
  for (const std::string& bytes : {std::string("a\0", 2), std::string("\0\0\0\0", 4),
                                   std::string("abcdefgh\0", 9), std::string("\xff\xff")})
    CHECK(lf(bytes).text == bytes);
}
