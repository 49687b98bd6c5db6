// SPDX-License-Identifier: Apache-2.0

// Cases made by the C programs: logits token by token, and for runqm the memory and its caches as
// far as they can still be read.
#include "apps/perdure_golden/memory_file.hpp"
#include "apps/perdure_golden/runners.hpp"
#include "core/engine/legacy_memory.hpp"

namespace perdure::golden {
namespace {

// Feeds tokens [first, end) one by one and compares the logits after each.
void compare_logits(Judge& judge, Engine& engine, Session& session, const Case& c, size_t first,
                    size_t end) {
  const Tensor& tokens = c.tensor("tokens");
  const Tensor& logits = c.tensor("logits");
  const size_t vocab = static_cast<size_t>(engine.spec().info.vocab_size);
  std::vector<float> found(vocab);
  for (size_t i = first; i < end; ++i) {
    engine.feed(session, {&tokens.integers[i], 1}, found);
    const std::span<const float> golden(logits.reals.data() + i * vocab, vocab);
    const std::string what = "logits after token " + std::to_string(i);
    judge.logits(what, found, golden);
    require_same_choice(judge, what, found, golden);
  }
}

// Compares the first `rows` rows of every layer of a cache [n_layers, all rows, columns] with the
// states of that name.
void compare_cache(Judge& judge, const Session& session, const Tensor& cache,
                   const std::string& state, int64_t rows) {
  const size_t columns = static_cast<size_t>(cache.shape.at(2));
  const size_t layer_size = static_cast<size_t>(cache.shape.at(1)) * columns;
  for (int64_t layer = 0; layer < cache.shape.at(0); ++layer) {
    const std::string name = "blk." + std::to_string(layer) + "." + state;
    const float* golden = cache.reals.data() + static_cast<size_t>(layer) * layer_size;
    judge.state(name, session.read_state(name, 0, rows),
                {golden, static_cast<size_t>(rows) * columns});
  }
}

// `when`: "before" or "after". Rows of the running chunk beyond the position are left-overs that
// nobody reads.
void compare_caches(Judge& judge, const Session& session, int64_t mem_len, const Case& c,
                    const std::string& when) {
  if (!c.has("mem_cache_" + when)) return;
  const int64_t live = mem_len + session.position() % mem_len;
  compare_cache(judge, session, c.tensor("mem_cache_" + when), "mem_raw", mem_len);
  compare_cache(judge, session, c.tensor("key_cache_" + when), "attn_k", live);
  compare_cache(judge, session, c.tensor("value_cache_" + when), "attn_v", live);
}

// The case that saves the memory after `split` tokens and continues from the file.
void run_from_file(Judge& judge, Engine& engine, const Case& c, size_t split) {
  const ScratchFile scratch;
  Session first = engine.new_session();
  compare_logits(judge, engine, first, c, 0, split);
  export_legacy_memory(engine, first, scratch.path());
  compare_memory_files(judge, engine.spec().info, read_file(scratch.path()),
                       c.file("memory_after_first.bin"));

  Session second = engine.new_session();
  import_legacy_memory(engine, second, c.folder + "/memory_after_first.bin");
  compare_logits(judge, engine, second, c, split, c.tensor("tokens").integers.size());
  export_legacy_memory(engine, second, scratch.path());
  compare_memory_files(judge, engine.spec().info, read_file(scratch.path()),
                       c.file("memory_after_second.bin"));
}

}  // namespace

Outcome run_runqm(const Context& context, const Case& c) {
  Judge judge(limits_of(context, c));
  const auto engine =
      make_engine(context, c.json.at("model").text(),
                  {"attention={strategy: memory, update: " +
                   std::string(update_option(c.json.at("update_mode").integer())) + "}"});
  if (const Json* split = c.json.find("split")) {
    run_from_file(judge, *engine, c, static_cast<size_t>(split->integer()));
    return judge.verdict();
  }
  const int64_t mem_len = engine->spec().info.mem_len;
  Session session = engine->new_session();
  compare_caches(judge, session, mem_len, c, "before");
  compare_logits(judge, *engine, session, c, 0, c.tensor("tokens").integers.size());
  compare_caches(judge, session, mem_len, c, "after");
  judge.require(
      session.position() % mem_len == c.tensor("pos_start_saved").integers.at(1) % mem_len,
      "the session's position is not the one that was saved");
  return judge.verdict();
}

Outcome run_llama2c(const Context& context, const Case& c) {
  Judge judge(limits_of(context, c));
  const auto engine =
      make_engine(context, c.json.at("model").text(), {"attention={strategy: full}"});
  Session session = engine->new_session();
  const auto& tokens = c.tensor("tokens").integers;
  compare_logits(judge, *engine, session, c, 0, tokens.size());
  if (const Json* also = c.json.find("also")) {
    const std::string same_weights = also->text().substr(0, also->text().find(' '));
    const auto other = make_engine(context, same_weights, {"attention={strategy: full}"});
    Session once = engine->new_session(), twice = other->new_session();
    std::vector<float> a(static_cast<size_t>(engine->spec().info.vocab_size)), b(a.size());
    for (const int32_t token : tokens) {
      engine->feed(once, {&token, 1}, a);
      other->feed(twice, {&token, 1}, b);
      judge.require(a == b, same_weights + " gives other logits");
    }
  }
  return judge.verdict();
}

}  // namespace perdure::golden
