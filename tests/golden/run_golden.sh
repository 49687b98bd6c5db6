#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_golden.sh RUNNER FOLDER SET "CPU FLAGS" [ARGUMENTS OF THE RUNNER...]
# Runs the golden set of that name and fails if the counts are not its line of expected_counts. Exit 77 (skipped) if this CPU lacks one
# of the flags, as /proc/cpuinfo spells them.
set -u
runner=$1 folder=$2 set=$3 flags=$4
shift 4

for flag in $flags; do
  if ! grep -qw "$flag" /proc/cpuinfo; then
    echo "skipped: this CPU has no $flag"
    exit 77
  fi
done

output=$("$runner" "$folder/$set" "$@")
status=$?
echo "$output"
expected=$(sed -n "s/^$set: //p" "$folder/expected_counts")
counts=$(echo "$output" | tail -n 1)
if [ "$counts" != "$expected" ]; then
  echo "expected_counts says: $expected"
  exit 1
fi
exit $status
