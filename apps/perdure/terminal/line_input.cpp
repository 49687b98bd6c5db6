// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/line_input.hpp"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/keys.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/api/error.hpp"

namespace perdure::app {
namespace {

// What standard input has, at most `size` bytes: their number, 0 at the end, -1 after Ctrl-C or an
// error.
ssize_t read_input(char* bytes, size_t size) {
  while (wait_for_input(STDIN_FILENO)) {
    const ssize_t n = ::read(STDIN_FILENO, bytes, size);
    if (n >= 0 || errno != EINTR) return n;
  }
  return -1;
}

// False if standard output takes no more; the next flush() says so.
bool show_now(std::string_view text, void (*how)(std::string_view) = print) {
  try {
    how(text);
    flush();
    return true;
  } catch (const OutputError&) {
    return false;
  }
}

bool input_waits() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, 0) > 0;
}

class PlainInput final : public LineInput {
 public:
  explicit PlainInput(TextReader& reader) : reader_(reader) {}

  Result read(const std::string& prompt, std::string& line) override {
    if (!show_now(prompt) && at_ == size_ && !input_waits()) flush();
    line.clear();
    while (true) {
      char byte = 0;
      const int n = next(byte);
      if (n < 0) return Result::kInterrupted;
      if (n <= 0 && line.empty()) {
        print("\n");
        return Result::kEnd;
      }
      if (n <= 0 || byte == '\n') break;
      line += byte;
    }
    line = reader_.take(line + '\n', "standard input");
    line.pop_back();
    show_now(line + "\n");
    return Result::kLine;
  }

 private:
  // The next byte: 1, 0 at the end, -1 after Ctrl-C. Errors: Error if nothing can be read.
  int next(char& byte) {
    if (at_ == size_) {
      const ssize_t n = read_input(block_.data(), block_.size());
      if (n < 0 && !interrupted())
        throw Error(std::string("cannot read standard input: ") + std::strerror(errno));
      if (n <= 0) return static_cast<int>(n);
      at_ = 0;
      size_ = static_cast<size_t>(n);
    }
    byte = block_[at_++];
    return 1;
  }

  TextReader& reader_;
  std::array<char, 4096> block_;
  size_t at_ = 0, size_ = 0;
};

// Terminals then put marks around what is pasted (keys.hpp).
constexpr const char* kPasteOn = "\033[?2004h";
constexpr const char* kPasteOff = "\033[?2004l";

class EditedInput final : public LineInput {
 public:
  explicit EditedInput(std::string history_file)
      : history_file_(std::move(history_file)),
        history_(history_init()),
        editor_(el_init("perdure", stdin, stdout, stderr)) {
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &prompt_of);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    // libedit's own reader swallows the first Ctrl-C.
    el_set(editor_, EL_GETCFN, &read_character);
  }
  ~EditedInput() override {
    el_end(editor_);
    history_end(history_);
  }

  Result read(const std::string& prompt, std::string& line) override {
    prompt_ = prompt;
    // Otherwise the prompt would be seen before the terminal is ready for the keys that follow.
    el_set(editor_, EL_PREP_TERM, 1);
    print_raw(kPasteOn);
    flush();
    int count = 0;
    const char* text = el_gets(editor_, &count);
    show_now(kPasteOff, print_raw);
    if (text == nullptr || count <= 0) {
      print("\n");
      flush();
      return interrupted() ? Result::kInterrupted : Result::kEnd;
    }
    line.assign(text, static_cast<size_t>(count));
    if (line.ends_with('\n')) line.pop_back();
    remember(line);
    return Result::kLine;
  }

 private:
  static char* prompt_of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return static_cast<EditedInput*>(self)->prompt_.data();
  }

  static int read_character(EditLine* editor, wchar_t* character) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return static_cast<EditedInput*>(self)->keys_.next(*character);
  }

  // A history that cannot be kept is no reason to stop talking.
  void remember(const std::string& line) {
    if (line.empty()) return;
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    if (!history_file_.empty()) history(history_, &event, H_SAVE, history_file_.c_str());
  }

  std::string history_file_, prompt_;
  Keys keys_{[](char& byte) { return read_input(&byte, 1); }};
  History* history_;
  EditLine* editor_;
};

}  // namespace

std::unique_ptr<LineInput> open_line_input(const std::string& history, TextReader& reader) {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
    return std::make_unique<PlainInput>(reader);
  // The editor must know how many bytes a character has; text is UTF-8 here whatever the
  // environment says.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1)
    std::setlocale(LC_CTYPE, "C.UTF-8");
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(history).parent_path();
  if (!history.empty()) std::filesystem::create_directories(folder, ignored);
  return std::make_unique<EditedInput>(history);
}

std::string history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/perdure/history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return std::string(home) + "/.local/state/perdure/history";
}

}  // namespace perdure::app
