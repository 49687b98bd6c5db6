// SPDX-License-Identifier: Apache-2.0

// Words of a command line as options and their values. Stricter and more literal than Boost: no
// guessing of shortened names, so that a script does not change its meaning when an option is
// added; and a value is a value, whether it is empty or looks like an option (-p -h, --prompt=).
#pragma once

#include <boost/program_options.hpp>
#include <exception>
#include <string>
#include <vector>

namespace perdure::app {

// A word that begins with a dash and is no option.
struct UnknownArgument : std::exception {
  explicit UnknownArgument(std::string word) : argument(std::move(word)) {}
  const char* what() const noexcept override { return argument.c_str(); }
  std::string argument;
};

// Forms: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, flags together (-qh), and -- before words
// that begin with a dash. Errors: UnknownArgument; UsageError for a value that is missing or that a
// flag cannot have, and for too many words. `all`: the options and the words, as the result wants
// it; it must outlive the result.
boost::program_options::parsed_options split_arguments(
    const std::vector<std::string>& arguments,
    const boost::program_options::options_description& options,
    const boost::program_options::options_description& all,
    const boost::program_options::positional_options_description& words);

}  // namespace perdure::app
