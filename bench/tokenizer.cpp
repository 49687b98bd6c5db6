// SPDX-License-Identifier: Apache-2.0

// How fast a tokenizer opens and encodes: processor time of one thread, so that other programs
// disturb little. Each text is encoded as a whole, several times; the fastest time counts.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

using namespace perdure;

namespace {

constexpr int kRounds = 5;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double fastest(const std::function<void()>& work) {
  double least = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = processor_seconds();
    work();
    const double seconds = processor_seconds() - begin;
    least = round == 0 ? seconds : std::min(least, seconds);
  }
  return least;
}

void bench_text(const Tokenizer& tokenizer, const char* path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  size_t n_ids = 0;
  const double seconds = fastest([&] { n_ids = tokenizer.encode_text(text, true).size(); });
  std::printf("%s: %zu bytes, %zu tokens, %.1f MB/s\n", path, text.size(), n_ids,
              1e-6 * static_cast<double>(text.size()) / seconds);
}

int run(int n_words, char** words) {
  ModelInfo model;
  const std::string_view size = n_words > 3 ? words[2] : "";
  if (size.empty() || std::from_chars(size.begin(), size.end(), model.vocab_size).ec != std::errc())
    return std::fputs("bench_tokenizer TOKENIZER VOCAB_SIZE TEXT...\n", stderr), 2;
  std::unique_ptr<const Tokenizer> tokenizer;
  const double seconds = fastest([&] { tokenizer = open_tokenizer(words[1], model); });
  std::printf("%s: opened in %.2f s\n", words[1], seconds);
  for (int i = 3; i < n_words; ++i) bench_text(*tokenizer, words[i]);
  return 0;
}

}  // namespace

int main(int n_words, char** words) {
  try {
    return run(n_words, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
