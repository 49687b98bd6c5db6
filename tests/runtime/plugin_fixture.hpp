// SPDX-License-Identifier: Apache-2.0

// A place of its own for tests that load the libraries of tests/runtime/plugins.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "core/api/error.hpp"
#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

namespace fs = std::filesystem;

// Sets an environment variable, or removes it, for the life of the object.
class Environment {
 public:
  Environment(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Environment() { set(old_); }

 private:
  void set(const std::optional<std::string>& value) {
    value ? setenv(name_, value->c_str(), 1) : unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> old_;
};

// A folder of this test alone, and a host that finds nothing but what the test names.
struct Fixture {
  Fixture() {
    fs::remove_all(folder);
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms::owner_all);
    unsetenv("PERDURE_TEST_RAN");
  }
  ~Fixture() { fs::remove_all(folder); }

  // A copy of a test plugin that only its owner may write to.
  std::string copy(const std::string& name, const std::string& as = "") {
    const fs::path to = folder / ((as.empty() ? name : as) + ".so");
    fs::copy_file(fs::path(PERDURE_BINARY_DIR) / "tests/plugins" / (name + ".so"), to);
    fs::permissions(to, fs::perms::owner_all);
    return to;
  }

  // Why the host does not load the file, when it comes by PERDURE_PLUGIN_PATH.
  std::string refusal(const std::string& path) {
    const Environment environment("PERDURE_PLUGIN_PATH", path);
    const PluginHost host({}, {});
    host.load_all();
    for (const auto& record : host.records())
      if (record.origin == path) return record.loaded ? "loaded" : record.reason;
    return "not recorded";
  }

  fs::path folder =
      fs::canonical(fs::temp_directory_path()) / ("perdure_plugins_" + std::to_string(getpid()));
  Environment path{"PERDURE_PLUGIN_PATH", std::nullopt};
  Environment data{"XDG_DATA_HOME", "/nonexistent"};
  Environment cache{"XDG_CACHE_HOME", folder / "cache"};
};

inline bool holds(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE("'" << text << "' lacks '" << part << "'");
  return false;
}

std::string error_of(auto&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace perdure::testing
