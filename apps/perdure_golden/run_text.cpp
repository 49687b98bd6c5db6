// SPDX-License-Identifier: Apache-2.0

// Cases that recorded the text of a whole run of the C programs, and the memory file it left. With
// other kernels than the exact ones the scalar run leads: its tokens are forced on the others,
// which may choose differently only where the choice hangs on less than the noise.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/perdure_golden/legacy_program.hpp"
#include "apps/perdure_golden/memory_file.hpp"
#include "apps/perdure_golden/runners.hpp"
#include "core/api/error.hpp"

namespace perdure::golden {
namespace {

constexpr double kStrict = 1e-3;  // of rows of memory files, with exact kernels

// A choice of the leading run.
struct Choice {
  std::vector<float> logits;
  int32_t token;
};

// One run of a case's program and what it left.
struct Run {
  std::string text, memory_file;
};

Run run_program(const Context& context, const Case& c, const Chooser& chooser) {
  const LegacyArguments arguments = parse_legacy_arguments(c.json.at("args").list());
  const bool has_memory = c.json.at("program").text() == "runqm";
  const std::string attention = has_memory ? std::string("{strategy: memory, update: ") +
                                                 update_option(arguments.update_mode) + "}"
                                           : "{strategy: full}";
  const auto engine =
      make_engine(context, arguments.checkpoint,
                  {"attention=" + attention,
                   "model.tokenizer=\"" + context.set.path(arguments.tokenizer) + "\""});
  // A case "x_resume" starts from the memory file that case "x" left.
  std::optional<std::string> load_from;
  if (constexpr std::string_view suffix = "_resume"; c.name.ends_with(suffix))
    load_from = c.folder.substr(0, c.folder.size() - suffix.size()) + "/memory_after.bin";
  const bool has_input = std::filesystem::exists(c.folder + "/stdin.txt");

  const ScratchFile scratch;
  LegacyProgram program(*engine, arguments, has_memory, chooser);
  Run run;
  run.text = program.run(load_from, scratch.path(), has_input ? c.file("stdin.txt") : "");
  run.memory_file = read_file(scratch.path());
  return run;
}

void compare_text(Judge& judge, const std::string& found, const std::string& golden) {
  const auto [f, g] = std::mismatch(found.begin(), found.end(), golden.begin(), golden.end());
  judge.require(f == found.end() && g == golden.end(),
                "the text differs from byte " + std::to_string(f - found.begin()) + " on");
}

void compare_run(Judge& judge, const Context& context, const Case& c, const Run& run) {
  compare_text(judge, run.text, c.file("stdout.bin"));
  if (!std::filesystem::exists(c.folder + "/memory_after.bin")) return;
  const ModelInfo info = Model::open(context.set.path(c.json.at("model").text())).spec().info;
  compare_memory_files(judge, info, run.memory_file, c.file("memory_after.bin"));
}

// How much the leading run's logits must change at least for `other` to be chosen instead, or,
// where tokens are drawn and not the largest taken, how much they did change.
double margin_of(const Choice& leader, std::span<const float> logits, int32_t other, bool greedy) {
  if (greedy)
    return double{leader.logits[static_cast<size_t>(leader.token)]} -
           leader.logits[static_cast<size_t>(other)];
  double largest = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    largest = std::max(largest, std::abs(double{logits[i]} - leader.logits[i]));
  return largest;
}

Outcome run_forced(const Context& context, const Case& c) {
  Judge judge(noise_limits(context, c));
  const bool greedy = parse_legacy_arguments(c.json.at("args").list()).temperature == 0;
  std::vector<Choice> choices;
  const Context scalar{.set = context.set, .overrides = {}};
  const Run leader = run_program(scalar, c, [&](std::span<const float> logits, int32_t sampled) {
    choices.push_back({{logits.begin(), logits.end()}, sampled});
    return sampled;
  });
  compare_text(judge, leader.text, c.file("stdout.bin"));

  size_t step = 0;
  const Run forced = run_program(context, c, [&](std::span<const float> logits, int32_t sampled) {
    const Choice& lead = choices.at(step++);
    const std::string what = "choice " + std::to_string(step);
    judge.logits(what + ": logits", logits, lead.logits);
    if (sampled != lead.token) {
      const double margin = margin_of(lead, logits, sampled, greedy);
      const std::string line = what + ": token " + std::to_string(sampled) + " instead of " +
                               std::to_string(lead.token) + " at a margin of " +
                               std::to_string(margin);
      judge.require(margin <= judge.limits().max_abs, line);
      judge.remark(line);
    }
    return lead.token;
  });
  compare_run(judge, context, c, forced);
  return judge.verdict();
}

}  // namespace

Outcome run_text(const Context& context, const Case& c) {
  const bool quantised = c.json.at("program").text() != "run";
  if (quantised && !context.exact_kernels) return run_forced(context, c);
  Judge judge({.max_abs = kStrict});
  compare_run(judge, context, c,
              run_program(context, c, [](auto, int32_t sampled) { return sampled; }));
  return judge.verdict();
}

}  // namespace perdure::golden
