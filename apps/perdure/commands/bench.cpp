// SPDX-License-Identifier: Apache-2.0

// perdure bench: how fast, with which spread, and how far from what the machine's memory allows.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>

#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/commands/bandwidth.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/configuration.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/terminal/statistics.hpp"
#include "core/base/json/json_write.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

struct Request {
  int64_t prompt = 512, generate = 128, repeat = 5;
};

struct Report {
  Request request;
  std::string model, configuration;
  std::vector<std::string> kernels;
  Spread reading, writing;  // tokens per second
  int64_t state_bytes = 0, weight_bytes = 0, peak_bytes = 0;
  double bandwidth = 0;  // bytes per second
  double share() const { return static_cast<double>(weight_bytes) * writing.median / bandwidth; }
};

// Any tokens do: the time does not depend on which.
std::vector<int32_t> some_tokens(int64_t count, int64_t vocab_size) {
  std::vector<int32_t> tokens;
  RandomState random;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random.next_u32() % static_cast<uint64_t>(vocab_size)));
  return tokens;
}

// What was not asked for is made to fit a session that cannot be longer.
void fit(Request& request, const CommandLine& line, const Engine& engine) {
  if (!engine.max_length()) return;
  const int64_t longest = *engine.max_length();
  if (!line.given("prompt"))
    request.prompt = std::clamp<int64_t>(longest - request.generate, 1, request.prompt);
  if (!line.given("generate"))
    request.generate = std::clamp<int64_t>(longest - request.prompt, 1, request.generate);
  if (request.prompt + request.generate > longest)
    throw UsageError(
        fmt::format("a session can have at most {} tokens here; --prompt and --generate ask for {}",
                    longest, request.prompt + request.generate));
}

void measure(Engine& engine, Report& report, bool quiet) {
  const std::vector<int32_t> tokens =
      some_tokens(report.request.prompt, engine.spec().info.vocab_size);
  const StopRule rule{.max_tokens = report.request.generate, .ignore_eos = true, .read_last = true};
  std::vector<double> reading, writing;
  for (int64_t i = 0; i <= report.request.repeat; ++i) {  // the first one warms up
    Session session = engine.new_session();
    Generator generator(engine, session);
    const bool whole =
        generator.read(tokens, fmt::format("run {} of {}", i, report.request.repeat), quiet) &&
        generator.write(rule, [](int32_t) { return true; }) != Stop::kInterrupted;
    if (!whole) throw Error("stopped by Ctrl-C; no result");
    report.state_bytes = session.state_bytes();
    if (i == 0) continue;
    reading.push_back(generator.reading().per_second());
    writing.push_back(generator.writing().per_second());
  }
  report.reading = spread_of(reading);
  report.writing = spread_of(writing);
}

Report run(Engine& engine, const Request& request, bool quiet) {
  Report report{.request = request};
  report.model = engine.settings().model.path;
  report.configuration = configuration_hash(effective_configuration(engine));
  report.kernels = kernels_in_plan(engine.describe_plan("step"));
  report.weight_bytes = engine.weight_bytes_per_token();
  measure(engine, report, quiet);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  report.peak_bytes = usage.ru_maxrss * 1024;  // before the bandwidth test takes memory of its own
  report.bandwidth = measure_bandwidth(static_cast<int>(engine.settings().threads.count));
  return report;
}

std::string as_text(const Report& report) {
  const auto line = [](const char* name, const std::string& value) {
    return fmt::format("{:<14} {}\n", name, value);
  };
  const auto rate = [](const Spread& s, int64_t tokens) {
    return fmt::format("{:.1f} tokens/s ({:.1f} to {:.1f}), {} tokens", s.median, s.min, s.max,
                       grouped(tokens));
  };
  return line("model", report.model) + line("configuration", report.configuration) +
         line("kernels", fmt::format("{}", fmt::join(report.kernels, " "))) +
         line("prefill", rate(report.reading, report.request.prompt)) +
         line("decode", rate(report.writing, report.request.generate)) +
         line("runs", std::to_string(report.request.repeat)) +
         line("peak RAM", bytes_text(static_cast<double>(report.peak_bytes))) +
         line("state", bytes_text(static_cast<double>(report.state_bytes))) +
         line("weights", bytes_text(static_cast<double>(report.weight_bytes)) + " read per token") +
         line("bandwidth", fmt::format("{}/s measured; decode reads weights at {:.1f} % of it",
                                       bytes_text(report.bandwidth), report.share() * 100));
}

Json spread_json(const Spread& spread) {
  return object(
      {member("median", spread.median), member("min", spread.min), member("max", spread.max)});
}

Json as_json(const Report& report) {
  return object({member("model", report.model), member("configuration", report.configuration),
                 member("kernels", report.kernels), member("prompt_tokens", report.request.prompt),
                 member("generated_tokens", report.request.generate),
                 member("runs", report.request.repeat),
                 member("prefill_tokens_per_second", spread_json(report.reading)),
                 member("decode_tokens_per_second", spread_json(report.writing)),
                 member("peak_bytes", report.peak_bytes), member("state_bytes", report.state_bytes),
                 member("weight_bytes_per_token", report.weight_bytes),
                 member("bandwidth_bytes_per_second", report.bandwidth),
                 member("bandwidth_share", report.share())});
}

}  // namespace

int run_bench(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "bench [MODEL] [--prompt N] [--generate N] [--repeat R]",
      "Measures prefill and decode in tokens per second: median, slowest and fastest of R runs.");
  line.add("prompt", &request.prompt, "tokens to read (512)")
      .add("generate", &request.generate, "tokens to write (128)")
      .add("repeat", &request.repeat, "runs (5)")
      .add_json()
      .add_model_word();
  if (!line.parse(arguments)) return 0;
  require_at_least("--prompt", request.prompt, 1);
  require_at_least("--generate", request.generate, 1);
  require_at_least("--repeat", request.repeat, 1);
  Engine engine(line.model_settings(), linked_plugins());
  refuse_ensemble(engine.settings(), "bench");
  fit(request, line, engine);
  catch_interrupts();
  const Report report = run(engine, request, line.quiet());
  print(line.json() ? json_text(as_json(report)) + "\n" : as_text(report));
  return 0;
}

}  // namespace perdure::app
