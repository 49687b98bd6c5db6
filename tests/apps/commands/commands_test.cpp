// SPDX-License-Identifier: Apache-2.0

// tokenize, detokenize, logits, bench, plugin, inspect.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "core/base/json/json.hpp"
#include "core/model/formats/safetensors.hpp"
#include "tests/apps/program.hpp"
#include "tests/support/damaged_model.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const Words kModel = golden_words("llama.v0.bin");

std::vector<char> tensor_bytes(const std::string& path) {
  const SafetensorsFile file(path);
  const SafetensorsTensor* logits = file.find("logits");
  REQUIRE(logits != nullptr);
  const char* data = reinterpret_cast<const char*>(logits->bytes.data());
  return {data, data + logits->bytes.size()};
}

}  // namespace

TEST_CASE("tokenize and detokenize are inverse") {
  const std::string text = "who is in the sun? \xc3\xa4\n";
  const Outcome ids = run_perdure(Words{"tokenize"} + kModel, {.input = text});
  CHECK(ids.status == 0);
  CHECK(run_perdure(Words{"detokenize"} + kModel, {.input = ids.out}).out == text);
  const Outcome argument = run_perdure(Words{"tokenize", "--bos", "--eos", "the sun"} + kModel);
  CHECK(argument.out.starts_with("1 "));
  CHECK(argument.out.ends_with(" 2\n"));
  const Outcome json =
      run_perdure(Words{"tokenize", "--json", "--bos", "--eos", "the sun"} + kModel);
  const Json ids_of_json = Json::parse(json.out, "out");
  CHECK(ids_of_json.list().front().integer() == 1);
  CHECK(run_perdure(Words{"detokenize", "1", "2"} + kModel).out.empty());
}

TEST_CASE("detokenize --json prints the text as a JSON string, and nothing else") {
  const std::string text = "the \"sun\"\n";
  const Outcome ids = run_perdure(Words{"tokenize"} + kModel, {.input = text});
  const Outcome outcome = run_perdure(Words{"detokenize", "--json"} + kModel, {.input = ids.out});
  const Json json = Json::parse(outcome.out, "out");
  CHECK(json.text() == text);
}

TEST_CASE("what is no token id is refused with its place") {
  const Outcome outcome = run_perdure(Words{"detokenize", "5", "320"} + kModel);
  CHECK(outcome.status == 1);
  CHECK(outcome.err ==
        "perdure: the command line: at byte 2 there is no token id between 0 and 319\n");
}

TEST_CASE("logits writes one row for every token, or for the last ones") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 5 9 200\n3 7");
  const Words words = Words{"logits", "--tokens", folder / "ids"} + kModel;
  REQUIRE(run_perdure(words + Words{"--out", folder / "all.safetensors"}).status == 0);
  REQUIRE(run_perdure(words + Words{"--out", folder / "tail.safetensors", "--tail", "2"}).status ==
          0);
  const std::vector<char> all = tensor_bytes(folder / "all.safetensors");
  const std::vector<char> tail = tensor_bytes(folder / "tail.safetensors");
  CHECK(all.size() == 6 * 320 * sizeof(float));
  REQUIRE(tail.size() == 2 * 320 * sizeof(float));
  CHECK(std::equal(tail.begin(), tail.end(), all.end() - static_cast<long>(tail.size())));
  REQUIRE(run_perdure(words + Words{"--out", folder / "more.safetensors", "--tail", "99"}).status ==
          0);
  CHECK(tensor_bytes(folder / "more.safetensors") == all);
}

