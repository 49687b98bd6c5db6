#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one fuzz target for 10 seconds on a copy of its seeds: fuzz_one.sh PROGRAM SCRATCH_FOLDER
# Prints its last lines; on a failure everything, and exits 1. What it found lies in build/fuzz/found.
set -euo pipefail
program=$1
name=$(basename "$program")
mkdir -p "$2/$name" build/fuzz/found
seeds=tests/fuzz/corpus/${name%_fuzz}
[ ! -d "$seeds" ] || cp -r "$seeds/." "$2/$name/"
if "$program" "$2/$name" -max_total_time=10 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$name-" >"$2/$name.log" 2>&1; then
  echo "$name: $(grep -c . <(ls "$2/$name")) inputs, $(sed -n 's/stat::number_of_executed_units: *//p' "$2/$name.log") runs, no failure"
else
  cat "$2/$name.log"
  echo "$name: failed; the input lies in build/fuzz/found"
  exit 1
fi
