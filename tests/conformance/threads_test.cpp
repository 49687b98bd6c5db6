// SPDX-License-Identifier: Apache-2.0

// What every threads plugin keeps: the contract of core/api/threads.hpp.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "plugins/linked_plugins.hpp"

using namespace perdure;

namespace {

// Calls `check` with every threads plugin and several counts.
template <typename Check>
void for_every_pool(const Check& check) {
  const PluginHost host(linked_plugins(), {});
  for (const std::string& name : host.names("threads"))
    for (const int count : {1, 2, 3, 8}) {
      INFO(name, " with ", count, " threads");
      check(*host.threads(name).create(count), count);
    }
}

// What a team did. Every participant has a slot of its own.
struct Record {
  explicit Record(int count) : calls(static_cast<size_t>(count)) {}
  std::vector<std::atomic<int>> calls;
  std::atomic<int> inside{0}, outside_numbers{0}, wrong_caller{0};
  std::thread::id caller = std::this_thread::get_id();

  static void note(void* context, int participant) {
    auto& record = *static_cast<Record*>(context);
    ++record.inside;
    if (participant < 0 || participant >= static_cast<int>(record.calls.size()))
      ++record.outside_numbers;
    else
      ++record.calls[static_cast<size_t>(participant)];
    if ((participant == 0) != (std::this_thread::get_id() == record.caller)) ++record.wrong_caller;
    --record.inside;
  }
};

}  // namespace

TEST_CASE("a pool never has more participants than were asked for, and at least the caller") {
  for_every_pool([](Threads& threads, int count) {
    CHECK(threads.max_participants() >= 1);
    CHECK(threads.max_participants() <= count);
  });
}

TEST_CASE("a team runs the caller as participant 0 and everybody else at most once") {
  for_every_pool([](Threads& threads, int count) {
    for (int i = 0; i < 300; ++i) {
      Record record(count);
      threads.team(Record::note, &record);
      CHECK(record.inside == 0);
      CHECK(record.outside_numbers == 0);
      CHECK(record.wrong_caller == 0);
      CHECK(record.calls[0] == 1);
      for (const auto& calls : record.calls) CHECK(calls <= 1);
    }
  });
}

TEST_CASE("no thread is still at work, or begins, when team() has returned") {
  for_every_pool([](Threads& threads, int count) {
    struct Shared {
      std::atomic<bool> over{false};
      std::atomic<int> late{0};
    } shared;
    for (int i = 0; i < 100; ++i) {
      shared.over = false;
      threads.team(
          [](void* context, int participant) {
            auto& s = *static_cast<Shared*>(context);
            if (s.over) ++s.late;
            if (participant != 0)
              for (int k = 0; k < 200; ++k) std::this_thread::yield();
            if (s.over) ++s.late;
          },
          &shared);
      shared.over = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(count));
    CHECK(shared.late == 0);
  });
}

TEST_CASE("a caller who is through first waits for those who have begun only") {
  for_every_pool([](Threads& threads, int) {
    // Nobody but the caller does anything, so this ends however few workers there are.
    std::atomic<int> caller{0};
    for (int i = 0; i < 1000; ++i)
      threads.team(
          [](void* context, int participant) {
            if (participant == 0) ++*static_cast<std::atomic<int>*>(context);
          },
          &caller);
    CHECK(caller == 1000);
  });
}

TEST_CASE("two pools of one plugin live side by side") {
  const PluginHost host(linked_plugins(), {});
  for (const std::string& name : host.names("threads")) {
    const auto one = host.threads(name).create(2), other = host.threads(name).create(4);
    for (int i = 0; i < 100; ++i) {
      Record a(2), b(4);
      one->team(Record::note, &a);
      other->team(Record::note, &b);
      CHECK(a.calls[0] == 1);
      CHECK(b.calls[0] == 1);
    }
  }
}

TEST_CASE("pools may be made and dropped again and again") {
  const PluginHost host(linked_plugins(), {});
  for (const std::string& name : host.names("threads"))
    for (int i = 0; i < 20; ++i) {
      Record record(3);
      host.threads(name).create(3)->team(Record::note, &record);
      CHECK(record.calls[0] == 1);
    }
}
