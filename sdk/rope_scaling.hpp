// SPDX-License-Identifier: Apache-2.0

// What becomes of the option `rope_scaling` and its parameters: the frequencies that a row turns
// by. Most forms have one set of them; `dynamic` and `longrope` have several, and a row's own place
// says which one it and all keys it looks at are turned by, so that a text read token by token
// gives what it gives in one piece.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/options.hpp"
#include "core/api/strategy.hpp"
#include "sdk/rope.hpp"
#include "sdk/rope_scaling_options.hpp"

namespace perdure {

struct RopeScaling {
  std::vector<float> frequencies;  // [sets(), rotated size / 2]
  // Of every set but the first, the first place whose row turns by it.
  std::vector<int64_t> first_places;
  double divisor = 1.0;      // of places
  double query_scale = 1.0;  // temperature: a factor of every score
  bool needs_eval_length = false;

  int64_t sets() const { return static_cast<int64_t>(first_places.size()) + 1; }
};

// Reads the options of rope_scaling_specs. Cheap to make; borrows its arguments.
class RopeScalingReader {
 public:
  // `theta` and `train_length` as they hold; `n_places`: how many places a session may have, for
  // forms with several sets of frequencies; 0: the strategy has no use for several.
  RopeScalingReader(const ModelInfo& model, const Options& options, double theta,
                    int64_t train_length, int64_t n_places)
      : options_(options),
        form_(options.text("rope_scaling")),
        head_size_(model.rotated_size()),
        theta_(theta),
        train_length_(train_length),
        n_places_(n_places) {}

  // Errors: UsageError for parameters that act on nothing, are missing or lead out of F32's range.
  RopeScaling read() {
    refuse_idle_scaling_parameters(options_);
    fill();
    return std::move(result_);
  }

 private:
  static constexpr double kLeast = 1e-30;  // less leaves the range of F32
  // Tables of rotations are made for so many places at most.
  static constexpr int64_t kMostPlaces = int64_t{1} << 24;
  static constexpr int kSetsPerOctave = 4;

  bool is(std::string_view form) const { return form_ == form; }
  double real(const char* name, double otherwise) const {
    const double value = options_.real(name);
    return value == 0 ? otherwise : value;
  }
  static std::string quoted(const std::string& form) { return "attention.rope_scaling: " + form; }

  void fill() {
    if (theta_ < kLeast)
      throw UsageError("attention.rope_theta is too small; it must be at least 1e-30");
    if (is("dynamic")) return fill_dynamic();
    if (is("longrope")) return fill_longrope();
    if (is("none")) return use(rope_frequencies(head_size_, theta_));
    const double factor = given_or_text_factor();
    if (is("linear")) {
      result_.divisor = factor;
      use(rope_frequencies(head_size_, theta_));
    } else if (is("ntk")) {
      use(rope_frequencies(head_size_, ntk_theta(theta_, factor, head_size_)));
    } else if (is("ntk_mixed")) {
      use(ntk_mixed_frequencies(head_size_, theta_, factor));
    } else if (is("radix")) {
      use(rope_frequencies(head_size_, theta_ * factor));
    } else if (is("yarn")) {
      const double at_least_1 = std::max(1.0, factor);
      use(yarn_frequencies(head_size_, theta_, at_least_1, bands("beta_fast", 32, "beta_slow", 1),
                           options_.flag("truncate")));
      scale_by(yarn_attention_factor(at_least_1, real("mscale", 1.0)));
    } else {
      use(llama3_frequencies(head_size_, theta_, std::max(1.0, factor),
                             bands("high_freq_factor", 4, "low_freq_factor", 1)));
    }
  }

  void use(const std::vector<float>& frequencies) {
    for (const float f : frequencies)
      if (!std::isfinite(f) || f <= 0)
        throw UsageError(
            "attention.rope_theta and attention.rope_scaling make rotations that leave the range "
            "of F32; choose a theta and a factor nearer to 1");
    result_.frequencies.insert(result_.frequencies.end(), frequencies.begin(), frequencies.end());
  }

