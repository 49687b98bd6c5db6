// SPDX-License-Identifier: Apache-2.0

// What the golden cases of CEPE have in common: their texts and contexts without padding, and the
// rows of their tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/perdure_golden/folder_case.hpp"

namespace perdure::golden {

using Tokens = std::vector<int32_t>;

// The inner rows of a tensor [.., n], as many as `n_rows`, from row `first` on.
template <class T>
std::span<const T> rows_of(const std::vector<T>& values, size_t n, size_t first, size_t n_rows) {
  return std::span(values).subspan(first * n, n_rows * n);
}

// Those of `tokens` whose mask is set; all if there is none.
Tokens unmasked(std::span<const int32_t> tokens, std::span<const int32_t> mask);

// Logits of the tokens that `which` asks for, [rows, vocab_size], read by one call.
std::vector<float> all_logits(Engine& engine, Session& session, std::span<const int32_t> tokens,
                              Feed::Logits which = Feed::Logits::kAll);

// The texts and contexts of a case, which must outlive this. Errors: Error for a tensor that is
// missing.
class Texts {
 public:
  explicit Texts(const Case& golden);

  size_t count() const { return n_texts_; }
  size_t length() const { return length_; }  // of every text, padding included
  size_t chunk() const { return chunk_; }    // of every chunk, padding included

  // The tokens of a text, `mask` naming a tensor of the case that need not be there.
  Tokens text(size_t number, const std::string& mask = {}) const;
  // Padding in front of it.
  size_t padding(size_t number, const std::string& mask) const {
    return length_ - text(number, mask).size();
  }

  // The chunks of its contexts that are not all padding, each with `query` behind it.
  std::vector<Tokens> chunks(size_t number, const std::string& mask, const Tokens& query) const;

 private:
  size_t size(const std::string& tensor, size_t axis) const;
  std::span<const int32_t> rows(const std::string& tensor, size_t n, size_t number) const;

  const Case& golden_;
  size_t n_texts_, length_, n_chunks_, chunk_;
};

}  // namespace perdure::golden
