// SPDX-License-Identifier: Apache-2.0

// What a file says of its model beside the weights, under Hugging Face's names of config.json
// ("hidden_size", "rope_theta"), whatever the format calls them. Readers of formats fill it,
// architectures read it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace perdure {

class Metadata {
 public:
  // Far above any model; bounds the bookkeeping per layer that a small malicious file could ask
  // for.
  static constexpr int64_t kMostLayers = 4096;

  using Value = std::variant<int64_t, double, std::string, std::vector<int64_t>>;

  // `where` stands in messages: the path of the file. `sizes`: what is set at first.
  explicit Metadata(std::string where,
                    std::initializer_list<std::pair<const char*, int64_t>> sizes = {})
      : where_(std::move(where)), values_(sizes.begin(), sizes.end()) {}

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }

  // A whole number of at least 1. Errors: Error with place and name if it is missing or another.
  int64_t size(std::string_view name) const;
  // The same, or `otherwise` if it is not given.
  int64_t size(std::string_view name, int64_t otherwise) const;
  // "num_hidden_layers". Errors: as size; Error if it is more than kMostLayers.
  int64_t n_layers() const;
  // A finite number above 0, or `otherwise` if it is not given. Errors: as size.
  double positive_real(std::string_view name, double otherwise) const;
  // A text, or `otherwise` if it is not given. Errors: as size.
  std::string text(std::string_view name, std::string_view otherwise) const;
  // Token ids: one, several, or none if they are not given. Errors: as size.
  std::vector<int32_t> ids(std::string_view name) const;

  [[noreturn]] void fail(std::string_view name, const std::string& what) const;

 private:
  const Value* find(std::string_view name) const;

  std::string where_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace perdure
