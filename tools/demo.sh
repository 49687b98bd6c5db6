#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `./run demo` shows: a text, its memory saved, and another process going on from it. Called with the program built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/build/release/bin:$PATH

show() {
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

cat <<'TEXT'

The model of this demonstration is one of the project's test models: its weights are random, so what it writes is noise.
What there is to see is the memory: it is saved when the first process ends, and the second goes on from it.
TEXT
show rm -rf build/demo
show perdure generate -c configs/demo.yaml --session demo -p "Once upon a time" -n 40 --ignore-eos
show perdure memory list -c configs/demo.yaml
show perdure generate -c configs/demo.yaml --session demo -p " and then" -n 40 --ignore-eos
show perdure memory list -c configs/demo.yaml
cat <<'TEXT'

With a model of your own: put its path into a copy of configs/memory.yaml or configs/full.yaml.
TEXT
