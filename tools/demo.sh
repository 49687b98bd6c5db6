#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `./run demo` shows: a model and its twin with memory side by side, and a chat whose memory outlives the process. Called
# with the program built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/build/release/bin:$PATH
seed=$RANDOM

show() {
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

cat <<'TEXT'

1. Two small models that repeat lists of words, both trained at 256 tokens, one with full attention, one with memory
   attention. How does their loss change on longer texts? (Newly generated text, 8 samples; models/repeat/README.md has
   the full table.)
TEXT
show rm -rf build/demo
show mkdir -p build/demo
echo "$ apps/train/fresh.py models/repeat/tokenizer.bin 2000 --sentences 0 --seed $seed > build/demo/ids.txt"
apps/train/fresh.py models/repeat/tokenizer.bin 2000 --sentences 0 --seed "$seed" >build/demo/ids.txt
show perdure compare -c configs/demo_compare.yaml --out build/demo/compare
echo "build/demo/compare/report.html shows it as pictures."
cat <<'TEXT'

2. Two small models of fairy tales, trained the same way, continue one prompt.
TEXT
show perdure generate --with configs/full.yaml --with configs/memory.yaml -p "Once upon a time" -n 60
cat <<'TEXT'

3. A chat. The model is told two facts, then a thousand tokens of other talk follow: five of the segments that its
   attention sees, so only the memory rows can hold them. Each part is a separate process that continues the stored
   session. The last one is asked, then reset, and asked again.
TEXT
chat="perdure chat -c configs/chat.yaml --quiet --session demo --set store.path=build/demo"
talk() {
  printf '\n$ %s' "printf '%s\n'"
  printf ' "%s"' "$@"
  printf ' | %s\n' "$chat"
  printf '%s\n' "$@" | $chat
}
talk "My name is Halbert." "I live in Greenfield."
printf '\n$ %s\n' "$chat <models/recall-chat/talk.txt | tail -n 6"
$chat <models/recall-chat/talk.txt | tail -n 6
show perdure memory list --set store.path=build/demo
talk "What is my name?" "Where do I live?" "/reset" "What is my name?"
cat <<'TEXT'

With a model of your own: put its path into a copy of configs/memory.yaml or configs/full.yaml.
TEXT
