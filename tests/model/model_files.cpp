// SPDX-License-Identifier: Apache-2.0

// Synthetic files, and operator new with a count of the bytes in use.
#include "tests/model/model_files.hpp"

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <new>

#include "tests/support/sanitized.hpp"

namespace {

std::atomic<size_t> heap_in_use{0};
std::atomic<size_t> heap_peak{0};

[[maybe_unused]] void* counted(size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  const size_t now = heap_in_use.fetch_add(malloc_usable_size(memory)) + malloc_usable_size(memory);
  if (now > heap_peak) heap_peak = now;
  return memory;
}

[[maybe_unused]] void uncounted(void* memory) {
  if (memory != nullptr) heap_in_use -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

// The thread sanitizer brings operators of its own; nothing is counted under it.
#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, size_t) noexcept { uncounted(memory); }
#endif

namespace perdure::test {

namespace {

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

bool is_one_line(const std::string& sentence) {
  return sentence.size() < 4096 &&
         std::ranges::none_of(
             sentence, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

size_t heap_peak_of(const std::function<void()>& action) {
  const size_t before = heap_in_use, outer = heap_peak;
  heap_peak = before;
  action();
  const size_t peak = heap_peak;
  heap_peak = std::max(outer, peak);
  return peak - before;
}

std::string error_of(const std::function<void()>& action, size_t file_bytes) {
  std::string sentence;
  const double begin = thread_seconds();
  const size_t peak = heap_peak_of([&] {
    try {
      action();
    } catch (const Error& error) {
      sentence = error.what();
    }
  });
  if (sentence.empty()) return sentence;
  CHECK(thread_seconds() - begin < 1.0 + static_cast<double>(file_bytes) / 2e6);
  CHECK(peak < file_bytes + (size_t{64} << 20));
  CHECK_MESSAGE(is_one_line(sentence), sentence);
  return sentence;
}

Llama2cHeader small_header(Llama2cKind kind) {
  Llama2cHeader h{.kind = kind,
                  .dim = 8,
                  .hidden_dim = 12,
                  .n_layers = 2,
                  .n_heads = 2,
                  .n_kv_heads = 1,
                  .vocab_size = 5,
                  .seq_len = 6,
                  .shared = false};
  if (kind == Llama2cKind::kV2Mem) h.mem_len = 3;
  if (h.quantised()) h.group_size = 4;
  return h;
}

Bytes llama2c_file(const Llama2cHeader& header, const Llama2cHeader& layout_of) {
  const bool v0 = header.kind == Llama2cKind::kV0;
  int64_t size = v0 ? kLlama2cV0HeaderBytes : kLlama2cHeaderBytes;
  for (const Llama2cTensor& t : llama2c_layout(layout_of)) {
    const int64_t values = t.rows * t.columns;
    size += t.quantised ? values + values / layout_of.group_size * 4 : values * 4;
  }
  Bytes bytes(static_cast<size_t>(size));
  size_t at = 0;
  const auto put = [&](int64_t value) {
    const auto narrow = static_cast<int32_t>(value);
    std::memcpy(bytes.data() + at, &narrow, sizeof narrow);
    at += sizeof narrow;
  };
  if (!v0) {
    put(kLlama2cMagic);
    put(header.kind == Llama2cKind::kV1 ? 1 : 2);
  }
  const int64_t vocab = v0 && !header.shared ? -header.vocab_size : header.vocab_size;
  for (const int64_t n : {header.dim, header.hidden_dim, header.n_layers, header.n_heads,
                          header.n_kv_heads, vocab, header.seq_len})
    put(n);
  if (header.kind == Llama2cKind::kV2Mem) put(header.mem_len);
  if (v0) return bytes;
  bytes[at++] = header.shared ? std::byte{1} : std::byte{0};
  if (header.quantised()) put(header.group_size);
  return bytes;
}

Bytes safetensors_file(std::string_view header, size_t data_bytes) {
  Bytes bytes(sizeof(uint64_t) + header.size() + data_bytes);
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, header.data(), header.size());
  return bytes;
}

}  // namespace perdure::test
