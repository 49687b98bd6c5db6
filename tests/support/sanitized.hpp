// SPDX-License-Identifier: Apache-2.0

// Whether this build runs under a sanitizer: tests that repeat one thing hundreds of times then
// repeat it less often.
#pragma once

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

namespace perdure::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// The thread sanitizer: libraries that are not built with it, such as the system's MPI, look like
// races to it.
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

}  // namespace perdure::testing
