// SPDX-License-Identifier: Apache-2.0

// A llama in double precision, written from the definition and sharing nothing with the engine:
// rows of vectors pass through the layers, and a function says which rows each row sees and at
// which places they are rotated.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/model/model.hpp"

namespace perdure::testing {

class LlamaReference {
 public:
  using Vector = std::vector<double>;
  // A row that is seen, and the place at which its key is rotated; or, if there are any, the angles
  // [head_size / 2] by which the query is turned against this key. `temperature` is a factor of the
  // score.
  struct Key {
    size_t row;
    int64_t place;
    Vector turns = {};
    double temperature = 1;
  };
  // What row `row` sees. The last one is the row itself; the query is rotated at its place.
  using Sees = std::function<std::vector<Key>(size_t row)>;

  // Borrows the model. Requires: F32 weights.
  explicit LlamaReference(const Model& model) : model_(model), info_(model.spec().info) {}

  Vector embedding(int32_t token) const {
    const Vector table = weight("token_embd.weight");
    const auto d = static_cast<size_t>(info_.hidden_size);
    const auto first = table.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(token) * d);
    return {first, first + static_cast<std::ptrdiff_t>(d)};
  }

  // The residual stream behind the last layer.
  std::vector<Vector> run(std::vector<Vector> rows, const Sees& sees) const {
    for (int64_t layer = 0; layer < info_.num_hidden_layers; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      mix(block, rows, sees);
      for (Vector& x : rows) add(x, feed_forward(block, norm(x, block + "ffn_norm.weight")));
    }
    return rows;
  }

  Vector logits(const Vector& residual) const {
    return times(model_.find("output.weight") ? "output.weight" : "token_embd.weight",
                 norm(residual, "output_norm.weight"));
  }

  // x / sqrt(mean(x^2) + eps), times a weight if one is named.
  Vector norm(Vector x, const std::string& name) const {
    double sum = 0;
    for (const double v : x) sum += v * v;
    const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + info_.rms_norm_eps);
    const Vector w = name.empty() ? Vector(x.size(), 1.0) : weight(name);
    for (size_t i = 0; i < x.size(); ++i) x[i] *= scale * w[i];
    return x;
  }

 private:
  Vector weight(const std::string& name) const {
    const Weight* w = model_.find(name);
    std::vector<float> values(static_cast<size_t>(w->size()));
    std::memcpy(values.data(), w->data, values.size() * sizeof(float));
    return {values.begin(), values.end()};
  }

  static void add(Vector& x, const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  Vector times(const std::string& name, const Vector& x) const {
    const Vector w = weight(name);
    Vector y(w.size() / x.size(), 0.0);
    for (size_t o = 0; o < y.size(); ++o)
      for (size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
    return y;
  }

  Vector feed_forward(const std::string& block, const Vector& x) const {
    Vector gate = times(block + "ffn_gate.weight", x);
    const Vector up = times(block + "ffn_up.weight", x);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
    return times(block + "ffn_down.weight", gate);
  }

  // x by a weight, plus its bias if the model has one.
  Vector project(const std::string& name, const Vector& x) const {
    Vector y = times(name + ".weight", x);
    if (model_.find(name + ".bias") != nullptr) add(y, weight(name + ".bias"));
    return y;
  }

  // The same, each head normed if the model has a weight for that.
  Vector project_heads(const std::string& name, const Vector& x) const {
    Vector y = project(name, x);
    const std::string norm_name = name + "_norm.weight";
    if (model_.find(norm_name) == nullptr) return y;
    const Vector w = weight(norm_name);
    const auto n = static_cast<size_t>(info_.head_size);
    for (size_t at = 0; at < y.size(); at += n) {
      const auto first = y.begin() + static_cast<std::ptrdiff_t>(at);
      const Vector head = norm({first, first + static_cast<std::ptrdiff_t>(n)}, "");
      for (size_t i = 0; i < n; ++i) y[at + i] = head[i] * w[at + i];
    }
    return y;
  }

  Vector angles(int64_t place) const {
    Vector angles(static_cast<size_t>(info_.rotated_size() / 2));
    for (size_t i = 0; i < angles.size(); ++i)
      angles[i] =
          static_cast<double>(place) *
          std::pow(info_.rope_theta, -static_cast<double>(i) / static_cast<double>(angles.size()));
    return angles;
  }

  // Turns the first 2 * angles.size() values of each head.
  Vector rotated(Vector x, const Vector& angles) const {
    const bool halves = info_.rotation_order == RotationOrder::kHalves;
    const auto head_size = static_cast<size_t>(info_.head_size);
    for (size_t head = 0; head < x.size(); head += head_size)
      for (size_t pair = 0; pair < angles.size(); ++pair) {
        const size_t first = head + (halves ? pair : 2 * pair);
        const size_t second = halves ? first + angles.size() : first + 1;
        const double c = std::cos(angles[pair]), s = std::sin(angles[pair]);
        const double x0 = x[first], x1 = x[second];
        x[first] = x0 * c - x1 * s;
        x[second] = x0 * s + x1 * c;
      }
    return x;
  }

  void mix(const std::string& block, std::vector<Vector>& rows, const Sees& sees) const {
    std::vector<Vector> queries, keys, values;
    for (const Vector& row : rows) {
      const Vector x = norm(row, block + "attn_norm.weight");
      queries.push_back(project_heads(block + "attn_q", x));
      keys.push_back(project_heads(block + "attn_k", x));
      values.push_back(project(block + "attn_v", x));
    }
    for (size_t r = 0; r < rows.size(); ++r)
      add(rows[r], project(block + "attn_output", attend(queries[r], keys, values, sees(r))));
  }

  Vector attend(const Vector& query, const std::vector<Vector>& keys,
                const std::vector<Vector>& values, const std::vector<Key>& seen) const {
    const auto head_size = static_cast<size_t>(info_.head_size);
    const auto shared = static_cast<size_t>(info_.num_attention_heads / info_.num_key_value_heads);
    std::vector<Vector> q, k;
    for (const Key& key : seen) {
      const bool turned = !key.turns.empty();
      q.push_back(rotated(query, turned ? key.turns : angles(seen.back().place)));
      k.push_back(turned ? keys[key.row] : rotated(keys[key.row], angles(key.place)));
    }
    Vector result(query.size(), 0.0);
    for (size_t head = 0; head < static_cast<size_t>(info_.num_attention_heads); ++head) {
      const size_t at = head * head_size, kv_at = head / shared * head_size;
      Vector scores;
      double sum = 0;
      for (size_t s = 0; s < seen.size(); ++s) {
        double score = 0;
        for (size_t i = 0; i < head_size; ++i) score += q[s][at + i] * k[s][kv_at + i];
        score *= seen[s].temperature;
        scores.push_back(std::exp(score * info_.scale_of_scores()));
        sum += scores.back();
      }
      for (size_t s = 0; s < seen.size(); ++s)
        for (size_t i = 0; i < head_size; ++i)
          result[at + i] += scores[s] / sum * values[seen[s].row][kv_at + i];
    }
    return result;
  }

  const Model& model_;
  ModelInfo info_;
};

}  // namespace perdure::testing
