// SPDX-License-Identifier: Apache-2.0

// A golden set on disk (tests/golden/llama2rnn/README.md): its cases, their tensors, and the noise
// figures of q80. Only reading; what is compared with what is the runners' business.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json/json.hpp"

namespace perdure::golden {

// A dense tensor of a golden.safetensors file; one of the two vectors is filled.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> reals;       // F32
  std::vector<int32_t> integers;  // I32, U8
};

// How far logits of q80 weights move when the activations are not quantised.
struct Noise {
  double max_abs = 0, mean_abs = 0;
};

struct Case {
  std::string name, kind;
  std::string folder;  // absolute or relative to the working directory, without a slash at its end
  Json json;           // case.json
  std::map<std::string, Tensor> tensors;

  // Errors: Error naming the tensor and the case.
  const Tensor& tensor(const std::string& tensor_name) const;
  bool has(const std::string& tensor_name) const { return tensors.contains(tensor_name); }
  // Contents of a file of the case's folder. Errors: Error naming the path.
  std::string file(const std::string& file_name) const;
};

class Set {
 public:
  // Reads index.json and reference_noise.json. Errors: Error naming the path.
  explicit Set(std::string folder);

  // Names, in the order of the index.
  const std::vector<std::string>& names() const { return names_; }
  // Errors: Error naming the path.
  Case load(const std::string& name) const;
  // The path of a file that a case names relative to the set.
  std::string path(const std::string& relative) const { return folder_ + "/" + relative; }
  // The noise of a case, or, for cases without a figure of their own, the largest of cases on the
  // same model.
  std::optional<Noise> noise(const std::string& case_name, const std::string& model) const;

 private:
  std::string folder_;
  std::vector<std::string> names_;
  std::map<std::string, Noise> noise_;
  std::map<std::string, Noise> noise_of_model_;
};

// The tensors of a golden.safetensors file. Errors: Error naming the path and the tensor.
std::map<std::string, Tensor> read_tensors(const std::string& path);

// The whole file. Errors: Error naming the path.
std::string read_file(const std::string& path);

}  // namespace perdure::golden
