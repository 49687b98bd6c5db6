// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/huggingface_cache.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "core/model/model.hpp"
#include "tests/model/model_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace perdure;
using namespace perdure::test;

namespace {

namespace fs = std::filesystem;

// A cache that HF_HUB_CACHE names while it lives.
class Cache {
 public:
  Cache() { ::setenv("HF_HUB_CACHE", folder_.path().c_str(), 1); }
  ~Cache() { ::unsetenv("HF_HUB_CACHE"); }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // A file of a snapshot, as a link to a blob as there.
  std::string add(const std::string& repository, const std::string& commit,
                  const std::string& file) const {
    const fs::path root = folder_.path() / ("models--" + repository);
    const fs::path path = root / "snapshots" / commit / file;
    fs::create_directories(path.parent_path());
    fs::create_directories(root / "blobs");
    write_text((root / "blobs" / (commit + file)).string(), "blob");
    fs::create_symlink(root / "blobs" / (commit + file), path);
    return path.string();
  }
  void refer(const std::string& repository, const std::string& branch,
             const std::string& commit) const {
    const fs::path refs = folder_.path() / ("models--" + repository) / "refs";
    fs::create_directories(refs);
    write_text((refs / branch).string(), commit + "\n");
  }

 private:
  perdure::testing::TemporaryFolder folder_;
};

std::string refusal(const std::string& name) {
  return error_of([&] { resolve_huggingface_name(name); });
}

}  // namespace

TEST_CASE("a name stands for the folder, or the only GGUF file, of its branch or commit") {
  const Cache cache;
  const std::string config = cache.add("me--small", "c1", "config.json");
  const std::string gguf = cache.add("me--small", "c2", "m.gguf");
  cache.refer("me--small", "main", "c1");
  cache.refer("me--small", "new", "c2");
  CHECK(resolve_huggingface_name("hf:me/small") == fs::path(config).parent_path());
  CHECK(resolve_huggingface_name("hf:me/small@new") == gguf);
  CHECK(resolve_huggingface_name("hf:me/small@c2") == gguf);
  CHECK(resolve_huggingface_name("hf:me/small@new:m.gguf") == gguf);
  CHECK(is_huggingface_name("hf:me/small"));
  CHECK_FALSE(is_huggingface_name("./hf:me"));
}

TEST_CASE("of a split model the first file is taken, of several models one must be named") {
  const Cache cache;
  const std::string first = cache.add("me--split", "c1", "m-00001-of-00002.gguf");
  cache.add("me--split", "c1", "m-00002-of-00002.gguf");
  cache.refer("me--split", "main", "c1");
  CHECK(resolve_huggingface_name("hf:me/split") == first);
  cache.add("me--split", "c1", "q4.gguf");
  CHECK(contains(refusal("hf:me/split"), "m-00001-of-00002.gguf, q4.gguf"));
}

TEST_CASE("what is not there says where it was looked for, also when a model is opened") {
  const Cache cache;
  cache.add("me--empty", "c1", "README.md");
  cache.refer("me--empty", "main", "c1");
  CHECK(contains(refusal("hf:you/none"), "models--you--none; nothing is downloaded here"));
  CHECK(contains(refusal("hf:me/empty"), "has neither a config.json nor a GGUF file"));
  CHECK(contains(refusal("hf:me/empty@v2"), "snapshots/v2"));
  CHECK(contains(refusal("hf:me/empty:m.gguf"), "snapshots/c1/m.gguf"));
  CHECK(contains(error_of([] { Model::open("hf:you/none"); }), "models--you--none"));
}

TEST_CASE("names that lead out of the cache are malformed") {
  const Cache cache;
  cache.add("me--small", "c1", "config.json");
  cache.refer("me--small", "main", "../../../etc");
  for (const char* name :
       {"hf:", "hf:me/", "hf:/me", "hf:../x", "hf:me/../x", "hf:a/b/c", "hf:me/x@", "hf:me/x@../y",
        "hf:me/x:", "hf:me/x:../y", "hf:me/x:/etc/passwd"})
    CHECK(contains(refusal(name), "is not the name of a model"));
  CHECK(contains(refusal("hf:me/small"), "refs/main"));
}
