// SPDX-License-Identifier: Apache-2.0

// Functions that every template may call.
#include <algorithm>
#include <ctime>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"

namespace perdure::jinja {
namespace {

Value range(Run& run, const Value&, const Arguments& arguments) {
  const Bound bound(run, "'range'", "start,stop,step", arguments);
  const bool from_zero = arguments.positional.size() == 1;
  bound.required(from_zero ? 0 : 1);
  const int64_t first = from_zero ? 0 : bound.whole(0).value_or(0);
  const int64_t last = bound.whole(from_zero ? 0 : 1).value_or(0);
  const int64_t step = bound.whole(2).value_or(1);
  if (step == 0) run.fail("the step of 'range' is zero");
  std::vector<Value> items;
  for (int64_t i = first; step < 0 ? i > last : i < last;) {
    run.step();
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(run, std::move(items));
}

Value make_namespace(Run& run, const Value&, const Arguments& arguments) {
  if (!arguments.positional.empty()) run.fail("'namespace' takes arguments with names only");
  std::vector<Value> values;
  for (const auto& [name, value] : arguments.named) values.push_back(value);
  make_list(run, std::move(values));  // a namespace may hold what a list may
  auto space = std::make_shared<Namespace>();
  for (const auto& [name, value] : arguments.named) space->names[name] = value;
  return space;
}

Value make_dictionary(Run& run, const Value&, const Arguments& arguments) {
  if (!arguments.positional.empty()) run.fail("'dict' takes arguments with names only");
  std::vector<std::pair<Text, Value>> items;
  for (const auto& [name, value] : arguments.named)
    items.emplace_back(std::make_shared<const MarkedText>(name, Origin::kTemplate), value);
  return make_map(run, std::move(items));
}

Value raise_exception(Run& run, const Value&, const Arguments& arguments) {
  const Bound bound(run, "'raise_exception'", "message", arguments);
  run.fail("the chat template says: " + shown(written(run, bound.required(0)).text()));
}

Value strftime_now(Run& run, const Value&, const Arguments& arguments) {
  const Bound bound(run, "'strftime_now'", "format", arguments);
  const std::string format = bound.text(0);
  char buffer[256] = "";
  const std::time_t now = run.now();
  std::tm local{};
  localtime_r(&now, &local);
  const bool fits = std::strftime(buffer, sizeof buffer, format.c_str(), &local) > 0;
  if (!fits && !format.empty()) run.fail("'strftime_now' cannot write '" + shown(format) + "'");
  return make_text(run, buffer);
}

constexpr Builtin kFunctions[] = {
    {"range", range},
    {"namespace", make_namespace},
    {"dict", make_dictionary},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

std::shared_ptr<const Function> find_function(std::string_view name) {
  const auto found = std::ranges::find_if(
      kFunctions, [&](const Builtin& function) { return function.name == name; });
  if (found == std::end(kFunctions)) return nullptr;
  return std::make_shared<const Function>(Function{std::string(name), found->call});
}

}  // namespace perdure::jinja
