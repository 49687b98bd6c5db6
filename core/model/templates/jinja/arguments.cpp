// SPDX-License-Identifier: Apache-2.0

// Arguments of filters, tests, functions and methods, by the names of their parameters.
#include <algorithm>
#include <string>

#include "core/model/templates/jinja/builtins.hpp"

namespace perdure::jinja {
namespace {

size_t count_of(std::string_view parameters) {
  return parameters.empty() ? 0 : 1 + static_cast<size_t>(std::ranges::count(parameters, ','));
}

std::string_view parameter_at(std::string_view parameters, size_t at) {
  for (; at > 0; --at) parameters.remove_prefix(parameters.find(',') + 1);
  return parameters.substr(0, parameters.find(','));
}

}  // namespace

Bound::Bound(Run& run, std::string_view what, std::string_view parameters,
             const Arguments& arguments)
    : run_(run), what_(what), parameters_(parameters), values_(count_of(parameters), nullptr) {
  if (arguments.positional.size() > values_.size())
    run.fail(std::string(what) + " takes at most " + std::to_string(values_.size()) +
             " arguments here");
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    size_t at = 0;
    while (at < values_.size() && parameter(at) != name) ++at;
    if (at == values_.size())
      run.fail("the argument '" + shown(name) + "' of " + std::string(what) + " is not supported");
    values_[at] = &value;
  }
}

std::string_view Bound::parameter(size_t at) const { return parameter_at(parameters_, at); }

void Bound::fail(size_t at, std::string_view what) const {
  run_.fail("the argument '" + std::string(parameter(at)) + "' of " + std::string(what_) + " " +
            std::string(what));
}

const Value* Bound::find(size_t at) const {
  const Value* value = values_[at];
  return value == nullptr || is_none(*value) ? nullptr : value;
}

const Value& Bound::required(size_t at) const {
  if (values_[at] == nullptr) fail(at, "is missing");
  return *values_[at];
}

const MarkedText& Bound::marked(size_t at) const {
  const MarkedText* text = text_of(required(at));
  if (text == nullptr) fail(at, "is " + std::string(kind_of(*values_[at])) + " and no string");
  return *text;
}

std::string Bound::text(size_t at) const { return marked(at).text(); }

std::optional<int64_t> Bound::whole(size_t at) const {
  const Value* value = find(at);
  if (value == nullptr) return std::nullopt;
  if (!is_whole(*value)) fail(at, "is " + std::string(kind_of(*value)) + " and no integer");
  return whole_of(*value);
}

bool Bound::flag(size_t at, bool otherwise) const {
  const Value* value = find(at);
  return value == nullptr ? otherwise : is_truthy(*value);
}

bool Bound::has_any() const {
  return std::ranges::any_of(values_, [](const Value* value) { return value != nullptr; });
}

}  // namespace perdure::jinja
