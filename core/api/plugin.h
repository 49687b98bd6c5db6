// SPDX-License-Identifier: Apache-2.0

// How a shared library says that it is a perdure plugin. The statement is an ELF note, so the host
// reads it from the file, and refuses an unsuitable plugin, before any code of the plugin runs. One
// library holds one plugin. Compiles as C11 and as C++.
#pragma once

#include <stdint.h>
#ifdef __cplusplus
#include <version>

#include "core/api/api_hash.h"
#endif

#define PERDURE_PLUGIN_NOTE_NAME "perdure.abi"
#define PERDURE_PLUGIN_NOTE_TYPE 1u
#define PERDURE_PLUGIN_ABI 1u

// The build id of a plugin: everything that C++ objects of its kind depend on when they pass
// between plugin and host. The author states none of it. Two builds with equal ids have
//   - compilers of the same family and major version, with the same C++ ABI,
//   - the same major version of the same standard library, with the same layout of strings and, in
//     libstdc++'s debug mode, of containers,
//   - the same headers of this kind in core/api, comments and white space left out.
// Not compared is what changes no layout: optimisation, instruction set, the C++ standard from
// C++20 on, libstdc++'s assertions. Kernels are C and have an ABI number instead.
#define PERDURE_TEXT_OF(x) #x
#define PERDURE_TEXT(x) PERDURE_TEXT_OF(x)

#ifdef __cplusplus
#if __cplusplus < 202002L
#error "perdure's C++ interfaces need C++20 or later"
#endif

#if defined(__clang__)
#define PERDURE_COMPILER "clang-" PERDURE_TEXT(__clang_major__)
#elif defined(__GNUC__)
#define PERDURE_COMPILER "gcc-" PERDURE_TEXT(__GNUC__)
#else
#error "name this compiler for PERDURE_COMPILER here"
#endif

#if defined(_GLIBCXX_DEBUG)
#define PERDURE_CONTAINERS "-debug"
#else
#define PERDURE_CONTAINERS ""
#endif

#if defined(_GLIBCXX_RELEASE)
#define PERDURE_LIBRARY                                          \
  "libstdc++-" PERDURE_TEXT(_GLIBCXX_RELEASE) PERDURE_CONTAINERS \
      " cxx11-" PERDURE_TEXT(_GLIBCXX_USE_CXX11_ABI)
#elif defined(_LIBCPP_VERSION)
#define PERDURE_LIBRARY \
  "libc++-" PERDURE_TEXT(_LIBCPP_VERSION) " abi-" PERDURE_TEXT(_LIBCPP_ABI_VERSION)
#else
#error "name this standard library for PERDURE_LIBRARY here"
#endif

#define PERDURE_BUILD_ID(kind_)                                                           \
  PERDURE_COMPILER " abi-" PERDURE_TEXT(__GXX_ABI_VERSION) " " PERDURE_LIBRARY " " #kind_ \
                                                           "-" PERDURE_API_HASH_##kind_
#define PERDURE_BUILD_ID_attention PERDURE_BUILD_ID(attention)
#define PERDURE_BUILD_ID_threads PERDURE_BUILD_ID(threads)
#define PERDURE_BUILD_ID_stores PERDURE_BUILD_ID(stores)
#endif
#define PERDURE_BUILD_ID_kernels ""

// The note's contents, fixed size, no pointers.
typedef struct perdure_plugin_statement {
  uint32_t struct_size;
  uint32_t abi;           // PERDURE_PLUGIN_ABI
  uint64_t cpu_features;  // what the library needs merely to be loaded; kernels say their own needs
  char kind[16];          // "kernels", "attention", "threads", "stores"
  char name[48];          // e.g. "simd"; together with the kind: "kernels.simd"
  char entry[80];         // the exported function `const void* entry(void)`
  char build_id[96];      // empty for kernel plugins
} perdure_plugin_statement;

// The name's 12 bytes put the statement at an offset that is right for notes of 4 and of 8 bytes
// alignment.
typedef struct perdure_plugin_note {
  uint32_t name_size;
  uint32_t statement_size;
  uint32_t type;
  char name[12];
  perdure_plugin_statement statement;
} perdure_plugin_note;

#ifdef __cplusplus
#define PERDURE_EXTERN_C extern "C"
#else
#define PERDURE_EXTERN_C extern
#endif

// States the plugin and opens its entry function:
//   PERDURE_PLUGIN(kernels, simd, 0) { return &table; }
// The entry's result is `const perdure_kernel_plugin*` for kernels, and for the C++ kinds a pointer
// to an object that lives for ever: perdure::AttentionPlugin, perdure::ThreadsPlugin,
// perdure::StorePlugin.
#define PERDURE_PLUGIN(kind_, name_, features_)                                             \
  PERDURE_EXTERN_C __attribute__((visibility("default")))                                   \
  const void* perdure_entry_##kind_##_##name_(void);                                        \
  static const perdure_plugin_note perdure_note_##kind_##_##name_                           \
      __attribute__((section(".note.perdure"), used, aligned(4))) = {                       \
          sizeof(PERDURE_PLUGIN_NOTE_NAME),                                                 \
          sizeof(perdure_plugin_statement),                                                 \
          PERDURE_PLUGIN_NOTE_TYPE,                                                         \
          PERDURE_PLUGIN_NOTE_NAME,                                                         \
          {sizeof(perdure_plugin_statement), PERDURE_PLUGIN_ABI, features_, #kind_, #name_, \
           "perdure_entry_" #kind_ "_" #name_, PERDURE_BUILD_ID_##kind_}};                  \
  PERDURE_EXTERN_C __attribute__((visibility("default")))                                   \
  const void* perdure_entry_##kind_##_##name_(void)
