// SPDX-License-Identifier: Apache-2.0

// Foreign libraries and the program: what runs their code and what does not, and `plugin info`.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "core/base/json/json.hpp"
#include "tests/apps/program.hpp"
#include "tests/support/sanitized.hpp"

using namespace perdure;
using namespace perdure::testing;
namespace fs = std::filesystem;

namespace {

// A copy of a test plugin that only its owner may write to, and the environment of the program.
struct Library {
  explicit Library(const std::string& name) : path(folder / (name + ".so")) {
    fs::permissions(folder / ".", fs::perms::owner_all);
    fs::copy_file(fs::path(PERDURE_BINARY_DIR) / "tests/plugins" / (name + ".so"), path);
    fs::permissions(path, fs::perms::owner_all);
    setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
    setenv("PERDURE_TEST_TRACE", trace.c_str(), 1);
  }
  ~Library() {
    unsetenv("XDG_CACHE_HOME");
    unsetenv("PERDURE_TEST_TRACE");
  }

  Words loading() const {
    return {"--set", "plugins.load=[" + path + "]", "--set", "store.path=" + (folder / "store")};
  }
  // Whether code of the library has run since it was asked last.
  bool has_run() { return fs::remove(trace); }

  TemporaryFolder folder;
  std::string path;
  std::string trace = folder / "trace";
};

// What the program says, and its exit status, when the strategy has this fault.
Outcome run_faulty(const Library& library, const char* fault, const Words& more = {}) {
  setenv("PERDURE_TEST_FAULT", fault, 1);
  const Outcome outcome =
      run_perdure(Words{"generate", "-p", "a", "-n", "2"} + golden_words("llama.v0.bin") +
                  library.loading() + Words{"--set", "attention.strategy=faulty"} + more);
  unsetenv("PERDURE_TEST_FAULT");
  return outcome;
}

bool holds(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE("'" << text << "' lacks '" << part << "'");
  return false;
}

}  // namespace

TEST_CASE("what the engine refuses of a foreign strategy names the plugin's file") {
  const Library library("faulty_strategy");
  CHECK(run_faulty(library, "none").status == 0);
  CHECK(run_faulty(library, "own operation").status == 0);
  const std::map<const char*, const char*> faults{
      {"window with state", "computes whole windows and declares state"},
      {"window too long", "declares a window of 1073741824 tokens"},
      {"phase without segments", "declares segments of 0 tokens"},
      {"rows beyond source", "asks for 99999 extra rows of 'token_embd.weight'"},
      {"state of another type", "the state 'a' is declared with the element type 1"},
      {"state of no stream", "the input stream 'nowhere', which no strategy declares"},
      {"stream without state", "'passages' is declared without a state that grows with it"},
      {"state of no weight", "the state 'a' starts as 'nothing'"},
      {"state anywhere", "is written by 'state_write' in the graph 'step' at other places"},
      {"kernel for nothing", "the operation 'copyy', which neither it nor this program has"},
      {"other columns", "returned from mix of layer 0 rows of 1 values"},
  };
  for (const auto& [fault, words] : faults) {
    CAPTURE(fault);
    const Outcome outcome = run_faulty(library, fault);
    CHECK(outcome.status == 1);
    CHECK(holds(outcome.err, words));
    CHECK(holds(outcome.err, "attention.faulty (" + library.path + ")"));
  }
}

TEST_CASE("two strategies with one name for an operation or a state are refused with the file") {
  const Library library("faulty_strategy"), twin("faulty_twin");
  const Words both{"--set", "plugins.load=[" + library.path + ", " + twin.path + "]", "--set",
                   "attention.layers={'0': {strategy: faulty_twin}}"};
  const Outcome operation = run_faulty(library, "none", both);
  CHECK(operation.status == 1);
  CHECK(holds(operation.err, "the operation 'copy' is registered already"));
  CHECK(holds(operation.err, "attention.faulty_twin (" + twin.path + ")"));
  const Outcome state = run_faulty(library, "shared state", both);
  CHECK(state.status == 1);
  CHECK(holds(state.err, "two strategies declare the state 'shared'"));
  CHECK(holds(state.err, "attention.faulty_twin (" + twin.path + ")"));
}

