// SPDX-License-Identifier: Apache-2.0

// An ordinary library.
int perdure_test_ordinary(void);
int perdure_test_ordinary(void) { return 1; }
