// SPDX-License-Identifier: Apache-2.0

// Reads what a shared library states about itself (core/api/plugin.h) from the bytes of the file,
// so that no code of the library runs before the host has judged it. The bytes are not trusted:
// every offset is checked.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/api/plugin.h"

namespace perdure {

// All plugin statements among the notes of an ELF file, normally one; none if it is not a plugin.
// Of a statement longer or shorter than ours the common part is read and the rest is zero; texts
// always end with a NUL.
// Errors: Error with the byte offset if this is no shared library for this machine or if it is
// damaged.
std::vector<perdure_plugin_statement> read_plugin_statements(std::span<const std::byte> file);

}  // namespace perdure
