// SPDX-License-Identifier: Apache-2.0

// The two kinds of failure that reach a user: wrong input (exit 2) and failure at run time (exit
// 1). Every message is one sentence that says what is wrong, where, and what to do.
#pragma once

#include <stdexcept>
#include <string>

namespace perdure {

// Something failed at run time: a file that cannot be read, a full disk, a memory of another model.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user asked for something that cannot be: unknown key, option out of range, wrong command
// line.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace perdure
