// SPDX-License-Identifier: Apache-2.0

// The table of what was refused or failed, of tables.hpp.
#include <map>
#include <set>
#include <tuple>

#include "apps/perdure/report/table_parts.hpp"
#include "apps/perdure/report/tables.hpp"

namespace perdure::report {
namespace {

struct LeftOut {
  std::set<std::string> measures;
  std::set<int64_t> lengths;
};

// By entry, reason, and whether it was refused.
using Reasons = std::map<std::tuple<int64_t, std::string, bool>, LeftOut>;

Reasons reasons_of(const ComparisonView& view) {
  Reasons reasons;
  for (const ComparedCell& cell : view.comparison().cells) {
    const bool refused = cell.state == ComparedCell::State::kRefused;
    if (!refused && cell.state != ComparedCell::State::kFailed) continue;
    LeftOut& left_out = reasons[{cell.entry, cell.reason, refused}];
    left_out.measures.insert(view.measure(cell.measure).name);
    left_out.lengths.insert(cell.length);
  }
  return reasons;
}

void add_words(Markup& markup, const std::string& words, const char* css_class = "words") {
  markup.element("td", {{"class", css_class}}, words);
}

}  // namespace

Markup reasons_table(const ComparisonView& view) {
  const Reasons reasons = reasons_of(view);
  Markup markup;
  if (reasons.empty()) return markup;
  open_table(markup, "Cells without a figure, and why.");
  markup.open("thead").open("tr");
  for (const char* heading : {"entry", "state", "reason", "measures", "lengths"})
    add_heading(markup, heading, "words");
  markup.close().close().open("tbody");
  for (const auto& [key, left_out] : reasons) {
    const auto& [e, reason, refused] = key;
    std::string measures, lengths;
    for (const std::string& name : left_out.measures)
      measures += (measures.empty() ? "" : ", ") + name;
    for (const int64_t length : left_out.lengths)
      lengths += (lengths.empty() ? "" : ", ") + std::to_string(length);
    markup.open("tr");
    add_entry_heading(markup, view, e);
    add_words(markup, refused ? "refused" : "failed");
    add_words(markup, reason, "words reason");
    for (const std::string& words : {measures, lengths}) add_words(markup, words);
    markup.close();
  }
  markup.close().close().close();
  return markup;
}

}  // namespace perdure::report
