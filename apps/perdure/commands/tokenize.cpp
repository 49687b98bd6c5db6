// SPDX-License-Identifier: Apache-2.0

// perdure tokenize and detokenize: text to token ids and back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/text_reader.hpp"
#include "core/base/json/json_write.hpp"
#include "core/model/model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::app {
namespace {

// The tokenizer alone, without compiling anything. The model says how large the vocabulary is.
std::unique_ptr<const Tokenizer> configured_tokenizer(const Settings& settings) {
  if (settings.model.path.empty() || settings.model.tokenizer.empty())
    throw UsageError(
        "a model and its tokenizer are needed; name the model with -m, or write model.path and "
        "model.tokenizer in the configuration (-c)");
  return open_tokenizer(settings.model.tokenizer, Model::open(settings.model.path).spec().info);
}

// The words given, or else the file, or else standard input.
struct Input {
  std::vector<std::string> words;
  std::string file;

  std::string name() const {
    return !words.empty() ? "the command line" : file.empty() ? "standard input" : file;
  }
  std::string bytes() const {
    if (!words.empty() && !file.empty())
      throw UsageError("give the text itself or a file with -f, not both");
    return words.empty() ? read_file(file.empty() ? "-" : file)
                         : fmt::format("{}", fmt::join(words, " "));
  }
};

}  // namespace

int run_tokenize(const Arguments& arguments) {
  Input input;
  bool bos = false, eos = false;
  CommandLine line("tokenize [TEXT] [-f FILE] [--bos] [--eos]",
                   "Prints the token ids of a text in decimal. Reads standard input if no text or "
                   "file is given.");
  line.add("file,f", &input.file, "read the text from a file", "FILE")
      .add_flag("bos", &bos, "put BOS first")
      .add_flag("eos", &eos, "put EOS last")
      .add_json()
      .add_words("text", &input.words, 1);
  if (!line.parse(arguments)) return 0;
  const Settings settings = line.settings();
  const auto tokenizer = configured_tokenizer(settings);
  const std::string text = TextReader(settings, line.quiet()).take(input.bytes(), input.name());
  const std::vector<int32_t> ids = tokenizer->encode(text, bos, eos);
  print(line.json() ? json_text(json(ids)) : fmt::format("{}", fmt::join(ids, " ")));
  print("\n");
  return 0;
}

int run_detokenize(const Arguments& arguments) {
  Input input;
  CommandLine line(
      "detokenize [ID ...] [-f FILE]",
      "Prints the text of token ids, and nothing for BOS and EOS. Reads standard input "
      "if no ids or file are given.");
  line.add("file,f", &input.file, "read the ids from a file", "FILE")
      .add_json()
      .add_words("ids", &input.words, -1);
  if (!line.parse(arguments)) return 0;
  const auto tokenizer = configured_tokenizer(line.settings());
  const std::string ids =
      TextReader(LineEnds::kKeep, line.quiet()).take(input.bytes(), input.name());
  int32_t previous = tokenizer->bos_id();
  Utf8Stream characters;
  std::string text;
  const auto show_text = [&](std::string_view piece) {
    if (line.json())
      text += piece;
    else
      print(piece);
  };
  for (const int32_t id : parse_tokens(ids, tokenizer->vocab_size(), input.name())) {
    if (!tokenizer->is_special(id)) show_text(characters.push(tokenizer->decode(previous, id)));
    previous = id;
  }
  show_text(characters.flush());
  if (line.json()) print(json_text(json(text)) + "\n");
  return 0;
}

}  // namespace perdure::app
