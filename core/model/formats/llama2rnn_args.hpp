// SPDX-License-Identifier: Apache-2.0

// The options of a llama2Rnn model: read from the JSON beside its weights, with the original's
// names and defaults.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/model/model.hpp"

namespace perdure {

class Llama2RnnArgs {
 public:
  // `json` is an object with an object "args" of scalars. Errors: Error with `path` and key.
  Llama2RnnArgs(std::string_view json, const std::string& path);

  // What the options say of the model. Errors: Error with path and key.
  ModelSpec spec() const;

  bool memory_attention(int64_t layer) const;
  bool lstm() const { return text("attention_type", "attention") == "LSTM"; }
  // Errors: Error if the option is not a boolean.
  bool flag(const std::string& name) const;

 private:
  [[noreturn]] void fail(const std::string& name, const std::string& what) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  // An integer of at least 1; `otherwise` 0 = the option must be there.
  int64_t size(const std::string& name, int64_t otherwise = 0) const;
  double positive_real(const std::string& name, double otherwise) const;
  int64_t hidden_size_of(int64_t dim) const;
  void check_sizes() const;

  std::string path_;
  std::map<std::string, std::string> values_;
};

}  // namespace perdure
