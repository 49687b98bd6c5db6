// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_host.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>

#include "core/api/error.hpp"
#include "core/config/map_reader.hpp"
#include "core/runtime/guarded_plugins.hpp"
#include "core/runtime/kernel_table_check.hpp"
#include "core/runtime/plugin_file.hpp"
#include "core/runtime/plugin_probe.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuiltIn = "built in";

fs::path user_folder() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data == '/')
    return fs::path(data) / "perdure/plugins";
  if (const char* home = std::getenv("HOME"); home && *home == '/')
    return fs::path(home) / ".local/share/perdure/plugins";
  return {};
}

fs::path system_folder() {
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  return failure ? fs::path() : program.parent_path().parent_path() / "lib/perdure";
}

PluginOrigin origin_of(const PluginRecord& record) {
  return {record.kind, record.name, record.origin == kBuiltIn ? "" : record.origin};
}

template <typename Plugin>
using ByName = std::map<std::string, std::unique_ptr<Plugin>, std::less<>>;

}  // namespace

struct PluginHost::Impl {
  // How a record's plugin is loaded, as long as it was not tried.
  struct Candidate {
    const void* (*entry)() = nullptr;  // of a linked plugin
    std::optional<PluginFile> file;
    bool asked_for = false;  // by an explicit path
  };

  mutable std::mutex mutex;
  std::vector<PluginRecord> records;
  std::vector<std::optional<Candidate>> candidates;  // of the records; empty once tried or refused
  std::set<size_t> asked_for;                        // records that came by an explicit path
  std::vector<KernelSet> kernel_sets;
  bool has_all_kernels = false;
  ByName<AttentionPlugin> attention;
  ByName<ThreadsPlugin> threads;
  ByName<StorePlugin> stores;
  std::set<fs::path> seen;  // files, without symbolic links

  // Looks at a file and records it, refused or fit; nullptr if it is one that was seen before.
  const PluginRecord* consider_file(const std::string& path, bool asked_for);
  // `path`: a file or a folder; anything else is recorded.
  void consider_place(const std::string& path);
  void consider_folder(const fs::path& folder);
  void consider_linked(const StaticPlugin& plugin);
  const PluginRecord& enter(PluginRecord record, std::optional<Candidate> candidate);

  // The first record of that kind and name that can be loaded, loading it if need be; nullptr if
  // there is none. Errors: Error if it came by an explicit path and cannot be loaded.
  const PluginRecord* resolve(const std::string& kind, const std::string& name);
  bool load(size_t number);
  const void* entry_of(Candidate candidate);
  void load_kernels();
  // Makes the plugin available. Errors: Error if what the entry returned cannot be right.
  void add(const PluginRecord& record, const void* entry);

  template <typename Plugin>
  const Plugin& find(const ByName<Plugin>& plugins, const char* kind, const std::string& name);
  std::vector<std::string> names(const std::string& kind) const;
};

const PluginRecord& PluginHost::Impl::enter(PluginRecord record,
                                            std::optional<Candidate> candidate) {
  for (size_t i = 0; candidate && i < records.size(); ++i)
    if (candidates[i] && records[i].kind == record.kind && records[i].name == record.name) {
      record.shadowed = true;
      record.reason =
          "shadowed by the plugin of the same name that came first: " + records[i].origin;
      break;
    }
  if (candidate && candidate->asked_for) asked_for.insert(records.size());
  candidates.push_back(std::move(candidate));
  return records.emplace_back(std::move(record));
}

const PluginRecord* PluginHost::Impl::consider_file(const std::string& path, bool asked_for) {
  std::error_code failure;
  const fs::path real = fs::canonical(path, failure);
  if (!failure && !seen.insert(real).second) return nullptr;
  PluginRecord record;
  record.origin = path;
  std::optional<Candidate> candidate;
  try {
    PluginFile file(path);
    record.kind = file.statement().kind;
    record.name = file.statement().name;
    record.build_id = file.statement().build_id;
    check_plugin_statement(file.statement());
    candidate = Candidate{.file = std::move(file), .asked_for = asked_for};
  } catch (const std::exception& e) {
    record.reason = e.what();
  }
  return &enter(std::move(record), std::move(candidate));
}

void PluginHost::Impl::consider_place(const std::string& path) {
  std::error_code failure;
  if (path.front() != '/')
    enter({"", "", path, false,
           "PERDURE_PLUGIN_PATH holds a relative path; make it absolute, since plugins are never "
           "taken from the current directory"},
          {});
  else if (fs::is_directory(path, failure))
    consider_folder(path);
  else
    consider_file(path, false);
}

void PluginHost::Impl::consider_folder(const fs::path& folder) {
  std::error_code failure;
  std::vector<std::string> files;
  for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure))
    if (it->path().extension() == ".so") files.push_back(it->path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) consider_file(file, false);
}

void PluginHost::Impl::consider_linked(const StaticPlugin& plugin) {
  PluginRecord record{plugin.kind, plugin.name, kBuiltIn};
  record.build_id = build_id_of(plugin.kind);
  enter(std::move(record), Candidate{.entry = plugin.entry});
}

