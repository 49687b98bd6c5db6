// SPDX-License-Identifier: Apache-2.0

// tokenizer.model and tokenizer.json against sentencepiece's and Hugging Face's own ids.
// tools/tokenizer_goldens.py makes the files.
#include <doctest/doctest.h>

#include "core/base/json/json.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "tests/model/decoded.hpp"
#include "tests/model/model_files.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

std::string golden_tokenizer(const std::string& name) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/tokenizers/" + name;
}

Json golden_cases() {
  const Bytes bytes = read_bytes(golden_tokenizer("cases.json"));
  return Json::parse(as_text(bytes), "cases.json");
}

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.list()) ids.push_back(static_cast<int32_t>(id.integer()));
  return ids;
}

std::unique_ptr<const Tokenizer> open_golden(const std::string& name, int64_t vocab_size) {
  ModelInfo info;
  info.vocab_size = vocab_size;
  return open_tokenizer(golden_tokenizer(name), info);
}

}  // namespace

TEST_CASE("tokenizer.model and tokenizer.json give the ids that the originals give") {
  const Json golden = golden_cases();
  const Json::List& texts = golden.at("texts").list();
  for (const Json& entry : golden.at("cases").list()) {
    const std::string file = entry.at("file").text();
    const auto tokenizer = open_golden(file, entry.at("vocab_size").integer());
    for (size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(file);
      CAPTURE(texts[i].text());
      CHECK(tokenizer->encode_text(texts[i].text(), true) == ids_of(entry.at("ids").list()[i]));
    }
  }
}

TEST_CASE("what a byte vocabulary encodes it decodes again, invalid UTF-8 too") {
  const std::string text = "line \xFF\xC3\n\xE2\x96 caf\xC3\xA9 \xF0\x9F\x99\x82";
  for (const auto& [name, vocab_size] : {std::pair{"gpt2.json", 506},
                                         {"characters.json", 601},
                                         {"metaspace.json", 601},
                                         {"bpe_bytes.model", 600}}) {
    CAPTURE(name);
    const auto tokenizer = open_golden(name, vocab_size);
    const std::string back = decoded(*tokenizer, tokenizer->encode_text(text, true));
    CHECK((back == text || back == " " + text));
  }
}

TEST_CASE("special tokens come from the file where no other file says more") {
  const auto json = open_golden("characters.json", 601), model = open_golden("bpe.model", 400);
  CHECK(json->bos_id() == 1);
  CHECK(json->eos_ids().front() == 2);
  CHECK(model->bos_id() == 1);
  CHECK(model->eos_ids().front() == 2);
  CHECK(open_golden("bytes.json", 510)->bos_id() == -1);
  CHECK(json->hash() != open_golden("metaspace.json", 601)->hash());
}
