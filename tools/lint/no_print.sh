#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The core never prints, aborts or exits: its libraries refer to none of the functions that do. no_print.sh BUILD_FOLDER
# snprintf and the like are fine (they write to memory), so is the terminate that the compiler puts behind noexcept.
set -euo pipefail
shopt -s nullglob
forbidden='(puts|putchar|putc|fputs|fputc|fwrite|v?f?printf|__v?f?printf_chk|perror|psignal|write_stderr|abort|_?exit|_Exit|quick_exit|raise|stdout|stderr|std::(cout|cerr|clog|wcout|wcerr|wclog)|std::ios_base::Init::Init\(\))'
libraries=("$1"/core/*/libperdure_*.a)
if [ ${#libraries[@]} = 0 ]; then
  echo "no_print: no libraries in $1/core; build first" >&2
  exit 1
fi
found=0
for library in "${libraries[@]}"; do
  if nm -AC --undefined-only "$library" | grep -E " U $forbidden(@.*)?\$"; then found=1; fi
done
[ $found = 0 ] || { echo "no_print: the core must not print, abort or exit" >&2; exit 1; }
