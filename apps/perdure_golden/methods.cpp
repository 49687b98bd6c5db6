// SPDX-License-Identifier: Apache-2.0

// Implements apps/perdure_golden/methods.hpp: how the original's options become settings.
#include "apps/perdure_golden/methods.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "apps/perdure_golden/method_words.hpp"
#include "core/api/error.hpp"

namespace perdure {
namespace {

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The original's options, typed.
class Args {
 public:
  explicit Args(const std::map<std::string, std::string>& values) : values_(values) {}

  std::string text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second;
  }
  bool flag(const std::string& name) const { return text(name) == "true"; }
  int64_t integer(const std::string& name) const {
    const std::string t = text(name);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error != std::errc() || end != t.data() + t.size() || value < 0)
      throw UsageError("\"" + name + "\" must be an integer, not \"" + t + "\"");
    return value;
  }
  bool has(const std::string& name) const { return values_.contains(name); }

  // E / T0 where it is below 1: the original compresses there, perdure only when asked to.
  std::optional<double> compression() const {
    if (!has("extend_seq_len") || !has("max_seq_len")) return std::nullopt;
    const double factor = static_cast<double>(integer("extend_seq_len")) /
                          static_cast<double>(integer("max_seq_len"));
    return factor > 0 && factor < 1 ? std::optional(factor) : std::nullopt;
  }

  std::string fill_in(std::string options, const std::string& number) const {
    if (options.find("T0") != std::string::npos) {
      const int64_t trained = integer("max_seq_len");
      const std::pair<const char*, int64_t> lengths[] = {{"{T0}", trained},
                                                         {"{T0/2}", trained / 2},
                                                         {"{T0/4}", trained / 4},
                                                         {"{(T0+1)/2}", (trained + 1) / 2},
                                                         {"{(T0+1)/4}", (trained + 1) / 4},
                                                         {"{T0-512}", trained - 512},
                                                         {"{2*T0-256}", 2 * trained - 256}};
      for (const auto& [text, value] : lengths) replace_all(options, text, std::to_string(value));
    }
    if (options.find("{E}") != std::string::npos)
      replace_all(options, "{E}", std::to_string(integer("extend_seq_len")));
    replace_all(options, "{N}", number);
    return options;
  }

 private:
  const std::map<std::string, std::string>& values_;
};

