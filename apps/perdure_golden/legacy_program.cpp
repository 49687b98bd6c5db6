// SPDX-License-Identifier: Apache-2.0

// Implements apps/perdure_golden/legacy_program.hpp.
#include "apps/perdure_golden/legacy_program.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "core/api/error.hpp"
#include "core/engine/legacy_memory.hpp"

namespace perdure::golden {

LegacyArguments parse_legacy_arguments(const Json::List& args) {
  LegacyArguments a;
  a.checkpoint = args.at(0).text();
  for (size_t i = 1; i + 1 < args.size(); i += 2) {
    const std::string &option = args[i].text(), &value = args[i + 1].text();
    if (option == "-t")
      a.temperature = std::stod(value);
    else if (option == "-p")
      a.top_p = std::stod(value);
    else if (option == "-s")
      a.seed = std::stoull(value);
    else if (option == "-n")
      a.steps = std::stoll(value);
    else if (option == "-u")
      a.update_mode = std::stoll(value);
    else if (option == "-i")
      a.prompt = value;
    else if (option == "-z")
      a.tokenizer = value;
    else if (option == "-o")
      a.memory_name = value;
    else if (option == "-y")
      a.system = value;
    else if (option == "-m")
      a.chat = value == "chat";
    else
      throw Error("the original programs have no option " + option);
  }
  return a;
}

LegacyProgram::LegacyProgram(Engine& engine, const LegacyArguments& arguments, bool has_memory,
                             Chooser chooser)
    : engine_(engine),
      arguments_(arguments),
      has_memory_(has_memory),
      chooser_(std::move(chooser)),
      session_(engine.new_session()),
      sampler_(engine.spec().info.vocab_size),
      sampling_{.temperature = arguments.temperature, .top_k = 0, .top_p = arguments.top_p},
      random_{arguments.seed},
      logits_(static_cast<size_t>(engine.spec().info.vocab_size)) {
  const int64_t train_length = engine.spec().info.train_length;
  if (arguments_.steps == 0 || (!has_memory_ && arguments_.steps > train_length))
    arguments_.steps = train_length;
}

std::string LegacyProgram::run(const std::optional<std::string>& load_from,
                               const std::string& save_to, const std::string& input) {
  save_to_ = save_to;
  if (load_from) {
    import_legacy_memory(engine_, session_, *load_from);
    position_ = session_.position();
    out_ += "Load memory from " + *arguments_.memory_name + "\n";
  } else if (has_memory_) {
    out_ += "Initialize memory.\n";
  }
  arguments_.chat ? chat(input) : generate();
  return out_;
}

void LegacyProgram::generate() {
  const std::vector<int32_t> prompt =
      engine_.tokenizer().encode(arguments_.prompt.value_or(""), true, false);
  int32_t token = prompt[0];
  while (position_ < arguments_.steps) {
    read(token);
    const auto place = static_cast<size_t>(position_) + 1;
    const int32_t next = place < prompt.size() ? prompt[place] : sample();
    ++position_;
    if (next == engine_.tokenizer().bos_id()) {
      if (!has_memory_) break;
      out_ +=
          "\ntokens " + std::to_string(position_) + "/" + std::to_string(arguments_.steps) + "\n";
      continue;
    }
    print(token, next);
    token = next;
  }
  out_ += "\n";
  save();
}

void LegacyProgram::chat(const std::string& input) {
  std::istringstream lines(input);
  std::vector<int32_t> prompt;
  size_t used = 0;
  int64_t n_answered = 0;
  int32_t next = 0;
  bool user_turn = true;
  const int64_t mem_len = engine_.spec().info.mem_len;
  const std::span<const int32_t> ends = engine_.tokenizer().eos_ids();
  const auto ends_answer = [&](int32_t id) { return std::ranges::count(ends, id) > 0; };
  while (position_ % mem_len < arguments_.steps) {
    if (user_turn) {
      std::string user = arguments_.prompt.value_or("");
      if (position_ != 0) {
        save();
        out_ += "(TIMESTAMP)  User: ";
        if (!std::getline(lines, user)) return;
      }
      prompt = engine_.tokenizer().encode(render_turn(user), true, false);
      used = 0;
      n_answered = 0;
      user_turn = false;
      out_ += "Assistant: ";
    }
    const bool from_prompt = used < prompt.size();
    const int32_t token = from_prompt ? prompt[used++] : next;
    if (!from_prompt) ++n_answered;
    if (ends_answer(token) && n_answered > 1) user_turn = true;
    read(token);
    next = sample();
    ++position_;
    if (used >= prompt.size() && !user_turn && !ends_answer(next)) print(token, next);
    if (ends_answer(next)) out_ += "\n\n";
  }
}

std::string LegacyProgram::render_turn(const std::string& user) const {
  if (position_ == 0 && !arguments_.system.empty())
    return "[INST] <<SYS>>\n" + arguments_.system + "\n<</SYS>>\n\n" + user + " [/INST]";
  return "[INST] " + user + " [/INST]";
}

void LegacyProgram::read(int32_t token) { engine_.feed(session_, {&token, 1}, logits_); }

int32_t LegacyProgram::sample() {
  scratch_ = logits_;
  return chooser_(logits_, sampler_.sample(scratch_, sampling_, {}, random_));
}

// Single bytes that are neither printable nor white space in the C locale are left out.
void LegacyProgram::print(int32_t previous, int32_t token) {
  const std::string_view piece = engine_.tokenizer().decode(previous, token);
  const auto c = static_cast<unsigned char>(piece.empty() ? 0 : piece[0]);
  if (piece.size() == 1 && !std::isprint(c) && !std::isspace(c)) return;
  out_ += piece;
}

void LegacyProgram::save() {
  if (arguments_.memory_name) export_legacy_memory(engine_, session_, save_to_);
}

}  // namespace perdure::golden
