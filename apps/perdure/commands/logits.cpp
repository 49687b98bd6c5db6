// SPDX-License-Identifier: Apache-2.0

// perdure logits: what the model expects after every one of given tokens.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/perdure/chat/contexts.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "apps/perdure/text_reader.hpp"
#include "core/base/json/json_write.hpp"
#include "core/engine/engine.hpp"
#include "core/model/formats/safetensors.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

struct Request {
  std::string tokens_path, out;
  std::vector<std::string> contexts;
  int64_t tail = 0;
  bool window = false, force = false, quiet = false;
};

// attention.contexts are texts; files of --context hold token ids, as that of --tokens. False if a
// signal stopped it.
bool read_all_contexts(Engine& engine, Session& session, const Request& request,
                       std::span<const int32_t> tokens) {
  const bool whole =
      read_contexts(engine, session, engine.settings().attention.contexts, tokens, request.quiet);
  if (request.contexts.empty() || !whole) return whole;
  Contexts contexts(engine, session, tokens);
  TextReader reader(LineEnds::kKeep, request.quiet);
  const int64_t vocab_size = context_stream(engine).vocab_size;
  for (const std::string& path : request.contexts) {
    const std::string text = reader.read(path);
    const std::vector<int32_t> ids = parse_tokens(text, vocab_size, path);
    if (!contexts.read(path, text, ids, request.quiet)) return false;
  }
  return true;
}

// Errors: Error if the model was written to meanwhile and therefore computes what is no number;
// else as require_finite.
void require_sound(const Engine& engine, std::span<const float> logits, int32_t token,
                   size_t place) {
  try {
    require_finite(logits, token, static_cast<int64_t>(place));
  } catch (const NotFiniteError&) {
    engine.model().require_unchanged();
    throw;
  }
}

// Writes rows as they come: memory does not grow with their number. Errors: besides those of engine
// and file, as require_sound; the file is then as it was.
void write_logits(Engine& engine, const Request& request, std::span<const int32_t> tokens,
                  size_t n_rows) {
  const int64_t width = engine.spec().info.vocab_size;
  SafetensorsWriter writer(request.out, {{"logits", "F32", {static_cast<int64_t>(n_rows), width}}},
                           {.replace = request.force, .mode = 0666});
  Session session = engine.new_session();
  const size_t first_row = tokens.size() - n_rows;
  const auto sink = [&](size_t, size_t row, std::span<const float> logits) {
    const size_t place = request.window ? row : first_row + row;
    if (place < first_row) return;
    require_sound(engine, logits, tokens[place], place);
    writer.write(std::as_bytes(logits));
  };
  if (read_all_contexts(engine, session, request, tokens)) {
    Progress progress("reading", static_cast<int64_t>(tokens.size()), request.quiet);
    const auto keep_going = [&] {
      progress.update(session.position());
      return !interrupted();
    };
    const Feed window[] = {{&session, tokens, Feed::Logits::kWindow}};
    const Feed before[] = {{&session, tokens.first(first_row), Feed::Logits::kNone}};
    const Feed rows[] = {{&session, tokens.subspan(first_row), Feed::Logits::kAll}};
    if (request.window) {
      engine.feed(window, sink, keep_going);
    } else {
      engine.feed(before, sink, keep_going);
      engine.feed(rows, sink, keep_going);
    }
  }
  if (interrupted())
    throw Interrupted(fmt::format("stopped by {} after {} of {} tokens; {} was not written",
                                  interrupt_name(), session.position(), tokens.size(),
                                  request.out));
  engine.model().require_unchanged();
  writer.close();
}

// Whether a model says of each token what stands there, seeing those behind it too.
bool is_encoder(const Engine& engine) { return engine.spec().architecture == "llama_mlm"; }

// Errors: UsageError if the tokens are no one window.
void check_window(const Engine& engine, size_t n_tokens) {
  const int64_t length = engine.traits().window_length;
  if (length == 0)
    throw UsageError("--window is for strategies that see whole windows; attention.strategy: " +
                     engine.settings().attention.choice.strategy + " sees what came before");
  if (std::cmp_greater(n_tokens, length))
    throw UsageError(
        fmt::format("{} tokens are more than the model's window, which is {}", n_tokens, length));
}

void add_options(CommandLine& line, Request& request) {
  line.add("tokens", &request.tokens_path,
           "token ids in decimal, separated by white space; - is standard input", "FILE")
      .add("tail", &request.tail, "write only the logits after the last N tokens (all)")
      .add("context", &request.contexts,
           "token ids that the model consults, in chunks of attention.chunk; - is standard input; "
           "may be repeated",
           "FILE")
      .add_flag(
          "window", &request.window,
          "read all tokens as one window in which each sees all others, as encoders always do")
      .add("out", &request.out, "the file to write", "FILE")
      .add_flag("force", &request.force, "replace the file if it exists")
      .add_json()
      .add_model_word();
}

void check(const Request& request, const CommandLine& line) {
  if (request.tokens_path.empty() || request.out.empty())
    throw UsageError("logits needs --tokens FILE and --out FILE");
  if (std::ranges::count(request.contexts, "-") + (request.tokens_path == "-" ? 1 : 0) > 1)
    throw UsageError("standard input (-) can be read once; name files for the others");
  if (line.given("tail")) require_at_least("--tail", request.tail, 1);
}

// Errors: UsageError if the file to write is there already or is one of those that are read.
void check_output(const Engine& engine, const Request& request, const std::string& config) {
  std::vector<std::string> inputs = files_read(engine.model(), engine.settings());
  inputs.insert(inputs.end(), {request.tokens_path, config});
  inputs.insert(inputs.end(), request.contexts.begin(), request.contexts.end());
  require_output(request.out, request.force, inputs);
}

// Errors: Error if the file holds none, or no ids of this model.
std::vector<int32_t> tokens_of(const Engine& engine, const Request& request) {
  const std::string& path = request.tokens_path;
  const std::string text = TextReader(LineEnds::kKeep, request.quiet).read(path);
  std::vector<int32_t> tokens = parse_tokens(text, engine.spec().info.vocab_size, path);
  if (tokens.empty()) throw Error(path + " holds no token ids");
  return tokens;
}

}  // namespace

int run_logits(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "logits [MODEL] --tokens FILE [--tail N] [--context FILE] --out FILE.safetensors",
      "Reads token ids and writes the logits after each of them: F32 `logits` "
      "[tokens, vocabulary].");
  add_options(line, request);
  if (!line.parse(arguments)) return 0;
  check(request, line);
  request.quiet = line.quiet();
  Engine engine(line.model_settings(), linked_plugins());
  refuse_ensemble(engine.settings(), "logits");
  check_output(engine, request, line.config());
  if (!request.contexts.empty()) context_stream(engine);
  const std::vector<int32_t> tokens = tokens_of(engine, request);
  request.window = request.window || is_encoder(engine);
  if (request.window) check_window(engine, tokens.size());
  const size_t n_rows = request.tail == 0
                            ? tokens.size()
                            : std::min(tokens.size(), static_cast<size_t>(request.tail));
  catch_ending_signals();
  write_logits(engine, request, tokens, n_rows);
  const int64_t width = engine.spec().info.vocab_size;
  if (line.json())
    print(json_text(object({member("file", request.out), member("tokens", tokens.size()),
                            member("rows", n_rows), member("vocab_size", width)})) +
          "\n");
  note(fmt::format("wrote {} x {} logits to {}", n_rows, width, request.out), request.quiet);
  return 0;
}

}  // namespace perdure::app
