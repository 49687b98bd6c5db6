// SPDX-License-Identifier: Apache-2.0

// The plugins of this tree as loadable modules: the same model, the same bits as with those that
// are linked in.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> module_files() {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(fs::path(PERDURE_BINARY_DIR) / "lib/perdure"))
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string load_all_modules() {
  std::string list;
  for (const std::string& file : module_files()) list += (list.empty() ? "" : ", ") + file;
  return "plugins.load=[" + list + "]";
}

struct Run {
  std::string model;
  std::vector<std::string> overrides;
  bool uses_tbb = false;
};

const Run kRuns[] = {
    {"memA.q80.bin", {"attention.strategy=memory"}},
    {"memA.q80.bin", {"attention.strategy=memory", "threads.backend=tbb", "threads.count=2"}, true},
    {"llama.v0.bin", {"attention.strategy=full", "kernels.prefer=[simd]"}},
    {"llama.v2.bin", {"attention.strategy=sliding_window", "attention.window=8"}},
    {"pt_lstm.safetensors", {"attention.strategy=chunk_lstm"}},
};

std::vector<float> logits_of(Engine& engine) {
  Session session = engine.new_session();
  return all_logits(engine, session, random_tokens(70, engine.spec().info.vocab_size, 9));
}

void check_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

size_t count_loaded(const Engine& engine, bool built_in) {
  const auto& records = engine.plugins().records();
  return static_cast<size_t>(std::count_if(records.begin(), records.end(), [&](const auto& r) {
    return r.loaded && (r.origin == "built in") == built_in;
  }));
}

}  // namespace

TEST_CASE("every plugin of the tree is built as a module too") {
  const auto files = module_files();
  CHECK(files.size() == linked_plugins().size());
  for (const StaticPlugin& plugin : linked_plugins()) {
    const std::string name = std::string(plugin.kind) + "." + plugin.name + ".so";
    CHECK(std::any_of(files.begin(), files.end(),
                      [&](const std::string& file) { return file.ends_with("/" + name); }));
  }
}

TEST_CASE("a model gives the same bits with loaded modules as with linked plugins") {
  for (const Run& run : kRuns) {
    CAPTURE(run.model);
    Engine linked(golden_settings(run.model, run.overrides), linked_plugins());
    CHECK(count_loaded(linked, false) == 0);
    std::vector<std::string> overrides = run.overrides;
    overrides.push_back(load_all_modules());
    Engine loaded(golden_settings(run.model, overrides), linked_plugins());
    CHECK(count_loaded(loaded, true) == 0);
    CHECK(count_loaded(loaded, false) > 2);  // strategies, kernels and threads in use
    check_same_bits(logits_of(loaded), logits_of(linked));
    loaded.plugins().load_all();
    CHECK(count_loaded(loaded, false) == linked_plugins().size());
  }
}

TEST_CASE("a program that links no plugin finds the modules beside it") {
  const Run& run = kRuns[0];
  Engine linked(golden_settings(run.model, run.overrides), linked_plugins());
  Engine bare(golden_settings(run.model, run.overrides), {});
  check_same_bits(logits_of(bare), logits_of(linked));
}

TEST_CASE("a snapshot taken with linked plugins is restored with loaded modules") {
  const Run& run = kRuns[0];
  std::vector<std::string> overrides = run.overrides;
  overrides.push_back(load_all_modules());
  Engine linked(golden_settings(run.model, run.overrides), linked_plugins());
  Engine loaded(golden_settings(run.model, overrides), linked_plugins());
  Session session = linked.new_session();
  const auto tokens = random_tokens(50, linked.spec().info.vocab_size, 2);
  all_logits(linked, session, std::span(tokens).first(37));
  Session restored = loaded.new_session();
  restored.restore(session.snapshot());
  check_same_bits(all_logits(loaded, restored, std::span(tokens).subspan(37)),
                  all_logits(linked, session, std::span(tokens).subspan(37)));
}
