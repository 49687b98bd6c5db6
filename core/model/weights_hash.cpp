// SPDX-License-Identifier: Apache-2.0

// One stream over all weights in the order of their names, because the value stands in memory files
// that exist: cutting it up among threads would be another value. XXH3 is as fast as memory.
#include "core/model/weights_hash.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "core/base/dtype.hpp"
#include "core/base/hash.hpp"
#include "core/base/write_file.hpp"

namespace perdure {
namespace {

constexpr size_t kHashDigits = 32;

std::atomic<int64_t> n_computed{0};

std::span<const std::byte> bytes_of(const void* data, int64_t size) {
  return {static_cast<const std::byte*>(data), static_cast<size_t>(size)};
}

std::span<const std::byte> data_of(const Weight& w) {
  return bytes_of(w.data, w.rows * perdure_row_bytes(w.dtype, w.columns));
}

std::span<const std::byte> scales_of(const Weight& w) {
  return w.scales == nullptr ? std::span<const std::byte>()
                             : bytes_of(w.scales, w.size() / w.group_size * 4);
}

void add_description(Hasher& hasher, const std::string& name, const Weight& w) {
  hasher.add(name + ' ' + std::to_string(w.dtype) + ' ' + std::to_string(w.rows) + ' ' +
             std::to_string(w.columns) + ' ' + std::to_string(w.group_size) + '\n');
}

// The file and the offset in it at which `data` lies; nothing if it lies in none.
std::optional<std::string> place_of(std::span<const std::byte> data,
                                    std::span<const MappedFile> files) {
  for (size_t i = 0; i < files.size(); ++i) {
    const auto bytes = files[i].bytes();
    if (data.data() < bytes.data() || data.data() >= bytes.data() + bytes.size()) continue;
    return std::to_string(i) + '+' + std::to_string(data.data() - bytes.data());
  }
  return std::nullopt;
}

void add_key_data(Hasher& key, std::span<const std::byte> data, std::span<const MappedFile> files) {
  if (const auto place = place_of(data, files))
    key.add(*place + '\n');
  else
    key.add(data);  // owned by the model: small, and not told by any file
}

// The name of an entry: all that the hash depends on, without reading the files.
std::string key_of(const std::map<std::string, Weight, std::less<>>& weights,
                   std::span<const MappedFile> files) {
  Hasher key;
  for (const MappedFile& file : files) {
    const FileStamp& s = file.stamp();
    key.add(std::to_string(s.device) + ' ' + std::to_string(s.inode) + ' ' +
            std::to_string(s.size_bytes) + ' ' + std::to_string(s.modified_ns) + ' ' +
            std::to_string(s.changed_ns) + '\n');
  }
  for (const auto& [name, weight] : weights) {
    add_description(key, name, weight);
    add_key_data(key, data_of(weight), files);
    add_key_data(key, scales_of(weight), files);
  }
  return key.hex();
}

std::string computed(const std::map<std::string, Weight, std::less<>>& weights) {
  ++n_computed;
  Hasher hasher;
  for (const auto& [name, weight] : weights) {
    add_description(hasher, name, weight);
    hasher.add(data_of(weight));
    hasher.add(scales_of(weight));
  }
  return hasher.hex();
}

bool is_hash(const std::string& text) {
  return text.size() == kHashDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool worth_caching(std::span<const MappedFile> files, const WeightsCache& cache) {
  if (cache.folder.empty()) return false;
  const int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  int64_t size_bytes = 0;
  for (const MappedFile& file : files) {
    const FileStamp& s = file.stamp();
    size_bytes += s.size_bytes;
    if (std::max(s.modified_ns, s.changed_ns) > now_ns - cache.settled_ns) return false;
  }
  return !files.empty() && size_bytes >= cache.smallest_bytes;
}

std::string read_entry(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kHashDigits + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

void write_entry(const std::filesystem::path& path, const std::string& hash) {
  try {
    std::filesystem::create_directories(path.parent_path());
    write_file(path.string(), std::as_bytes(std::span(hash)));
  } catch (const std::exception&) {  // the next start hashes again
  }
}

}  // namespace

WeightsCache user_weights_cache() {
  constexpr int64_t kSmallestBytes = int64_t{16} << 20;
  constexpr int64_t kSettledNs = 2'000'000'000;
  std::string folder;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/')
    folder = cache;
  else if (home != nullptr && *home == '/')
    folder = std::string(home) + "/.cache";
  else
    return {};
  return {folder + "/perdure/weights", kSmallestBytes, kSettledNs};
}

std::string hash_weights(const std::map<std::string, Weight, std::less<>>& weights,
                         std::span<const MappedFile> files, const WeightsCache& cache) {
  if (!worth_caching(files, cache)) return computed(weights);
  const auto entry = std::filesystem::path(cache.folder) / key_of(weights, files);
  if (const std::string known = read_entry(entry); is_hash(known)) return known;
  std::string hash = computed(weights);
  const bool steady = std::none_of(files.begin(), files.end(),
                                   [](const MappedFile& file) { return file.written_since(); });
  if (steady) write_entry(entry, hash);
  return hash;
}

int64_t hashes_computed() { return n_computed; }

}  // namespace perdure
