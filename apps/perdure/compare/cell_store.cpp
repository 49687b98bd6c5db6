// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/cell_store.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "apps/perdure/files.hpp"
#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/write_file.hpp"
#include "core/eval/results.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kStates{"done", "refused", "failed", "stopped"};
constexpr std::string_view kFormat = "perdure cell 1";

CellOutcome::State read_state(const std::string& word) {
  for (size_t i = 0; i < kStates.size(); ++i)
    if (word == kStates[i]) return static_cast<CellOutcome::State>(i);
  throw Error("there is no state '" + word + "'");
}

std::string checksum(std::string_view text) { return fmt::format("{:016x}\n", hash64(text)); }

// Takes a line off, with its end. Errors: Error.
std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) throw Error("it ends within a line");
  const std::string_view line = text.substr(0, end + 1);
  text.remove_prefix(end + 1);
  return line;
}

CellOutcome parse(std::string_view text, const std::string& key, const std::string& name) {
  const std::string_view whole = text;
  const Json head = Json::parse(take_line(text), name);
  const std::string_view found = take_line(text);
  if (text != checksum(whole.substr(0, whole.size() - text.size())))
    throw Error("its checksum is not that of its contents");
  if (head.at("format").text() != kFormat) throw Error("it is of another version");
  if (head.at("key").text() != key) throw Error("it is of another cell");
  CellOutcome outcome{.state = read_state(head.at("state").text()),
                      .reason = head.at("reason").text(),
                      .result = parse_measure_result(found, name),
                      .seconds = head.at("seconds").real()};
  if (const Json* there = head.find("measured_on"))
    outcome.circumstances = parse_circumstances(there->text(), name);
  return outcome;
}

}  // namespace

std::string outcome_text(const std::string& key, const CellOutcome& outcome) {
  Json::Map head{member("format", kFormat), member("key", key),
                 member("state", kStates[static_cast<size_t>(outcome.state)]),
                 member("reason", outcome.reason), member("seconds", outcome.seconds)};
  if (outcome.circumstances)
    head.push_back(member("measured_on", circumstances_text(*outcome.circumstances)));
  const std::string text =
      json_text(object(std::move(head))) + "\n" + measure_result_json(outcome.result) + "\n";
  return text + checksum(text);
}

CellOutcome parse_outcome(std::string_view text, const std::string& key, const std::string& name) {
  try {
    return parse(text, key, name);
  } catch (const Error& error) {
    throw Error(name + " is no finished cell: " + error.what());
  }
}

void CellStore::make_folder() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw Error(fmt::format("cannot make the folder {}: {}", folder_, error.message()));
}

std::string CellStore::path_of(const std::string& key) const { return folder_ + "/" + key; }

std::optional<CellOutcome> CellStore::find(const std::string& key, std::string* complaint) const {
  const std::string path = path_of(key);
  if (folder_.empty() || !fs::exists(path)) return std::nullopt;
  try {
    return parse_outcome(read_file(path), key, path);
  } catch (const Error& error) {
    if (complaint != nullptr) *complaint = error.what();
    return std::nullopt;
  }
}

void CellStore::keep(const std::string& key, const CellOutcome& outcome) const {
  if (folder_.empty()) return;
  if (outcome.state != CellOutcome::State::kDone && outcome.state != CellOutcome::State::kRefused)
    return;
  const std::string text = outcome_text(key, outcome);
  write_file(path_of(key), std::as_bytes(std::span(text)), {.mode = 0666});
}

}  // namespace perdure::app
