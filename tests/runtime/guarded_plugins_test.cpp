// SPDX-License-Identifier: Apache-2.0

// Plugins that break their contract: each fault ends in one sentence that names the plugin's file.
#include "core/runtime/guarded_plugins.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "core/api/operations.hpp"
#include "core/graph/graph.hpp"
#include "tests/runtime/plugin_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

struct Faulty : Fixture {
  // The host with this plugin alone, which has this fault from its loading on.
  std::unique_ptr<PluginHost> host(const std::string& library) {
    fs::remove(folder / (library + ".so"));
    paths = {copy(library)};
    return std::make_unique<PluginHost>(std::span<const StaticPlugin>(), paths);
  }

  // What is said when `use` meets the fault after the plugin was loaded without it.
  template <typename Use>
  std::string message(const std::string& library, const char* fault, const Use& use) {
    const auto loaded = host(library);
    loaded->load_all();
    const Environment environment("PERDURE_TEST_FAULT", fault);
    return error_of([&] { use(*loaded); });
  }

  std::string strategy_message(const char* fault,
                               const std::function<void(AttentionStrategy&)>& use) {
    return message("faulty_strategy", fault, [&](const PluginHost& host) {
      use(*host.attention("faulty").create(ModelInfo{}, Options{}, std::vector<int64_t>{0}));
    });
  }

  // Why the library is refused when it has the fault while it is loaded.
  std::string loading_message(const std::string& library, const char* fault) {
    const Environment environment("PERDURE_TEST_FAULT", fault);
    return error_of([&] { host(library)->load_all(); });
  }

  std::vector<std::string> paths;
};

// One sentence with the plugin, its file and the words.
void check_names(const std::string& message, const std::string& plugin, const std::string& file,
                 const std::string& words) {
  CHECK(holds(message, "the plugin " + plugin));
  CHECK(holds(message, file));
  CHECK(holds(message, words));
}

void ask_everything(AttentionStrategy& s) {
  s.traits();
  s.states();
  s.extra_rows();
  s.input_streams();
  for (const Phase phase : {Phase::kInit, Phase::kBegin, Phase::kEnd}) s.phase_rows(phase);
}

// Lets the strategy build its layer in a graph that has its operations.
void mix(AttentionStrategy& s, const AttentionPlugin& plugin) {
  OperationTable operations;
  for (const Operation& operation : plugin.operations()) operations.add(operation);
  const StateTypes states;
  Builder builder("step", operations, [](std::string_view) { return nullptr; }, states);
  const Value table = builder.constant("table", 2, 4, std::vector<float>(8));
  const Value x = op::row_input(builder, table);
  s.mix(builder, 3, x);
  s.extra_block(builder, 3, x);
}

}  // namespace

TEST_CASE_FIXTURE(Faulty, "a strategy without a fault passes its guard") {
  CHECK(strategy_message("none", ask_everything) == "no error");
  CHECK(loading_message("faulty_strategy", "none") == "no error");
}

