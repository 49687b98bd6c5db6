// SPDX-License-Identifier: Apache-2.0

// perdure quantize: a model as GGUF with weights of another type.
#include <fmt/format.h>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/conversion.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/dtype.hpp"
#include "core/model/conversion/gguf_document.hpp"

namespace perdure::app {
namespace {

// Quantising what is quantised already loses more than once.
void note_second_loss(GgufDocument& document, const Model& model) {
  for (const auto& [name, weight] : model.weights()) {
    if (!is_quantised(weight.dtype)) continue;
    document.notes.push_back(fmt::format(
        "the model is quantised already ('{}' is {}); quantising its original loses less", name,
        dtype_name(weight.dtype)));
    return;
  }
}

// Under another name it would be taken for another format.
void require_gguf_name(const std::string& out) {
  if (!out.ends_with(".gguf"))
    throw UsageError(out + ": quantize writes GGUF files; choose a name that ends in .gguf");
}

}  // namespace

int run_quantize(const Arguments& arguments) {
  std::vector<std::string> out;
  std::string type;
  bool force = false;
  CommandLine line("quantize MODEL OUT.gguf --type TYPE [--force]",
                   "Writes a model as GGUF with its matrices in another type, bit for bit as "
                   "llama.cpp does without importances.\nVectors stay F32; keys and vocabulary "
                   "are kept.");
  line.add("type", &type, "q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k, f16, bf16 or f32",
           "TYPE")
      .add_flag("force", &force, "replace the file if it exists")
      .add_model_word()
      .add_words("out", &out, 1);
  if (!line.parse(arguments)) return 0;
  if (out.empty() || type.empty())
    throw UsageError("quantize needs a model, the file to write and --type TYPE");
  require_gguf_name(out.front());
  const perdure_dtype dtype = parse_stored_type(type);
  const Settings settings = line.model_settings();
  const Model model = Model::open(settings.model.path);
  require_output(out.front(), force, files_read(model, settings));
  GgufDocument document = gguf_document(model, settings.model.tokenizer);
  set_types(document, dtype);
  if (is_quantised(dtype)) note_second_loss(document, model);
  catch_ending_signals();
  ConversionProgress progress(model, out.front(), line.quiet());
  if (!write_gguf(document, model, out.front(), {.replace = force, .mode = 0666},
                  progress.keep_going()))
    progress.fail_interrupted();
  note_result(model, settings.model.path, out.front(), document.notes, line.quiet());
  return 0;
}

}  // namespace perdure::app
