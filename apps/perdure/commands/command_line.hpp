// SPDX-License-Identifier: Apache-2.0

// The arguments of one command: what every command takes (-c, --set, --quiet, --help), what it
// adds, and sentences for what is wrong.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "core/config/settings.hpp"

namespace perdure::app {

class CommandLine {
 public:
  // `usage`: what follows "perdure " in the first line of the help. `purpose`: a sentence or two
  // for people.
  CommandLine(std::string usage, std::string purpose);

  // Adds an option: add("count,n", &n, "tokens"). The variable keeps its value if the option is not
  // given. `value` is what the help calls it.
  template <class T>
  CommandLine& add(const char* names, T* variable, const char* help,
                   const char* value = value_name<T>()) {
    options_.add_options()(names, boost::program_options::value<T>(variable)->value_name(value),
                           help);
    return *this;
  }
  CommandLine& add_flag(const char* names, bool* variable, const char* help);
  // Adds --json.
  CommandLine& add_json();
  // Words that are no options go here in order; `most` of them, -1 = any number.
  CommandLine& add_words(const char* name, std::vector<std::string>* words, int most);

  // False if the user asked for help, which is then printed.
  // Errors: UsageError that names the option, the nearest one if it is unknown.
  bool parse(const std::vector<std::string>& arguments);

  bool given(const char* name) const { return variables_.count(name) != 0; }
  bool quiet() const { return quiet_; }
  bool json() const { return json_; }
  // The file of -c, empty if there is none, and what --set gives, as written.
  const std::string& config() const { return config_; }
  const std::vector<std::string>& overrides() const { return overrides_; }
  // The configuration of both.
  Settings settings() const { return load_settings(config_, overrides_); }

 private:
  template <class T>
  static const char* value_name() {
    return std::is_same_v<T, std::string> ? "TEXT" : "N";
  }
  std::vector<std::string> option_names() const;
  std::string help() const;

  std::string usage_, purpose_;
  std::string config_;
  std::vector<std::string> overrides_;
  bool quiet_ = false, json_ = false, help_ = false;
  boost::program_options::options_description options_, words_;
  boost::program_options::positional_options_description positions_;
  boost::program_options::variables_map variables_;
};

// Errors: UsageError unless min <= value.
void require_at_least(const char* option, int64_t value, int64_t min);

}  // namespace perdure::app
