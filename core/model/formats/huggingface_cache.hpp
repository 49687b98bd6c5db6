// SPDX-License-Identifier: Apache-2.0

// Models in the cache folder of Hugging Face's tools, by name. Nothing is ever downloaded.
#pragma once

#include <string>
#include <string_view>

namespace perdure {

// Whether `path` is such a name: "hf:owner/name".
bool is_huggingface_name(std::string_view path);

// The folder or file that "hf:owner/name[@REVISION][:FILE]" stands for: FILE, or the revision's
// folder (by default that of refs/main) if it is a model, or the only GGUF file in it. The cache is
// HF_HUB_CACHE, else HF_HOME/hub, else huggingface/hub in XDG_CACHE_HOME or ~/.cache.
// Errors: UsageError for a malformed name, and for a folder with several GGUF files, naming them;
// Error, saying where was looked, if the model, the revision or the file is not there.
std::string resolve_huggingface_name(const std::string& name);

}  // namespace perdure
