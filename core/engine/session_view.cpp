// SPDX-License-Identifier: Apache-2.0

#include "core/engine/session_view.hpp"

#include <utility>

#include "core/engine/session_contents.hpp"

namespace perdure {
namespace {

using Rows = Runs<const float>;

size_t values_in(const Rows& rows) {
  size_t n = 0;
  for (const auto run : rows) n += run.size();
  return n;
}

// Values of the states that are not only appended to.
size_t rewritten_values(const Engine::Impl& engine, const SnapshotParts& parts) {
  size_t n = 0;
  for (size_t i = 0; i < parts.runs.size(); ++i)
    if (engine.is_rewritten[i]) n += values_in(parts.runs[i]);
  return n;
}

}  // namespace

struct SessionView::Impl {
  explicit Impl(const Session::Impl& session)
      : parts(parts_of(session)),
        copies(rewritten_values(*session.engine, parts) * sizeof(float)),
        held(session.state.hold_rows()) {
    auto* free = reinterpret_cast<float*>(copies.data());
    for (size_t i = 0; i < parts.runs.size(); ++i)
      if (session.engine->is_rewritten[i]) parts.runs[i] = {copy(parts.runs[i], free)};
  }

  // Copies rows to `to`, which then is what lies behind them.
  static std::span<const float> copy(const Rows& rows, float*& to) {
    const float* const begin = to;
    for (const auto run : rows) to = std::ranges::copy(run, to).out;
    return {begin, to};
  }

  SnapshotParts parts;
  Buffer copies;
  std::shared_ptr<const void> held;
};

SessionView::SessionView(const Session& session)
    : impl_(std::make_unique<const Impl>(session.impl())) {}
SessionView::~SessionView() = default;

void SessionView::write(const SnapshotSink& sink) const { write_parts(impl_->parts, sink); }
int64_t SessionView::copied_bytes() const { return static_cast<int64_t>(impl_->copies.size()); }

}  // namespace perdure
