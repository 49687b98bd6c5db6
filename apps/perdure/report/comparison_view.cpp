// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/comparison_view.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "apps/perdure/report/drawing.hpp"
#include "core/api/error.hpp"

namespace perdure::report {
namespace {

// Smaller is better, and what is no number is worst.
double badness(double value, bool lower_is_better) {
  if (std::isnan(value)) return INFINITY;
  return lower_is_better ? value : -value;
}

bool same_entries(const Comparison& a, const Comparison& b) {
  return std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const ComparedEntry& x, const ComparedEntry& y) {
                      return x.name == y.name && x.configuration_hash == y.configuration_hash &&
                             x.weights_hash == y.weights_hash;
                    });
}

}  // namespace

Comparison joined(const Comparison& results, const Comparison& measured) {
  if (!same_entries(results, measured))
    throw Error("the results and the measured times are of different entries: compare again");
  Comparison all = results;
  const auto n_before = static_cast<int64_t>(all.measures.size());
  all.measures.insert(all.measures.end(), measured.measures.begin(), measured.measures.end());
  for (ComparedCell cell : measured.cells) {
    cell.measure += n_before;
    all.cells.push_back(std::move(cell));
  }
  return all;
}

ComparisonView::ComparisonView(const Comparison& comparison) : comparison_(comparison) {
  for (const ComparedCell& cell : comparison.cells)
    cells_.emplace(std::tuple(cell.entry, cell.measure, cell.length, cell.axis), &cell);
  for (int64_t m = n_measures() - 1; m >= 0; --m)
    if (measure(m).axis.empty() && has_figures(m)) main_measure_ = m;
  for (int64_t m = 0; m < n_measures(); ++m)
    if (measure(m).name == "loss" && has_figures(m)) main_measure_ = m;
  styles_ = make_styles();
}

const ComparedCell* ComparisonView::cell(int64_t entry, int64_t measure, int64_t length,
                                         double axis) const {
  const auto found = cells_.find(std::tuple(entry, measure, length, axis));
  return found == cells_.end() ? nullptr : found->second;
}

const ComparedCell* ComparisonView::figure(int64_t entry, int64_t measure, int64_t length,
                                           double axis) const {
  const ComparedCell* found = cell(entry, measure, length, axis);
  return found != nullptr && found->state == ComparedCell::State::kDone ? found : nullptr;
}

std::vector<int64_t> ComparisonView::lengths(int64_t measure) const {
  std::set<int64_t> found;
  for (const ComparedCell& cell : comparison_.cells)
    if (cell.measure == measure) found.insert(cell.length);
  return {found.begin(), found.end()};
}

std::vector<double> ComparisonView::axis_values(int64_t m) const {
  const int64_t only = measure(m).axis == "position" ? longest_measured(m) : 0;
  std::set<double> found;
  for (const ComparedCell& cell : comparison_.cells)
    if (cell.measure == m && cell.state == ComparedCell::State::kDone &&
        (only == 0 || cell.length == only))
      found.insert(cell.axis);
  return {found.begin(), found.end()};
}

int64_t ComparisonView::longest_measured(int64_t measure) const {
  int64_t longest = 0;
  for (const ComparedCell& cell : comparison_.cells)
    if (cell.measure == measure && cell.state == ComparedCell::State::kDone)
      longest = std::max(longest, cell.length);
  return longest;
}

std::vector<int64_t> ComparisonView::best(int64_t m, int64_t length) const {
  std::vector<std::pair<double, int64_t>> order;
  for (int64_t e = 0; e < n_entries(); ++e)
    if (const ComparedCell* found = figure(e, m, length); found != nullptr && found->best)
      order.emplace_back(badness(found->figure.value, measure(m).lower_is_better), e);
  std::sort(order.begin(), order.end());
  std::vector<int64_t> winners;
  for (const auto& [bad, e] : order) winners.push_back(e);
  return winners;
}

std::vector<int64_t> ComparisonView::ranking(int64_t m) const {
  std::vector<int64_t> lengths_down = lengths(m);
  std::reverse(lengths_down.begin(), lengths_down.end());
  std::vector<std::vector<double>> badnesses;
  for (int64_t e = 0; e < n_entries(); ++e) {
    std::vector<double>& row = badnesses.emplace_back();
    for (const int64_t length : lengths_down) {
      const ComparedCell* found = figure(e, m, length);
      row.push_back(found == nullptr ? INFINITY
                                     : badness(found->figure.value, measure(m).lower_is_better));
    }
  }
  std::vector<int64_t> order(badnesses.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return badnesses[index(a)] < badnesses[index(b)]; });
  return order;
}

std::vector<int> ComparisonView::make_styles() const {
  std::vector<int> styles(comparison_.entries.size(), kGrey);
  std::vector<int64_t> shown(styles.size());
  std::iota(shown.begin(), shown.end(), 0);
  if (n_measures() > 0 && shown.size() > kStyles) shown = ranking(main_measure_);
  std::erase(shown, reference());
  shown.resize(std::min<size_t>(shown.size(), kStyles - 1));
  if (!styles.empty()) styles.at(index(reference())) = 0;
  for (size_t i = 0; i < shown.size(); ++i) styles.at(index(shown[i])) = static_cast<int>(i) + 1;
  return styles;
}

}  // namespace perdure::report