TEST_CASE("a strategy that ends the program is named with its file and with what it was doing") {
  const Library library("faulty_strategy");
  const std::map<const char*, const char*> deaths{
      {"create crashes", "crashed (SIGSEGV) in create"},
      {"mix crashes", "crashed (SIGSEGV) in mix of layer 0"},
      {"mix aborts", "gave up (SIGABRT) in mix of layer 0"},
      {"mix exits", "ended the program in mix of layer 0"},
      {"destructor crashes", "crashed (SIGSEGV) in the destructor of a strategy"},
  };
  for (const auto& [death, words] : deaths) {
    CAPTURE(death);
    const Outcome outcome = run_faulty(library, death);
    CHECK(outcome.status != 0);
    CHECK(holds(outcome.err,
                "perdure: the plugin attention.faulty (" + library.path + ") " + words + "; "));
  }
}

TEST_CASE("a kernel that ends the program is named with its file") {
  const Library library("faulty_strategy");
  for (const auto& [death, words] : {std::pair{"prepare crashes", "crashed (SIGSEGV)"},
                                     std::pair{"kernel crashes", "crashed (SIGSEGV)"},
                                     std::pair{"kernel aborts", "gave up (SIGABRT)"}}) {
    CAPTURE(death);
    const Outcome outcome = run_faulty(library, death);
    CHECK(outcome.status != 0);
    CHECK(holds(outcome.err,
                "attention.faulty (" + library.path + ") " + words + " in copy_f32_scalar; "));
  }
}

TEST_CASE("a kernel whose stack overflows on a worker thread is named with its file") {
  const Library library("faulty_strategy"), threads("faulty_threads");
  const Outcome outcome =
      run_faulty(library, "kernel overflows",
                 {"--set", "plugins.load=[" + library.path + ", " + threads.path + "]", "--set",
                  "threads.backend=faulty"});
  // The address sanitizer, whose turn it is after the sentence, knows an overflow and exits.
  CHECK(outcome.status == (kSanitized ? 1 : 128 + SIGSEGV));
  CHECK(holds(outcome.err,
              "attention.faulty (" + library.path + ") crashed (SIGSEGV) in copy_f32_scalar; "));
}

TEST_CASE("a store that ends the program is named with its file") {
  const Library library("faulty_store");
  const Words store = library.loading() + Words{"--set", "store.kind=faulty"};
  const Words list = Words{"memory", "list"} + store;
  const Words session = Words{"generate", "--session", "a", "-p", "a", "-n", "2"} +
                        golden_words("llama.v0.bin") + store;
  const std::map<const char*, std::pair<Words, const char*>> deaths{
      {"list aborts", {list, "list"}},
      {"destructor aborts", {list, "the destructor of a store"}},
      {"unlocking aborts", {session, "the destructor of a lock"}},
  };
  for (const auto& [death, use] : deaths) {
    CAPTURE(death);
    setenv("PERDURE_TEST_FAULT", death, 1);
    const Outcome outcome = run_perdure(use.first);
    unsetenv("PERDURE_TEST_FAULT");
    CHECK(outcome.status == 128 + SIGABRT);
    CHECK(holds(outcome.err, "perdure: the plugin stores.faulty (" + library.path +
                                 ") gave up (SIGABRT) in " + use.second + "; "));
  }
}

TEST_CASE("threads that end the program when they are given back are named with their file") {
  const Library library("faulty_threads");
  setenv("PERDURE_TEST_FAULT", "destructor aborts", 1);
  const Outcome outcome =
      run_perdure(Words{"generate", "-p", "a", "-n", "2"} + golden_words("llama.v0.bin") +
                  library.loading() + Words{"--set", "threads.backend=faulty"});
  unsetenv("PERDURE_TEST_FAULT");
  CHECK(outcome.status == 128 + SIGABRT);
  CHECK(holds(outcome.err, "perdure: the plugin threads.faulty (" + library.path +
                               ") gave up (SIGABRT) in the destructor of threads; "));
}

TEST_CASE("a library that was harmless in the child and ends the program later is named") {
  const Library library("deadly");
  const Words list = Words{"plugin", "list"} + library.loading();
  CHECK(run_perdure(list).status == 0);
  const std::map<const char*, const char*> deaths{
      {"abort", "gave up (SIGABRT) in a constructor of its library"},
      {"crash", "crashed (SIGSEGV) in a constructor of its library"},
      {"exit", "ended the program in a constructor of its library"},
      {"entry aborts", "gave up (SIGABRT) in its entry function"},
      {"static destructor", "gave up (SIGABRT) in a destructor at the program's end"},
  };
  for (const auto& [death, words] : deaths) {
    CAPTURE(death);
    setenv("PERDURE_TEST_DEATH", death, 1);
    const Outcome outcome = run_perdure(list);
    unsetenv("PERDURE_TEST_DEATH");
    CHECK(outcome.status != 0);
    CHECK(holds(outcome.err,
                "perdure: the plugin threads.deadly (" + library.path + ") " + words + "; "));
  }
}

