// SPDX-License-Identifier: Apache-2.0

// The sections of the configuration: one function each, so that a key stands in one line with its
// type and range.
#include "core/config/settings.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/session_name.hpp"
#include "core/config/map_reader.hpp"
#include "core/config/scaling_map.hpp"
#include "core/config/settings_tree.hpp"

namespace perdure {
namespace {

constexpr int64_t kMaxLayers = 1 << 16;

// The strategy and, as its options, every key that `reader` was not asked for.
StrategyChoice read_choice(MapReader& reader, const YamlNode& node) {
  StrategyChoice choice;
  choice.place = node.place;
  reader.text("strategy", choice.strategy);
  const auto entries = reader.rest();
  const auto is_scaling_map = [](const YamlEntry& e) {
    return e.key == "rope_scaling" && e.value.kind == YamlNode::Kind::kMap;
  };
  for (const YamlEntry* entry : entries) {
    if (is_scaling_map(*entry)) continue;
    const bool no_scaling =
        entry->key == "rope_scaling" && entry->value.kind == YamlNode::Kind::kNull;
    choice.options[entry->key] = no_scaling ? RawOption{"none", entry->value.place}
                                            : read_option(reader, entry->key, entry->value);
  }
  for (const YamlEntry* entry : entries)
    if (is_scaling_map(*entry)) read_scaling_map(reader, *entry, choice);
  use_own_words(choice);
  return choice;
}

// One number of a layer list; advances `text`.
std::optional<int64_t> take_layer(std::string_view& text) {
  int64_t layer = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  if (error != std::errc() || layer < 0 || layer >= kMaxLayers) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  return layer;
}

// '0,4-7' -> 0, 4, 5, 6, 7. Ranges may come in any order; a layer may stand once in all of
// attention.layers.
std::vector<int64_t> read_layers(const YamlEntry& entry, std::set<int64_t>& seen) {
  const auto fail = [&](const std::string& what) {
    throw UsageError(entry.place.text + ": attention.layers: '" + entry.key + "' " + what);
  };
  std::vector<int64_t> layers;
  std::string_view text = entry.key;
  while (true) {
    const std::optional<int64_t> first = take_layer(text);
    std::optional<int64_t> last = first;
    if (first && text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_layer(text);
    }
    if (!last || *last < *first) fail("is not a list of layers; write for example '0,4-7'");
    for (int64_t layer = *first; layer <= *last; ++layer) {
      if (!seen.insert(layer).second)
        fail("names layer " + std::to_string(layer) + " a second time");
      layers.push_back(layer);
    }
    if (text.empty()) break;
    if (!text.starts_with(',')) fail("is not a list of layers; write for example '0,4-7'");
    text.remove_prefix(1);
  }
  std::sort(layers.begin(), layers.end());
  return layers;
}

LayerOverride read_override(YamlEntry& entry, std::set<int64_t>& seen) {
  LayerOverride result;
  result.layers = read_layers(entry, seen);
  MapReader reader(entry.value, "attention.layers.'" + entry.key + "'");
  result.choice = read_choice(reader, entry.value);
  if (result.choice.strategy.empty())
    throw UsageError(entry.place.text + ": attention.layers: '" + entry.key +
                     "' needs a strategy, for example {strategy: full}");
  return result;
}

void read_attention(YamlNode& node, Settings& settings, const std::string& directory) {
  MapReader reader(node, "attention");
  reader.integer_or("eval_length", "none", settings.attention.eval_length, 1, INT64_MAX);
  reader.paths("contexts", settings.attention.contexts, directory);
  YamlNode* layers = reader.take("layers");
  settings.attention.choice = read_choice(reader, node);
  if (layers == nullptr) return;
  MapReader entries(*layers, "attention.layers");
  std::set<int64_t> seen;
  for (YamlEntry* entry : entries.rest())
    settings.attention.layers.push_back(read_override(*entry, seen));
  const auto first = [](const LayerOverride& o) { return o.layers.front(); };
  std::sort(settings.attention.layers.begin(), settings.attention.layers.end(),
            [&](const LayerOverride& a, const LayerOverride& b) { return first(a) < first(b); });
}

void read_model(YamlNode& node, Settings& settings, const std::string& directory) {
  MapReader reader(node, "model");
  reader.path("path", settings.model.path, directory);
  reader.path("tokenizer", settings.model.tokenizer, directory);
  reader.path("initial_state", settings.model.initial_state, directory);
  reader.finish();
}

void read_kernels(YamlNode& node, Settings& settings) {
  MapReader reader(node, "kernels");
  reader.texts("prefer", settings.kernels.prefer);
  reader.text("isa", settings.kernels.isa);
  static const std::string kNames[] = {"auto", "f32", "q8"};
  std::string activations = "auto";
  reader.choice("activations", activations, kNames);
  settings.kernels.activations =
      static_cast<Activations>(std::find(kNames, kNames + 3, activations) - kNames);
  reader.flag("reproducible", settings.kernels.reproducible);
  reader.flag("check", settings.kernels.check);
  if (YamlNode* pin = reader.take("pin")) {
    MapReader pins(*pin, "kernels.pin");
    for (const YamlEntry* entry : pins.rest())
      pins.text(entry->key, settings.kernels.pin[entry->key]);
  }
  reader.finish();
}

void read_threads(YamlNode& node, Settings& settings) {
  MapReader reader(node, "threads");
  reader.text("backend", settings.threads.backend);
  reader.integer_or("count", "auto", settings.threads.count, 1, 1024);
  reader.finish();
}

// What read_store and read_attention take for themselves; whatever else stands there is the
// plugin's.
constexpr std::string_view kStoreKeys[] = {
    "kind", "path", "session", "save_every", "save_every_tokens", "keep", "keep_days", "max_bytes"};
constexpr std::string_view kAttentionKeys[] = {"strategy", "layers", "contexts"};

void read_store(YamlNode& node, Settings& settings, const std::string& directory) {
  static const std::string kSaveEvery[] = {"turn", "never"};
  MapReader reader(node, "store");
  reader.text("kind", settings.store.kind);
  reader.path("path", settings.store.path, directory);
  reader.text("session", settings.store.session);
  if (!is_session_name(settings.store.session))
    reader.fail(*reader.take("session"), "session",
                "cannot be used: " + session_name_fault(settings.store.session));
  reader.choice("save_every", settings.store.save_every, kSaveEvery);
  reader.integer_or("save_every_tokens", "auto", settings.store.save_every_tokens, 1, INT64_MAX);
  reader.integer("keep", settings.store.keep, 1, INT64_MAX);
  reader.real("keep_days", settings.store.keep_days, 0, 1e6);
  reader.integer_or("max_bytes", "none", settings.store.max_bytes, 0, INT64_MAX);
  for (const YamlEntry* entry : reader.rest())
    settings.store.options[entry->key] = read_option(reader, entry->key, entry->value);
}

// Whether a folder holds memories of the `file` store; plugins may lie there too.
bool holds_memories(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().filename().string().find('@') != std::string::npos) return true;
  return false;
}

// $XDG_DATA_HOME/perdure, as for plugins. Memories were once kept in ~/.local/share/perdure
// whatever that variable said: where they lie only there, that is the place still.
void choose_store_path(Settings& settings) {
  const std::string home = absolute_path("~/.local/share/perdure", "");
  settings.store.path = home;
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data == nullptr || *data != '/') return;
  const std::string moved = absolute_path(std::string(data) + "/perdure", "");
  const bool at_home = moved != home && holds_memories(home);
  if (at_home && !holds_memories(moved)) return;
  settings.store.path = moved;
  if (at_home) settings.store.elsewhere = home;
}

