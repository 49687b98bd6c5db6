// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/output.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/base/escape.hpp"

namespace perdure::app {
namespace {

constexpr size_t kHeldBytes = size_t{1} << 16;

// What was printed and not yet written. Not stdio's buffer: that gives up, half written, when
// Ctrl-C interrupts a slow terminal.
std::string& held() {
  static std::string text;
  return text;
}

// Why standard output takes no more; 0 while it does. It stays so: what comes behind a gap is not
// what was meant.
int g_failure = 0;

// What was written last does not end a line.
bool g_line_is_open = false;

// False, with errno, if the file takes no more.
bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

void print(std::string_view text) {
  static const bool terminal = isatty(STDOUT_FILENO) != 0;
  if (terminal)
    print_raw(escaped(text));
  else
    print_raw(text);
}

void print_raw(std::string_view text) {
  held() += text;
  if (held().size() >= kHeldBytes) flush();
}

void flush() {
  const std::string text = std::exchange(held(), "");
  if (!text.empty()) g_line_is_open = text.back() != '\n';
  if (g_failure == 0 && !write_all(STDOUT_FILENO, text)) g_failure = errno;
  if (g_failure != 0)
    throw OutputError(fmt::format("cannot write to standard output: {}", std::strerror(g_failure)));
}

void show(std::string_view text) { write_all(STDERR_FILENO, text); }

bool errors_follow_output() {
  struct stat out{}, err{};
  return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
         out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

void note(std::string_view line, bool quiet) {
  if (!quiet) show(escaped(line) + "\n");
}

void end_open_line() {
  if (g_line_is_open && errors_follow_output()) show("\n");
}

std::string TokenText::finish() {
  std::string text = stops_.push(stream_.flush());
  return text + stops_.flush();
}

std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  const size_t first = text.starts_with('-') ? 1 : 0;
  for (size_t i = text.size(); i > first + 3;) text.insert(i -= 3, ",");
  return text;
}

std::string bytes_text(double size_bytes) {
  static constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (size_bytes >= 999.5 && unit + 1 < kUnits.size()) {
    size_bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", size_bytes)
                   : fmt::format("{:.3g} {}", size_bytes, kUnits[unit]);
}

std::string time_text(int64_t seconds_since_1970) {
  const std::time_t time = seconds_since_1970;
  std::tm local = {};
  localtime_r(&time, &local);
  std::array<char, 32> text = {};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

}  // namespace perdure::app
