// SPDX-License-Identifier: Apache-2.0

// Breadth first over the sorted strings, so that a node's children are neighbours and no edge needs
// a pointer.
#include "core/model/tokenizers/byte_trie.hpp"

#include <algorithm>

namespace perdure {

ByteTrie::ByteTrie(std::span<const std::pair<std::string_view, int32_t>> strings) {
  // A node's strings are those of a range, which share its first `depth` bytes.
  struct Range {
    size_t first, end, depth;
  };
  std::vector<Range> ranges{{0, strings.size(), 0}};
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [at, end, depth] = ranges[node];
    if (at < end && strings[at].first.size() == depth) nodes_[node].id = strings[at++].second;
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (at < end) {
      const char byte = strings[at].first[depth];
      const size_t first = at;
      while (at < end && strings[at].first[depth] == byte) ++at;
      ranges.push_back({first, at, depth + 1});
      nodes_.emplace_back();
      edges_.push_back(static_cast<unsigned char>(byte));
      ++nodes_[node].n_children;
    }
  }
}

uint32_t ByteTrie::child(uint32_t node, char byte) const {
  const Node& parent = nodes_[node];
  const unsigned char* begin = edges_.data() + parent.first_child;
  const unsigned char* end = begin + parent.n_children;
  const auto wanted = static_cast<unsigned char>(byte);
  const unsigned char* at = std::lower_bound(begin, end, wanted);
  return at != end && *at == wanted ? static_cast<uint32_t>(at - edges_.data()) : kRoot;
}

std::pair<int32_t, size_t> ByteTrie::longest(std::string_view text) const {
  std::pair<int32_t, size_t> longest{-1, 0};
  uint32_t node = kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = child(node, text[i]);
    if (node == kRoot) break;
    if (id(node) >= 0) longest = {id(node), i + 1};
  }
  return longest;
}

}  // namespace perdure