void read_sampling(YamlNode& node, Settings& settings) {
  static const std::string kOrders[] = {"temperature_first", "temperature_last"};
  MapReader reader(node, "sampling");
  auto& sampling = settings.sampling;
  reader.real("temperature", sampling.temperature, 0, 1000);
  reader.integer("top_k", sampling.top_k, 0, INT64_MAX);
  reader.real("top_p", sampling.top_p, 0, 1);
  reader.real("min_p", sampling.min_p, 0, 1);
  reader.real("repeat_penalty", sampling.repeat_penalty, 0.01, 100);
  reader.choice("order", sampling.order, kOrders);
  reader.real("presence_penalty", sampling.presence_penalty, 0, 100);
  reader.real("frequency_penalty", sampling.frequency_penalty, 0, 100);
  reader.real("penalty_decay", sampling.penalty_decay, 0, 1);
  reader.integer("seed", sampling.seed, 1, INT64_MAX);
  reader.finish();
}

std::vector<double> numbers_of(std::span<const std::string> texts, const SourcePlace& place) {
  std::vector<double> numbers;
  for (const std::string& text : texts) {
    const std::optional<double> number = scalar_to_real(text, false);
    if (!number)
      throw UsageError(place.text + ": ensemble.scores must be numbers, but one is '" + text + "'");
    numbers.push_back(*number);
  }
  return numbers;
}

void read_ensemble(YamlNode& node, Settings& settings, const std::string& directory) {
  MapReader reader(node, "ensemble");
  std::vector<std::string> scores;
  reader.paths("passages", settings.ensemble.passages, directory);
  reader.texts("scores", scores);
  settings.ensemble.scores = numbers_of(scores, node.place);
  if (settings.ensemble.passages.empty() && !scores.empty())
    reader.fail(*reader.take("scores"), "scores", "has no effect without ensemble.passages");
  reader.real("temperature", settings.ensemble.temperature, 1e-6, 1e6);
  reader.finish();
}

