// SPDX-License-Identifier: Apache-2.0

#include "core/eval/task_file.hpp"

#include <algorithm>

#include "core/api/error.hpp"
#include "core/base/json/json.hpp"
#include "core/base/mapped_file.hpp"
#include "core/base/outside_text.hpp"

namespace perdure {
namespace {

std::string text_of(const Json& json, const std::string& key) {
  const auto* text = std::get_if<std::string>(&json.content());
  if (text == nullptr) throw Error("\"" + key + "\" must be a text");
  return *text;
}

std::string context_of(const Json& json) {
  const Json* context = json.find("context");
  const Json* prompt = json.find("prompt");
  if ((context == nullptr) == (prompt == nullptr))
    throw Error("a task has either \"context\" or \"prompt\"");
  return context != nullptr ? text_of(*context, "context") : text_of(*prompt, "prompt");
}

std::vector<std::string> choices_of(const Json& json) {
  std::vector<std::string> choices;
  const Json* list = json.find("choices");
  if (list == nullptr) return choices;
  if (!std::holds_alternative<Json::List>(list->content()))
    throw Error("\"choices\" must be a list of texts");
  for (const Json& choice : list->list()) {
    choices.push_back(text_of(choice, "choices"));
    if (choices.back().empty()) throw Error("a choice is empty");
  }
  if (choices.size() < 2) throw Error("\"choices\" needs two texts or more");
  return choices;
}

size_t right_choice(const Json& answer, const std::vector<std::string>& choices) {
  if (const auto* index = std::get_if<int64_t>(&answer.content())) {
    if (*index < 0 || *index >= std::ssize(choices))
      throw Error("\"answer\" is " + std::to_string(*index) + ", but choices go from 0 to " +
                  std::to_string(choices.size() - 1));
    return static_cast<size_t>(*index);
  }
  const auto found = std::find(choices.begin(), choices.end(), text_of(answer, "answer"));
  if (found == choices.end()) throw Error("\"answer\" is none of the choices");
  return static_cast<size_t>(found - choices.begin());
}

bool space_of(const Json& json) {
  const Json* space = json.find("space");
  if (space == nullptr) return true;
  const bool* flag = std::get_if<bool>(&space->content());
  if (flag == nullptr) throw Error("\"space\" must be true or false");
  return *flag;
}

std::map<std::string, double> numbers_of(const Json& json) {
  std::map<std::string, double> numbers;
  for (const auto& [key, value] : json.map()) {
    const Json::Content& content = value.content();
    if (std::holds_alternative<int64_t>(content) || std::holds_alternative<double>(content))
      numbers[key] = value.real();
  }
  numbers.erase("answer");
  return numbers;
}

Task task_of(const Json& json) {
  Task task{.context = context_of(json),
            .choices = choices_of(json),
            .space = space_of(json),
            .numbers = numbers_of(json)};
  const Json& answer = json.at("answer");
  if (task.choices.empty()) {
    task.answer = text_of(answer, "answer");
    if (task.answer.empty()) throw Error("\"answer\" is empty");
  } else {
    task.right = right_choice(answer, task.choices);
    task.answer = task.choices[task.right];
  }
  return task;
}

std::vector<double> scores_of(const Json& json, size_t n_passages) {
  std::vector<double> scores;
  const Json* list = json.find("scores");
  if (list == nullptr) return scores;
  if (!std::holds_alternative<Json::List>(list->content()))
    throw Error("\"scores\" must be a list of numbers");
  for (const Json& score : list->list()) scores.push_back(score.real());
  if (scores.size() != n_passages)
    throw Error("there are " + std::to_string(n_passages) + " passages and " +
                std::to_string(scores.size()) + " scores");
  return scores;
}

RetrievedText retrieved_of(const Json& json) {
  RetrievedText result{.text = text_of(json.at("text"), "text")};
  if (result.text.empty()) throw Error("\"text\" is empty");
  const Json& passages = json.at("passages");
  if (!std::holds_alternative<Json::List>(passages.content()))
    throw Error("\"passages\" must be a list of texts");
  for (const Json& passage : passages.list()) {
    result.passages.push_back(text_of(passage, "passages"));
    if (result.passages.back().empty()) throw Error("a passage is empty");
  }
  result.scores = scores_of(json, result.passages.size());
  return result;
}

// Errors of the JSON reader name the place already.
template <class T>
T parse_line(std::string_view line, const std::string& place, T (*read)(const Json&)) {
  std::string message;
  try {
    const Json json = Json::parse(line, place);
    try {
      if (!std::holds_alternative<Json::Map>(json.content()))
        throw Error("a task is a JSON object, {...}");
      T task = read(json);
      task.place = place;
      return task;
    } catch (const Error& error) {
      message = place + ": " + error.what();
    }
  } catch (const Error& error) {
    message = error.what();
  }
  throw UsageError(message);
}

template <class T>
std::vector<T> parse_lines(std::string_view text, const std::string& name, T (*read)(const Json&)) {
  std::vector<T> tasks;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos)
      tasks.push_back(parse_line(line, name + ":" + std::to_string(number), read));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (tasks.empty()) throw UsageError(name + " holds no tasks; write a JSON object per line");
  return tasks;
}

std::string read_lines(const std::string& path) {
  const MappedFile file(path);
  const std::string bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  return normalise_text(bytes, path, LineEnds::kLf).text;
}

}  // namespace

std::vector<Task> parse_tasks(std::string_view text, const std::string& name) {
  return parse_lines(text, name, task_of);
}

std::vector<Task> read_tasks(const std::string& path) {
  return parse_tasks(read_lines(path), path);
}

std::vector<RetrievedText> parse_retrieved(std::string_view text, const std::string& name) {
  return parse_lines(text, name, retrieved_of);
}

std::vector<RetrievedText> read_retrieved(const std::string& path) {
  return parse_retrieved(read_lines(path), path);
}

}  // namespace perdure
