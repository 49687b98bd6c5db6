// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/side_by_side.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "apps/perdure/chat/contexts.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/terminal/columns.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

constexpr size_t kNarrowest = 12;  // cells of a column that can still be read
constexpr size_t kSeparator = 3;   // " | "

struct TerminalSize {
  size_t columns = 80, rows = 24;
};

TerminalSize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, std::max<size_t>(size.ws_row, 2)};
}

// One configuration's text as it grows.
class Column {
 public:
  Column(const NamedEngine& named, const std::string& prompt, std::span<const std::string> contexts,
         const StopRule& rule, bool quiet)
      : text_(named.engine->tokenizer(), -1),
        session_(named.engine->new_session()),
        generator_(*named.engine, session_),
        rule_(rule) {
    const Tokenizer& tokenizer = named.engine->tokenizer();
    const std::vector<int32_t> tokens = tokenizer.encode(prompt, true, false);
    active_ = read_contexts(*named.engine, session_, context_files(*named.engine, contexts), tokens,
                            quiet) &&
              generator_.read(tokens, named.name, quiet) && rule.max_tokens > 0;
    text_ = TokenText(tokenizer, tokens.back(), StopTexts(rule.texts));
  }

  bool active() const { return active_; }
  const Speed& writing() const { return generator_.writing(); }

  // The next token's text; "" between the bytes of a character and at the end.
  std::string next() {
    const StopRule one{.max_tokens = 1, .ignore_eos = rule_.ignore_eos, .read_last = true};
    std::string text;
    const Stop stop = generator_.write(one, [&](int32_t token) {
      text = text_.push(token);
      return !text_.ended();
    });
    active_ = stop == Stop::kLimit && generator_.writing().tokens < rule_.max_tokens;
    return active_ ? text : text + text_.finish();
  }

 private:
  TokenText text_;
  Session session_;
  Generator generator_;
  StopRule rule_;
  bool active_ = false;
};

// The part of the table that may still change is redrawn; what is above it stays.
class Table {
 public:
  Table(size_t n_columns, TerminalSize size)
      : size_(size), width_((size.columns - kSeparator * (n_columns - 1)) / n_columns) {
    for (size_t i = 0; i < n_columns; ++i) texts_.emplace_back(width_);
  }

  void print_header(const std::vector<NamedEngine>& engines) {
    std::string names, rule;
    for (const NamedEngine& named : engines) {
      const bool first = &named == &engines.front();
      names += (first ? "" : " | ") + fitted(named.name, width_);
      rule += (first ? "" : "-+-") + std::string(width_, '-');
    }
    print(names + "\n" + rule + "\n");
  }

  void append(size_t column, std::string_view text) { texts_[column].append(text); }

  // `settled`: no line above this one will change.
  void draw(size_t settled) {
    if (drawn_ > 0) print_raw(fmt::format("\r\033[{}A\033[J", drawn_));
    for (; first_ < settled; ++first_) print(columns_row(texts_, first_, width_) + "\n");
    const size_t last = std::min(rows(), first_ + size_.rows - 1);
    for (size_t row = first_; row < last; ++row) print(columns_row(texts_, row, width_) + "\n");
    drawn_ = last - first_;
    flush();
  }

  size_t rows() const {
    size_t rows = 0;
    for (const WrappedText& text : texts_) rows = std::max(rows, text.lines().size());
    return rows;
  }
  size_t lines(size_t column) const { return texts_[column].lines().size(); }

 private:
  TerminalSize size_;
  size_t width_;
  std::vector<WrappedText> texts_;
  size_t first_ = 0;  // row that may still change
  size_t drawn_ = 0;  // rows on the screen that may
};

size_t settled_rows(const Table& table, const std::vector<std::unique_ptr<Column>>& columns) {
  size_t settled = table.rows();
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i]->active()) settled = std::min(settled, table.lines(i) - 1);
  return settled;
}

}  // namespace

std::vector<NamedEngine> open_engines(const std::vector<std::string>& files,
                                      const std::vector<std::string>& overrides) {
  std::vector<NamedEngine> engines;
  using Files = std::pair<std::string, std::string>;  // of the model and its initial state
  std::map<Files, std::shared_ptr<SharedModel>> models;
  const auto stem = [](const std::string& file) {
    return std::filesystem::path(file).stem().string();
  };
  for (const std::string& file : files) {
    const auto same = std::count_if(files.begin(), files.end(), [&](const std::string& other) {
      return stem(other) == stem(file);
    });
    Settings settings = load_settings(file, overrides);
    complete_model(settings);
    std::shared_ptr<SharedModel>& model =
        models[{settings.model.path, settings.model.initial_state}];
    engines.push_back({same == 1 ? stem(file) : file,
                       std::make_unique<Engine>(settings, linked_plugins(), model)});
    model = engines.back().engine->shared_model();
  }
  return engines;
}

void write_columns(const std::vector<NamedEngine>& engines, const std::string& prompt,
                   std::span<const std::string> contexts, const StopRule& rule, bool quiet) {
  const TerminalSize size = terminal_size();
  if (size.columns < engines.size() * (kNarrowest + kSeparator))
    throw UsageError(
        fmt::format("{} columns do not fit a terminal of {} characters; widen it, or "
                    "send the output to a file",
                    engines.size(), size.columns));
  std::vector<std::unique_ptr<Column>> columns;
  for (const NamedEngine& named : engines)
    columns.push_back(std::make_unique<Column>(named, prompt, contexts, rule, quiet));
  Table table(engines.size(), size);
  if (!prompt.empty()) print(prompt + "\n\n");
  table.print_header(engines);

  using Clock = std::chrono::steady_clock;
  Clock::time_point next_draw = Clock::now();
  const auto active = [](const auto& column) { return column->active(); };
  while (std::any_of(columns.begin(), columns.end(), active) && !interrupted()) {
    for (size_t i = 0; i < columns.size(); ++i)
      if (columns[i]->active()) table.append(i, columns[i]->next());
    if (Clock::now() < next_draw) continue;
    table.draw(settled_rows(table, columns));
    next_draw = Clock::now() + std::chrono::milliseconds(40);
  }
  table.draw(table.rows());
  for (size_t i = 0; i < columns.size(); ++i)
    note(fmt::format("{}: wrote {} tokens at {:.1f} tokens/s", engines[i].name,
                     grouped(columns[i]->writing().tokens), columns[i]->writing().per_second()),
         quiet);
}

}  // namespace perdure::app
