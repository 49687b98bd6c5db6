// SPDX-License-Identifier: Apache-2.0

// perdure inspect: what is in a model file, what will be computed, and how.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/subcommand.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/dtype.hpp"
#include "core/base/json/json_write.hpp"
#include "core/engine/engine.hpp"
#include "core/model/architectures/architecture.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

std::string type_name(const Weight& weight) {
  switch (weight.dtype) {
    case PERDURE_F32:
      return "F32";
    case PERDURE_F16:
      return "F16";
    case PERDURE_BF16:
      return "BF16";
    case PERDURE_Q80:
      return fmt::format("q80/{}", weight.group_size);
    case PERDURE_I64:
      return "I64";
    default:
      return dtype_name(weight.dtype);
  }
}

Json::Map facts(const ModelSpec& spec) {
  const ModelInfo& info = spec.info;
  Json::Map all = {member("architecture", spec.architecture), member("format", spec.format)};
  for (const auto& [name, size] : named_sizes(spec)) all.push_back(member(name, size));
  const Json::Map more = {
      member("head_size", info.head_size),       member("vocab_size", info.vocab_size),
      member("train_length", info.train_length), member("mem_len", info.mem_len),
      member("rope_theta", info.rope_theta),     member("rms_norm_eps", info.rms_norm_eps)};
  all.insert(all.end(), more.begin(), more.end());
  if (!spec.initial_state.empty()) all.push_back(member("initial_state", spec.initial_state));
  return all;
}

Json model_json(const Model& model) {
  Json::Map weights;
  for (const auto& [name, weight] : model.weights())
    weights.push_back(
        member(name, object({member("type", type_name(weight)),
                             member("shape", std::vector{weight.rows, weight.columns})})));
  Json::Map all = facts(model.spec());
  all.push_back(member("weights", object(std::move(weights))));
  return object(std::move(all));
}

std::string model_text(const Model& model) {
  std::string text, weights;
  int64_t parameters = 0;
  for (const auto& [key, value] : facts(model.spec()))
    text += fmt::format("{:<20} {}\n", key, value.scalar_text());
  for (const auto& [key, value] : model.spec().llama2rnn_args)
    text += fmt::format("{:<20} {}\n", key, value);
  for (const auto& [name, weight] : model.weights()) {
    weights += fmt::format("  {:<32} {:<8} {} x {}\n", name, type_name(weight), weight.rows,
                           weight.columns);
    parameters += weight.size();
  }
  return text + fmt::format("{:<20} {}\nweights\n{}", "parameters", grouped(parameters), weights);
}

int run_model(const Arguments& arguments) {
  CommandLine line("inspect model [MODEL]", "Shows the model's parameters and weights.");
  line.add_json().add_model_word();
  if (!line.parse(arguments)) return 0;
  const auto files = line.model_settings().model;
  const Model model = Model::open(files.path, files.initial_state);
  print(line.json() ? json_text(model_json(model)) + "\n" : model_text(model));
  return 0;
}

// The graph that is named, or all.
std::vector<std::string> chosen_graphs(const Engine& engine,
                                       const std::vector<std::string>& names) {
  return names.empty() ? engine.graph_names() : names;
}

// A list of `describe` of each.
void print_list(const std::vector<std::string>& names,
                const std::function<Json(const std::string&)>& describe) {
  Json::List list;
  for (const std::string& name : names) list.push_back(describe(name));
  print(json_text(Json(std::move(list))) + "\n");
}

const std::vector<std::string> kGraphs = {"step", "init", "begin", "end", "prompt_end"};

bool is_graph(const std::string& word) {
  return word.starts_with("input:") || std::ranges::count(kGraphs, word) > 0;
}

// Errors: UsageError for a word that is only nearly the name of a graph, and nothing on the disk.
void require_model(const std::string& word) {
  std::error_code ignored;
  const std::string near = nearest(word, kGraphs);
  if (!near.empty() && !std::filesystem::exists(word, ignored))
    throw UsageError(
        fmt::format("'{}' is neither a model nor a graph; did you mean '{}'?", word, near));
}

// Takes the model out of the words behind `graph` and `plan`, which are [MODEL] [GRAPH].
Settings graph_settings(CommandLine& line, std::vector<std::string>& words) {
  if (words.size() == 2 || (!words.empty() && !is_graph(words.front()))) {
    require_model(words.front());
    line.use_model(words.front());
    words.erase(words.begin());
  }
  return line.model_settings();
}

int run_graph(const Arguments& arguments) {
  std::vector<std::string> names;
  bool dot = false;
  CommandLine line(
      "inspect graph [MODEL] [step | init | begin | end | prompt_end | input:NAME] [--dot]",
      "Prints a computation graph; without a name, all graphs of model and strategy.");
  line.add_flag("dot", &dot, "print as Graphviz DOT").add_json().add_words("MODEL", &names, 2);
  if (!line.parse(arguments)) return 0;
  if (dot && line.json()) throw UsageError("--dot and --json cannot be combined");
  const Engine engine(graph_settings(line, names), linked_plugins());
  const std::vector<std::string> chosen = chosen_graphs(engine, names);
  if (line.json())
    print_list(chosen, [&](const std::string& name) { return engine.graph_json(name); });
  else
    for (const std::string& name : chosen) print(engine.describe_graph(name, dot));
  return 0;
}

int run_plan(const Arguments& arguments) {
  std::vector<std::string> names;
  CommandLine line("inspect plan [MODEL] [step | init | begin | end | prompt_end | input:NAME]",
                   "Prints which kernel computes each node of a graph, and where in the buffer; "
                   "without a name, the plans of all graphs.");
  line.add_json().add_words("MODEL", &names, 2);
  if (!line.parse(arguments)) return 0;
  const Engine engine(graph_settings(line, names), linked_plugins());
  const std::vector<std::string> chosen = chosen_graphs(engine, names);
  if (line.json())
    print_list(chosen, [&](const std::string& name) { return engine.plan_json(name); });
  else
    for (const std::string& name : chosen) print(name + ": " + engine.describe_plan(name));
  return 0;
}

}  // namespace

int run_inspect(const Arguments& arguments) {
  static constexpr Command kCommands[] = {
      {"model", "show parameters and weights", run_model},
      {"graph", "print the computation graph", run_graph},
      {"plan", "print the kernel and the buffer of every node", run_plan},
  };
  return run_subcommand("perdure inspect",
                        "Shows a model, its graph and its plan without running it.", kCommands,
                        arguments);
}

}  // namespace perdure::app