void read_input(YamlNode& node, Settings& settings) {
  static const std::string kLineEnds[] = {"lf", "keep"};
  MapReader reader(node, "input");
  std::string line_ends = settings.input.line_ends == LineEnds::kKeep ? "keep" : "lf";
  reader.choice("line_ends", line_ends, kLineEnds);
  settings.input.line_ends = line_ends == "keep" ? LineEnds::kKeep : LineEnds::kLf;
  reader.finish();
}

// A template itself, which has tags, instead of a name.
bool is_template(const YamlNode* node) {
  return node != nullptr && node->kind == YamlNode::Kind::kScalar &&
         (node->text.find("{{") != std::string::npos || node->text.find("{%") != std::string::npos);
}

void read_chat(YamlNode& node, Settings& settings, const std::string& directory) {
  // Those of core/model/templates, which this room may not include.
  static const std::string kTemplates[] = {"auto",    "llama2", "llama3", "chatml",
                                           "mistral", "qwen",   "plain"};
  MapReader reader(node, "chat");
  const YamlNode* own = reader.take("template");
  if (is_template(own))
    settings.chat.chat_template = own->text;
  else
    reader.choice("template", settings.chat.chat_template, kTemplates);
  reader.path("template_file", settings.chat.template_file, directory);
  reader.text("system", settings.chat.system);
  reader.flag("clock", settings.chat.clock);
  reader.finish();
}

void read_step(YamlNode& node, Settings& settings) {
  MapReader reader(node, "step");
  reader.integer("max_rows", settings.step.max_rows, 1, 65536);
  reader.integer("max_logits_bytes", settings.step.max_logits_bytes, 1, int64_t{1} << 40);
  reader.finish();
}

void read_state(YamlNode& node, Settings& settings) {
  MapReader reader(node, "state");
  reader.integer_or("max_bytes", "auto", settings.state.max_bytes, 0, int64_t{1} << 60);
  reader.finish();
}

void read_plugins(YamlNode& node, Settings& settings, const std::string& directory) {
  MapReader reader(node, "plugins");
  reader.paths("load", settings.plugins.load, directory);
  reader.finish();
}

std::string read_text(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad())
    throw UsageError("cannot read configuration " + path + ": " +
                     std::strerror(errno ? errno : EIO));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace

Settings read_settings(YamlNode& root, const std::string& directory) {
  Settings settings;
  YamlNode absent;
  MapReader reader(root, "");
  const auto section = [&](const char* name) -> YamlNode& {
    YamlNode* found = reader.take(name);
    return found == nullptr ? absent : *found;
  };
  read_model(section("model"), settings, directory);
  read_attention(section("attention"), settings, directory);
  read_kernels(section("kernels"), settings);
  read_threads(section("threads"), settings);
  read_store(section("store"), settings, directory);
  read_sampling(section("sampling"), settings);
  read_ensemble(section("ensemble"), settings, directory);
  read_input(section("input"), settings);
  read_chat(section("chat"), settings, directory);
  read_step(section("step"), settings);
  read_state(section("state"), settings);
  read_plugins(section("plugins"), settings, directory);
  reader.finish();
  if (settings.store.path.empty()) choose_store_path(settings);
  return settings;
}

YamlNode read_tree(const std::string& path, const std::vector<std::string>& overrides) {
  YamlNode root;
  if (!path.empty()) root = parse_yaml(read_text(path), path);
  for (const std::string& override_text : overrides) apply_override(root, override_text);
  return root;
}

YamlNode take_entry(YamlNode& map, const std::string& key) {
  const auto found = std::find_if(map.entries.begin(), map.entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  if (found == map.entries.end()) return {};
  YamlNode value = std::move(found->value);
  map.entries.erase(found);
  return value;
}

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

Settings parse_settings(const std::string& text, const std::string& name,
                        const std::string& directory, const std::vector<std::string>& overrides) {
  YamlNode root = parse_yaml(text, name);
  for (const std::string& override_text : overrides) apply_override(root, override_text);
  take_entry(root, "compare");
  return read_settings(root, directory);
}

Settings load_settings(const std::string& path, const std::vector<std::string>& overrides) {
  YamlNode root = read_tree(path, overrides);
  take_entry(root, "compare");
  return read_settings(root, folder_of(path));
}

std::span<const std::string_view> attention_keys() { return kAttentionKeys; }
std::span<const std::string_view> store_keys() { return kStoreKeys; }

}  // namespace perdure
