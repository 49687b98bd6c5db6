// SPDX-License-Identifier: Apache-2.0

// The raw memory files of llama2Rnn's C program (`-o mem.bin`, docs/formats.md): no magic, no
// checksum. Only for sessions whose layers all have strategy `memory`, on models whose heads are
// not grouped, as the original's files are.
#pragma once

#include <string>

#include "core/base/write_file.hpp"
#include "core/engine/engine.hpp"

namespace perdure {

// Replaces the session's memory by the file's. The session continues at the chunk position the file
// stores, 0..mem_len; its tail is empty. Values are taken as they are. Errors: Error with the path
// and expected size if the size or the position does not fit; the session is then as it was.
void import_legacy_memory(Engine& engine, Session& session, const std::string& path);

// Writes the session's memory as the original would (temp + fsync + rename): keys and values that
// the original never reads are 0, the position is pos mod mem_len, or mem_len at the end of a
// chunk. Errors: Error; an existing file stays as it was.
void export_legacy_memory(const Engine& engine, const Session& session, const std::string& path,
                          FileRules rules = {});

}  // namespace perdure
