// SPDX-License-Identifier: Apache-2.0

// Decoding takes no memory once it runs.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "core/runtime/signal_stack.hpp"
#include "tests/engine/allocation/counters.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// What the decoding of tokens 3 .. n takes, over three segments and the boundaries behind them.
int64_t allocations_of_decoding(const std::string& file, std::vector<std::string> overrides) {
  overrides.push_back("attention.strategy=memory");
  Engine engine(golden_settings(file, overrides), linked_plugins());
  Session session = engine.new_session();
  const int64_t segment = engine.traits().segment_length;
  REQUIRE(segment > 3);
  const auto tokens =
      random_tokens(static_cast<size_t>(3 * segment + 2), engine.spec().info.vocab_size, 1);
  std::vector<float> logits(static_cast<size_t>(engine.spec().info.vocab_size));
  const std::span<const int32_t> all = tokens;
  for (size_t i = 0; i < 2; ++i) engine.feed(session, all.subspan(i, 1), logits);
  count_allocations();
  for (size_t i = 2; i < all.size(); ++i) engine.feed(session, all.subspan(i, 1), logits);
  return stop_counting();
}

}  // namespace

TEST_CASE("the counters see every way to take memory, on every thread") {
  auto counted = [](auto&& f) {
    count_allocations();
    f();
    return stop_counting();
  };
  CHECK(counted([] {}) == 0);
  void* volatile p = nullptr;
  CHECK(counted([&] { p = std::malloc(10); }) == 1);
  CHECK(counted([&] { p = std::realloc(p, 10000); }) == 1);
  CHECK(counted([&] { std::free(p); }) == 0);
  CHECK(counted([&] { p = std::calloc(10, 10); }) == 1);
  std::free(p);
  CHECK(counted([&] { p = std::aligned_alloc(64, 128); }) == 1);
  std::free(p);
  CHECK(counted([&] { p = ::operator new(10); }) == 1);
  ::operator delete(p);
  CHECK(counted([&] { p = ::operator new(128, std::align_val_t(64)); }) == 1);
  ::operator delete(p, std::align_val_t(64));
  CHECK(counted([&] { p = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }) ==
        1);
  munmap(p, 4096);
  std::atomic<int> turn{0};
  std::thread thread([&] {
    turn.wait(0);
    p = std::malloc(10);
    turn = 2;
    turn.notify_all();
  });
  CHECK(counted([&] {
          turn = 1;
          turn.notify_all();
          turn.wait(1);
        }) == 1);
  thread.join();
  std::free(p);
}

TEST_CASE("a worker that starts late allocates nothing for its signal stack") {
  reserve_signal_stacks(1);
  std::atomic<int> turn{0};
  std::thread worker([&] {
    turn.wait(0);
    give_signal_stack();
    turn = 2;
    turn.notify_all();
  });
  count_allocations();
  turn = 1;
  turn.notify_all();
  turn.wait(1);
  CHECK(stop_counting() == 0);
  worker.join();
}

TEST_CASE("decoding with a memory takes no memory, whatever kernels compute") {
  const PluginHost host(linked_plugins(), {});
  for (const std::string& name : host.names("kernels"))
    for (const char* file : {"memA.q80.bin", "memB_gqa.q80.bin", "memA.safetensors"}) {
      CAPTURE(name);
      CAPTURE(file);
      CHECK(allocations_of_decoding(file, {"kernels.prefer=[" + name + "]"}) == 0);
    }
}

TEST_CASE("decoding with a memory takes no memory, on the threads of tbb") {
  for (const char* count : {"threads.count=2", "threads.count=4"})
    for (int i = 0; i < 5; ++i)
      CHECK(allocations_of_decoding("memA.q80.bin", {"threads.backend=tbb", count}) == 0);
}
