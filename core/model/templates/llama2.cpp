// SPDX-License-Identifier: Apache-2.0

// As llama2's chat models were trained.
#include "core/model/templates/chat_template.hpp"

namespace perdure {
namespace {

class Llama2Template final : public ChatTemplate {
 public:
  std::string_view name() const override { return "llama2"; }

  std::string turn(std::string_view system, std::string_view user) const override {
    std::string text = "[INST] ";
    if (!system.empty()) text += "<<SYS>>\n" + std::string(system) + "\n<</SYS>>\n\n";
    return text + std::string(user) + " [/INST]";
  }
};

}  // namespace

const ChatTemplate& llama2_template() {
  static const Llama2Template entry;
  return entry;
}

}  // namespace perdure