TEST_CASE("a disk that fills while logits are written leaves the old file and no other") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 2 3 4 5 6 7 8");
  write_all(folder / "out.safetensors", "old");
  const Outcome outcome = run_perdure(
      Words{"logits", "--tokens", folder / "ids", "--out", folder / "out.safetensors", "--force"} +
          kModel,
      {.most_file_bytes = 4096});
  CHECK(outcome.status == 1);
  CHECK(outcome.err.find("out.safetensors") != std::string::npos);
  CHECK(read_all(folder / "out.safetensors") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("a byte order mark before token ids is dropped, and mentioned") {
  const TemporaryFolder folder;
  write_all(folder / "ids",
            "\xef\xbb\xbf"
            "30 55\r\n31\r\n");
  const std::string remark = (folder / "ids") + ": dropped a byte order mark\n";
  const Words model = golden_words("llama.v0.bin");
  const Outcome logits = run_perdure(
      Words{"logits", "--tokens", folder / "ids", "--out", folder / "out.safetensors"} + model);
  CHECK(logits.status == 0);
  CHECK(logits.err.find(remark) != std::string::npos);
  const Outcome text = run_perdure(Words{"detokenize", "-f", folder / "ids"} + model);
  CHECK(text.status == 0);
  CHECK(text.err == remark);
  CHECK(text.out == run_perdure(Words{"detokenize", "30", "55", "31"} + model).out);
}

TEST_CASE(
    "logits that are not finite are reported with token and position, and nothing is written") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 5 9 300 7");
  const std::string out = folder / "out.safetensors";
  const Words words = Words{"logits", "--tokens", folder / "ids", "--out", out} +
                      golden_words("llama.v0.bin") +
                      Words{"--set", "model.path=" + model_with_nan(folder, 300)};
  for (const auto& [tail, place] :
       {std::pair{"5", "token 1 at position 0"}, std::pair{"2", "token 300 at position 3"}}) {
    const Outcome outcome = run_perdure(words + Words{"--tail", tail});
    CHECK(outcome.status == 1);
    CHECK(outcome.err == std::string("perdure: the model's logits are not finite after ") + place +
                             " (that of token " + (tail[0] == '5' ? "300" : "0") +
                             " is nan); check the weights and the attention options\n");
    CHECK_FALSE(std::filesystem::exists(out));
  }
  write_all(out, "old");
  CHECK(run_perdure(words + Words{"--force"}).status == 1);
  CHECK(read_all(out) == "old");
}

TEST_CASE("logits replace a file only with --force, and never what is being read") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 2");
  const std::string out = folder / "out.safetensors";
  const Words words = Words{"logits", "--tokens", folder / "ids", "--out", out} + kModel;
  REQUIRE(run_perdure(words).status == 0);
  const std::string written = read_all(out);
  const Outcome again = run_perdure(words);
  CHECK(again.status == 2);
  CHECK(again.err ==
        "perdure: " + out + " exists; choose another name, or replace it with --force\n");
  write_all(out, "old");
  CHECK(run_perdure(words + Words{"--force"}).status == 0);
  CHECK(read_all(out) == written);

  const std::string model = folder / "model.bin", link = folder / "link", hard = folder / "hard";
  std::filesystem::copy_file(PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/llama.v0.bin",
                             model);
  std::filesystem::create_symlink(model, link);
  std::filesystem::create_hard_link(folder / "ids", hard);
  const std::string bytes = read_all(model);
  for (const std::string& path : {model, link, folder / "ids", hard}) {
    CAPTURE(path);
    const Outcome outcome =
        run_perdure(Words{"logits", "--tokens", folder / "ids", "--out", path, "--force"} + kModel +
                    Words{"--set", "model.path=" + model});
    CHECK(outcome.status == 2);
    CHECK(outcome.err.find("which is being read") != std::string::npos);
  }
  CHECK(read_all(model) == bytes);
  CHECK(read_all(folder / "ids") == "1 2");
}

TEST_CASE("logits write no device, no pipe and no folder") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 2");
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& path : {pipe, folder.path().string()}) {
    const Outcome outcome =
        run_perdure(Words{"logits", "--tokens", folder / "ids", "--out", path} + kModel);
    CHECK(outcome.status == 1);
    CHECK(outcome.err ==
          "perdure: " + path + " is a device or a folder, not a file; choose another name\n");
  }
  CHECK(std::filesystem::is_fifo(pipe));
}

