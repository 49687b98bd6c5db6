// SPDX-License-Identifier: Apache-2.0

// Signals that ask the program to end, as questions: from catch_interrupts() or
// catch_ending_signals() on they only set a mark, which the loops of the program look at. System
// calls return EINTR. In the end end_as_signalled() dies of the signal, so that shells and service
// managers see what they expect (status 128 + number).
#pragma once

#include <string>

#include "core/api/error.hpp"

namespace perdure::app {

// Work that a signal has stopped; the sentence says how far it got.
class Interrupted : public Error {
 public:
  using Error::Error;
};

// A closed pipe and a file that may not grow are errors of write() like any other, not the end.
void ignore_write_signals();
// A mapped file that was cut while it was read (SIGBUS) ends the program with a sentence, status 1.
void explain_bus_errors();

// SIGINT. A signal that was ignored when the program started (nohup) stays ignored.
void catch_interrupts();
// SIGINT and whatever else ends a program by default, can be caught and comes from outside
// (SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2): for work that must be saved
// before the end.
void catch_ending_signals();

// One of them came and was not dealt with.
bool interrupted();
// Ctrl-C has been dealt with. The other signals stay: they end the program.
void clear_interrupt();
// Another signal than SIGINT came.
bool must_end();
// "Ctrl-C", or the name of the signal such as "SIGTERM"; "" if none came.
std::string interrupt_name();
// Dies of the signal that was not dealt with; returns if there is none.
void end_as_signalled();

// Waits until `file` can be read (or is at its end): true. False if a signal came, also just
// before and in any thread.
bool wait_for_input(int file);

}  // namespace perdure::app
