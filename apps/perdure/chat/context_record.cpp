// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/context_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "apps/perdure/chat/session_notes.hpp"
#include "core/base/hash.hpp"

namespace perdure::app {
namespace {

// Its text: for every run of chunks that follow one another in one text its hash, first chunk and
// number of chunks.
constexpr const char* kName = "contexts";

}  // namespace

std::string context_hash(std::string_view bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.hex();
}

ContextRecord::ContextRecord(const Session& session, size_t n_chunks) {
  const auto text = text_value(session, kName);
  if (!text) return;
  std::istringstream in(*text);
  std::string hash;
  for (size_t first = 0, n = 0; in >> hash >> first >> n && n <= n_chunks - chunks_.size();)
    for (size_t i = 0; i < n; ++i) add(hash, first + i);
  if (chunks_.size() != n_chunks) chunks_.clear();
}

std::vector<size_t> ContextRecord::missing(const std::string& hash, size_t n_chunks) const {
  std::vector<bool> there(n_chunks);
  for (const Chunk& chunk : chunks_)
    if (chunk.hash == hash && chunk.number < n_chunks) there[chunk.number] = true;
  std::vector<size_t> missing;
  for (size_t i = 0; i < n_chunks; ++i)
    if (!there[i]) missing.push_back(i);
  return missing;
}

void ContextRecord::forget(size_t number) {
  if (number < chunks_.size()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(number));
}

void ContextRecord::save(Session& session) const {
  std::string text;
  for (size_t i = 0, n = 1; i < chunks_.size(); i += n, n = 1) {
    const Chunk& first = chunks_[i];
    while (i + n < chunks_.size() && chunks_[i + n].hash == first.hash &&
           chunks_[i + n].number == first.number + n)
      ++n;
    text += fmt::format("{} {} {}\n", first.hash, first.number, n);
  }
  session.set_value(kName, text);
}

}  // namespace perdure::app
