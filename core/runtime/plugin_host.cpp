// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_host.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>

#include "core/api/error.hpp"
#include "core/config/map_reader.hpp"
#include "core/runtime/guarded_plugins.hpp"
#include "core/runtime/kernel_table_check.hpp"
#include "core/runtime/plugin_file.hpp"

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

template <typename Plugin>
using ByName = std::map<std::string, std::unique_ptr<Plugin>, std::less<>>;

}  // namespace

struct PluginHost::Impl {
  std::vector<PluginRecord> records;
  std::vector<KernelSet> kernel_sets;
  ByName<AttentionPlugin> attention;
  ByName<ThreadsPlugin> threads;
  ByName<StorePlugin> stores;
  std::set<fs::path> seen;  // files, without symbolic links

  // Looks at a file and records what became of it; nullptr if it is a file that was seen before.
  const PluginRecord* consider_file(const std::string& path);
  // `path`: a file or a folder; anything else is recorded.
  void consider_place(const std::string& path);
  void consider_folder(const fs::path& folder);
  void consider_linked(const StaticPlugin& plugin);

  // Errors: Error if a plugin of the record's kind and name is loaded.
  void check_shadowed(const PluginRecord& record) const;
  // Makes the plugin available. Errors: Error if what the entry returned cannot be right.
  void add(const PluginRecord& record, const void* entry);

  template <typename Plugin>
  const Plugin& find(const ByName<Plugin>& plugins, const char* kind,
                     const std::string& name) const;
};

const PluginRecord* PluginHost::Impl::consider_file(const std::string& path) {
  std::error_code failure;
  const fs::path file = fs::canonical(path, failure);
  if (!failure && !seen.insert(file).second) return nullptr;
  PluginRecord record;
  record.origin = path;
  try {
    const perdure_plugin_statement statement = read_plugin_file(path);
    record.kind = statement.kind;
    record.name = statement.name;
    check_plugin_statement(statement);
    check_shadowed(record);
    add(record, load_plugin_file(path, statement));
    record.loaded = true;
  } catch (const std::exception& e) {
    record.reason = e.what();
  }
  return &records.emplace_back(std::move(record));
}

void PluginHost::Impl::consider_place(const std::string& path) {
  std::error_code failure;
  if (path.front() != '/')
    records.push_back(
        {"", "", path, false,
         "PERDURE_PLUGIN_PATH holds a relative path; make it absolute, since plugins are never "
         "taken from the current directory"});
  else if (fs::is_directory(path, failure))
    consider_folder(path);
  else
    consider_file(path);
}

void PluginHost::Impl::consider_folder(const fs::path& folder) {
  std::error_code failure;
  std::vector<std::string> files;
  for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure))
    if (it->path().extension() == ".so") files.push_back(it->path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) consider_file(file);
}

void PluginHost::Impl::consider_linked(const StaticPlugin& plugin) {
  PluginRecord record{plugin.kind, plugin.name, kBuiltIn, false, ""};
  try {
    check_shadowed(record);
    add(record, call_plugin_entry(plugin.entry));
    record.loaded = true;
  } catch (const std::exception& e) {
    record.reason = e.what();
  }
  records.push_back(std::move(record));
}

void PluginHost::Impl::check_shadowed(const PluginRecord& record) const {
  for (const PluginRecord& other : records)
    if (other.loaded && other.kind == record.kind && other.name == record.name)
      throw Error("shadowed by the plugin of the same name that came first: " + other.origin);
}

void PluginHost::Impl::add(const PluginRecord& record, const void* entry) {
  const PluginOrigin origin{record.kind, record.name,
                            record.origin == kBuiltIn ? "" : record.origin};
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
                                     const std::string& name) const {
  if (const auto it = plugins.find(name); it != plugins.end()) return *it->second;
  for (const PluginRecord& record : records)
    if (record.kind == kind && record.name == name)
      throw UsageError("the plugin " + std::string(kind) + "." + name + " (" + record.origin +
                       ") was refused: " + record.reason);
  std::vector<std::string> names;
  for (const auto& [other, plugin] : plugins) names.push_back(other);
  throw UsageError("there is no plugin " + std::string(kind) + "." + name + "; " +
                   suggestion(name, names));
}

PluginHost::PluginHost(std::span<const StaticPlugin> linked,
                       std::span<const std::string> explicit_paths)
    : impl_(std::make_unique<Impl>()) {
  for (const std::string& path : explicit_paths) {
    if (path.empty() || path.front() != '/')
      throw UsageError("cannot load the plugin '" + path + "': give its absolute path");
    if (const PluginRecord* record = impl_->consider_file(path); record && !record->loaded)
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

const std::vector<PluginRecord>& PluginHost::records() const { return impl_->records; }

std::span<const PluginHost::KernelSet> PluginHost::kernel_sets() const {
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

std::vector<std::string> PluginHost::names(const std::string& kind) const {
  std::vector<std::string> names;
  for (const PluginRecord& record : impl_->records)
    if (record.loaded && record.kind == kind) names.push_back(record.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace perdure
