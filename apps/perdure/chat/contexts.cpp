// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/contexts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <utility>

#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/progress.hpp"
#include "apps/perdure/text_reader.hpp"

namespace perdure::app {
namespace {

// The first `n` tokens of a session's text, of which `text` is the beginning if nothing was read;
// those of the first call stay.
std::vector<int32_t> query_of(Session& session, size_t n, std::span<const int32_t> text) {
  constexpr const char* kName = "contexts.query";
  std::vector<int32_t> query;
  if (const auto words = text_value(session, kName)) {
    std::istringstream in(*words);
    for (int32_t token = 0; in >> token;) query.push_back(token);
  } else if (session.position() == 0) {
    const auto first = text.first(std::min(n, text.size()));
    query.assign(first.begin(), first.end());
  }
  if (query.size() != n)
    throw UsageError(fmt::format(
        "this model reads contexts with the first {} tokens of the text behind them "
        "(attention.encode_mode); give contexts with a prompt that is as long and begins the text",
        n));
  if (n > 0) session.set_value(kName, fmt::format("{}", fmt::join(query, " ")));
  return query;
}

}  // namespace

Contexts::Contexts(Engine& engine, Session& session, std::span<const int32_t> text,
                   Checkpoint checkpoint)
    : engine_(engine),
      session_(session),
      stream_(context_stream(engine)),
      query_(query_of(session, static_cast<size_t>(stream_.query), text)),
      record_(session, n_chunks()),
      checkpoint_(std::move(checkpoint)) {}

bool Contexts::read(std::string_view name, std::string_view bytes, std::span<const int32_t> tokens,
                    bool quiet) {
  if (tokens.empty()) throw Error(fmt::format("{} is empty; a context needs a text", name));
  const std::string hash = context_hash(bytes);
  const std::vector<std::vector<int32_t>> chunks = context_chunks(stream_, tokens, query_);
  const std::vector<size_t> missing = record_.missing(hash, chunks.size());
  if (missing.empty()) {
    note(fmt::format("the session has {} among its contexts", name), quiet);
    return true;
  }
  const size_t n_before = n_chunks();
  size_t n_kept = 0;
  const auto keep = [&] {
    for (; n_kept < n_chunks() - n_before; ++n_kept, ++n_read_) record_.add(hash, missing[n_kept]);
    record_.save(session_);
  };
  Progress progress(std::string(name), std::ssize(tokens), quiet);
  while (true) {
    try {
      feed(chunks, std::span(missing).subspan(n_kept),
           [&](int64_t n) { progress.update(std::min(n, std::ssize(tokens))); });
    } catch (...) {
      keep();
      throw;
    }
    keep();
    if (n_kept == missing.size() || interrupted() || !checkpoint_due()) break;
    checkpoint_.take();
  }
  return n_kept == missing.size();
}

void Contexts::feed(std::span<const std::vector<int32_t>> chunks, std::span<const size_t> numbers,
                    const std::function<void(int64_t n_tokens)>& told) {
  std::vector<std::span<const int32_t>> views;
  for (const size_t number : numbers) views.push_back(chunks[number]);
  const InputFeed feed[] = {{&session_, views}};
  engine_.feed_input(kContextStream, feed, [&](std::span<const size_t> n_read) {
    const auto n_done = static_cast<int64_t>(chunks.size() - numbers.size() + n_read[0]);
    told(n_done * (std::ssize(chunks.front()) - stream_.query));
    const bool due = checkpoint_due();  // asked before every step, also before none
    return !due && !interrupted();
  });
}

void forget_context(Engine& engine, Session& session, size_t chunk) {
  ContextRecord record(session, session.stream_chunks(kContextStream).size());
  engine.forget_input(session, context_stream(engine).name, chunk);
  record.forget(chunk);
  record.save(session);
}

std::vector<std::string> context_files(const Engine& engine, std::span<const std::string> given) {
  std::vector<std::string> files = engine.settings().attention.contexts;
  files.insert(files.end(), given.begin(), given.end());
  if (std::ranges::count(files, "-") > 1)
    throw UsageError("--context - reads standard input, which can be read once");
  return files;
}

bool read_contexts(Engine& engine, Session& session, std::span<const std::string> files,
                   std::span<const int32_t> text, bool quiet, const Checkpoint& checkpoint) {
  if (files.empty()) return true;
  Contexts contexts(engine, session, text, checkpoint);
  TextReader reader(engine.settings(), quiet);
  for (const std::string& file : files) {
    const std::string bytes = reader.read(file);
    const std::vector<int32_t> tokens = engine.tokenizer().encode_text(bytes, false);
    if (!contexts.read(file == "-" ? "standard input" : file, bytes, tokens, quiet)) return false;
  }
  if (contexts.n_read() > 0)
    note(fmt::format("read {} chunks of contexts; the session has {} tokens in {}",
                     contexts.n_read(), grouped(session.stream_length(kContextStream)),
                     session.stream_chunks(kContextStream).size()),
         quiet);
  return true;
}

}  // namespace perdure::app
