// SPDX-License-Identifier: Apache-2.0

// The templates that chat.template knows by name.
#pragma once

#include <span>
#include <string_view>

namespace perdure {

struct NamedTemplate {
  std::string_view name, source;
};

// Live for ever.
std::span<const NamedTemplate> named_templates();

}  // namespace perdure
