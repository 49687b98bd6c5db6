#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Objects compiled for an instruction set define no weak symbol that does not carry the instruction set in its name:
# the linker could take such a copy for everybody, and the program would die on other processors.
# weak_symbols.sh BUILD_FOLDER; the objects are those of targets whose names contain the instruction set.
set -euo pipefail
shopt -s nullglob globstar
objects=("$1"/plugins/**/*avx*.dir/**/*.o)
if [ ${#objects[@]} = 0 ]; then
  echo "weak_symbols: no objects of an instruction set in $1/plugins; build first" >&2
  exit 1
fi
found=0
for object in "${objects[@]}"; do
  isa=$(grep -oE 'avx[0-9a-z]*' <<<"${object%.dir/*}" | tail -n 1)
  weak=$(nm --defined-only "$object" | awk -v isa="$isa" '$2 ~ /^[WVu]$/ && index($3, isa) == 0 { print $3 }' | c++filt)
  [ -z "$weak" ] || { printf '%s:\n%s\n' "$object" "$weak"; found=1; }
done
[ $found = 0 ] || { echo "weak_symbols: weak symbols without their instruction set in the name" >&2; exit 1; }
