// SPDX-License-Identifier: Apache-2.0

// What is made of the command line's own description: completion scripts, the manual page, and the
// answer to --version.
#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>

#include "core/base/json/json.hpp"
#include "tests/apps/program.hpp"

using namespace perdure::testing;

namespace {

// What bash offers behind the words, the last of which is being typed.
std::string offered(const std::string& words) {
  const TemporaryFolder folder;
  write_all(folder / "perdure.bash", run_perdure({"completion", "bash"}).out);
  write_all(folder / "ask.bash", "cd " + folder.path().string() +
                                     "; touch some_file; . ./perdure.bash; COMP_WORDS=(perdure " +
                                     words +
                                     "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _perdure; "
                                     "echo \"${COMPREPLY[*]}\" >reply\n");
  const std::string command = "timeout 20 bash " + (folder / "ask.bash");
  CHECK(std::system(command.c_str()) == 0);
  return read_all(folder / "reply");
}

}  // namespace

TEST_CASE("bash completes commands, sub-commands, options and files") {
  CHECK(offered("gen") == "generate\n");
  CHECK(offered("memory re") == "restore remove\n");
  CHECK(offered("memory log --js") == "--json\n");
  CHECK(offered("generate some_model --te") == "--temp\n");
  CHECK(offered("chat some") == "some_file\n");
}

TEST_CASE("an unknown first word does not keep the shell from completing") {
  CHECK(offered("chta ge") == "generate\n");
  CHECK(offered("chta gone ge") == "generate\n");
  // Every shell's loop over shorter paths must come to the empty one.
  CHECK(run_perdure({"completion", "zsh"}).out.find("|| path_words=; continue") !=
        std::string::npos);
}

TEST_CASE("completion and manual know every command and option that --help shows") {
  const std::string bash = run_perdure({"completion", "bash"}).out;
  const std::string zsh = run_perdure({"completion", "zsh"}).out;
  const std::string manual = run_perdure({"completion", "man"}).out;
  CHECK(zsh.starts_with("#compdef perdure\n"));
  CHECK(manual.starts_with(".TH PERDURE 1"));
  for (const Words& command : {Words{"generate"}, Words{"chat"}, Words{"compare"}, Words{"config"},
                               Words{"memory", "prune"}, Words{"plugin", "info"}}) {
    const std::string help = run_perdure(command + Words{"--help"}).out;
    const std::regex option("--([a-z-]+)");
    for (std::sregex_iterator
             at(help.begin() + static_cast<long>(help.find("Options:")), help.end(), option),
         end;
         at != end; ++at) {
      CAPTURE(at->str());
      CHECK(bash.find(at->str()) != std::string::npos);
      CHECK(zsh.find(at->str()) != std::string::npos);
      CHECK(manual.find(std::regex_replace(at->str(), std::regex("-"), "\\-")) !=
            std::string::npos);
    }
  }
  const Outcome other = run_perdure({"completion", "fish"});
  CHECK(other.status == 2);
  CHECK(other.err.find("perdure completion bash | zsh") != std::string::npos);
}

TEST_CASE("version is a command, an option, and JSON for scripts") {
  const std::string text = run_perdure({"--version"}).out;
  CHECK(run_perdure({"version"}).out == text);
  const auto json = perdure::Json::parse(run_perdure({"--version", "--json"}).out, "out");
  CHECK(text.find("perdure " + json.at("version").text() + " (commit " + json.at("commit").text() +
                  ")\n") == 0);
  CHECK(text.find(json.at("compiler").text() + ", " + json.at("build").text() + "\n") !=
        std::string::npos);
  CHECK(json.at("kernels").list().size() >= 1);
  CHECK(text.find("this machine has " + json.at("machine").text()) != std::string::npos);
  CHECK(run_perdure({"version", "--jsn"}).err ==
        "perdure: unknown option --jsn; did you mean --json?\n");
}

TEST_CASE("--version names version, commit, compiler and instruction sets") {
  const std::string text = run_perdure({"--version"}).out;
  CHECK(std::regex_search(text, std::regex("^perdure [0-9.]+ \\(commit [0-9a-z]+\\)\n")));
  CHECK(std::regex_search(text, std::regex("\nbuilt by .*(g\\+\\+|[Cc]lang)")));
  CHECK(text.find("kernels for ") != std::string::npos);
  CHECK(text.find("scalar") != std::string::npos);
}
