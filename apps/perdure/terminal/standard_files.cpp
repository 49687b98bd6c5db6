// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/standard_files.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace perdure::app {

void occupy_closed_streams() {
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) {
    if (fcntl(number, F_GETFD) != -1) continue;
    const int wrong_way = number == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    static_cast<void>(open("/dev/null", wrong_way));  // takes the lowest number that is free
  }
}

}  // namespace perdure::app
