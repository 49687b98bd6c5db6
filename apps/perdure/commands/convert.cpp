// SPDX-License-Identifier: Apache-2.0

// perdure convert: a model in another format.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/conversion.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/dtype.hpp"
#include "core/base/letters.hpp"
#include "core/model/conversion/gguf_document.hpp"
#include "core/model/conversion/gguf_vocabulary_keys.hpp"
#include "core/model/conversion/llama2rnn_writer.hpp"
#include "core/model/conversion/llama_folder_writer.hpp"
#include "core/model/formats/llama2c_writer.hpp"
#include "core/model/formats/safetensors_model.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGroupSize = 64;  // of llama2.c's own exporter

// What is asked for.
struct Conversion {
  const Model& model;
  const Settings& settings;
  std::string out, type;
  int64_t version = -1;  // of llama2.c; -1: whatever fits
  bool force = false;
  std::vector<std::string> notes = {};
};

// False if a signal came.
using Write = bool (*)(Conversion& job, const KeepGoing& keep_going);

bool write_as_gguf(Conversion& job, const KeepGoing& keep_going) {
  GgufDocument document = gguf_document(job.model, job.settings.model.tokenizer);
  if (!job.type.empty()) set_types(document, parse_stored_type(job.type));
  job.notes = document.notes;
  return write_gguf(document, job.model, job.out, {.replace = job.force, .mode = 0666}, keep_going);
}

bool has_quantised(const Model& model) {
  return std::ranges::any_of(model.weights(),
                             [](const auto& entry) { return is_quantised(entry.second.dtype); });
}

// Of matrices in safetensors; nothing: as they are.
std::optional<perdure_dtype> safetensors_type(Conversion& job, const char* target) {
  if (job.type.empty()) {
    if (has_quantised(job.model))
      job.notes.push_back("quantised weights become f32: safetensors has no types for them");
    return std::nullopt;
  }
  const perdure_dtype dtype = parse_stored_type(job.type);
  if (is_quantised(dtype))
    throw UsageError(std::string(target) + " holds f32, f16 and bf16, not " + job.type);
  return dtype;
}

bool write_as_folder(Conversion& job, const KeepGoing& keep_going) {
  const LlamaFolderOptions options{.dtype = safetensors_type(job, "a Hugging Face folder"),
                                   .tokenizer = job.settings.model.tokenizer};
  return write_llama_folder(job.model, job.out, options, keep_going, job.notes);
}

bool write_as_safetensors(Conversion& job, const KeepGoing& keep_going) {
  const auto dtype = safetensors_type(job, "a safetensors file");
  return write_llama2rnn(job.model, job.out, dtype, {.replace = job.force, .mode = 0666},
                         keep_going);
}

bool holds_groups(const Model& model) {
  const Weight* embedding = model.find("token_embd.weight");
  return embedding != nullptr && embedding->dtype == PERDURE_Q80;
}

Llama2cKind llama2c_kind(const Conversion& job) {
  if (!job.type.empty() && job.type != "f32" && job.type != "q80")
    throw UsageError("llama2.c's files hold f32 and q80, not " + job.type);
  const bool has_memory = job.model.spec().info.mem_len > 0;
  const bool asks_for_f32 = job.type == "f32" || job.version == 0 || job.version == 1;
  if (has_memory && asks_for_f32)
    throw UsageError("llama2Rnn's .bin files with memory hold q80 only");
  if (has_memory) return Llama2cKind::kV2Mem;
  const bool groups = job.type == "q80" || job.version == 2 ||
                      (job.type.empty() && job.version < 0 && holds_groups(job.model));
  if (groups && asks_for_f32) throw UsageError("llama2.c's version 2 holds q80, 0 and 1 f32");
  if (groups) return Llama2cKind::kV2;
  return job.version == 1 ? Llama2cKind::kV1 : Llama2cKind::kV0;
}

bool write_as_llama2c(Conversion& job, const KeepGoing& keep_going) {
  const Llama2cKind kind = llama2c_kind(job);
  if (fs::path(job.settings.model.tokenizer).extension() == ".gguf" &&
      has_vocabulary(job.settings.model.tokenizer))
    job.notes.push_back(fmt::format("the vocabulary stays in {}: name it with model.tokenizer",
                                    job.settings.model.tokenizer));
  return write_llama2c(job.model, kind, kGroupSize, job.out, {.replace = job.force, .mode = 0666},
                       keep_going);
}

// ".xyz"; empty for a name like "llama-3.2-1b", which is a folder's.
std::string ending_of(const std::string& path) {
  std::string ending = fs::path(path).extension();
  return ending.size() > 1 && is_letter(ending[1]) ? ending : "";
}

// By --to, or else by what the name says.
Write writer_of(const std::string& to, const std::string& out) {
  if (to == "gguf") return write_as_gguf;
  if (to == "huggingface") return write_as_folder;
  if (to == "llama2c") return write_as_llama2c;
  if (to == "safetensors") return write_as_safetensors;
  if (!to.empty())
    throw UsageError("'" + to +
                     "' is not a format that can be written; gguf, huggingface, llama2c and "
                     "safetensors are");
  const std::string ending = ending_of(out);
  if (ending == ".gguf") return write_as_gguf;
  if (ending == ".bin") return write_as_llama2c;
  if (ending == ".safetensors") return write_as_safetensors;
  if (!ending.empty())
    throw UsageError(
        fmt::format("{}: no format is written under names that end in {}, only .gguf, .bin and "
                    ".safetensors; for a folder of Hugging Face of that name add --to huggingface",
                    out, ending));
  return write_as_folder;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  std::vector<std::string> words;
  std::string to, type;
  int64_t version = -1;
  bool force = false;
  CommandLine line(
      "convert MODEL OUT [--to FORMAT] [--type TYPE] [--version N] [--force]",
      "Writes a model in another format: OUT.gguf, OUT.bin (llama2.c), OUT.safetensors with "
      "OUT.json\n(llama2Rnn), or a folder of Hugging Face. Weights keep their type where the "
      "format has it.");
  line.add("to", &to, "gguf, huggingface, llama2c or safetensors, whatever OUT is called", "FORMAT")
      .add("type", &type, "f32, f16, bf16, q8_0, ... (GGUF), q80 (llama2.c)", "TYPE")
      .add("version", &version, "of llama2.c's file: 0 and 1 hold f32, 2 holds q80")
      .add_flag("force", &force, "replace the file if it exists")
      .add_model_word()
      .add_words("out", &words, 1);
  if (!line.parse(arguments)) return 0;
  if (words.empty()) throw UsageError("convert needs a model and the file or folder to write");
  const std::string& out = words.front();
  const Write write = writer_of(to, out);
  if (line.given("version") && (write != write_as_llama2c || version < 0 || version > 2))
    throw UsageError("--version is 0, 1 or 2, for llama2.c's files");
  const Settings settings = line.model_settings();
  const Model model = Model::open(settings.model.path);
  const std::vector<std::string> inputs = files_read(model, settings);
  require_output(out, force, inputs);
  if (write == write_as_safetensors) require_output(safetensors_options_path(out), force, inputs);
  Conversion job{model, settings, out, in_lower_case(type), version, force};
  catch_ending_signals();
  ConversionProgress progress(model, out, line.quiet());
  if (!write(job, progress.keep_going())) progress.fail_interrupted();
  note_result(model, settings.model.path, out, job.notes, line.quiet());
  return 0;
}

}  // namespace perdure::app
