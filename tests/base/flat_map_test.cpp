// SPDX-License-Identifier: Apache-2.0

#include "core/base/flat_map.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <random>

using namespace perdure;

namespace {

struct Id {
  int32_t id = -1;
};
// Few values, so that keys meet in a slot.
struct WeakHash {
  uint64_t operator()(uint64_t key) const { return key % 5; }
};

}  // namespace

TEST_CASE("a flat map finds what was added first and nothing else, however its hashes meet") {
  FlatMap<uint64_t, Id, WeakHash> flat;
  CHECK(flat.find(0).id == -1);
  std::map<uint64_t, int32_t> wanted;
  std::mt19937 random(1);
  for (int32_t id = 0; id < 2000; ++id) {
    const uint64_t key = random() % 1000;
    CHECK(flat.add(key, {id}) == wanted.emplace(key, id).second);
  }
  for (uint64_t key = 0; key < 1100; ++key) {
    const auto found = wanted.find(key);
    REQUIRE(flat.find(key).id == (found == wanted.end() ? -1 : found->second));
  }
}
