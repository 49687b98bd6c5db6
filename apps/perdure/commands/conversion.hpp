// SPDX-License-Identifier: Apache-2.0

// What `perdure convert` and `perdure quantize` share: a model that is read, a file that is
// written, and what a person sees of it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "apps/perdure/terminal/progress.hpp"
#include "core/model/conversion/tensor_stream.hpp"
#include "core/model/model.hpp"

namespace perdure::app {

// Bytes of weights that have been converted, as a bar on a terminal, and the end that a signal
// asks for.
class ConversionProgress {
 public:
  ConversionProgress(const Model& model, std::string out, bool quiet);

  // For the writers: false if a signal came.
  KeepGoing keep_going();
  // Errors: Interrupted, saying that the file was not written.
  [[noreturn]] void fail_interrupted() const;
  // "1.2 GB of 2.4 GB".
  std::string counts() const;

 private:
  std::string out_;
  int64_t done_ = 0, total_ = 0;
  ProgressBar bar_;
};

// The notes of a conversion and "wrote OUT (1.1 MB) from MODEL (GGUF, 3.9 MB), ...", unless
// `quiet`.
void note_result(const Model& model, const std::string& model_path, const std::string& out,
                 const std::vector<std::string>& notes, bool quiet);

}  // namespace perdure::app
