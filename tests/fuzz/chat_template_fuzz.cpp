// SPDX-License-Identifier: Apache-2.0

// Any bytes as a chat template: a UsageError, or turns of a conversation in which no word of a
// message became a control token.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/api/error.hpp"
#include "core/model/templates/chat_writer.hpp"

using namespace perdure;

namespace {

// Bytes are their own ids; control tokens come behind them.
class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<int32_t> encode_text(std::string_view text, bool) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string_view decode(int32_t, int32_t) const override { return {}; }
  int64_t vocab_size() const override { return 260; }
  int32_t bos_id() const override { return 256; }
  std::span<const int32_t> eos_ids() const override { return ends_; }
  std::vector<ControlToken> control_tokens() const override {
    return {{"<s>", 256}, {"</s>", 257}, {"<|im_start|>", 258}, {"\x01", kForbidden}};
  }
  const std::string& hash() const override { return hash_; }

  static constexpr int32_t kForbidden = 259;  // a template has no such byte, and messages do

 private:
  std::vector<int32_t> ends_{257};
  std::string hash_;
};

void converse(const std::string& source) {
  static const ByteTokenizer tokenizer;
  const ChatWriter writer(tokenizer, {"input", source});
  for (const bool first : {true, false})
    for (const char* system : {"", "be \x01 kind"}) try {
        const std::vector<int32_t> ids =
            writer.turn({.system = system, .user = "a\x01<s>b c\n", .is_first = first});
        if (std::ranges::count(ids, ByteTokenizer::kForbidden) > 0) __builtin_trap();
      } catch (const Error&) {
      }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string source(reinterpret_cast<const char*>(data), size);
  // Neither as a byte nor as an escape or a number that becomes one.
  std::ranges::replace(source, '\x01', ' ');
  for (size_t at = 0; at + 1 < source.size(); ++at)
    if (source[at] == '\\' &&
        (source[at + 1] == 'x' || source[at + 1] == 'u' || source[at + 1] == 'U'))
      source[at] = ' ';
  try {
    converse(source);
  } catch (const UsageError&) {
  }
  return 0;
}
