// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/rmt (its README.md says what is in it): folders with a
// model, and for texts that are read in segments the logits at all places and the memory behind
// every segment.
#include <filesystem>

#include "apps/perdure_golden/folder_case.hpp"
#include "apps/perdure_golden/numbers.hpp"
#include "apps/perdure_golden/run_rmt.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README, without what it allows beside in parts of the value.
constexpr double kTolerance = 1e-4;

Alignment alignment_of(const std::string& run) {
  if (run == "left") return Alignment::kLeft;
  if (run == "right") return Alignment::kRight;
  if (run == "center") return Alignment::kCenter;
  throw Error("a run is aligned 'left', 'right' or 'center', not '" + run + "'");
}

// The wrapper around a llama: all texts of the batch, aligned one way.
class WrapperRun {
 public:
  WrapperRun(Judge& judge, Engine& engine, const Case& golden, std::string run)
      : judge_(judge),
        engine_(engine),
        golden_(golden),
        run_(std::move(run)),
        n_texts_(static_cast<size_t>(golden.tensor("input_ids").shape.at(0))),
        length_(static_cast<size_t>(golden.tensor("input_ids").shape.at(1))) {}

  // All texts side by side in one call.
  void read_whole() {
    std::vector<Session> sessions;
    for (size_t i = 0; i < n_texts_; ++i) sessions.push_back(new_session());
    std::vector<Feed> feeds;
    for (size_t i = 0; i < n_texts_; ++i)
      feeds.push_back({&sessions[i], tokens(i), Feed::Logits::kAll});
    std::vector<std::vector<float>> logits(n_texts_);
    engine_.feed(feeds, [&](size_t feed, size_t, std::span<const float> row) {
      logits[feed].insert(logits[feed].end(), row.begin(), row.end());
    });
    std::vector<float> all;
    for (const auto& of_text : logits) all.insert(all.end(), of_text.begin(), of_text.end());
    judge_.logits(run_ + ".logits", all, expected("logits"));
    const float loss[] = {static_cast<float>(loss_of(all))};
    judge_.state(run_ + ".loss", loss, expected("loss"));
  }

  // Token by token, every segment from the memory that the one before left, or from the golden one.
  void read_by_token(bool golden_memory) {
    std::vector<float> all;
    for (size_t text = 0; text < n_texts_; ++text) {
      Session session = new_session();
      for (const int32_t token : tokens(text)) {
        const int64_t segment = session.segment_number();
        const Feed one[] = {{&session, {&token, 1}, Feed::Logits::kAll}};
        engine_.feed(one, [&](size_t, size_t, std::span<const float> row) {
          all.insert(all.end(), row.begin(), row.end());
        });
        if (session.segment_number() != segment)
          compare_memory(session, text, segment, golden_memory);
      }
      judge_.require(!golden_.has(memory_name(session.segment_number())),
                     run_ + ": the text has fewer segments than the golden one");
    }
    judge_.logits(run_ + ".logits, token by token", all, expected("logits"));
  }

 private:
  Session new_session() {
    Session session = engine_.new_session();
    engine_.align_segments(session, alignment_of(run_), static_cast<int64_t>(length_));
    return session;
  }

  std::span<const int32_t> tokens(size_t text) const {
    return std::span(golden_.tensor("input_ids").integers).subspan(text * length_, length_);
  }

  const std::vector<float>& expected(const std::string& what) const {
    return golden_.tensor(run_ + "." + what).reals;
  }

  std::string memory_name(int64_t segment) const {
    return run_ + ".memory." + std::to_string(segment);
  }

  void compare_memory(Session& session, size_t text, int64_t segment, bool replace) {
    const Tensor& all = golden_.tensor(memory_name(segment));
    const auto size = static_cast<size_t>(all.shape.at(1) * all.shape.at(2));
    const auto golden = std::span(all.reals).subspan(text * size, size);
    judge_.state(memory_name(segment), session.read_state("memory", 0, all.shape.at(1)), golden);
    if (replace) session.write_state("memory", 0, golden);
  }

  // The mean over all places whose mask is set, of the token that follows.
  double loss_of(std::span<const float> logits) const {
    const std::vector<int32_t>& mask = golden_.tensor("labels_mask").integers;
    std::vector<int32_t> labels = golden_.tensor("input_ids").integers;
    for (size_t i = 1; i < labels.size(); ++i)
      if (mask[i - 1] == 0) labels[i] = -1;
    return mean_loss(logits, logits.size() / labels.size(), labels, length_);
  }

  Judge& judge_;
  Engine& engine_;
  const Case& golden_;
  std::string run_;
  size_t n_texts_, length_;
};

Outcome run_wrapper(const std::string& folder, const std::vector<std::string>& overrides) {
  const Case c = load_case(folder, "config.json", "io.safetensors");
  const auto engine = scalar_engine(folder + "/model.safetensors", {}, overrides);
  Judge judge({.max_abs = kTolerance});
  for (const Json& run : c.json.at("golden").at("runs").list()) {
    WrapperRun runner(judge, *engine, c, run.at("run").text());
    runner.read_whole();
    runner.read_by_token(false);
    runner.read_by_token(true);
  }
  return judge.verdict();
}

}  // namespace

std::vector<FolderCase> rmt_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  for (const std::string& folder : subfolders(setting.folder)) {
    const std::string path = folder + "/config.json";
    if (!std::filesystem::exists(path) || !std::filesystem::exists(folder + "/io.safetensors"))
      continue;
    const Json config = Json::parse(read_file(path), path);
    const auto run = config.find("rmt") != nullptr ? run_wrapper : run_rmt_network;
    cases.push_back(
        {last_name(folder), [=, overrides = setting.overrides] { return run(folder, overrides); }});
  }
  return cases;
}

}  // namespace perdure::golden
