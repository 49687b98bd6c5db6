// SPDX-License-Identifier: Apache-2.0

// The golden runner as a program: exit codes, counts, and that a wrong computation does not pass.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace {

struct Run {
  int exit_code = -1;
  std::string output;  // stdout and stderr

  std::string last_line() const {
    const size_t end = output.find_last_not_of('\n') + 1;
    const size_t start = output.rfind('\n', end - 1);
    return output.substr(start + 1, end - start - 1);
  }
};

Run run(const std::string& arguments) {
  const std::string command = "'" PERDURE_BINARY_DIR "/bin/perdure_golden' " + arguments + " 2>&1";
  Run result;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof block, pipe)) > 0;) result.output.append(block, n);
  result.exit_code = WEXITSTATUS(pclose(pipe));
  return result;
}

const std::string kSet = "'" PERDURE_SOURCE_DIR "/tests/golden/llama2rnn' ";

const std::string kGgufSet = "'" PERDURE_SOURCE_DIR "/tests/golden/gguf' ";

const std::string kRwkvSet = "'" PERDURE_SOURCE_DIR "/tests/golden/rwkv' ";

}  // namespace

TEST_CASE("only the cases asked for run, and passing is exit 0") {
  const Run r = run(kSet + "--only rq_memA_u");
  CHECK(r.last_line() == "3 passed, 0 failed, 0 skipped");
  CHECK(r.exit_code == 0);
}

TEST_CASE("asking for cases that do not exist is a mistake, and not a success") {
  const Run r = run(kSet + "--only zzz");
  CHECK(r.output.find("begins with 'zzz'") != std::string::npos);
  CHECK(r.exit_code == 2);
}

TEST_CASE("a memory that is updated wrongly fails its case and the program") {
  const Run r = run(kSet + "--only rq_memA_u0 --set attention.update=never");
  CHECK(r.output.find("FAIL") != std::string::npos);
  CHECK(r.last_line() == "0 passed, 1 failed, 0 skipped");
  CHECK(r.exit_code == 1);
}

TEST_CASE("another rotation base fails cases of every kind of model") {
  CHECK(run(kSet + "--only l2c_llama_v0 --set attention.rope_theta=10100").exit_code == 1);
  CHECK(run(kSet + "--only pt_mem_base --set attention.rope_theta=10100").exit_code == 1);
  CHECK(run(kSet + "--only cli_run_llama_unshared_sample --set attention.rope_theta=20000")
            .exit_code == 1);
}

TEST_CASE("q80 texts under unquantised activations may differ only within the noise") {
  const Run r = run(kSet + "--only cli_runqm_sample --set kernels.activations=f32");
  CHECK(r.output.find("at a margin of") != std::string::npos);
  CHECK(r.exit_code == 0);
  CHECK(run(kSet +
            "--only cli_runqm_sample --set kernels.activations=f32 --set attention.update=never")
            .exit_code == 1);
}

TEST_CASE("wrong usage is exit 2, a missing set exit 1, each with one sentence") {
  const Run nothing = run("");
  CHECK(nothing.exit_code == 2);
  CHECK(nothing.output.find("which golden set") != std::string::npos);
  const Run unknown = run(kSet + "--set kernels.isaa=avx2");
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.output.find("isaa") != std::string::npos);
  CHECK(run(kSet + "--frob").exit_code == 2);
  const Run missing = run("/nonexistent/set");
  CHECK(missing.exit_code == 1);
  CHECK(missing.output == "perdure_golden: /nonexistent/set/index.json: cannot be opened\n");
}

TEST_CASE("RWKV with another eps of the group norm fails where there is one, and in the states") {
  const Run r = run(kRwkvSet + "--only rand_ --set attention.group_norm_eps=1e-3");
  CHECK(r.output.find("rand_v4                        diff") != std::string::npos);
  CHECK(r.last_line() == "2 passed, 5 failed, 0 skipped");
  CHECK(r.exit_code == 1);
}

TEST_CASE("the summary keeps quantised weights apart from F32") {
  const char* const quantised = "\nquantised: largest difference";
  const char* const plain = "\nF32: largest difference";
  for (const auto& cases : {kGgufSet + "--only Q8_0", kRwkvSet + "--only bin_v4/Q4_0"}) {
    const Run r = run(cases);
    CHECK(r.output.find(quantised) != std::string::npos);
    CHECK(r.output.find(plain) == std::string::npos);
  }
  const Run f16 = run(kGgufSet + "--only F16");
  CHECK(f16.output.find(quantised) == std::string::npos);
  CHECK(f16.output.find(plain) != std::string::npos);
}

TEST_CASE("a whole vocabulary that is given is a case of its own") {
  const Run r = run(kRwkvSet + "--only tokenizer_world --vocabulary /nowhere/vocabulary.txt");
  CHECK(r.output.find("/nowhere/vocabulary.txt") != std::string::npos);
  CHECK(r.last_line() == "1 passed, 1 failed, 0 skipped");
}
