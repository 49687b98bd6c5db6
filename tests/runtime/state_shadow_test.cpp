// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/state_shadow.hpp"

#include <doctest/doctest.h>

using namespace perdure;

namespace {

// State 0 of a session: `n_rows` physical rows, of which all from `ring_first` on are a ring.
perdure_state_view view_of(int64_t n_rows, int64_t ring_first = 0, bool ring = false) {
  perdure_state_view view{};
  view.row_bytes = 4;
  view.n_rows = n_rows;
  view.ring_first = ring_first;
  view.ring_rows = ring ? n_rows - ring_first : 0;
  return view;
}

}  // namespace

TEST_CASE("rows that were written may be read by the row that wrote them and by later ones") {
  StateShadow shadow({0});
  const auto view = view_of(8);
  for (int64_t p = 0; p < 4; ++p) CHECK_FALSE(shadow.write(0, view, p, p, 1));
  CHECK_FALSE(shadow.check_read(0, view, 0, 4, 3));
  CHECK_FALSE(shadow.check_read(0, view, 0, 3, 2));
  CHECK_FALSE(shadow.check_read(0, view, 2, 2, 0));
}

TEST_CASE("a row that reads what a later one wrote is said to look ahead") {
  StateShadow shadow({0});
  const auto view = view_of(8);
  for (int64_t p = 0; p < 4; ++p) CHECK_FALSE(shadow.write(0, view, p, p, 1));
  const auto fault = shadow.check_read(0, view, 0, 4, 2);
  REQUIRE(fault);
  CHECK(*fault == "looks ahead: it reads row 3, which belongs to position 3");
  CHECK_FALSE(shadow.check_read(0, view, 0, 4, INT64_MAX));
}

TEST_CASE("rows outside a state, before its start or never written are named") {
  StateShadow shadow({0});
  const auto view = view_of(4);
  CHECK_FALSE(shadow.write(0, view, 0, 0, 1));
  CHECK(shadow.check_read(0, view, 0, 2, 5) == "reads row 1, which was never written");
  CHECK(shadow.check_read(0, view, -1, 1, 5) == "reads rows -1 to 1, which is no range");
  CHECK(shadow.check_read(0, view, 3, 1, 5) == "reads rows 3 to 1, which is no range");
  CHECK(shadow.check_read(0, view, 4, 5, 5) == "reads row 4, but the state has 4");
  CHECK(shadow.write(0, view, -3, 0, 1) == "writes row -3");
  CHECK(shadow.write(0, view, 4, 0, 1) == "writes row 4, but the state has 4");
}

TEST_CASE("a row that the ring has lost may not be read") {
  StateShadow shadow({0});
  const auto view = view_of(6, 2, true);  // 2 sinks and a ring of 4
  for (int64_t p = 0; p < 8; ++p)
    CHECK_FALSE(shadow.write(0, view, p, p, static_cast<uint64_t>(p)));
  CHECK_FALSE(shadow.check_read(0, view, 0, 2, 7));
  CHECK_FALSE(shadow.check_read(0, view, 4, 8, 7));
  CHECK(shadow.check_read(0, view, 3, 8, 7) ==
        "reads row 3, but the ring holds row 7 in its place");
}

TEST_CASE("two rows of one step may not write the same row, two steps may") {
  StateShadow shadow({StateShadow::kAll});
  const auto view = view_of(4);
  CHECK_FALSE(shadow.write(0, view, 1, 0, 1));
  CHECK(shadow.write(0, view, 1, 1, 1));
  CHECK_FALSE(shadow.write(0, view, 1, 2, 2));
}

TEST_CASE("state that was restored counts as written, until it is overwritten") {
  StateShadow shadow({0, StateShadow::kAll});
  const auto view = view_of(8);
  CHECK_FALSE(shadow.check_read(1, view, 0, 8, 0));
  CHECK(shadow.check_read(0, view, 0, 8, 0));
  shadow.trust(0, 8);
  CHECK_FALSE(shadow.check_read(0, view, 0, 8, 0));
  CHECK_FALSE(shadow.write(0, view, 5, 9, 3));
  CHECK(shadow.check_read(0, view, 0, 8, 8));
}

TEST_CASE("of a restored ring only the rows that it still holds may be read") {
  StateShadow shadow({0});
  const auto view = view_of(6, 2, true);
  shadow.trust(0, 10);
  CHECK_FALSE(shadow.check_read(0, view, 0, 2, 10));
  CHECK_FALSE(shadow.check_read(0, view, 6, 10, 10));
  CHECK(shadow.check_read(0, view, 5, 10, 10) == "reads row 5, which the ring has lost");
  CHECK(shadow.check_read(0, view, 6, 11, 10) == "reads row 10, which was never written");
}