TEST_CASE("commands that need no plugin run no code of the libraries that a configuration names") {
  Library library("leaves_trace");
  const std::string models = std::string(PERDURE_SOURCE_DIR) + "/models/";
  const Words model{"--set", "model.path=" + models + "fables/fables.bin", "--set",
                    "model.tokenizer=" + models + "fables/tokenizer.bin"};
  for (const Words& words :
       {Words{"memory", "list"} + library.loading(), Words{"config"} + library.loading(),
        Words{"config"} + library.loading() + model,
        Words{"tokenize", "a word"} + library.loading() + model}) {
    CAPTURE(words[0]);
    const Outcome outcome = run_perdure(words);
    CHECK(outcome.status == 0);
    CHECK_FALSE(library.has_run());
  }
  CHECK(run_perdure(Words{"plugin", "info", "leaves_trace"} + library.loading()).status == 0);
  CHECK(library.has_run());
}

TEST_CASE("config says that it shows options as written, and loads libraries when asked") {
  const Library library("leaves_trace");
  const Outcome written = run_perdure(Words{"config"} + library.loading());
  CHECK(written.err.find("--load-plugins") != std::string::npos);
  CHECK(run_perdure(Words{"config", "--load-plugins"} + library.loading()).status == 0);
}

TEST_CASE("a library that ends the process is named, by a command that continues where it can") {
  Library library("deadly");
  setenv("PERDURE_TEST_DEATH", "exit", 1);
  const Outcome named = run_perdure(Words{"plugin", "list"} + library.loading());
  CHECK(named.status == 1);
  CHECK(named.err.find(library.path) != std::string::npos);
  setenv("PERDURE_PLUGIN_PATH", library.path.c_str(), 1);
  const Outcome found = run_perdure({"plugin", "list"});
  unsetenv("PERDURE_PLUGIN_PATH");
  unsetenv("PERDURE_TEST_DEATH");
  CHECK(found.status == 0);
  CHECK(found.out.find(library.path) != std::string::npos);
  CHECK(found.out.find("ended the process with exit status 0") != std::string::npos);
  CHECK(found.out.find("attention.full") != std::string::npos);
}

TEST_CASE("plugin info tells options, operations, kernels and build id") {
  const Outcome window = run_perdure({"plugin", "info", "sliding_window"});
  CHECK(window.status == 0);
  for (const char* words : {"attention.sliding_window", "build id", "version   ", "options",
                            "window ", "integer", "default"})
    CHECK(window.out.find(words) != std::string::npos);
  const Outcome lstm = run_perdure({"plugin", "info", "attention.chunk_lstm"});
  CHECK(lstm.out.find("mix_rows_f32_scalar") != std::string::npos);
  CHECK(run_perdure({"plugin", "info", "scalar"}).out.find("rms_norm") != std::string::npos);
  const Json json =
      Json::parse(run_perdure({"plugin", "info", "full", "--json"}).out, "plugin info");
  bool found = false;
  for (const Json& option : json.at("options").list())
    if (option.at("name").text() == "rope_scaling") {
      found = true;
      CHECK_FALSE(option.at("help").text().empty());
      CHECK(option.at("choices").list().size() > 3);
    }
  CHECK(found);
}

TEST_CASE("plugin info of a name that there is not names the nearest") {
  const Outcome outcome = run_perdure({"plugin", "info", "attention.memry"});
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find("attention.memory") != std::string::npos);
}

TEST_CASE("plugin info shows the options of a store") {
  const Library library("faulty_store");
  const Outcome text = run_perdure(Words{"plugin", "info", "stores.faulty"} + library.loading());
  CHECK(text.status == 0);
  CHECK(holds(text.out, "shelf "));
  CHECK(holds(text.out, "integer, 1 to 8; default 4"));
  CHECK(holds(text.out, "Where it stands."));
  CHECK(holds(run_perdure({"plugin", "info", "stores.file"}).out, "durability"));
}

TEST_CASE("plugin info says which kernels are for unknown operations") {
  const Library library("good_kernel");
  const Outcome text = run_perdure(Words{"plugin", "info", "kernels.good"} + library.loading());
  CHECK(text.status == 0);
  CHECK(holds(text.out, "test_op: no operation of this program"));
  CHECK_FALSE(run_perdure({"plugin", "info", "kernels.simd"}).out.find("no operation of") !=
              std::string::npos);
}
