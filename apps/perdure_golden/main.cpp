// SPDX-License-Identifier: Apache-2.0

// perdure_golden: runs the cases of a golden set (any that is laid out like one in tests/golden,
// where a README.md says what is in it) through the public engine and says for each how far its
// numbers are from those of the original programs.
#include <boost/program_options.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "apps/perdure_golden/folder_case.hpp"
#include "apps/perdure_golden/golden_set.hpp"
#include "apps/perdure_golden/runners.hpp"
#include "core/api/error.hpp"
#include "core/config/settings.hpp"

namespace perdure::golden {
namespace {

namespace po = boost::program_options;

struct Arguments {
  std::string folder, only, vocabulary;
  std::vector<std::string> overrides;
  bool help = false;
};

// One line per kind of case.
struct Kind {
  const char* name;
  Outcome (*run)(const Context&, const Case&);
};
constexpr Kind kKinds[] = {
    {"runqm", run_runqm},        {"llama2c", run_llama2c},  {"llama2c_q", run_llama2c},
    {"torch_memory", run_torch}, {"torch_lstm", run_torch}, {"tokenizer", run_tokenizer},
    {"cli", run_text},           {"chat", run_text},        {"torch_attention", run_attention},
    {"torch_eval", run_eval},
};

// One line per layout of a set without an index.
constexpr std::vector<FolderCase> (*kLayouts[])(const FolderSetting&) = {
    rwkv_cases, microrwkv_cases, gguf_cases, cepe_cases, rmt_cases};

Arguments parse(int argc, char** argv) {
  Arguments a;
  po::options_description options("perdure_golden DIR [--only PREFIX] [--set key=value]...");
  options.add_options()("help", po::bool_switch(&a.help), "this text")(
      "only", po::value(&a.only), "only cases whose name begins with this")(
      "set", po::value(&a.overrides)->composing(), "configuration, as for perdure")(
      "vocabulary", po::value(&a.vocabulary),
      "all of RWKV World's vocabulary, for the ids of RWKV's set that need it")(
      "folder", po::value(&a.folder), "the golden set");
  po::variables_map values;
  const auto parsed = po::command_line_parser(argc, argv)
                          .options(options)
                          .positional(po::positional_options_description().add("folder", 1))
                          .run();
  po::store(parsed, values);
  po::notify(values);
  if (a.help) std::cout << options;
  if (!a.help && a.folder.empty())
    throw UsageError("which golden set? perdure_golden DIR; --help shows more");
  return a;
}

// Whether q80 runs in the originals' order of operations.
bool kernels_are_exact(const std::vector<std::string>& overrides) {
  std::vector<std::string> all{"kernels.prefer=[scalar]"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  const Settings settings = load_settings("", all);
  return settings.kernels.prefer == std::vector<std::string>{"scalar"} &&
         settings.kernels.activations != Activations::kF32;
}

Outcome run_case(const Context& context, const Case& c) {
  for (const Kind& kind : kKinds)
    if (c.kind == kind.name) return kind.run(context, c);
  return Outcome::skip("unknown kind " + c.kind);
}

// A case that throws has failed; the others still run.
Outcome run_guarded(const std::function<Outcome()>& run) {
  try {
    return run();
  } catch (const std::exception& e) {
    Outcome outcome;
    outcome.status = Status::kFail;
    outcome.reason = e.what();
    return outcome;
  }
}

void print(const std::string& name, const Outcome& o) {
  if (o.status == Status::kSkip) {
    std::printf("%-30s %-31s skip  %s\n", name.c_str(), "", o.reason.c_str());
    return;
  }
  const bool ok = o.status == Status::kOk;
  std::printf("%-30s diff %-9.2g tolerance %-7.2g %s%s\n", name.c_str(), o.worst, o.tolerance,
              !ok                ? "FAIL  "
              : o.reason.empty() ? "ok"
                                 : "ok  ",
              o.reason.c_str());
  for (const std::string& line : o.remarks) std::printf("    %s\n", line.c_str());
}

// The largest difference of the cases with one type of weights.
struct Worst {
  double difference = 0;
  std::string name;
  int n_cases = 0, n_bit_equal = 0;

  void add(const std::string& case_name, const Outcome& o) {
    ++n_cases;
    n_bit_equal += o.n_bit_equal == o.n_logits;
    if (!name.empty() && o.worst <= difference) return;
    difference = o.worst;
    name = case_name;
  }

  void print(const char* type) const {
    if (n_cases == 0) return;
    std::printf("%s: largest difference %.2g (%s), all logits bit-equal in %d of %d cases\n", type,
                difference, name.c_str(), n_bit_equal, n_cases);
  }
};

// What a whole run comes to.
struct Summary {
  int counts[3] = {};  // by Status
  Worst f32, quantised;
  bool any = false;

  // Runs a case and says how it went.
  void run(const std::string& name, Worst& of_type, const std::function<Outcome()>& run) {
    any = true;
    const Outcome outcome = run_guarded(run);
    golden::print(name, outcome);
    std::fflush(stdout);
    ++counts[static_cast<int>(outcome.status)];
    if (outcome.n_logits > 0) of_type.add(name, outcome);
  }

  void print() const {
    f32.print("F32");
    quantised.print("quantised");
    std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
  }
};

void run_llama2rnn(const Arguments& arguments, Summary& summary) {
  const Set set(arguments.folder);
  const Context context{.set = set,
                        .overrides = arguments.overrides,
                        .exact_kernels = kernels_are_exact(arguments.overrides)};
  for (const std::string& name : set.names()) {
    if (!name.starts_with(arguments.only)) continue;
    const Case c = set.load(name);
    const bool is_f32 = c.kind == "llama2c" || c.kind.starts_with("torch_");
    summary.run(name, is_f32 ? summary.f32 : summary.quantised,
                [&] { return run_case(context, c); });
  }
}

std::vector<FolderCase> folder_cases(const FolderSetting& setting) {
  for (const auto find : kLayouts)
    if (auto cases = find(setting); !cases.empty()) return cases;
  return {};
}

int run(const Arguments& arguments) {
  Summary summary;
  const auto cases = folder_cases({arguments.folder, arguments.overrides, arguments.vocabulary});
  if (cases.empty()) run_llama2rnn(arguments, summary);
  for (const FolderCase& c : cases)
    if (c.name.starts_with(arguments.only))
      summary.run(c.name, c.quantised ? summary.quantised : summary.f32, c.run);
  if (!summary.any)
    throw UsageError("no case of " + arguments.folder + " begins with '" + arguments.only + "'");
  summary.print();
  return summary.counts[static_cast<int>(Status::kFail)] == 0 ? 0 : 1;
}

}  // namespace
}  // namespace perdure::golden

int main(int argc, char** argv) {
  try {
    const auto arguments = perdure::golden::parse(argc, argv);
    return arguments.help ? 0 : perdure::golden::run(arguments);
  } catch (const perdure::UsageError& e) {
    std::fprintf(stderr, "perdure_golden: %s\n", e.what());
    return 2;
  } catch (const boost::program_options::error& e) {
    std::fprintf(stderr, "perdure_golden: %s; --help shows more\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "perdure_golden: %s\n", e.what());
    return 1;
  }
}
