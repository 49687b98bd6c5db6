// SPDX-License-Identifier: Apache-2.0

// A model as a GGUF file holds it: keys and tensors, ready to be written in other types.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/base/mapped_file.hpp"
#include "core/model/conversion/tensor_stream.hpp"
#include "core/model/formats/gguf_writer.hpp"

namespace perdure {

// Borrows the model that it was made of.
struct GgufDocument {
  GgufKeys keys;
  // What the keys say of the tokens before and behind a text; the vocabulary has the word.
  int32_t bos_id = -1;
  std::vector<int32_t> eos_ids = {};
  std::vector<StreamedTensor> tensors;
  std::vector<std::string> notes;             // sentences for people
  std::deque<std::vector<float>> owned = {};  // values of tensors that the model does not have
};

// Of a model that lies in GGUF files everything as it is there, in one file; of another one of
// llama's family what llama.cpp would write. `tokenizer`: the file of its vocabulary, empty if none
// is known; one that GGUF cannot hold is left out with a note.
// Errors: Error, one sentence, naming what GGUF cannot hold.
GgufDocument gguf_document(const Model& model, const std::string& tokenizer);

// Gives the document's matrices another type. Vectors become F32; small matrices that ggml never
// quantises, and rows that are not a whole number of blocks, stay what they are; the latter with a
// note. Requires: a type of encode_row.
void set_types(GgufDocument& document, perdure_dtype dtype);

// "q4_k" or "Q4_K" -> PERDURE_Q4_K, for all types that can be written. Errors: UsageError that
// lists them, or names the one that a mixture of llama.cpp's ("q4_k_m") is made of.
perdure_dtype parse_stored_type(const std::string& name);

// Writes the file under a name of its own beside `path`, reads it back and as a model, and puts it
// in its place. False if `keep_going` asked to stop: then nothing is left.
// Errors: Error naming the path or the tensor; what was at the path before stays.
bool write_gguf(const GgufDocument& document, const Model& model, const std::string& path,
                FileRules rules, const KeepGoing& keep_going);

}  // namespace perdure
