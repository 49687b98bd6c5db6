// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "apps/perdure/commands/argument_splitter.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/config/dump_text.hpp"
#include "core/config/map_reader.hpp"

namespace perdure::app {
namespace {

namespace po = boost::program_options;

// Errors: UsageError for a value that the key cannot have; it names the option, not the key.
void check_shorthand(const std::string& option, const std::string& key, const std::string& value) {
  try {
    load_settings("", {key + "=" + value});
  } catch (const UsageError& error) {
    std::string_view sentence = error.what();
    for (const std::string& place : {"--set " + key + ": ", key + " "})
      if (sentence.starts_with(place)) sentence.remove_prefix(place.size());
    throw UsageError(fmt::format("--{} {}", option, sentence));
  }
}

// "memory remove" of "memory remove NAME": the words before the first argument or choice.
std::string command_of(std::string_view usage) {
  const size_t end = usage.find_first_of("[|ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
  std::string_view words = usage.substr(0, end);
  if (words.ends_with(' ')) words.remove_suffix(1);
  const bool is_choice = end != std::string_view::npos && usage[end] == '|';
  return std::string(is_choice ? words.substr(0, words.rfind(' ')) : words);
}

// The only values that Boost converts, and may refuse, are whole numbers. Its sentence quotes the
// value first, then the option.
std::string number_sentence(const po::invalid_option_value& error) {
  const std::string_view what = error.what();
  const size_t begin = what.find("('") + 2;
  const std::string value(what.substr(begin, what.find("')", begin) - begin));
  const std::string name = error.get_option_name();
  return fmt::format("--{} must be {}, but is '{}'", name.substr(name.find_first_not_of('-')),
                     whole_number_text(value, false, false), value);
}

}  // namespace

CommandLine::CommandLine(std::string usage, std::string purpose)
    : usage_(std::move(usage)), purpose_(std::move(purpose)) {
  options_.add_options()("config,c", po::value(&config_)->value_name("FILE"),
                         "configuration (YAML)")(
      "model,m", po::value(&model_)->value_name("MODEL"),
      "the model's file or folder (model.path); a tokenizer beside it is found")(
      "set", po::value(&overrides_)->value_name("KEY=VALUE"),
      "set a key of the configuration; may be repeated")(
      "quiet,q", po::bool_switch(&quiet_), "no progress or statistics on standard error")(
      "help,h", po::bool_switch(&help_), "show this help");
}

CommandLine& CommandLine::add_flag(const char* names, bool* variable, const char* help) {
  options_.add_options()(names, po::bool_switch(variable), help);
  return *this;
}

CommandLine& CommandLine::add_json() {
  return add_flag("json", &json_, "print the result as JSON");
}

void CommandLine::add_shorthand(const char* name, const char* key, const char* help) {
  shorthands_[name] = key;
  options_.add_options()(name, po::value<std::string>()->value_name("X"), help);
}

CommandLine& CommandLine::add_sampling() {
  add_shorthand("temp", "sampling.temperature", "temperature; 0 takes the most likely token");
  add_shorthand("top-k", "sampling.top_k", "sample among the X most likely tokens");
  add_shorthand("top-p", "sampling.top_p", "sample among tokens of this total probability");
  add_shorthand("min-p", "sampling.min_p", "drop tokens below this share of the best one");
  add_shorthand("seed", "sampling.seed", "seed of the random numbers");
  return *this;
}

CommandLine& CommandLine::add_model_word() { return add_words("MODEL", &model_words_, 1); }

// They come after --set, so they win.
void CommandLine::apply_shorthands() {
  for (const auto& [option, key] : shorthands_) {
    if (!given(option.c_str())) continue;
    const std::string& value = variables_[option].as<std::string>();
    check_shorthand(option, key, value);
    overrides_.push_back(key + "=" + value);
  }
  if (!model_.empty()) use_model(std::exchange(model_, ""));
  if (!model_words_.empty()) use_model(model_words_.front());
}

void CommandLine::use_model(const std::string& model) {
  if (!model_.empty()) throw UsageError("the model is given twice, as a word and with -m");
  if (model.ends_with(".yaml") || model.ends_with(".yml"))
    throw UsageError(model + " is a configuration, not a model; use -c " + model);
  model_ = model;
  overrides_.push_back("model.path=" + dump_quoted(model_));
}

Settings CommandLine::settings() const {
  Settings settings = load_settings(config_, overrides_);
  complete_model(settings);
  return settings;
}

Settings CommandLine::model_settings() const {
  Settings result = settings();
  if (result.model.path.empty())
    throw UsageError(
        "no model is given; name its file or folder with -m, or write model.path in the "
        "configuration (-c)");
  return result;
}

CommandLine& CommandLine::add_words(const char* name, std::vector<std::string>* words, int most) {
  words_.add_options()(name, po::value(words));
  positions_.add(name, most);
  return *this;
}

void CommandLine::describe_to(CommandDescription& description) const {
  description.usage = usage_;
  description.help = purpose_;
  for (const auto& option : options_.options()) {
    const std::string short_form =
        option->canonical_display_name(po::command_line_style::allow_dash_for_short);
    const bool has_letter = short_form.size() == 2 && short_form[0] == '-' && short_form[1] != '-';
    const bool takes_value = option->semantic()->max_tokens() > 0;
    description.options.push_back({option->long_name(), has_letter ? short_form.substr(1) : "",
                                   takes_value ? option->semantic()->name() : "",
                                   option->description()});
  }
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> names;
  for (const auto& option : options_.options()) names.push_back("--" + option->long_name());
  return names;
}

// The option that an unknown one was meant to be: one of nearly that name, or the short form of the
// key that has that name (--temperature). "" if none is near.
std::string CommandLine::near_option(const std::string& word) const {
  for (const auto& [option, key] : shorthands_)
    if ("--" + key.substr(key.rfind('.') + 1) == word) return "--" + option;
  return nearest(word, option_names());
}

std::string CommandLine::help() const {
  CommandDescription description;
  describe_to(description);
  size_t width = 0;
  for (const OptionDescription& option : description.options)
    width = std::max(width, option.forms().size());
  std::string text = fmt::format("usage: perdure {}\n\n{}\n\nOptions:\n", usage_, purpose_);
  for (const OptionDescription& option : description.options)
    text += fmt::format("  {:<{}}  {}\n", option.forms(), width, option.help);
  return text;
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  if (CommandDescription* wanted = description_wanted()) {
    describe_to(*wanted);
    return false;
  }
  const std::string more = fmt::format("; see perdure {} --help", command_of(usage_));
  po::options_description all;
  all.add(options_).add(words_);
  try {
    po::store(split_arguments(arguments, options_, all, positions_), variables_);
    po::notify(variables_);
  } catch (const UnknownArgument& error) {
    const std::string near = near_option(error.argument);
    throw UsageError(fmt::format("unknown option {}{}{}", error.argument,
                                 near.empty() ? "" : "; did you mean " + near + "?",
                                 near.empty() ? more : ""));
  } catch (const UsageError& error) {
    throw UsageError(error.what() + more);
  } catch (const po::invalid_option_value& error) {
    throw UsageError(number_sentence(error) + more);
  } catch (const po::error& error) {
    throw UsageError(error.what() + more);
  }
  if (help_)
    print(help());
  else
    apply_shorthands();
  return !help_;
}

void require_at_least(const char* option, int64_t value, int64_t min) {
  if (value < min)
    throw UsageError(fmt::format("{} must be at least {}, but is {}", option, min, value));
}

void require_beside(const char* option, bool given, const char* other, bool other_given) {
  if (given && !other_given)
    throw UsageError(fmt::format("{} means nothing without {}", option, other));
}

}  // namespace perdure::app
