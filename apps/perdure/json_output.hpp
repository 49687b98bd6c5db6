// SPDX-License-Identifier: Apache-2.0

// Results as JSON, built from plain values: the words of core/model/json_write.hpp.
#pragma once

#include "core/model/json_write.hpp"

namespace perdure::app {

using perdure::json;
using perdure::json_text;
using perdure::member;
using perdure::object;

}  // namespace perdure::app
