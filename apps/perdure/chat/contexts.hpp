// SPDX-License-Identifier: Apache-2.0

// Contexts: texts that a session consults beside its own, cut into chunks of attention.chunk tokens
// (input stream `contexts`). A session knows which it has (context_record.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/perdure/chat/context_record.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "core/engine/contexts.hpp"

namespace perdure::app {

class Contexts {
 public:
  // `text`: the first tokens of the session's text, which some models read behind every chunk
  // (attention.encode_mode); may be empty where none are needed. `checkpoint`: taken between
  // chunks. Borrows engine and session. Errors: UsageError if the strategy reads no contexts, or
  // needs more tokens of the text.
  Contexts(Engine& engine, Session& session, std::span<const int32_t> text,
           Checkpoint checkpoint = {});

  // Reads those chunks of a context that the session does not have, with a progress bar called
  // `name`. False if a signal stopped it after whole chunks. Errors: Error if it is empty or
  // more than the session can hold.
  bool read(std::string_view name, std::string_view bytes, std::span<const int32_t> tokens,
            bool quiet);
  // Chunks that were read by calls of read().
  size_t n_read() const { return n_read_; }

 private:
  bool checkpoint_due() const { return checkpoint_.due && checkpoint_.due(); }
  size_t n_chunks() const { return session_.stream_chunks(kContextStream).size(); }
  // Reads those chunks of a text that `numbers` names, up to a signal or a checkpoint; `told` gets
  // the tokens of it that are read.
  void feed(std::span<const std::vector<int32_t>> chunks, std::span<const size_t> numbers,
            const std::function<void(int64_t n_tokens)>& told);

  Engine& engine_;
  Session& session_;
  InputStream stream_;
  std::vector<int32_t> query_;
  ContextRecord record_;
  Checkpoint checkpoint_;
  size_t n_read_ = 0;
};

// attention.contexts, and behind them the files of --context; all texts, "-" is standard input.
// Errors: UsageError if "-" is named twice.
std::vector<std::string> context_files(const Engine& engine, std::span<const std::string> given);

// Reads such files. False if a signal stopped it. Errors: as TextReader::read and Contexts::read.
bool read_contexts(Engine& engine, Session& session, std::span<const std::string> files,
                   std::span<const int32_t> text, bool quiet, const Checkpoint& checkpoint = {});

// Takes a chunk out of a session's contexts by its number. Errors: UsageError if the strategy reads
// none; Error if there is no such chunk.
void forget_context(Engine& engine, Session& session, size_t chunk);

}  // namespace perdure::app
