// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/circumstances.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "apps/perdure/compare/ranks.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/statistics.hpp"
#include "apps/perdure/version.hpp"
#include "core/base/cpu.hpp"
#include "core/base/hash.hpp"

namespace perdure::app {
namespace {

// "model name\t: AMD EPYC 9B45" of /proc/cpuinfo; "" where that does not say.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

const std::string& hash_of(const std::string& path) {
  static std::map<std::string, std::string> hashes;
  const auto there = hashes.find(path);
  if (there != hashes.end()) return there->second;
  Hasher hasher;
  hasher.add(read_file(path));
  return hashes.emplace(path, hasher.hex()).first->second;
}

// Names of plugins as "kind.name" that the engine's numbers may depend on, foreign or not.
std::set<std::string> used_plugins(const Engine& engine) {
  const Settings& s = engine.settings();
  // What an empty strategy becomes is the model's choice among these.
  std::set<std::string> used{"threads." + s.threads.backend, "attention.memory", "attention.full",
                             "attention." + s.attention.choice.strategy};
  for (const LayerOverride& layer : s.attention.layers)
    used.insert("attention." + layer.choice.strategy);
  for (const std::string& graph : engine.graph_names())
    for (const std::string& kernel : kernels_in_plan(engine.describe_plan(graph)))
      for (const PluginHost::KernelSet& set : engine.plugins().kernel_sets())
        if (std::any_of(set.kernels.begin(), set.kernels.end(),
                        [&](const perdure_kernel& k) { return kernel == k.name; }))
          used.insert("kernels." + set.plugin);
  return used;
}

}  // namespace

std::string machine_text() {
  return fmt::format("{}, {}, {} processors", cpu_model(), cpu_feature_names(cpu_features()),
                     std::thread::hardware_concurrency());
}

Circumstances circumstances_now(int64_t threads) {
  double load = 0;
  if (getloadavg(&load, 1) != 1) load = 0;
  return {.cpu = cpu_model(),
          .isa = cpu_feature_names(cpu_features()),
          .threads = threads,
          .load = load,
          .date = utc_now(),
          .version = version_and_commit()};
}

std::vector<std::string> foreign_libraries(const Engine& engine) {
  const std::set<std::string> used = used_plugins(engine);
  std::vector<std::string> libraries;
  for (const PluginRecord& record : engine.plugins().records()) {
    const std::string name = record.kind + "." + record.name;
    if (!record.loaded || !record.origin.starts_with('/') || !used.contains(name)) continue;
    libraries.push_back(fmt::format("{} {} {}", name,
                                    std::filesystem::path(record.origin).filename().string(),
                                    hash_of(record.origin)));
  }
  std::sort(libraries.begin(), libraries.end());
  return libraries;
}

struct WholeMachine::Mask {
  cpu_set_t set;
};

WholeMachine::WholeMachine() {
  if (threads_per_rank() == 0) return;  // bounds that the user sets stay
  before_ = std::make_unique<Mask>();
  CPU_ZERO(&before_->set);
  if (sched_getaffinity(0, sizeof before_->set, &before_->set) != 0) before_.reset();
  cpu_set_t all;
  CPU_ZERO(&all);
  for (size_t i = 0; i < CPU_SETSIZE; ++i) CPU_SET(i, &all);  // the kernel keeps those there are
  sched_setaffinity(0, sizeof all, &all);
}

WholeMachine::~WholeMachine() {
  if (before_) sched_setaffinity(0, sizeof before_->set, &before_->set);
}

}  // namespace perdure::app