// The shortest text that reads back to the same value.
std::string shortest(double value) {
  char buffer[40];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string join(const std::vector<std::string>& parts, const char* between) {
  std::string all;
  for (const std::string& p : parts) all += (all.empty() ? "" : between) + p;
  return all;
}

// The options of one layer, "a: 1" each.
class LayerOptions {
 public:
  LayerOptions(const Args& args, const std::vector<FoundMethod>& methods, int64_t layer,
               bool memory)
      : args_(args), layer_(std::to_string(layer)), memory_(memory) {
    if (args.has("max_seq_len")) set("train_length: " + args.text("max_seq_len"));
    if (args.has("theta")) set("rope_theta: " + args.text("theta"));
    if (args.flag("key_norm")) set("key_norm: true");
    if (memory && args.flag("update_memory")) set("initial: zero");
    const bool rotates = std::none_of(methods.begin(), methods.end(), [&](const FoundMethod& m) {
      return options_of(m) == "positions: none" && acts_here(m);
    });
    for (const FoundMethod& m : methods)
      if (acts_here(m) && (rotates || !(m.method->frequency || m.method->of_rotation))) add(m);
  }

  std::string text() const { return join(options_, ", "); }
  const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  const std::optional<std::string>& options_of(const FoundMethod& m) const {
    return memory_ ? m.method->memory : m.method->plain;
  }

  // As in the original, layer N of "layerNadapt" is one of the first five.
  bool acts_here(const FoundMethod& m) const {
    if (m.method->layer.empty() || memory_) return true;
    if (m.method->layer == "{N}")
      return m.number == layer_ && m.number.size() == 1 && m.number < "5";
    return m.method->layer == layer_;
  }

  void add(const FoundMethod& m) {
    // The original blends memories only where it keeps them from one call to the next.
    if (m.method->text == "emamem" && !args_.flag("update_memory")) return;
    const std::string quoted = "extend_method: \"" + m.method->text + "\"";
    const auto& mine = options_of(m);
    if (!mine)
      throw UsageError(quoted + " does not exist in " + (memory_ ? "memory" : "plain") +
                       " attention; docs/methods.md lists what does");
    if (*mine == kIgnored) {
      if (memory_) ignored_.push_back(m.method->text);
    } else if (m.method->least_train_length > 0 &&
               args_.integer("max_seq_len") < m.method->least_train_length) {
      throw UsageError(quoted + " lets positions see later ones where max_seq_len is below " +
                       std::to_string(m.method->least_train_length) + ", and it is " +
                       args_.text("max_seq_len"));
    } else if (*mine != kOfInput && !mine->empty()) {
      set(args_.fill_in(*mine, m.number));
      const std::optional<double> factor = args_.compression();
      if (mine->starts_with("rope_scaling: ") && factor) set("factor: " + shortest(*factor));
    }
  }

  // A later value of an option takes the place of an earlier one.
  void set(const std::string& options) {
    if (const size_t comma = options.find(", "); comma != std::string::npos) {
      set(options.substr(0, comma));
      return set(options.substr(comma + 2));
    }
    const std::string& option = options;
    const std::string name = option.substr(0, option.find(':') + 1);
    for (std::string& o : options_)
      if (o.starts_with(name)) return void(o = option);
    options_.push_back(option);
  }

  const Args& args_;
  std::string layer_;
  bool memory_;
  std::vector<std::string> options_, ignored_;
};

// Layers with the same strategy and options.
struct LayerGroup {
  bool memory;
  std::string options;
  std::vector<std::string> layers;

  std::string strategy() const { return memory ? "strategy: memory" : "strategy: full"; }
  std::string text() const { return strategy() + (options.empty() ? "" : ", " + options); }
};

// The group that stands for all layers that are not named: those with memory, else most layers.
bool is_main_before(const LayerGroup& a, const LayerGroup& b) {
  if (a.memory != b.memory) return a.memory;
  return a.layers.size() > b.layers.size();
}

}  // namespace

MethodChoice translate_llama2rnn_args(const std::map<std::string, std::string>& values) {
  const Args args(values);
  MethodChoice choice;
  if (args.text("attention_type") == "LSTM") {
    choice.attention = "{strategy: chunk_lstm}";
    return choice;
  }
  const std::string extend_method = args.text("extend_method");
  const std::vector<FoundMethod> methods = find_methods(extend_method);
  choice.clip = extend_method == "clip";
  const bool hybrid = extend_method.find("memlayer") != std::string::npos;
  std::vector<LayerGroup> groups;
  for (int64_t i = 0; i < args.integer("n_layers"); ++i) {
    // As in the original a layer's number is looked for as text: "memlayer10" names layers 1
    // and 10.
    const bool named = extend_method.find("memlayer" + std::to_string(i)) != std::string::npos;
    const bool memory = args.text("attention_type") == "memory_attention" && (named || !hybrid);
    const LayerOptions options(args, methods, i, memory);
    choice.ignored = memory ? options.ignored() : choice.ignored;
    const std::string text = options.text();
    auto group = std::find_if(groups.begin(), groups.end(), [&](const LayerGroup& g) {
      return g.memory == memory && g.options == text;
    });
    if (group == groups.end()) group = groups.insert(groups.end(), {memory, text, {}});
    group->layers.push_back(std::to_string(i));
  }
  std::stable_sort(groups.begin(), groups.end(), is_main_before);

  std::vector<std::string> attention;
  if (args.has("extend_seq_len"))
    attention.push_back("eval_length: " + args.text("extend_seq_len"));
  attention.push_back(groups.empty() ? "strategy: full" : groups[0].text());
  std::vector<std::string> others;
  for (size_t i = 1; i < groups.size(); ++i)
    others.push_back("'" + join(groups[i].layers, ",") + "': {" + groups[i].text() + "}");
  if (!others.empty()) attention.push_back("layers: {" + join(others, ", ") + "}");
  choice.attention = "{" + join(attention, ", ") + "}";
  return choice;
}

}  // namespace perdure
