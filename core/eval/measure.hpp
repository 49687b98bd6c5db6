// SPDX-License-Identifier: Apache-2.0

// Measures: what is asked of a model at a length of context. A measure reads texts with an engine
// and gives samples for one or several figures (loss and accuracy come from one reading); means and
// intervals are made from the samples (figures.hpp). A deterministic measure gives the same bits
// for the same engine identity, kernels, text and spec, whatever the threads, the steps or the
// load.
//
//   loss              -> loss, accuracy            perplexity       -> perplexity
//   loss_by_position  -> loss_by_position          passkey          -> passkey (by depth)
//   recall            -> recall (by pairs)         copy             -> copy_loss, copy_accuracy
//   choice            -> choice, choice_per_byte   exact_match      -> exact_match (by `by`)
//   facts             -> one_fact, two_facts (by segments)
//   passages          -> passages (by their number)
//   speed             -> prefill_speed, decode_speed
//   time_by_position  -> time_by_position          memory           -> state_bytes, peak_bytes
//
// What it costs in memory: the logits of a few rows, the state of the sessions that share a step
// (kept below a budget, see windows.hpp), and the token ids of their windows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/eval/text.hpp"

namespace perdure {

enum class MeasureClass {
  kDeterministic,  // the same bits in every run: results.json
  kMachine,        // times and bytes: measured.json; must run alone on the machine
};

enum class Better { kLower, kHigher };

// How the samples of a figure become one value.
enum class Summary {
  kMean,
  kExpOfMean,  // exp of the mean: samples are losses, the figure is a perplexity
  kShare,      // samples are 0 or 1, the figure is the share of ones
};

// One number that a measure finds.
struct FigureInfo {
  std::string name;   // unique among measures, with its control: "loss", "loss/reset"
  std::string title;  // "Loss of the last 256 targets"
  std::string unit;   // "nats", "share", "tokens/s", "us/token", "bytes"; "" for a perplexity
  Better better = Better::kLower;
  Summary summary = Summary::kMean;
  std::string axis;  // what MeasurePoint::axis counts: "depth", "pairs", "position"; "" if nothing
};

enum class Control {
  kNone,
  kReset,     // memory reset: the session starts at the first target or question, without context
  kShuffled,  // the context's tokens in another order, the rest unchanged
  kAbsent,    // facts: none was told
};

// "none", "reset", "shuffled", "absent".
std::string_view control_name(Control control);

struct MeasureInfo {
  std::string name;
  std::string help;  // one sentence
  MeasureClass cls = MeasureClass::kDeterministic;
  bool reads_text = true;                 // whether it needs an EvalText that is not empty
  std::vector<std::string> options = {};  // names of what can be set (measure_options.hpp)
  std::vector<Control> controls = {};     // that it has, with the option `control`
};

// Which tokens of a window the model is given, and how (clip and repeat: llama2Rnn's `clip` and
// `repeat_tokens`; contexts and passages: the protocol of CEPE). Belongs to what is compared rather
// than to the measure: names of figures do not show it.
enum class InputForm {
  kWhole,
  kClip,      // the last `kept` tokens only, positions from 0
  kRepeat,    // the last `kept` tokens, length / kept times over
  kContexts,  // the last `kept` tokens; those before them, in chunks, as contexts (contexts.hpp)
  kPassages,  // the last `kept` tokens behind each chunk of those before them, mixed (ensemble.hpp)
};

// A measure with its options; those that MeasureInfo::options does not name change nothing.
struct MeasureSpec {
  std::string name = "loss";
  Control control = Control::kNone;
  InputForm input = InputForm::kWhole;
  int64_t kept = 0;     // of all forms but kWhole; 0: as many as the model was trained with
  int64_t chunk = 256;  // of kPassages: tokens of a chunk; the most of a retrieved passage
  uint64_t seed = 1;
  int64_t samples = 64;  // windows or tasks; fewer where the text has no room for more
  // Longest length that the samples will be compared over: they end where that still fits, so that
  // the targets are the same at every length. 0: the length itself.
  int64_t longest = 0;

  int64_t tail = 256;          // loss, copy: targets that count, the window's last ones
  int64_t shuffle_block = 16;  // kShuffled: tokens that stay together
  int64_t stride = 0;          // perplexity: targets per window; 0: half the length
  int64_t points = 16;         // loss_by_position, time_by_position: points along the length
  int64_t digits = 5;          // passkey
  std::vector<double> depths{0.0, 0.25, 0.5, 0.75, 1.0};  // passkey: 0 is the text's beginning
  std::vector<int64_t> pairs{4, 16, 64};                  // recall
  std::vector<int64_t> distances{0, 1, 3, 15};            // facts: segments; 0 is the question's
  int64_t segment = 256;                                  // facts: tokens
  bool copy_text = false;                                 // copy: text, not random tokens
  std::string by;     // exact_match: the number of tasks that is the second axis
  std::string tasks;  // choice, exact_match, passages: a file of tasks (task_file.hpp)
  std::vector<int64_t> counts{0, 1, 8, 20};  // passages: how many of a text's passages
  int64_t query = 256;                       // passages: tokens of a text that are not scored
  int64_t decode_tokens = 32;                // speed, time_by_position: tokens read one at a time
  int64_t repeats = 3;                       // speed: runs that are timed
};

// Samples at one value of the second axis (0 where there is none).
struct MeasurePoint {
  double axis = 0;
  std::vector<double> samples;
};

struct FigureSamples {
  std::string name;  // FigureInfo::name
  std::vector<MeasurePoint> points;
  std::optional<double> chance = {};  // the figure of uniform guessing, where that means something
};

struct MeasureResult {
  std::vector<FigureSamples> figures;  // in the order of figures_of()
};

// Every measure there is. Pure; any thread.
std::span<const MeasureInfo> measures();
// Errors: UsageError with the nearest name.
const MeasureInfo& find_measure(const std::string& name);

// The figures a measure finds, as they are named and titled with these options. Pure; any thread.
// Errors: as find_measure; UsageError for a control that the measure does not have.
std::vector<FigureInfo> figures_of(const MeasureSpec& spec);

// About how many tokens the engine will read for it: the estimate of the cost. Errors: as
// figures_of; Error for a task file that cannot be read.
int64_t measure_tokens(const MeasureSpec& spec, int64_t length);

// Called between steps with the tokens read so far; false stops the measure.
using MeasureProgress = std::function<bool(int64_t tokens_done)>;

// Runs a measure at a length; the engine was made for that length (engines.hpp). nullopt if
// `progress` said stop. One thread at a time per engine. Errors: UsageError if the measure cannot
// be made of this engine, text or length (a sentence for the user: the cell is refused); Error for
// what fails.
std::optional<MeasureResult> run_measure(Engine& engine, const MeasureSpec& spec, int64_t length,
                                         const EvalText& text,
                                         const MeasureProgress& progress = {});

}  // namespace perdure
