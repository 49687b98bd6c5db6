// SPDX-License-Identifier: Apache-2.0

// perdure memory: what the store keeps. Looking, verifying and removing; files go in and out by
// memory_files.cpp, generations are memory_generations.cpp's.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/memory_files.hpp"
#include "apps/perdure/commands/memory_generations.hpp"
#include "apps/perdure/commands/subcommand.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/json/json_write.hpp"
#include "core/engine/identity.hpp"
#include "core/engine/snapshot.hpp"

namespace perdure::app {
namespace {

int run_list(const Arguments& arguments) {
  CommandLine line("memory list", "Lists the sessions of the store, newest generation first.");
  line.add_json();
  if (!line.parse(arguments)) return 0;
  const Settings settings = line.settings();
  const OpenStore open(settings);
  std::vector<Json> list;
  std::string text;
  for (const StoredSnapshot& snapshot : open.store->list()) {
    list.push_back(object(stored_members(snapshot)));
    text += fmt::format("{:<24} generation {:<6} {:>9}  {}\n", snapshot.name, snapshot.generation,
                        bytes_text(static_cast<double>(snapshot.size_bytes)),
                        time_text(snapshot.saved_at));
  }
  if (!settings.store.elsewhere.empty())
    note("more sessions are in " + settings.store.elsewhere +
             ", the default before XDG_DATA_HOME was set; --set store.path=DIR lists them",
         line.quiet());
  if (list.empty()) note("no sessions in " + settings.store.path, line.quiet());
  print(line.json() ? json_text(json(list)) + "\n" : text);
  return 0;
}

// A session value as JSON, and for people.
Json value_json(const SessionValue& value) {
  return std::visit([](const auto& v) { return Json(Json::Content(v)); }, value);
}
std::string value_text(const SessionValue& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number ? std::to_string(*number) : std::get<std::string>(value);
}

Json contents_json(const std::string& name, const SnapshotContents& contents) {
  Json::Map notes;
  for (const auto& [key, value] : contents.notes) notes.push_back(member(key, value));
  Json::Map values;
  for (const auto& [key, value] : contents.values) values.push_back(member(key, value_json(value)));
  std::vector<Json> tensors;
  for (const SnapshotTensor& tensor : contents.tensors)
    tensors.push_back(object(
        {member("name", tensor.name), member("shape", std::vector{tensor.rows, tensor.columns})}));
  return object({member("name", name), member("position", contents.position),
                 member("identity", contents.identity), member("notes", object(std::move(notes))),
                 member("values", object(std::move(values))), member("tensors", tensors)});
}

// Every line of `text` with two spaces before it.
std::string indented(const std::string& text) {
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) result += "  " + line + "\n";
  return result;
}

std::string contents_text(const std::string& name, const SnapshotContents& contents,
                          const PluginHost& plugins) {
  std::string text = fmt::format(
      "session '{}' after {} tokens\n\nidentity (a run that continues it must have the same)\n{}",
      name, grouped(contents.position), indented(shown_identity(contents.identity, plugins)));
  for (const auto& [key, value] : contents.notes)
    text += fmt::format("\n{}\n{}", key, indented(value));
  if (!contents.values.empty()) text += "\nvalues\n";
  for (const auto& [key, value] : contents.values) text += indented(key + ": " + value_text(value));
  text += "\nstate\n";
  for (const SnapshotTensor& tensor : contents.tensors)
    text += fmt::format("  {:<24} {} x {}\n", tensor.name, tensor.rows, tensor.columns);
  return text;
}

int run_memory_inspect(const Arguments& arguments) {
  std::vector<std::string> names;
  uint64_t generation = 0;
  CommandLine line("memory inspect NAME [--generation G]",
                   "Shows which model and strategy a session belongs to, and what it contains.");
  line.add("generation", &generation, "this generation instead of the newest")
      .add_json()
      .add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  if (names.empty()) throw UsageError("which session? perdure memory inspect NAME");
  const OpenStore open(line.settings());
  const SnapshotContents contents = decode_snapshot_header(open.store->get(names[0], generation));
  print(line.json() ? json_text(contents_json(names[0], contents)) + "\n"
                    : contents_text(names[0], contents, open.plugins));
  return 0;
}

// False for a generation that a running chat has replaced by newer ones since it was listed.
bool is_stored(MemoryStore& store, const StoredSnapshot& snapshot) {
  const std::vector<StoredSnapshot> now = store.generations(snapshot.name);
  return std::any_of(now.begin(), now.end(), [&](const StoredSnapshot& other) {
    return other.generation == snapshot.generation;
  });
}

int run_verify(const Arguments& arguments) {
  std::vector<std::string> names;
  CommandLine line("memory verify [NAME]",
                   "Reads every generation of one session, or of all, and checks every byte.");
  line.add_json().add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  const OpenStore open(line.settings());
  std::vector<Json> results;
  std::string text;
  int64_t damaged = 0;
  for (const StoredSnapshot& snapshot :
       names.empty() ? open.store->list() : open.store->generations(names[0])) {
    const std::string found = damage(*open.store, snapshot);
    if (!found.empty() && !is_stored(*open.store, snapshot)) continue;
    if (!found.empty()) ++damaged;
    text += fmt::format("{} generation {}: {}\n", snapshot.name, snapshot.generation,
                        found.empty() ? "ok" : found);
    Json::Map result = stored_members(snapshot);
    result.push_back(member("ok", found.empty()));
    if (!found.empty()) result.push_back(member("damage", found));
    results.push_back(object(std::move(result)));
  }
  if (results.empty() && !names.empty()) throw Error("there is no session '" + names[0] + "'");
  print(line.json() ? json_text(json(results)) + "\n" : text);
  flush();
  if (damaged > 0)
    throw Error(fmt::format("{} of {} stored generations cannot be read; nothing was changed",
                            damaged, results.size()));
  return 0;
}

int run_remove(const Arguments& arguments) {
  std::vector<std::string> names;
  CommandLine line("memory remove NAME", "Deletes all generations of a session.");
  line.add_json().add_words("name", &names, 1);
  if (!line.parse(arguments)) return 0;
  if (names.empty()) throw UsageError("which session? perdure memory remove NAME");
  const OpenStore open(line.settings());
  if (newest(*open.store, names[0]).generation == 0)
    open.store->get(names[0]);  // says that there is none
  const auto lock = open.store->lock(names[0]);
  const size_t n_generations = open.store->generations(names[0]).size();
  open.store->remove(names[0]);
  if (line.json())
    print(json_text(
              object({member("name", names[0]), member("generations_removed", n_generations)})) +
          "\n");
  note("removed session '" + names[0] + "'", line.quiet());
  return 0;
}

}  // namespace

int run_memory(const Arguments& arguments) {
  static constexpr Command kCommands[] = {
      {"list", "list the sessions of the store", run_list},
      {"inspect", "show what a session contains", run_memory_inspect},
      {"log", "list the generations of a session", run_log},
      {"restore", "make an older generation the newest", run_restore},
      {"verify", "check every byte", run_verify},
      {"export", "write a session to a file", run_memory_export},
      {"import", "read a session from a file", run_memory_import},
      {"prune", "delete old generations", run_prune},
      {"remove", "delete a session", run_remove},
  };
  return run_subcommand(
      "perdure memory",
      "Manages the sessions of the store: what chat and generate --session have saved, by name.",
      kCommands, arguments);
}

}  // namespace perdure::app
