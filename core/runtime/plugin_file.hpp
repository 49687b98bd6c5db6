// SPDX-License-Identifier: Apache-2.0

// One candidate for a plugin: may this file be trusted, what does it state, does it fit this
// program, and, last of all, its entry function. Called by the plugin host only.
#pragma once

#include <string>
#include <string_view>

#include "core/api/plugin.h"
#include "core/base/mapped_file.hpp"

namespace perdure {

// A library, opened once: what is judged, read, tried and loaded is one and the same file, whatever
// its path names meanwhile. Movable.
class PluginFile {
 public:
  // Judges the file at the absolute path `path` without running any of its code.
  // Errors: Error, one sentence without the path, if it is missing, not a regular file, if others
  // may change it or put something else in its place, or if it is not exactly one plugin.
  explicit PluginFile(const std::string& path);

  const perdure_plugin_statement& statement() const { return statement_; }
  // Without symbolic links.
  const std::string& path() const { return path_; }
  const FileStamp& stamp() const { return file_.stamp(); }

  // Loads the library into this process and calls its entry function. The library stays for ever:
  // threads may run in it, and its tables are in use.
  // Code of its that runs here, or at the end of the process, is marked as a PluginCall.
  // Errors: Error if it cannot be loaded, lacks the entry, or the entry throws or returns nothing.
  const void* load() &&;

  // Loads the library and then runs what it runs at the end of the program, the destructors of its
  // static objects among it. For a process that is ended afterwards. Errors: as load().
  void rehearse() &&;

 private:
  struct Loaded {
    void* library;
    const void* plugin;
  };
  Loaded load_library();

  std::string path_;
  MappedFile file_;
  perdure_plugin_statement statement_;
};

// This program's build id for plugins of a kind (core/api/plugin.h); empty for kernels.
std::string_view build_id_of(std::string_view kind);

// Errors: Error if the stated ABI, build id or CPU features are not this program's.
void check_plugin_statement(const perdure_plugin_statement& statement);

// Calls an entry function. Errors: Error if it throws or returns nothing.
const void* call_plugin_entry(const void* (*entry)());

}  // namespace perdure
