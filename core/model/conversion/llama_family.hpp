// SPDX-License-Identifier: Apache-2.0

// What files of llama's family can say: which of its architectures a model is, how its rotation is
// scaled, and one sentence for what they cannot hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/conversion/tensor_stream.hpp"
#include "core/model/model.hpp"

namespace perdure {

// The items of an option that is a list: "1, 2.5" -> "1" and "2.5". Borrow from the text.
std::vector<std::string_view> list_items(std::string_view value);

enum class LlamaFamily { kLlama, kQwen2, kQwen3 };

// A model of llama's family on its way into a file. Borrows the model.
class LlamaExport {
 public:
  // `target`: what the file is, for messages ("a GGUF file"). Errors: Error, one sentence, for a
  // model of another architecture, with a memory, with scores that are computed otherwise.
  LlamaExport(const Model& model, std::string target);

  const Model& model() const { return model_; }
  const ModelSpec& spec() const { return model_.spec(); }
  LlamaFamily family() const { return family_; }
  bool tied() const { return model_.find("output.weight") == nullptr; }
  bool has(std::string_view name) const { return model_.find(name) != nullptr; }

  // The form of the rotation's scaling, empty if there is none; a parameter of it, F64 or a list of
  // F32; the window, 0 if there is none.
  std::string scaling() const;
  std::optional<double> parameter(const std::string& name) const;
  std::vector<float> parameters(const std::string& name) const;
  int64_t window() const;

  // The weights under the names of model.hpp, queries and keys in that order, norms of heads once,
  // in their own types or, where the target has no such type, as F32. `has_blocks`: whether the
  // target has GGUF's blocks. Errors: Error for a weight that llamas do not have, or norms that
  // differ from head to head.
  std::vector<StreamedTensor> tensors(RotationOrder order, bool has_blocks) const;

  // "TARGET cannot hold WHAT of the model".
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void check() const;
  LlamaFamily find_family() const;
  const ModelOption* option(const std::string& name) const;
  StreamedTensor tensor(const std::string& name, const Weight& weight, RotationOrder order,
                        bool has_blocks) const;
  void check_equal_heads(const std::string& name, const Weight& weight) const;

  const Model& model_;
  std::string target_;
  LlamaFamily family_ = LlamaFamily::kLlama;
};

// Errors: Error, one sentence, for a model that is none of llama's family.
void require_llama_family(const Model& model);

// Errors: Error, one sentence, unless `written`, which was read back, is what `source` is: sizes,
// numbers as F32, options of strategies.
void require_same_model(const ModelSpec& source, const ModelSpec& written,
                        const std::string& target);

}  // namespace perdure
