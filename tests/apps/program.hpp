// SPDX-License-Identifier: Apache-2.0

// Starts the built program as a user does, with pipes or on a terminal, and says what came of it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace perdure::testing {

using Words = std::vector<std::string>;

// --set words for a golden model with its tokenizer: one thread, scalar kernels, the most likely
// token.
Words golden_words(const std::string& model, const std::string& tokenizer = "tok_320.bin");

Words operator+(Words a, const Words& b);

struct Outcome {
  int status = -1;  // exit status; 128 + signal if it was killed
  std::string out, err;
};

struct Circumstances {
  std::string input;          // standard input
  std::string output_path;    // standard output goes to this file instead of Outcome::out
  long most_file_bytes = -1;  // files cannot grow beyond it, as on a full disk; -1 = no limit
  int closed_stream = -1;     // this descriptor (0 or 1) is closed when the program starts
  bool as_nobody = false;     // if the tests run as root: as a user who owns nothing
};

// Runs `perdure words...` to its end.
Outcome run_perdure(const Words& words, const Circumstances& circumstances = {});

// The program while it runs, its output dropped.
class Running {
 public:
  explicit Running(const Words& words);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void send(int signal);
  bool has_ended() const;
  // The exit status; 128 + signal if it was ended by one.
  int wait();

 private:
  pid_t child_;
};

// The program on a terminal of its own; its standard error goes there too.
class Terminal {
 public:
  // `home`: where the program keeps its history.
  Terminal(const Words& words, const std::string& home);
  ~Terminal();

  void type(const std::string& keys);
  void send(int signal);
  // As when its window is closed.
  void hang_up();
  // Waits until the screen shows `text` after the last match; false after half a minute.
  bool shows(const std::string& text);
  // Waits for the end; the exit status, or -1 after half a minute.
  int wait();
  const std::string& screen() const { return screen_; }

 private:
  bool read_more(int timeout_ms);

  pid_t child_ = -1;
  int terminal_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

std::string read_all(const std::string& path);
void write_all(const std::string& path, const std::string& bytes);

}  // namespace perdure::testing