  // Queries and keys are both scaled in the originals; here queries alone, by the square.
  void scale_by(double computed) {
    const double factor = real("attention_factor", computed);
    result_.query_scale = factor * factor;
  }

  double given_or_text_factor() {
    double factor = options_.real("factor");
    if (factor == 0) {
      const int64_t eval_length = options_.integer("eval_length");
      if (eval_length == 0 || train_length_ == 0)
        throw UsageError(quoted(form_) +
                         " needs attention.factor, or attention.eval_length and a training length "
                         "to take it from");
      // Shorter texts than those of the training need no scaling, and lose by it.
      factor = std::max(1.0, static_cast<double>(eval_length) / static_cast<double>(train_length_));
      result_.needs_eval_length = true;
    }
    if (factor < kLeast)
      throw UsageError(
          "attention.factor is too small to divide positions by; it must be at least 1e-30");
    return factor;
  }

  double trained_length() const {
    const double length =
        real("original_max_position_embeddings", static_cast<double>(train_length_));
    if (length < 2)
      throw UsageError(quoted(form_) +
                       " needs the training length: set "
                       "attention.original_max_position_embeddings");
    return length;
  }

  FrequencyBands bands(const char* fast, double otherwise_fast, const char* slow,
                       double otherwise_slow) const {
    const FrequencyBands b{trained_length(), real(fast, otherwise_fast),
                           real(slow, otherwise_slow)};
    if (b.fast <= b.slow)
      throw UsageError("attention." + std::string(fast) + " must be larger than attention." + slow);
    return b;
  }

  int64_t places_for_tables() const {
    if (n_places_ == 0)
      throw UsageError(
          quoted(form_) +
          " rotates all keys again as a text grows, which only attention.strategy: full "
          "does; with another strategy choose another scaling");
    if (n_places_ > kMostPlaces)
      throw UsageError(quoted(form_) + " keeps tables of rotations for attention.max_length " +
                       "tokens: set that to at most " + std::to_string(kMostPlaces));
    return n_places_;
  }

  // A row at place p turns as in a text of n tokens, the smallest n >= p + 1 of the training length
  // times 2^(m / 4), m = 0, 1, ...
  void fill_dynamic() {
    const double trained = trained_length(), factor = std::max(1.0, options_.real("factor"));
    const auto n_places = static_cast<double>(places_for_tables());
    use(rope_frequencies(head_size_, theta_));
    double length = std::floor(trained);
    for (int m = 1; length < n_places; ++m) {
      const double next = std::floor(trained * std::exp2(static_cast<double>(m) / kSetsPerOctave));
      if (next == length) continue;
      result_.first_places.push_back(static_cast<int64_t>(length));
      length = next;
      use(rope_frequencies(head_size_,
                           dynamic_ntk_theta(theta_, factor, length, trained, head_size_)));
    }
  }

  void fill_longrope() {
    const double trained = trained_length();
    use(longrope_frequencies(head_size_, theta_, divisors("short_factor")));
    use(longrope_frequencies(head_size_, theta_, divisors("long_factor")));
    result_.first_places = {static_cast<int64_t>(trained)};
    places_for_tables();
    const double longer = static_cast<double>(train_length_) / trained;
    scale_by(longrope_attention_factor(real("factor", longer), trained));
  }

  std::vector<double> divisors(const char* name) const {
    std::string text = options_.text(name);
    std::replace(text.begin(), text.end(), ',', ' ');
    std::istringstream in(text);
    in.imbue(std::locale::classic());
    std::vector<double> values;
    for (double v = 0; in >> v;) values.push_back(v);
    const bool positive =
        std::all_of(values.begin(), values.end(), [](double v) { return v >= kLeast; });
    if (!in.eof() || !positive || static_cast<int64_t>(values.size()) != head_size_ / 2)
      throw UsageError("attention." + std::string(name) + " must be a list of " +
                       std::to_string(head_size_ / 2) +
                       " positive numbers, one for each frequency of a head");
    return values;
  }

  const Options& options_;
  std::string form_;
  int64_t head_size_;  // what of it rotates
  double theta_;
  int64_t train_length_, n_places_;
  RopeScaling result_;
};

}  // namespace perdure
