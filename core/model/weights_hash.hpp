// SPDX-License-Identifier: Apache-2.0

// The hash of a model's weights, and the cache of such hashes in the user's cache folder: hashing a
// model of many gigabytes takes longer than everything else that happens before its first token.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "core/model/model.hpp"

namespace perdure {

// Where hashes are kept. An entry's name is made of all that the hash depends on: device, inode,
// size and both times of every file, and name, type, shape and place of every weight, so an entry
// is never stale, and one that cannot be read or written is as if there were none.
struct WeightsCache {
  std::string folder;          // "": none
  int64_t smallest_bytes = 0;  // models whose files are smaller are hashed anew
  int64_t settled_ns = 0;      // files changed less than so long ago are not cached: a second
                               // change within one tick of the file system's clock looks like none
};

// perdure/weights below $XDG_CACHE_HOME or ~/.cache; for files of 16 MiB and more.
WeightsCache user_weights_cache();

// The hash, as 32 hexadecimal digits. Pure but for the cache; any thread. Never fails because of
// the cache.
std::string hash_weights(const std::map<std::string, Weight, std::less<>>& weights,
                         std::span<const MappedFile> files, const WeightsCache& cache);

// How many times this process has read all the weights of a model for a hash. For tests.
int64_t hashes_computed();

}  // namespace perdure
