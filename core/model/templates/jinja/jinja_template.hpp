// SPDX-License-Identifier: Apache-2.0

// Templates in the part of Jinja that chat templates are written in, as transformers runs them. A
// template comes with a model and is not trusted: it can reach nothing but its input, and what it
// may cost is bounded (run.hpp).
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "core/model/templates/jinja/syntax.hpp"

namespace perdure::jinja {

// Immutable; any thread may use it.
class Template {
 public:
  // `name` stands for it in messages: a file's path or a key. Errors: UsageError naming the line of
  // what is wrong or not supported.
  Template(std::string_view source, std::string name);

  // What it writes where it knows the members of `globals`, a map; `input_bytes` of text are in
  // these. Errors: UsageError naming the line of what fails; raise_exception() is one of these.
  MarkedText render(const Value& globals, size_t input_bytes, std::time_t now) const;

 private:
  std::string name_;
  Nodes nodes_;
};

// The value of an expression that knows no names but functions. Errors: as Template.
Value evaluate(std::string_view expression, const std::string& name);

}  // namespace perdure::jinja
