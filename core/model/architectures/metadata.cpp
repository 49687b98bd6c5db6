// SPDX-License-Identifier: Apache-2.0

#include "core/model/architectures/metadata.hpp"

#include <cmath>
#include <limits>

#include "core/api/error.hpp"

namespace perdure {

void Metadata::fail(std::string_view name, const std::string& what) const {
  throw Error(where_ + ": " + std::string(name) + " " + what);
}

const Metadata::Value* Metadata::find(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? nullptr : &it->second;
}

int64_t Metadata::size(std::string_view name) const {
  if (!has(name)) fail(name, "is missing");
  return size(name, 1);
}

int64_t Metadata::size(std::string_view name, int64_t otherwise) const {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  const int64_t* number = std::get_if<int64_t>(value);
  if (number == nullptr) fail(name, "must be a whole number");
  if (*number < 1) fail(name, "is " + std::to_string(*number) + " but must be at least 1");
  return *number;
}

int64_t Metadata::n_layers() const {
  constexpr std::string_view kName = "num_hidden_layers";
  const int64_t n = size(kName);
  if (n > kMostLayers) fail(kName, "is more than " + std::to_string(kMostLayers));
  return n;
}

double Metadata::positive_real(std::string_view name, double otherwise) const {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  const int64_t* whole = std::get_if<int64_t>(value);
  const double* real = std::get_if<double>(value);
  if (whole == nullptr && real == nullptr) fail(name, "must be a number");
  const double number = whole != nullptr ? static_cast<double>(*whole) : *real;
  if (!std::isfinite(number) || number <= 0) fail(name, "must be a number above 0");
  return number;
}

std::string Metadata::text(std::string_view name, std::string_view otherwise) const {
  const Value* value = find(name);
  if (value == nullptr) return std::string(otherwise);
  const std::string* text = std::get_if<std::string>(value);
  if (text == nullptr) fail(name, "must be a text");
  return *text;
}

std::vector<int32_t> Metadata::ids(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return {};
  std::vector<int64_t> numbers;
  if (const int64_t* one = std::get_if<int64_t>(value))
    numbers = {*one};
  else if (const auto* several = std::get_if<std::vector<int64_t>>(value))
    numbers = *several;
  else
    fail(name, "must be a token id or a list of them");
  std::vector<int32_t> ids;
  for (const int64_t number : numbers) {
    if (number < 0 || number > std::numeric_limits<int32_t>::max())
      fail(name, "is " + std::to_string(number) + ", which is not a token id");
    ids.push_back(static_cast<int32_t>(number));
  }
  return ids;
}

}  // namespace perdure
