// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/command_line.hpp"

#include <fmt/format.h>

#include <sstream>

#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {
namespace {

namespace po = boost::program_options;

constexpr unsigned kHelpWidth = 100;

// No guessing of shortened names: a script must not change its meaning when an option is added.
constexpr int kStyle = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

}  // namespace

CommandLine::CommandLine(std::string usage, std::string purpose)
    : usage_(std::move(usage)), purpose_(std::move(purpose)), options_("Options", kHelpWidth) {
  options_.add_options()("config,c", po::value(&config_)->value_name("FILE"),
                         "configuration (YAML)")(
      "set", po::value(&overrides_)->value_name("KEY=VALUE"),
      "overrides a key of the configuration; may be repeated")(
      "quiet,q", po::bool_switch(&quiet_), "no progress and no statistics on standard error")(
      "help,h", po::bool_switch(&help_), "this text");
}

CommandLine& CommandLine::add_flag(const char* names, bool* variable, const char* help) {
  options_.add_options()(names, po::bool_switch(variable), help);
  return *this;
}

CommandLine& CommandLine::add_json() { return add_flag("json", &json_, "the result as JSON"); }

CommandLine& CommandLine::add_words(const char* name, std::vector<std::string>* words, int most) {
  words_.add_options()(name, po::value(words));
  positions_.add(name, most);
  return *this;
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> names;
  for (const auto& option : options_.options()) names.push_back("--" + option->long_name());
  return names;
}

std::string CommandLine::help() const {
  std::ostringstream text;
  text << "usage: perdure " << usage_ << "\n\n" << purpose_ << "\n\n" << options_;
  return text.str();
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  const std::string more =
      fmt::format("; see perdure {} --help", usage_.substr(0, usage_.find(' ')));
  po::options_description all;
  all.add(options_).add(words_);
  try {
    po::store(
        po::command_line_parser(arguments).options(all).positional(positions_).style(kStyle).run(),
        variables_);
    po::notify(variables_);
  } catch (const po::unknown_option& error) {
    const std::string near = nearest(error.get_option_name(), option_names());
    throw UsageError(fmt::format("unknown option {}{}{}", error.get_option_name(),
                                 near.empty() ? "" : "; did you mean " + near + "?",
                                 near.empty() ? more : ""));
  } catch (const po::too_many_positional_options_error&) {
    throw UsageError("too many words on the command line" + more);
  } catch (const po::error& error) {
    throw UsageError(error.what() + more);
  }
  if (help_) print(help());
  return !help_;
}

void require_at_least(const char* option, int64_t value, int64_t min) {
  if (value < min)
    throw UsageError(fmt::format("{} must be at least {}, but is {}", option, min, value));
}

}  // namespace perdure::app
