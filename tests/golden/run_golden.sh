#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_golden.sh RUNNER SET "CPU FLAGS" [ARGUMENTS OF THE RUNNER...]
# Runs the golden set and fails if the counts are not those of expected_counts. Exit 77 (skipped) if this CPU lacks one
# of the flags, as /proc/cpuinfo spells them.
set -u
runner=$1 set=$2 flags=$3
shift 3

for flag in $flags; do
  if ! grep -qw "$flag" /proc/cpuinfo; then
    echo "skipped: this CPU has no $flag"
    exit 77
  fi
done

output=$("$runner" "$set" "$@")
status=$?
echo "$output"
expected=$(cat "$(dirname "$0")/expected_counts")
counts=$(echo "$output" | tail -n 1)
if [ "$counts" != "$expected" ]; then
  echo "expected_counts says: $expected"
  exit 1
fi
exit $status
