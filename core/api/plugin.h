// SPDX-License-Identifier: Apache-2.0

// How a shared library says that it is a perdure plugin. The statement is an ELF note, so the host
// reads it from the file, and refuses an unsuitable plugin, before any code of the plugin runs. One
// library holds one plugin. Compiles as C11 and as C++.
#pragma once

#include <stdint.h>

#define PERDURE_PLUGIN_NOTE_NAME "perdure.abi"
#define PERDURE_PLUGIN_NOTE_TYPE 1u
#define PERDURE_PLUGIN_ABI 1u

// The build id of C++ plugins: compiler, standard library and the hash of core/api. Kernel plugins
// leave it empty.
#ifndef PERDURE_BUILD_ID
#define PERDURE_BUILD_ID ""
#endif

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
//   PERDURE_PLUGIN(kernels, simd, "", 0) { return &table; }
// The entry's result is `const perdure_kernel_plugin*` for kernels, and for the C++ kinds a pointer
// to an object that lives for ever: perdure::AttentionPlugin, perdure::ThreadsPlugin,
// perdure::StorePlugin.
#define PERDURE_PLUGIN(kind_, name_, build_id_, features_)                                  \
  PERDURE_EXTERN_C __attribute__((visibility("default")))                                   \
  const void* perdure_entry_##kind_##_##name_(void);                                        \
  static const perdure_plugin_note perdure_note_##kind_##_##name_                           \
      __attribute__((section(".note.perdure"), used, aligned(4))) = {                       \
          sizeof(PERDURE_PLUGIN_NOTE_NAME),                                                 \
          sizeof(perdure_plugin_statement),                                                 \
          PERDURE_PLUGIN_NOTE_TYPE,                                                         \
          PERDURE_PLUGIN_NOTE_NAME,                                                         \
          {sizeof(perdure_plugin_statement), PERDURE_PLUGIN_ABI, features_, #kind_, #name_, \
           "perdure_entry_" #kind_ "_" #name_, build_id_}};                                 \
  PERDURE_EXTERN_C __attribute__((visibility("default")))                                   \
  const void* perdure_entry_##kind_##_##name_(void)
