// SPDX-License-Identifier: Apache-2.0

// Memories as files: the portable snapshot, or with --legacy the raw file of llama2Rnn's C program.
// Import replaces nothing that exists, export only with --force.
#include "apps/perdure/commands/memory_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/mapped_file.hpp"
#include "core/base/write_file.hpp"
#include "core/engine/legacy_memory.hpp"
#include "core/engine/snapshot.hpp"
#include "core/model/formats/foreign_file.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

void require_absent(MemoryStore& store, const std::string& name) {
  if (newest(store, name).generation != 0)
    throw Error(fmt::format("session '{}' exists; remove it or choose another name", name));
}

// Errors: Error that names the file, for one that is no whole snapshot.
void check_snapshot(const MappedFile& file, const std::string& path) {
  refuse_foreign_file(file.bytes(), path, Wanted::kSession);
  try {
    decode_snapshot_header(file.bytes());
  } catch (const Error& error) {
    throw Error(path + ": " + error.what());
  }
}

// Hands on the values of the reader's next run, a piece at a time.
void pass_values(SnapshotReader& reader, const SnapshotTensor& tensor, const SnapshotRun& run,
                 const ValueSink& values) {
  constexpr int64_t kPiece = 1 << 20;
  std::vector<std::byte> piece;
  for (int64_t left = tensor.bytes_of_rows(run.rows); left > 0; left -= kPiece) {
    piece.resize(static_cast<size_t>(std::min(left, kPiece)));
    if (tensor.type == PERDURE_F32)
      reader.read_values({reinterpret_cast<float*>(piece.data()), piece.size() / sizeof(float)});
    else
      reader.read_stored(piece);
    values(piece);
  }
}

// Writes the same memory without what is recorded beside it, and without the words of the system
// prompt.
void write_stripped(std::span<const std::byte> snapshot, const std::string& path, FileRules rules) {
  SnapshotReader reader(snapshot);
  SnapshotContents head = reader.contents();
  head.notes.clear();
  forget_chat_words(head.values);
  NewFile file(path, rules);
  write_snapshot(
      head,
      [&](const SnapshotRun& run, const ValueSink& values) {
        pass_values(reader, head.tensors[run.tensor], run, values);
      },
      [&](std::span<const std::byte> piece) { file.write(piece); });
  file.commit();
}

struct Export {
  std::string name, path;
  uint64_t generation = 0;
  bool legacy = false, strip = false, force = false;

  FileRules rules() const { return {.replace = force}; }
};

void export_legacy(const Settings& settings, const Export& request) {
  Engine engine(settings, linked_plugins());
  Session session = engine.new_session();
  session.restore(open_store(settings, engine.plugins())->get(request.name, request.generation));
  export_legacy_memory(engine, session, request.path, request.rules());
}

void export_portable(const Settings& settings, const Export& request, bool quiet) {
  const PluginHost plugins(linked_plugins(), settings.plugins.load);
  const std::vector<std::byte> snapshot =
      open_store(settings, plugins)->get(request.name, request.generation);
  if (request.strip) {
    write_stripped(snapshot, request.path, request.rules());
    return;
  }
  const bool has_notes = !decode_snapshot_header(snapshot).notes.empty();
  write_file(request.path, snapshot, request.rules());
  if (has_notes)
    note(
        "the file contains the configuration of the session, with absolute paths and the system "
        "prompt; --strip leaves it out",
        quiet);
}

std::vector<std::byte> convert_legacy(const Settings& settings, const std::string& path) {
  Engine engine(settings, linked_plugins());
  Session session = engine.new_session();
  import_legacy_memory(engine, session, path);
  return session.snapshot();
}

}  // namespace

int run_memory_export(const Arguments& arguments) {
  std::vector<std::string> words;
  Export request;
  CommandLine line(
      "memory export NAME FILE [--generation G] [--strip] [--legacy] [--force]",
      "Writes a session to a new file that `perdure memory import` reads on any machine.");
  line.add("generation", &request.generation, "this generation instead of the newest")
      .add_flag("strip", &request.strip,
                "leave out the configuration, which contains absolute paths and the system prompt")
      .add_flag("legacy", &request.legacy,
                "the raw memory file of llama2Rnn's C program (needs the model)")
      .add_flag("force", &request.force, "replace the file if it exists")
      .add_json()
      .add_words("words", &words, 2);
  if (!line.parse(arguments)) return 0;
  if (words.size() != 2)
    throw UsageError("which session, to which file? perdure memory export NAME FILE");
  const Settings settings = line.settings();
  const std::vector<std::string> inputs{line.config(), settings.model.path,
                                        settings.model.tokenizer, settings.model.initial_state};
  request.name = words[0];
  request.path = words[1];
  require_output(request.path, request.force, inputs);
  if (request.legacy)
    export_legacy(settings, request);
  else
    export_portable(settings, request, line.quiet());
  if (line.json())
    print(json_text(object({member("name", request.name), member("file", request.path),
                            member("bytes", std::filesystem::file_size(request.path))})) +
          "\n");
  note(fmt::format("exported session '{}' to {}", words[0], words[1]), line.quiet());
  return 0;
}

int run_memory_import(const Arguments& arguments) {
  std::vector<std::string> words;
  bool legacy = false;
  CommandLine line("memory import FILE NAME [--legacy]",
                   "Reads a session from a file into the store, under a new name.");
  line.add_flag("legacy", &legacy, "the raw memory file of llama2Rnn's C program (needs the model)")
      .add_json()
      .add_words("words", &words, 2);
  if (!line.parse(arguments)) return 0;
  if (words.size() != 2)
    throw UsageError("which file, under which name? perdure memory import FILE NAME");
  const Settings settings = line.settings();
  std::vector<std::byte> converted;
  std::optional<MappedFile> file;
  if (legacy)
    converted = convert_legacy(settings, words[0]);
  else
    check_snapshot(file.emplace(words[0]), words[0]);
  const std::span<const std::byte> snapshot =
      file ? file->bytes() : std::span(std::as_const(converted));
  const PluginHost plugins(linked_plugins(), settings.plugins.load);
  const std::unique_ptr<MemoryStore> store = open_store(settings, plugins);
  const std::unique_ptr<StoreLock> lock = store->lock(words[1]);
  require_absent(*store, words[1]);
  const uint64_t generation = store->put(words[1], snapshot, 0);
  if (line.json())
    print(json_text(object({member("file", words[0]), member("name", words[1]),
                            member("generation", generation),
                            member("position", decode_snapshot_header(snapshot).position)})) +
          "\n");
  note(fmt::format("imported {} as session '{}'", words[0], words[1]), line.quiet());
  return 0;
}

}  // namespace perdure::app
