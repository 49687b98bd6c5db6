// SPDX-License-Identifier: Apache-2.0

// Files of tasks: a JSON object per line,
//
//   {"context": "The sky is", "choices": ["blue", "loud"], "answer": 0}
//   {"prompt": "2 + 2 =", "answer": "4"}
//   {"text": "The sun was ...", "passages": ["The sky is ...", "..."], "scores": [0.7, 0.2]}
//
// `context` and `prompt` mean the same. `answer` is the number of the right choice, from 0, or its
// text; without choices the text that should follow. `"space": false`: the answer follows without
// the space that would otherwise stand before it. `passages` are what was retrieved for `text`,
// best first; `scores`, one per passage, may be absent. Of other keys of tasks numbers are kept, by
// which figures can be grouped; the rest is passed over, so are empty lines.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

struct Task {
  std::string place;  // "tasks.jsonl:3"
  std::string context;
  std::vector<std::string> choices;       // none, or two and more
  size_t right = 0;                       // index of the right choice
  std::string answer;                     // text of the right choice, or what should follow
  bool space = true;                      // between context and answer, unless there is white space
  std::map<std::string, double> numbers;  // what other keys say
};

// Errors: UsageError with `name`, line and what is wrong there; for a file without tasks.
std::vector<Task> parse_tasks(std::string_view text, const std::string& name);
// Errors: also Error if the file cannot be read.
std::vector<Task> read_tasks(const std::string& path);

struct RetrievedText {
  std::string place;  // "passages.jsonl:3"
  std::string text;
  std::vector<std::string> passages;
  std::vector<double> scores;  // none, or one per passage
};

// Errors: as parse_tasks and read_tasks.
std::vector<RetrievedText> parse_retrieved(std::string_view text, const std::string& name);
std::vector<RetrievedText> read_retrieved(const std::string& path);

}  // namespace perdure
