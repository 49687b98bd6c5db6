// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_file.hpp"

#include <sys/stat.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/cpu.hpp"
#include "core/base/mapped_file.hpp"
#include "core/runtime/elf_note.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const fs::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0)
    throw Error("there is no such file, or it may not be read; check the path");
  return info.st_mode;
}

// Whoever may replace the file decides what this process runs.
void check_permissions(const fs::path& file) {
  if ((mode_of(file) & S_IWOTH) != 0)
    throw Error("everybody may write to the file; run chmod o-w on it");
  const fs::path folder = file.parent_path();
  if ((mode_of(folder) & S_IWOTH) != 0)
    throw Error("everybody may write to its folder " + folder.string() +
                "; run chmod o-w on it or move the plugin");
  // In a sticky folder, such as the system's for temporary files, others cannot rename what is not
  // theirs.
  for (fs::path above = folder.parent_path(); above != above.root_path();
       above = above.parent_path())
    if (const mode_t mode = mode_of(above); (mode & S_IWOTH) != 0 && (mode & S_ISVTX) == 0)
      throw Error("everybody may replace its folder, because everybody may write to " +
                  above.string() + "; run chmod o-w on that");
}

// Libraries stay loaded for ever: threads may still run in them, and tables of them are in use.
void keep(boost::dll::shared_library library) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<boost::dll::shared_library>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(library));
}

}  // namespace

std::string_view build_id_of(std::string_view kind) {
  if (kind == "attention") return PERDURE_BUILD_ID_attention;
  if (kind == "threads") return PERDURE_BUILD_ID_threads;
  if (kind == "stores") return PERDURE_BUILD_ID_stores;
  return PERDURE_BUILD_ID_kernels;
}

perdure_plugin_statement read_plugin_file(const std::string& path) {
  if (!S_ISREG(mode_of(path))) throw Error("it is not a regular file; name the library itself");
  check_permissions(fs::canonical(path));
  const MappedFile file(path);
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

const void* load_plugin_file(const std::string& path, const perdure_plugin_statement& statement) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  boost::dll::shared_library library;
  try {
    library.load(fs::canonical(path), rtld_now | rtld_local);
  } catch (const std::exception& e) {
    throw Error(std::string("the loader refuses it: ") + e.what() +
                "; check what the library is linked with");
  }
  if (!library.has(statement.entry))
    throw Error("it lacks its entry function '" + std::string(statement.entry) +
                "'; export it with PERDURE_PLUGIN of core/api/plugin.h");
  const auto entry = library.get<const void*()>(statement.entry);
  keep(std::move(library));
  return call_plugin_entry(entry);
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
