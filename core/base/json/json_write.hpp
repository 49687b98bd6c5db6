// SPDX-License-Identifier: Apache-2.0

// JSON from plain values, and as text.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json/json.hpp"

namespace perdure {

inline Json json(Json value) { return value; }
inline Json json(bool value) { return Json(value); }
inline Json json(std::integral auto value) { return Json(static_cast<int64_t>(value)); }
inline Json json(double value) { return Json(value); }
inline Json json(std::string_view value) { return Json(std::string(value)); }
inline Json json(const char* value) { return Json(std::string(value)); }
inline Json json(const std::string& value) { return Json(value); }

template <class T>
Json json(const std::vector<T>& values) {
  Json::List list;
  for (const T& value : values) list.push_back(json(value));
  return Json(std::move(list));
}

// A member of an object: member("name", value).
template <class T>
std::pair<std::string, Json> member(std::string name, const T& value) {
  return {std::move(name), json(value)};
}

inline Json object(Json::Map members) { return Json(std::move(members)); }

// One line of JSON text without its end; the same value gives the same bytes. Reals are the
// shortest that read back to the same bits; those that are not finite become null, because JSON has
// no word for them. Pure; any thread.
std::string json_text(const Json& value);

}  // namespace perdure
