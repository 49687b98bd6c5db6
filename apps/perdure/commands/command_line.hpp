// SPDX-License-Identifier: Apache-2.0

// The arguments of one command: what every command takes (-c, -m, --set, --quiet, --help), what it
// adds, and sentences for what is wrong.
#pragma once

#include <boost/program_options.hpp>
#include <map>
#include <string>
#include <vector>

#include "apps/perdure/commands/description.hpp"
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
  // Adds --temp, --top-k, --top-p, --min-p and --seed: other ways to write --set sampling....
  CommandLine& add_sampling();
  // The first word is the model, as with -m.
  CommandLine& add_model_word();
  // Words that are no options go here in order; `most` of them, -1 = any number.
  CommandLine& add_words(const char* name, std::vector<std::string>* words, int most);

  // False if the user asked for help, which is then printed, or a description is wanted
  // (description.hpp), which is then made.
  // Errors: UsageError that names the option, the nearest one if it is unknown.
  bool parse(const std::vector<std::string>& arguments);
  // As if -m named it. Errors: UsageError if the model was given already, or it is a configuration.
  void use_model(const std::string& model);

  bool given(const char* name) const { return variables_.count(name) != 0; }
  bool quiet() const { return quiet_; }
  bool json() const { return json_; }
  // The file of -c, empty if there is none, and what --set and its shorthands give, in that form.
  const std::string& config() const { return config_; }
  const std::vector<std::string>& overrides() const { return overrides_; }
  // The configuration of both, completed (complete_model).
  Settings settings() const;
  // The same where a model is needed. Errors: UsageError if none is given.
  Settings model_settings() const;

 private:
  template <class T>
  static const char* value_name() {
    return std::is_integral_v<T> ? "N" : "TEXT";
  }
  void add_shorthand(const char* name, const char* key, const char* help);
  void apply_shorthands();
  std::string near_option(const std::string& word) const;
  void describe_to(CommandDescription& description) const;
  std::vector<std::string> option_names() const;
  std::string help() const;

  std::string usage_, purpose_;
  std::string config_, model_;
  std::vector<std::string> model_words_;
  std::map<std::string, std::string> shorthands_;  // option -> key of the configuration
  std::vector<std::string> overrides_;
  bool quiet_ = false, json_ = false, help_ = false;
  boost::program_options::options_description options_, words_;
  boost::program_options::positional_options_description positions_;
  boost::program_options::variables_map variables_;
};

// Errors: UsageError unless min <= value.
void require_at_least(const char* option, int64_t value, int64_t min);

// Errors: UsageError if `option` is given without `other`, without which it means nothing.
void require_beside(const char* option, bool given, const char* other, bool other_given);

}  // namespace perdure::app