const void* PluginHost::Impl::entry_of(Candidate candidate) {
  if (!candidate.file) return call_plugin_entry(candidate.entry);
  if (const std::string outcome = probe_plugin(*candidate.file, candidate.asked_for);
      !outcome.empty())
    throw Error("its code " + outcome +
                " when the library was tried in a child process; remove it, or ask its author");
  return std::move(*candidate.file).load();
}

bool PluginHost::Impl::load(size_t number) {
  PluginRecord& record = records[number];
  if (!candidates[number]) return record.loaded;
  Candidate candidate = std::move(*candidates[number]);
  candidates[number].reset();
  record.shadowed = false;
  record.reason.clear();
  try {
    add(record, entry_of(std::move(candidate)));
    record.loaded = true;
  } catch (const std::exception& e) {
    record.reason = e.what();
  }
  return record.loaded;
}

const PluginRecord* PluginHost::Impl::resolve(const std::string& kind, const std::string& name) {
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].kind != kind || records[i].name != name) continue;
    if (load(i)) return &records[i];
    if (asked_for.contains(i))
      throw Error("cannot load the plugin " + records[i].origin + ": " + records[i].reason);
  }
  return nullptr;
}

void PluginHost::Impl::load_kernels() {
  if (has_all_kernels) return;
  for (size_t i = 0; i < records.size(); ++i)
    if (records[i].kind == "kernels") resolve("kernels", std::string(records[i].name));
  has_all_kernels = true;
}

void PluginHost::Impl::add(const PluginRecord& record, const void* entry) {
  const PluginOrigin origin = origin_of(record);
  if (record.kind == "kernels")
    kernel_sets.push_back({record.name, record.origin,
                           read_kernel_table(static_cast<const perdure_kernel_plugin*>(entry))});
  else if (record.kind == "attention")
    attention[record.name] = guard(*static_cast<const AttentionPlugin*>(entry), origin);
  else if (record.kind == "threads")
    threads[record.name] = guard(*static_cast<const ThreadsPlugin*>(entry), origin);
  else
    stores[record.name] = guard(*static_cast<const StorePlugin*>(entry), origin);
}

template <typename Plugin>
const Plugin& PluginHost::Impl::find(const ByName<Plugin>& plugins, const char* kind,
                                     const std::string& name) {
  const std::lock_guard lock(mutex);
  if (resolve(kind, name)) return *plugins.find(name)->second;
  for (const PluginRecord& record : records)
    if (record.kind == kind && record.name == name)
      throw UsageError("the plugin " + std::string(kind) + "." + name + " (" + record.origin +
                       ") was refused: " + record.reason);
  throw UsageError("there is no plugin " + std::string(kind) + "." + name + "; " +
                   suggestion(name, names(kind)));
}

std::vector<std::string> PluginHost::Impl::names(const std::string& kind) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < records.size(); ++i)
    if (records[i].kind == kind && !records[i].shadowed && (records[i].loaded || candidates[i]))
      names.push_back(records[i].name);
  std::sort(names.begin(), names.end());
  return names;
}

PluginHost::PluginHost(std::span<const StaticPlugin> linked,
                       std::span<const std::string> explicit_paths)
    : impl_(std::make_unique<Impl>()) {
  for (const std::string& path : explicit_paths) {
    if (path.empty() || path.front() != '/')
      throw UsageError("cannot load the plugin '" + path + "': give its absolute path");
    if (const PluginRecord* record = impl_->consider_file(path, true);
        record && !record->reason.empty())
      throw Error("cannot load the plugin " + path + ": " + record->reason);
  }
  if (const char* places = secure_getenv("PERDURE_PLUGIN_PATH")) {
    const std::string_view text = places;
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = std::min(text.find(':', begin), text.size());
      if (end > begin) impl_->consider_place(std::string(text.substr(begin, end - begin)));
    }
  }
  for (const StaticPlugin& plugin : linked) impl_->consider_linked(plugin);
  for (const fs::path& folder : {user_folder(), system_folder()})
    if (!folder.empty()) impl_->consider_folder(folder);
}

PluginHost::~PluginHost() = default;

void PluginHost::load_all() const {
  const std::lock_guard lock(impl_->mutex);
  impl_->load_kernels();
  for (size_t i = 0; i < impl_->records.size(); ++i)
    impl_->resolve(std::string(impl_->records[i].kind), std::string(impl_->records[i].name));
}

std::vector<PluginRecord> PluginHost::records() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->records;
}

std::span<const PluginHost::KernelSet> PluginHost::kernel_sets() const {
  const std::lock_guard lock(impl_->mutex);
  impl_->load_kernels();
  return impl_->kernel_sets;
}

const AttentionPlugin& PluginHost::attention(const std::string& name) const {
  return impl_->find(impl_->attention, "attention", name);
}

const ThreadsPlugin& PluginHost::threads(const std::string& name) const {
  return impl_->find(impl_->threads, "threads", name);
}

const StorePlugin& PluginHost::store(const std::string& name) const {
  return impl_->find(impl_->stores, "stores", name);
}

PluginOrigin PluginHost::origin(const std::string& kind, const std::string& name) const {
  const std::lock_guard lock(impl_->mutex);
  for (const PluginRecord& record : impl_->records)
    if (record.loaded && record.kind == kind && record.name == name) return origin_of(record);
  return {kind, name, ""};
}

std::vector<std::string> PluginHost::names(const std::string& kind) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->names(kind);
}

}  // namespace perdure