TEST_CASE("logits refuses tokens outside the vocabulary and empty lists, and writes nothing") {
  const TemporaryFolder folder;
  write_all(folder / "bad", "1 320");
  write_all(folder / "empty", "\n");
  const Words words = Words{"logits", "--out", folder / "out"} + kModel;
  const Outcome bad = run_perdure(words + Words{"--tokens", folder / "bad"});
  CHECK(bad.status == 1);
  CHECK(bad.err ==
        "perdure: " + (folder / "bad") + ": at byte 2 there is no token id between 0 and 319\n");
  CHECK(run_perdure(words + Words{"--tokens", folder / "empty"}).status == 1);
  CHECK(run_perdure(words + Words{"--tokens", folder / "none"}).status == 1);
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_CASE("bench reports speed with its spread, memory and bandwidth, as text and as JSON") {
  const Words words =
      Words{"bench", "--prompt", "20", "--generate", "5", "--repeat", "2", "-q"} + kModel;
  const Outcome text = run_perdure(words);
  CHECK(text.status == 0);
  for (const char* word :
       {"prefill", "decode", "peak RAM", "state", "weights", "bandwidth", "kernels"})
    CHECK(text.out.find(word) != std::string::npos);
  const Json json = Json::parse(run_perdure(words + Words{"--json"}).out, "out");
  const Json& decode = json.at("decode_tokens_per_second");
  CHECK(decode.at("min").real() > 0);
  CHECK(decode.at("min").real() <= decode.at("median").real());
  CHECK(decode.at("median").real() <= decode.at("max").real());
  CHECK(json.at("runs").integer() == 2);
  CHECK(json.at("weight_bytes_per_token").integer() > 100000);
  CHECK(json.at("configuration").text().size() == 32);
}

TEST_CASE("bench refuses what does not fit a session, and makes its defaults fit") {
  const Words words =
      Words{"bench", "--repeat", "1", "-q", "--set", "attention.max_length=64"} + kModel;
  CHECK(run_perdure(words + Words{"--prompt", "60", "--generate", "5"}).status == 2);
  CHECK(run_perdure(words + Words{"--json"}).status == 0);
}

TEST_CASE("plugin list names every plugin and says why one is not loaded") {
  const Outcome text = run_perdure({"plugin", "list"});
  CHECK(text.status == 0);
  for (const char* name :
       {"attention.full", "attention.memory", "kernels.scalar", "threads.serial", "stores.file"})
    CHECK(text.out.find(name) != std::string::npos);
  const Json json = Json::parse(run_perdure({"plugin", "list", "--json"}).out, "out");
  for (const auto& plugin : json.at("plugins").list())
    CHECK((plugin.at("loaded").flag() || !plugin.at("reason").text().empty()));
  CHECK(text.out.find("not loaded") == std::string::npos);
  const TemporaryFolder folder;
  write_all(folder / "libno.so", "no library");
  const Outcome broken =
      run_perdure({"plugin", "list", "--set", "plugins.load=[" + (folder / "libno.so") + "]"});
  CHECK(broken.status != 0);
  CHECK(broken.err.find("libno.so") != std::string::npos);
}

TEST_CASE("logits --json says what was written") {
  const TemporaryFolder folder;
  write_all(folder / "ids", "1 5 9");
  const Outcome outcome = run_perdure(Words{"logits", "--tokens", folder / "ids", "--tail", "2",
                                            "--out", folder / "l.safetensors", "--json"} +
                                      kModel);
  CHECK(outcome.status == 0);
  const Json json = Json::parse(outcome.out, "out");
  CHECK(json.at("file").text() == folder / "l.safetensors");
  CHECK(json.at("tokens").integer() == 3);
  CHECK(json.at("rows").integer() == 2);
  CHECK(json.at("vocab_size").integer() == 320);
}

TEST_CASE("inspect graph and plan --json list the nodes that the text lists") {
  const Words model = golden_words("memC_zero_unshared.q80.bin");
  const Json graphs =
      Json::parse(run_perdure(Words{"inspect", "graph", "--json"} + model).out, "graphs");
  const Json plans =
      Json::parse(run_perdure(Words{"inspect", "plan", "--json"} + model).out, "plans");
  REQUIRE(graphs.list().size() == 3);
  REQUIRE(plans.list().size() == 3);
  CHECK(graphs.list()[0].at("name").text() == "step");
  CHECK(graphs.list()[2].at("name").text() == "end");
  const Json& step = graphs.list()[0];
  CHECK(step.at("outputs").at("logits").at("origin").text() == "node");
  CHECK(step.at("nodes").list()[0].at("inputs").list()[0].at("origin").text() == "weight");
  const Json& plan = plans.list()[0].at("plans").list()[0];
  CHECK(plan.at("nodes").list().size() == step.at("nodes").list().size());
  CHECK(plan.at("nodes").list()[0].at("kernel").text().ends_with("_scalar"));
  CHECK(plan.at("arena_bytes").integer() > 0);
  CHECK(run_perdure(Words{"inspect", "graph", "--json", "--dot"} + model).status == 2);
}

TEST_CASE("config --json has the keys of the YAML, with numbers and truth values as such") {
  const Outcome outcome =
      run_perdure(Words{"config", "--json", "--set", "chat.system='1'"} + kModel);
  CHECK(outcome.status == 0);
  const Json json = Json::parse(outcome.out, "out");
  CHECK(json.at("threads").at("count").integer() == 1);
  CHECK(json.at("kernels").at("reproducible").flag());
  CHECK(json.at("sampling").at("temperature").real() == 0.0);
  CHECK(json.at("chat").at("system").text() == "1");
  CHECK(json.at("plugins").at("load").list().empty());
  CHECK(json.at("attention").at("strategy").text() == "full");
}

TEST_CASE("config shows auto, and no number, where the model decides, and auto is read back") {
  const Words window = kModel + Words{"--set", "attention.strategy=sliding_window"};
  const std::string shown = run_perdure(Words{"config", "-q"} + window).out;
  for (const char* line : {"  train_length: auto\n", "  rope_theta: auto\n", "  window: auto\n"})
    CHECK(shown.find(line) != std::string::npos);
  const Outcome same = run_perdure(Words{"config", "-q", "--set", "attention.window=auto", "--set",
                                         "attention.rope_theta=auto"} +
                                   window);
  CHECK(same.status == 0);
  CHECK(same.out.find("  window: auto\n") != std::string::npos);
}

TEST_CASE("config, inspect model and bench take the model as a word") {
  const std::string model = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/llama.v0.bin";
  CHECK(run_perdure({"config", model}).out.find("path: " + model) != std::string::npos);
  CHECK(run_perdure({"inspect", "model", model}).status == 0);
  CHECK(run_perdure({"bench", model, "--repeat", "1", "--prompt", "4", "--generate", "2", "-q"})
            .status == 0);
}

TEST_CASE("inspect shows the model, its graphs and its plans") {
  const Outcome model = run_perdure(Words{"inspect", "model"} + kModel);
  CHECK(model.status == 0);
  CHECK(model.out.find("vocab_size           320") != std::string::npos);
  CHECK(model.out.find("token_embd.weight") != std::string::npos);
  const Json json =
      Json::parse(run_perdure(Words{"inspect", "model", "--json"} + kModel).out, "out");
  CHECK(json.at("vocab_size").integer() == 320);
  CHECK(run_perdure(Words{"inspect", "graph"} + kModel).out.find("mat_mul") != std::string::npos);
  CHECK(
      run_perdure(Words{"inspect", "graph", "step", "--dot"} + kModel).out.starts_with("digraph"));
  CHECK(run_perdure(Words{"inspect", "plan"} + kModel).out.find("mat_mul_f32_scalar") !=
        std::string::npos);
  CHECK(run_perdure(Words{"inspect", "graph", "stp"} + kModel).status == 2);
  const Outcome memory =
      run_perdure(Words{"inspect", "graph"} + golden_words("memC_zero_unshared.q80.bin"));
  CHECK(memory.out.find("end") != std::string::npos);
}
