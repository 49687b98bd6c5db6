// SPDX-License-Identifier: Apache-2.0

// The owner of a file descriptor. plugins/stores/file/posix.hpp has a copy: a plugin includes no
// more of the tree than core/api.
#pragma once

#include <unistd.h>

#include <utility>

namespace perdure {

// -1 owns nothing. Movable.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  // What must be on the disk was synced before; a close that fails has nothing more to say.
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

}  // namespace perdure
