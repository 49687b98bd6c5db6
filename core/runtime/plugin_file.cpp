// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_file.hpp"

#include <dlfcn.h>
#include <link.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/cpu.hpp"
#include "core/runtime/elf_note.hpp"
#include "core/runtime/plugin_guard.hpp"
#include "core/runtime/plugin_trust.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

std::string real_path(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0)
    throw Error("there is no such file, or it may not be read; check the path");
  if (!S_ISREG(info.st_mode)) throw Error("it is not a regular file; name the library itself");
  return fs::canonical(path);
}

perdure_plugin_statement read_statement(const MappedFile& file) {
  const auto statements = read_plugin_statements(file.bytes());
  if (statements.empty())
    throw Error(
        "the library does not state that it is a perdure plugin; use PERDURE_PLUGIN of "
        "core/api/plugin.h");
  if (statements.size() > 1)
    throw Error("the library states " + std::to_string(statements.size()) +
                " plugins; build one library for each");
  return statements.front();
}

// A library that looks for others beside itself ($ORIGIN) loads by its path only. That is as safe:
// the folders were judged, so that only the user or root can have replaced it.
void* open_library(int descriptor, const std::string& path) {
  constexpr int kMode = RTLD_NOW | RTLD_LOCAL;
  const std::string opened = "/proc/self/fd/" + std::to_string(descriptor);
  if (void* library = dlopen(opened.c_str(), kMode)) return library;
  if (void* library = dlopen(path.c_str(), kMode)) return library;
  throw Error(std::string("the loader refuses it: ") + dlerror() +
              "; check what the library is linked with");
}

// Marks the time at exit in which the objects of a library are destroyed. Exit handlers run in
// reverse order: one from before the library was loaded runs after its destructors, one from after
// that before them. Objects that a function of it makes later, on first use, are destroyed before
// both and are not marked.
class ExitMark {
 public:
  explicit ExitMark(std::string plugin) : plugin_(std::move(plugin)) {}

  void end_later() {
    on_exit([](int, void* mark) { static_cast<ExitMark*>(mark)->call_.reset(); }, this);
  }
  void begin_later() {
    on_exit([](int, void* mark) { static_cast<ExitMark*>(mark)->begin(); }, this);
  }

 private:
  void begin() { call_.emplace(plugin_, "a destructor at the program's end"); }

  std::string plugin_;
  std::optional<PluginCall> call_;
};

// Lives as long as the process. Requires: called once per library.
ExitMark& new_exit_mark(const std::string& plugin) {
  static std::mutex mutex;
  static auto* const marks = new std::vector<std::unique_ptr<ExitMark>>;
  const std::lock_guard lock(mutex);
  return *marks->emplace_back(std::make_unique<ExitMark>(plugin));
}

using Finalizer = void (*)();

// What the loader calls for a library when the program ends: the functions of DT_FINI_ARRAY,
// last one first, which destroy its static objects too, then DT_FINI.
std::vector<Finalizer> finalizers_of(void* library) {
  link_map* map = nullptr;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return {};
  size_t array = 0, array_bytes = 0, last = 0;
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_FINI_ARRAY) array = map->l_addr + entry->d_un.d_ptr;
    if (entry->d_tag == DT_FINI_ARRAYSZ) array_bytes = entry->d_un.d_val;
    if (entry->d_tag == DT_FINI) last = map->l_addr + entry->d_un.d_ptr;
  }
  const auto* first = reinterpret_cast<const Finalizer*>(array);
  std::vector<Finalizer> all(std::make_reverse_iterator(first + array_bytes / sizeof(Finalizer)),
                             std::make_reverse_iterator(first));
  if (last != 0) all.push_back(reinterpret_cast<Finalizer>(last));
  return all;
}

// The loader knows a library by the number of its descriptor, which must never be that of another.
void keep(MappedFile file) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<MappedFile>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(file));
}

}  // namespace

PluginFile::PluginFile(const std::string& path) : path_(real_path(path)), file_(path_) {
  check_trust(file_.descriptor(), path_);
  statement_ = read_statement(file_);
}

const void* PluginFile::load() && { return load_library().plugin; }

void PluginFile::rehearse() && {
  for (const Finalizer finalize : finalizers_of(load_library().library)) finalize();
}

PluginFile::Loaded PluginFile::load_library() {
  const std::string plugin = PluginOrigin{statement_.kind, statement_.name, path_}.text();
  ExitMark& at_exit = new_exit_mark(plugin);
  at_exit.end_later();
  void* library = nullptr;
  {
    const PluginCall call(plugin, "a constructor of its library");
    library = open_library(file_.descriptor(), path_);
  }
  keep(std::move(file_));
  void* entry = dlsym(library, statement_.entry);
  if (!entry)
    throw Error("it lacks its entry function '" + std::string(statement_.entry) +
                "'; export it with PERDURE_PLUGIN of core/api/plugin.h");
  const PluginCall call(plugin, "its entry function");
  const void* result = call_plugin_entry(reinterpret_cast<const void* (*)()>(entry));
  at_exit.begin_later();
  return {library, result};
}

std::string_view build_id_of(std::string_view kind) {
  if (kind == "attention") return PERDURE_BUILD_ID_attention;
  if (kind == "threads") return PERDURE_BUILD_ID_threads;
  if (kind == "stores") return PERDURE_BUILD_ID_stores;
  return PERDURE_BUILD_ID_kernels;
}

void check_plugin_statement(const perdure_plugin_statement& statement) {
  if (statement.abi != PERDURE_PLUGIN_ABI ||
      statement.struct_size != sizeof(perdure_plugin_statement))
    throw Error("it is built for plugin ABI " + std::to_string(statement.abi) + " (statement of " +
                std::to_string(statement.struct_size) + " bytes), but this program has ABI " +
                std::to_string(PERDURE_PLUGIN_ABI) + " (" +
                std::to_string(sizeof(perdure_plugin_statement)) +
                " bytes); rebuild it against this program's core/api");
  const std::string_view kind = statement.kind;
  if (kind != "kernels" && kind != "attention" && kind != "threads" && kind != "stores")
    throw Error("it is of the unknown kind '" + std::string(kind) +
                "'; kinds are kernels, attention, threads and stores");
  if (statement.name[0] == '\0' || statement.entry[0] == '\0')
    throw Error(
        "its statement names no plugin or no entry function; use PERDURE_PLUGIN of "
        "core/api/plugin.h");
  if (const auto own = build_id_of(kind); statement.build_id != own)
    throw Error("its build id is '" + std::string(statement.build_id) +
                "', but this program's is '" + std::string(own) +
                "' (compiler, standard library, hash of the headers of its kind in core/api); "
                "rebuild it with that compiler and this program's headers");
  if (const uint64_t missing = statement.cpu_features & ~cpu_features(); missing != 0) {
    const std::string names = cpu_feature_names(missing);
    throw Error(
        "it needs " + (names.empty() ? "features that this program does not know" : names) +
        ", which this CPU or its operating system does not offer; use a build for this CPU");
  }
}

const void* call_plugin_entry(const void* (*entry)()) {
  const void* result = nullptr;
  try {
    result = entry();
  } catch (const std::exception& e) {
    throw Error(std::string("its entry function failed: ") + e.what());
  } catch (...) {
    throw Error("its entry function failed with an exception of unknown type");
  }
  if (result == nullptr)
    throw Error("its entry function returned nothing; return the address of the plugin");
  return result;
}

}  // namespace perdure
