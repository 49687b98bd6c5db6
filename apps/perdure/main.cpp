// SPDX-License-Identifier: Apache-2.0

// The only place where errors end: one sentence, and the exit status (1: failure, 2: wrong usage).
#include <exception>
#include <new>
#include <string>

#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/api/error.hpp"

namespace {

int fail(const char* what, int status) {
  try {
    perdure::app::flush();
  } catch (const perdure::Error&) {  // one sentence is enough
  }
  perdure::app::show(std::string("perdure: ") + what + "\n");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int status = perdure::app::run_program({argv + 1, argv + argc});
    perdure::app::flush();
    return status;
  } catch (const perdure::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; use a smaller model, step or context", 1);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  } catch (...) {
    return fail("failed with an exception of unknown type, which a library must have thrown", 1);
  }
}
