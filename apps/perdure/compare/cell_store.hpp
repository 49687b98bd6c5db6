// SPDX-License-Identifier: Apache-2.0

// Finished cells on disk, a small file each: what a run that was stopped does not do again.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/eval/measure.hpp"
#include "core/eval/results.hpp"

namespace perdure::app {

// What came of a cell.
struct CellOutcome {
  enum class State { kDone, kRefused, kFailed, kStopped };

  State state = State::kStopped;
  std::string reason;                               // of a refusal or failure
  MeasureResult result;                             // kDone
  double seconds = 0;                               // that it took
  std::optional<Circumstances> circumstances = {};  // of a measure of the machine
};

// Two lines of JSON, what it is and what was found, and a checksum of both. Pure.
std::string outcome_text(const std::string& key, const CellOutcome& outcome);
// Errors: Error naming `name` for bytes that outcome_text() did not write with this key.
CellOutcome parse_outcome(std::string_view text, const std::string& key, const std::string& name);

class CellStore {
 public:
  // Touches nothing yet. Without a name it is a store that holds nothing and keeps nothing.
  explicit CellStore(std::string folder) : folder_(std::move(folder)) {}

  // Makes the folder where it is missing. Errors: Error if that cannot be.
  void make_folder() const;

  // nullopt if the cell is not there, or is damaged: then `complaint`, if given, says so.
  std::optional<CellOutcome> find(const std::string& key, std::string* complaint = nullptr) const;
  // Requires: make_folder(). Durable when it returns. Only what is done or refused is kept: a
  // failure may pass. Errors: Error naming the file.
  void keep(const std::string& key, const CellOutcome& outcome) const;

 private:
  std::string path_of(const std::string& key) const;

  std::string folder_;
};

}  // namespace perdure::app
