// SPDX-License-Identifier: Apache-2.0

// Byte strings and their ids as a tree, one step per byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace perdure {

// Immutable; any thread.
class ByteTrie {
 public:
  static constexpr uint32_t kRoot = 0;

  ByteTrie() = default;
  // Requires: sorted by the strings, each there once and not empty. Nothing of them is kept.
  explicit ByteTrie(std::span<const std::pair<std::string_view, int32_t>> strings);

  // The node that a byte leads to; kRoot, which no byte leads to, if there is none.
  uint32_t child(uint32_t node, char byte) const;
  // The id and the size of the longest string that `text` begins with; -1 and 0: none.
  std::pair<int32_t, size_t> longest(std::string_view text) const;
  // Of the string that ends at the node; -1: none.
  int32_t id(uint32_t node) const { return nodes_[node].id; }

 private:
  // Children of a node lie side by side, in the order of their bytes.
  struct Node {
    int32_t id = -1;
    uint32_t first_child = 0;
    uint32_t n_children = 0;
  };

  std::vector<Node> nodes_{Node{}};
  std::vector<unsigned char> edges_{0};  // the byte that leads to each node
};

}  // namespace perdure