TEST_CASE_FIXTURE(Faulty, "what a strategy states while it is loaded is checked") {
  const std::map<const char*, const char*> faults{
      {"other name", "'elsewhere'"},
      {"options throws", "failed in options: no such page"},
      {"operations throws a number", "failed in operations with an exception of unknown type"},
      {"version throws an object", "failed in version with an exception of unknown type"},
      {"nameless option", "the option without a name"},
      {"odd option", "'a b' with other characters"},
      {"option of another type", "'size' with a default of another type"},
      {"option out of range", "'size' with a default outside its range"},
      {"option twice", "the option 'size' twice"},
      {"no result", "the operation 'copy' without a function"},
      {"kernels throws", "failed in kernels: no such page"},
      {"kernel without run", "'copy_f32_scalar' lacks"},
      {"kernel without name", "has no name"},
      {"kernel of another size", "rebuild it"},
      {"kernels nowhere", "its kernels are nowhere"},
      {"operation twice", "the operation 'copy' twice"},
      {"operation of the host", "the operation 'add' is registered already"},
      {"option of the host", "the option 'layers' that is a key of the program's own"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    check_names(loading_message("faulty_strategy", fault), "attention.faulty",
                folder / "faulty_strategy.so", words);
  }
}

TEST_CASE_FIXTURE(Faulty, "what a strategy declares is checked before anything is computed") {
  const std::map<const char*, const char*> faults{
      {"no strategy", "returned no strategy from create"},
      {"create throws", "failed in create: no such page"},
      {"depends_on throws", "failed in depends_on: no such page"},
      {"create throws a number", "failed in create with an exception of unknown type"},
      {"traits throws", "failed in traits"},
      {"states throws an object", "failed in states with an exception of unknown type"},
      {"negative segment", "declares segments of -4 tokens"},
      {"negative rows", "declares steps of at most -1 tokens"},
      {"negative window", "declares a window of -1 tokens"},
      {"nameless state", "the state without a name"},
      {"state twice", "the state 'a' twice"},
      {"negative state", "the state 'a' of 1 rows, -1 columns"},
      {"huge state", "more than any machine has room for"},
      {"negative phase", "asks for -1 rows"},
      {"extra rows", "asks for -1 extra rows"},
      {"input stream", "'passages' without a vocabulary"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    check_names(strategy_message(fault, ask_everything), "attention.faulty",
                folder / "faulty_strategy.so", words);
  }
}

TEST_CASE_FIXTURE(Faulty, "what a strategy does while a graph is built is checked") {
  const std::map<const char*, const char*> faults{
      {"mix throws", "failed in mix of layer 3: no such page"},
      {"mix throws a number", "failed in mix of layer 3 with an exception of unknown type"},
      {"no value", "returned no value from mix of layer 3"},
      {"value of no graph", "was given a value of another graph"},
      {"other columns", "returned from mix of layer 3 rows of 1 values of type f32; it must give"},
      {"integers", "rows of 1 values of type i64; it must give rows of 4 values of type f32"},
      {"weight", "no rows of the step of 4 values of type f32; it must give rows of 4 values"},
      {"odd block", "returned from extra_block of layer 3 rows of 1 values"},
      {"output", "a strategy cannot write the output 'logits'"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    const auto use = [](const PluginHost& host) {
      const auto& plugin = host.attention("faulty");
      mix(*plugin.create(ModelInfo{}, Options{}, std::vector<int64_t>{0}), plugin);
    };
    check_names(message("faulty_strategy", fault, use), "attention.faulty",
                folder / "faulty_strategy.so", words);
  }
}

TEST_CASE_FIXTURE(Faulty, "a value that a strategy kept from another graph is refused") {
  for (const char* fault : {"value of another graph", "input of another graph"}) {
    CAPTURE(fault);
    const auto use = [](const PluginHost& host) {
      const auto& plugin = host.attention("faulty");
      const auto strategy = plugin.create(ModelInfo{}, Options{}, std::vector<int64_t>{0});
      for (int graph = 0; graph < 2; ++graph) mix(*strategy, plugin);
    };
    check_names(message("faulty_strategy", fault, use), "attention.faulty",
                folder / "faulty_strategy.so", "was given a value of another graph");
  }
}

TEST_CASE_FIXTURE(Faulty, "errors that a plugin means keep their type and name the plugin") {
  const auto create = [](AttentionStrategy&) {};
  const std::string error = strategy_message("create throws Error", create);
  CHECK(holds(error, "the model lacks what this needs; reported by the plugin attention.faulty ("));
  const auto loaded = host("faulty_strategy");
  loaded->load_all();
  const Environment environment("PERDURE_TEST_FAULT", "create throws UsageError");
  CHECK_THROWS_AS(loaded->attention("faulty").create(ModelInfo{}, Options{}, {}), UsageError);
}

TEST_CASE_FIXTURE(Faulty, "threads that break their contract are refused") {
  const std::map<const char*, const char*> faults{
      {"create throws", "failed in create: all threads are taken"},
      {"no threads", "returned no threads from create"},
      {"no participants", "says that it brings 0 participants"},
      {"too many participants", "participants; it must be 1 to"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    const auto use = [](const PluginHost& host) { host.threads("faulty").create(2); };
    check_names(message("faulty_threads", fault, use), "threads.faulty",
                folder / "faulty_threads.so", words);
  }
}

TEST_CASE_FIXTURE(Faulty, "a participant that nothing was prepared for takes no part") {
  const auto loaded = host("faulty_threads");
  loaded->load_all();
  const Environment environment("PERDURE_TEST_FAULT", "uninvited participant");
  const auto threads = loaded->threads("faulty").create(2);
  std::vector<int> seen;
  threads->team([](void* context, int i) { static_cast<std::vector<int>*>(context)->push_back(i); },
                &seen);
  CHECK(seen == std::vector<int>{0});
}

TEST_CASE_FIXTURE(Faulty, "no two compute under one number at a time") {
  const auto loaded = host("faulty_threads");
  loaded->load_all();
  const Environment environment("PERDURE_TEST_FAULT", "one number for two");
  const auto threads = loaded->threads("faulty").create(2);
  struct {
    std::atomic<int> inside{0}, most{0};
  } seen;
  threads->team(
      [](void* context, int) {
        auto& s = *static_cast<decltype(seen)*>(context);
        if (const int now = ++s.inside; now > s.most) s.most = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        --s.inside;
      },
      &seen);
  CHECK(seen.most == 1);
}

TEST_CASE_FIXTURE(Faulty, "a team has not returned before all its participants have") {
  const auto loaded = host("faulty_threads");
  loaded->load_all();
  const Environment environment("PERDURE_TEST_FAULT", "goes before its worker");
  const auto threads = loaded->threads("faulty").create(2);
  std::atomic<bool> finished{false};
  threads->team(
      [](void* context, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        *static_cast<std::atomic<bool>*>(context) = true;
      },
      &finished);
  CHECK(finished);
  CHECK(plugin_of(*threads).find((folder / "faulty_threads.so").string()) != std::string::npos);
}

TEST_CASE_FIXTURE(Faulty, "a store that breaks its contract is refused") {
  const std::map<const char*, const char*> faults{
      {"no store", "returned no store from open"},
      {"put throws a number", "failed in put with an exception of unknown type"},
      {"put throws Error", "the disk is full; reported by"},
      {"generation 0", "returned the generation 0 from put"},
      {"get throws", "ran out of memory in get"},
      {"odd session", "lists a session whose name or generation cannot be"},
      {"odd generation", "lists a generation of another session"},
      {"reads nothing", "returned from put without having read the snapshot"},
      {"reads a part", "returned from put without having read the snapshot"},
      {"no generation", "returned the generation 18446744073709551615 from put"},
      {"same generation", "returned the generation 1 from put after generation 1 of 'a'"},
      {"session twice", "lists generation 1 of 'a' twice, or out of order"},
      {"generation twice", "lists generation 2 of 'a' twice, or out of order"},
      {"oldest first", "lists generation 2 of 'a' twice, or out of order"},
      {"no lock", "returned no lock"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    const auto use = [](const PluginHost& host) {
      const auto store = host.store("faulty").open({.path = "/nonexistent"});
      const std::vector<std::byte> snapshot(2);
      store->put("a", snapshot, store->put("a", snapshot));
      store->get("a");
      store->list();
      store->generations("a");
      store->lock("a");
    };
    check_names(message("faulty_store", fault, use), "stores.faulty", folder / "faulty_store.so",
                words);
  }
}

TEST_CASE_FIXTURE(Faulty, "a store's generation must be higher than the one that is continued") {
  const auto use = [](const PluginHost& host) {
    const auto store = host.store("faulty").open({.path = "/nonexistent"});
    store->put("a", std::vector<std::byte>(2), 7);
  };
  check_names(message("faulty_store", "none", use), "stores.faulty", folder / "faulty_store.so",
              "returned the generation 1 from put after generation 7 of 'a'");
}

TEST_CASE_FIXTURE(Faulty, "a store may begin with generation 1 again after a session was removed") {
  const auto use = [](const PluginHost& host) {
    const auto store = host.store("faulty").open({.path = "/nonexistent"});
    store->put("a", std::vector<std::byte>(2));
    store->remove("a");
    store->put("a", std::vector<std::byte>(2));
  };
  CHECK(message("faulty_store", "same generation", use) == "no error");
}

TEST_CASE_FIXTURE(Faulty, "options of a store are checked while it is loaded") {
  const std::map<const char*, const char*> faults{
      {"option of the host", "the option 'keep' that is a key of the program's own"},
      {"option twice", "the option 'shelf' twice"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    check_names(loading_message("faulty_store", fault), "stores.faulty", folder / "faulty_store.so",
                words);
  }
}
