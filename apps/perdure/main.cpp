// SPDX-License-Identifier: Apache-2.0

// The only place where errors end: one sentence, and the exit status (1: failure, 2: wrong usage,
// 128 + number: a signal).
#include <exception>
#include <new>
#include <string>

#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/terminal/crash.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/standard_files.hpp"
#include "core/api/error.hpp"

namespace {

int fail(const char* what, int status) {
  try {
    perdure::app::flush();
  } catch (const perdure::Error&) {  // one sentence is enough
  }
  perdure::app::end_open_line();
  perdure::app::note(std::string("perdure: ") + what);
  return status;
}

// Says what a signal has ended, then dies of the signal.
int fail_as_signalled(const char* what) {
  fail(what, 1);
  perdure::app::end_as_signalled();
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  perdure::app::occupy_closed_streams();
  perdure::app::ignore_write_signals();
  perdure::app::explain_bus_errors();
  perdure::app::explain_crashes();
  try {
    const int status = perdure::app::run_program({argv + 1, argv + argc});
    perdure::app::flush();
    perdure::app::end_as_signalled();
    return status;
  } catch (const perdure::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const perdure::app::Interrupted& error) {
    return fail_as_signalled(error.what());
  } catch (const perdure::app::OutputError& error) {
    return fail_as_signalled(error.what());  // a terminal that hung up takes no output either
  } catch (const std::bad_alloc&) {
    return fail("out of memory; use a smaller model, step or context", 1);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  } catch (...) {
    return fail("failed with an exception of unknown type, which a library must have thrown", 1);
  }
}
