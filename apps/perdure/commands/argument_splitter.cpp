// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/argument_splitter.hpp"

#include <filesystem>
#include <span>
#include <system_error>

#include "core/api/error.hpp"

namespace perdure::app {
namespace {

namespace po = boost::program_options;

class Splitter {
 public:
  Splitter(std::span<const std::string> arguments, const po::options_description& options,
           const po::options_description& all, const po::positional_options_description& words)
      : rest_(arguments), options_(options), words_(words), result_(&all) {}

  po::parsed_options run() {
    bool only_words = false;
    while (!rest_.empty()) {
      const std::string word = take();
      if (only_words || word.size() < 2 || word[0] != '-')
        add_word(word);
      else if (word == "--")
        only_words = true;
      else if (word[1] == '-')
        take_long(word);
      else
        take_letters(word);
    }
    return std::move(result_);
  }

 private:
  std::string take() {
    const std::string word = rest_.front();
    rest_ = rest_.subspan(1);
    return word;
  }

  static bool takes_value(const po::option_description& option) {
    return option.semantic()->max_tokens() > 0;
  }

  void add(const po::option_description& option, std::vector<std::string> values) {
    result_.options.emplace_back(option.long_name(), std::move(values));
  }

  void add_value_of_next_word(const po::option_description& option, const std::string& word) {
    if (rest_.empty()) throw UsageError("the value of " + word + " is missing");
    add(option, {take()});
  }

  void take_long(const std::string& word) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const po::option_description* option = options_.find_nothrow(name, false);
    if (option == nullptr) throw UnknownArgument("--" + name);
    if (!takes_value(*option)) {
      if (equals != std::string::npos) throw UsageError("--" + name + " takes no value");
      add(*option, {});
    } else if (equals != std::string::npos) {
      add(*option, {word.substr(equals + 1)});
    } else {
      add_value_of_next_word(*option, word);
    }
  }

  void take_letters(const std::string& word) {
    for (size_t i = 1; i < word.size(); ++i) {
      const std::string letter{'-', word[i]};
      const po::option_description* option = options_.find_nothrow(letter, false);
      if (option == nullptr) throw UnknownArgument(i == 1 ? word : letter);
      if (!takes_value(*option)) {
        add(*option, {});
        continue;
      }
      if (i + 1 < word.size())
        add(*option, {word.substr(i + 1)});
      else
        add_value_of_next_word(*option, letter);
      return;
    }
  }

  // What lies on the disk is likely the model, which only some commands take as a word.
  std::string model_hint(const std::string& word) const {
    const bool takes_model = words_.max_total_count() > 0 && words_.name_for_position(0) == "MODEL";
    std::error_code ignored;
    const bool there = std::filesystem::exists(word, ignored);
    return !takes_model && there ? "; give the model with -m" : "";
  }

  void add_word(const std::string& word) {
    if (n_words_ >= words_.max_total_count())
      throw UsageError("unexpected word '" + word + "'" + model_hint(word));
    result_.options.emplace_back(words_.name_for_position(n_words_++),
                                 std::vector<std::string>{word});
  }

  std::span<const std::string> rest_;
  const po::options_description& options_;
  const po::positional_options_description& words_;
  po::parsed_options result_;
  unsigned n_words_ = 0;
};

}  // namespace

po::parsed_options split_arguments(const std::vector<std::string>& arguments,
                                   const po::options_description& options,
                                   const po::options_description& all,
                                   const po::positional_options_description& words) {
  return Splitter(arguments, options, all, words).run();
}

}  // namespace perdure::app
