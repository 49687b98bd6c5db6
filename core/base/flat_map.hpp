// SPDX-License-Identifier: Apache-2.0

// A hash table without a node per entry, for tables that are filled once and asked in hot loops.
#pragma once

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

namespace perdure {

// Open addressing, at most two thirds full; nothing is ever removed. Requires: Value() has a member
// `id` of -1, which marks a free slot; `Hash()(key)` has its entropy in the low bits. Once all is
// added any thread may ask.
template <class Key, class Value, class Hash>
class FlatMap {
 public:
  void reserve(size_t n_keys) {
    const size_t wanted = std::bit_ceil(n_keys + n_keys / 2 + 1);
    if (wanted > slots_.size()) rehash(wanted);
  }

  // Of equal keys the first counts; whether this is the first. Requires: value.id >= 0.
  bool add(const Key& key, const Value& value) {
    reserve(n_keys_ + 1);
    Slot& slot = slots_[place(key)];
    if (slot.value.id >= 0) return false;
    slot = {key, value};
    ++n_keys_;
    return true;
  }

  // Value() if there is none.
  Value find(const Key& key) const { return slots_[place(key)].value; }

 private:
  struct Slot {
    Key key{};
    Value value{};
  };

  // The slot of the key, or the free one that it would take.
  size_t place(const Key& key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = static_cast<size_t>(Hash()(key)) & mask;
    while (slots_[at].value.id >= 0 && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  void rehash(size_t n_slots) {
    const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(n_slots));
    for (const Slot& slot : before)
      if (slot.value.id >= 0) slots_[place(slot.key)] = slot;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1);  // a power of two, one free at least
  size_t n_keys_ = 0;
};

}  // namespace perdure
