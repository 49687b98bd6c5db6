// SPDX-License-Identifier: Apache-2.0

// perdure logits: what the model expects after every one of given tokens.
#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "core/base/json/json_write.hpp"
#include "core/engine/engine.hpp"
#include "core/model/formats/safetensors.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

// Writes rows as they come: memory does not grow with their number.
void write_logits(Engine& engine, std::span<const int32_t> tokens, size_t n_rows,
                  const std::string& path, bool replace, bool quiet) {
  SafetensorsWriter writer(
      path, {{"logits", "F32", {static_cast<int64_t>(n_rows), engine.spec().info.vocab_size}}},
      {.replace = replace, .mode = 0666});
  Session session = engine.new_session();
  Progress progress("reading", static_cast<int64_t>(tokens.size()), quiet);
  const auto sink = [&](size_t, size_t, std::span<const float> logits) {
    writer.write(std::as_bytes(logits));
  };
  const auto keep_going = [&] {
    progress.update(session.position());
    return !interrupted();
  };
  const size_t first_row = tokens.size() - n_rows;
  const Feed before[] = {{&session, tokens.first(first_row), Feed::Logits::kNone}};
  const Feed rows[] = {{&session, tokens.subspan(first_row), Feed::Logits::kAll}};
  engine.feed(before, sink, keep_going);
  engine.feed(rows, sink, keep_going);
  if (interrupted())
    throw Interrupted(fmt::format("stopped by {} after {} of {} tokens; {} was not written",
                                  interrupt_name(), session.position(), tokens.size(), path));
  writer.close();
}

}  // namespace

int run_logits(const Arguments& arguments) {
  std::string tokens_path, out;
  int64_t tail = 0;
  bool force = false;
  CommandLine line("logits [MODEL] --tokens FILE [--tail N] --out FILE.safetensors [--force]",
                   "Reads token ids and writes the logits after each of them: F32 `logits` "
                   "[tokens, vocabulary].");
  line.add("tokens", &tokens_path,
           "token ids in decimal, separated by white space; - is standard input", "FILE")
      .add("tail", &tail, "write only the logits after the last N tokens (all)")
      .add("out", &out, "the file to write", "FILE")
      .add_flag("force", &force, "replace the file if it exists")
      .add_json()
      .add_model_word();
  if (!line.parse(arguments)) return 0;
  if (tokens_path.empty() || out.empty())
    throw UsageError("logits needs --tokens FILE and --out FILE");
  if (line.given("tail")) require_at_least("--tail", tail, 1);
  Engine engine(line.model_settings(), linked_plugins());
  std::vector<std::string> inputs = files_read(engine.model(), engine.settings());
  inputs.insert(inputs.end(), {tokens_path, line.config()});
  require_output(out, force, inputs);
  const std::vector<int32_t> tokens =
      parse_tokens(read_token_text(tokens_path), engine.spec().info.vocab_size, tokens_path);
  if (tokens.empty()) throw Error(tokens_path + " holds no token ids");
  const size_t n_rows =
      tail == 0 ? tokens.size() : std::min(tokens.size(), static_cast<size_t>(tail));
  catch_ending_signals();
  write_logits(engine, tokens, n_rows, out, force, line.quiet());
  if (line.json())
    print(json_text(
              object({member("file", out), member("tokens", tokens.size()), member("rows", n_rows),
                      member("vocab_size", engine.spec().info.vocab_size)})) +
          "\n");
  note(fmt::format("wrote {} x {} logits to {}", n_rows, engine.spec().info.vocab_size, out),
       line.quiet());
  return 0;
}

}  // namespace perdure::app
