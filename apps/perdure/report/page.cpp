// SPDX-License-Identifier: Apache-2.0

// The page of report.hpp: its head, what can be said in two sentences, a section per picture with
// its tables, what was left out, the entries, and how to repeat it.
#include <fmt/format.h>

#include <array>

#include "apps/perdure/report/assets.hpp"
#include "apps/perdure/report/machines.hpp"
#include "apps/perdure/report/pictures.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/report/report.hpp"
#include "apps/perdure/report/tables.hpp"

namespace perdure::report {
namespace {

// Drawn twice, for a desk and for a phone; the style sheet shows the one that fits.
constexpr double kDeskWidth = 1060, kPhoneWidth = 350;

void add_head(Markup& page, const std::string& title) {
  page.open("head");
  page.empty("meta", {{"charset", "utf-8"}});
  page.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  // The page loads nothing from the network, whatever stands in it.
  page.empty("meta", {{"http-equiv", "Content-Security-Policy"},
                      {"content",
                       "default-src 'none'; style-src 'unsafe-inline'; "
                       "script-src 'unsafe-inline'"}});
  page.empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  page.element("title", {}, title);
  page.open("style").verbatim(page_style()).verbatim(picture_style()).close();
  page.close();
}

struct StateCounts {
  int64_t done = 0, refused = 0, failed = 0, missing = 0;
};

StateCounts count_states(const Comparison& comparison) {
  StateCounts counts;
  for (const ComparedCell& cell : comparison.cells) switch (cell.state) {
      case ComparedCell::State::kDone:
        ++counts.done;
        break;
      case ComparedCell::State::kRefused:
        ++counts.refused;
        break;
      case ComparedCell::State::kFailed:
        ++counts.failed;
        break;
      case ComparedCell::State::kMissing:
        ++counts.missing;
        break;
    }
  return counts;
}

std::string measured_what(const ComparisonView& view) {
  const Comparison& comparison = view.comparison();
  std::string text = counted(view.n_entries(), "entry", "entries") + " at " +
                     counted(std::ssize(comparison.lengths), "length", "lengths");
  if (comparison.text_tokens > 0)
    text += fmt::format(", on {} ({})", comparison.text_name,
                        counted(comparison.text_tokens, "token", "tokens"));
  text += fmt::format(", seed {}.", comparison.seed);
  const StateCounts counts = count_states(comparison);
  text += fmt::format(" {} measured", counted(counts.done, "figure", "figures"));
  if (counts.refused > 0) text += fmt::format(", {} refused", count_text(counts.refused));
  if (counts.failed > 0) text += fmt::format(", {} failed", count_text(counts.failed));
  if (counts.missing > 0) text += fmt::format(", {} still missing", count_text(counts.missing));
  return text + ".";
}

// The one sentence for those who read no tables.
void add_finding(Markup& page, const ComparisonView& view) {
  if (view.n_measures() == 0) return;
  const int64_t m = view.main_measure();
  const int64_t length = view.longest_measured(m);
  const std::vector<int64_t> best = view.best(m, length);
  if (best.empty() || !view.measure(m).axis.empty()) return;
  const auto quantity = [&](int64_t e) {
    const Interval& figure = view.figure(e, m, length)->figure;
    const std::string& unit = view.measure(m).unit;
    return fmt::format("{} ({})", quantity_text(figure.value, unit),
                       interval_text(figure.low, figure.high, unit));
  };
  page.open("p", {{"class", "finding"}});
  page.text(fmt::format("{} at length {}: best is ", view.measure(m).title, count_text(length)));
  page.element("b", {}, view.entry(best.front()).name);
  page.text(fmt::format(" with {}", quantity(best.front())));
  if (best.size() > 1)
    page.text(fmt::format(" (not distinguishable from {})",
                          counted(static_cast<int64_t>(best.size()) - 1, "other", "others")));
  const int64_t reference = view.reference();
  if (reference != best.front() && view.figure(reference, m, length) != nullptr) {
    page.text("; ").element("b", {}, view.entry(reference).name);
    page.text(" has " + quantity(reference));
  }
  page.text(".").close();
}

void add_machines(Markup& page, const Comparison& comparison) {
  for (const std::string& line : machine_lines(comparison))
    page.element("p", {{"class", "soft"}}, "Times and bytes measured on " + line + ".");
}

void add_picture(Markup& page, const Picture& picture) {
  page.open("figure");
  const std::string desk = "desk-" + picture.name, phone = "phone-" + picture.name;
  page.add(svg_in_page(draw(picture, kDeskWidth, desk), picture.caption, desk, "desk"));
  page.add(svg_in_page(draw(picture, kPhoneWidth, phone), picture.caption, phone, "phone"));
  page.close();
}

void add_folded(Markup& page, const std::string& summary, const Markup& content) {
  page.open("details").element("summary", {}, summary).add(content).close();
}

void add_measure(Markup& page, const ComparisonView& view, int64_t m) {
  if (!view.measure(m).axis.empty()) {
    add_folded(page, view.measure(m).title + " as a table", axis_table(view, m));
    return;
  }
  page.add(length_table(view, m));
  if (has_differences(view, m))
    add_folded(page, "Difference to " + view.entry(view.reference()).name,
               difference_table(view, m));
}

void add_sections(Markup& page, const ComparisonView& view) {
  for (const Picture& picture : pictures_of(view)) {
    page.open("section", {{"id", "section-" + picture.name}});
    page.element("h2", {}, picture.caption.title);
    add_picture(page, picture);
    for (const int64_t m : picture.measures) add_measure(page, view, m);
    page.close();
  }
  const Markup reasons = reasons_table(view);
  if (reasons.str().empty()) return;
  page.open("section", {{"id", "reasons"}}).element("h2", {}, "What was left out");
  page.add(reasons).close();
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "; ") + word;
  return text;
}

void add_facts(Markup& page, const std::vector<std::pair<std::string, std::string>>& facts) {
  page.open("dl");
  for (const auto& [name, value] : facts)
    page.element("dt", {}, name).element("dd", {}, value.empty() ? "\u2013" : value);
  page.close();
}

void add_entries(Markup& page, const ComparisonView& view) {
  page.open("section", {{"id", "entries"}}).element("h2", {}, "Entries");
  for (const ComparedEntry& entry : view.comparison().entries) {
    page.open("details").open("summary").element("bdi", {}, entry.name);
    page.element("span", {{"class", "soft"}}, " " + entry.model).close();
    add_facts(page, {{"model", entry.model},
                     {"hash of the weights", entry.weights_hash},
                     {"trained at", entry.train_length > 0
                                        ? counted(entry.train_length, "token", "tokens")
                                        : "not known"},
                     {"state", entry.constant_memory ? "constant" : "grows with the length"},
                     {"hash of the configuration", entry.configuration_hash}});
    if (!entry.libraries.empty())
      add_facts(page, {{"plugins from files", joined_words(entry.libraries)}});
    page.element("pre", {{"tabindex", "0"}}, entry.configuration).close();
  }
  page.close();
}

void add_repeat(Markup& page, const Comparison& comparison, const ReportContext& context) {
  page.open("section", {{"id", "repeat"}}).element("h2", {}, "To repeat it");
  page.element("p", {}, "In the folder of this report, with the configuration beside it:");
  page.element("pre", {{"tabindex", "0"}}, context.command);
  add_facts(page, {{"text", comparison.text_name},
                   {"hash of the text", comparison.text_hash},
                   {"tokens of the text", count_text(comparison.text_tokens)},
                   {"seed", std::to_string(comparison.seed)},
                   {"perdure", context.version}});
  page.close();
}

}  // namespace

std::string report_page(const Comparison& comparison, const ReportContext& context) {
  const ComparisonView view(comparison);
  const std::string title = comparison.title.empty() ? "Comparison" : comparison.title;
  Markup page;
  page.verbatim("<!DOCTYPE html>\n").open("html", {{"lang", "en"}});
  add_head(page, title);
  page.open("body").open("main");
  page.open("header").element("h1", {}, title);
  page.element("p", {{"class", "soft"}}, measured_what(view));
  add_finding(page, view);
  add_machines(page, comparison);
  page.close();
  add_sections(page, view);
  add_entries(page, view);
  add_repeat(page, comparison, context);
  page.close();
  page.open("script").verbatim(page_script()).close();
  page.close().close();
  return page.str();
}

}  // namespace perdure::report
