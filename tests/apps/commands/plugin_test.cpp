// SPDX-License-Identifier: Apache-2.0

// Foreign libraries and the program: what runs their code and what does not, and `plugin info`.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/json/json.hpp"
#include "tests/apps/program.hpp"

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

}  // namespace

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

TEST_CASE("config says that it shows options as written, and loads libraries when told") {
  const Library library("leaves_trace");
  const Outcome written = run_perdure(Words{"config"} + library.loading());
  CHECK(written.err.find("--load-plugins") != std::string::npos);
  CHECK(run_perdure(Words{"config", "--load-plugins"} + library.loading()).status == 0);
}

TEST_CASE("a library that ends the process is named, by a command that goes on where it can") {
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
