// SPDX-License-Identifier: Apache-2.0

// Options of plugins: the schema decides, and a refusal names the place.
#include <doctest/doctest.h>

#include "core/config/settings.hpp"

using namespace perdure;

namespace {

const std::vector<OptionSpec> kSchema = {
    {"window", OptionType::kInt, int64_t{256}, "Tokens that stay visible.", 1, 1e6},
    {"theta", OptionType::kReal, 10000.0, "Base of the rotation.", 0.5},
    {"logn", OptionType::kBool, false, "Scale queries by the logarithm of their position."},
    {"positions",
     OptionType::kText,
     std::string("absolute"),
     "Where keys are rotated.",
     0,
     0,
     {"absolute", "window"}},
    {"note", OptionType::kText, std::string(""), "Anything."},
};

StrategyChoice choice(const std::string& options) {
  return parse_settings("attention:\n  strategy: s\n" + options, "run.yaml", "").attention.choice;
}

std::string refusal(const std::string& options, const std::vector<OptionSpec>& schema = kSchema) {
  try {
    resolve_options(choice(options), schema, "attention.s");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("options that are not given have their defaults") {
  const Options options = resolve_options(choice(""), kSchema, "attention.s");
  CHECK(options.integer("window") == 256);
  CHECK(options.real("theta") == 10000.0);
  CHECK_FALSE(options.flag("logn"));
  CHECK(options.text("positions") == "absolute");
}

TEST_CASE("options that are given are converted to their type") {
  const Options options = resolve_options(
      choice("  window: 64\n  theta: 5\n  logn: true\n  positions: window\n  note: 12\n"), kSchema,
      "attention.s");
  CHECK(options.integer("window") == 64);
  CHECK(options.real("theta") == 5.0);
  CHECK(options.flag("logn"));
  CHECK(options.text("positions") == "window");
  CHECK(options.text("note") == "12");
}

TEST_CASE("unknown, ill-typed and out-of-range options are refused with place and remedy") {
  CHECK(refusal("  windw: 3\n") ==
        "run.yaml:3: unknown option 'windw' of attention.s; did you mean 'window'?");
  CHECK(refusal("  zzz: 3\n") ==
        "run.yaml:3: unknown option 'zzz' of attention.s; valid: window, theta, logn, positions, "
        "note");
  CHECK(refusal("  zzz: 3\n", {}) ==
        "run.yaml:3: unknown option 'zzz' of attention.s; it has no options");
  CHECK(refusal("  window: 0\n") ==
        "run.yaml:3: option 'window' must be a whole number (between 1 and 1000000), but is '0'");
  CHECK(refusal("  window: 2.5\n").find("must be a whole number") != std::string::npos);
  CHECK(
      refusal("  window: 1e30\n") ==
      "run.yaml:3: option 'window' must be a whole number (between 1 and 1000000), but is '1e30'");
  CHECK(refusal("  window: 1e2\n").find("must be a whole number in plain digits") !=
        std::string::npos);
  CHECK(refusal("  window: '64'\n").find("must be a whole number") != std::string::npos);
  CHECK(refusal("  theta: 0.1\n") ==
        "run.yaml:3: option 'theta' must be a number (at least 0.5), but is '0.1'");
  CHECK(refusal("  logn: 1\n") == "run.yaml:3: option 'logn' must be true or false, but is '1'");
  CHECK(refusal("  positions: windows\n") ==
        "run.yaml:3: option 'positions' cannot be 'windows'; did you mean 'window'?");
}

TEST_CASE("a dump with resolved options reproduces them when read back") {
  const Settings settings = parse_settings(
      "attention: {strategy: s, theta: 0.7, positions: window, note: 'a: b', layers: {1: "
      "{strategy: s}}}",
      "run.yaml", "");
  const Options resolved[] = {
      resolve_options(settings.attention.choice, kSchema, "attention.s"),
      resolve_options(settings.attention.layers[0].choice, kSchema, "attention.s")};
  const std::string dump = dump_settings(settings, resolved);
  CHECK(dump.find("  window: 256\n") != std::string::npos);
  const Settings again = parse_settings(dump, "dump", "");
  CHECK(resolve_options(again.attention.choice, kSchema, "s").all() == resolved[0].all());
  CHECK(resolve_options(again.attention.layers[0].choice, kSchema, "s").all() == resolved[1].all());
}

TEST_CASE("a dump names the evaluated length once, where a strategy has an option of that name") {
  const Settings settings = parse_settings(
      "attention: {strategy: s, eval_length: 512, layers: {1: {strategy: s}}}", "run.yaml", "");
  Options options;
  options.set("eval_length", int64_t{512});
  const Options resolved[] = {options, options};
  const std::string dump = dump_settings(settings, resolved);
  CHECK(dump_settings(parse_settings(dump, "dump", "")) == dump);
  CHECK(parse_settings(dump, "dump", "").attention.eval_length == 512);
}

TEST_CASE("options are shown without signs for what was not given") {
  std::vector<OptionSpec> schema = kSchema;
  schema.push_back({.name = "factor",
                    .type = OptionType::kReal,
                    .default_value = 0.0,
                    .help = "How many times.",
                    .zero_is_auto = true});
  schema.push_back({.name = "near",
                    .type = OptionType::kInt,
                    .default_value = int64_t{-1},
                    .help = "Near keys.",
                    .min = 0,
                    .joined_later = true,
                    .default_is_auto = true});
  schema.push_back({.name = "beta",
                    .type = OptionType::kReal,
                    .default_value = 0.0,
                    .help = "Turns.",
                    .joined_later = true,
                    .zero_is_auto = true});
  const auto shown = [&](const std::string& options) {
    const Options resolved = resolve_options(choice(options), schema, "attention.s");
    return dump_settings(parse_settings("attention: {strategy: s}", "run.yaml", ""),
                         std::vector{shown_options(resolved, schema)});
  };
  const std::string dump = shown("");
  CHECK(dump.find("  factor: auto\n") != std::string::npos);
  CHECK(dump.find("near") == std::string::npos);
  CHECK(dump.find("beta") == std::string::npos);
  CHECK(dump.find("note") == std::string::npos);
  CHECK(dump.find("  window: 256\n") != std::string::npos);
  CHECK(shown("  near: 4\n  factor: 2\n").find("  factor: 2.0\n  logn: false\n  near: 4\n") !=
        std::string::npos);
  // The sign itself may be written; another one may not.
  const auto near = [&](const char* value) {
    return resolve_options(choice(std::string("  near: ") + value + "\n"), schema, "attention.s")
        .integer("near");
  };
  CHECK(near("auto") == -1);
  CHECK(near("-1") == -1);
  CHECK(near("0") == 0);
  CHECK_THROWS_WITH_AS(near("-2"), doctest::Contains("must be a whole number (at least 0)"),
                       UsageError);
  CHECK_THROWS_AS(near("'auto'"), UsageError);
  // Read back it is the same.
  const Options again =
      resolve_options(parse_settings(dump, "run.yaml", "").attention.choice, schema, "attention.s");
  CHECK(again.all() == resolve_options(choice(""), schema, "attention.s").all());
}
