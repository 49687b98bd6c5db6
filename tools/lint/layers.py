#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point down (docs/architecture.md): rooms see only what lies below them, plugins see core/api and sdk only,
third-party headers stay in their one room, and graph, runtime and engine know no strategy and no architecture by name."""

import re

import tree

# What each place may include from the tree besides its own folder.
BELOW = {
    "core/api": [],
    "sdk": ["core/api"],
    "core/base": ["core/api"],
    "core/config": ["core/api", "core/base"],
    "core/graph": ["core/api", "core/base"],
    "core/model": ["core/api", "sdk", "core/base", "core/config", "core/graph"],
    "core/runtime": ["core/api", "core/base", "core/config", "core/graph"],
    "core/engine": ["core/api", "core/base", "core/config", "core/graph", "core/model", "core/runtime"],
    "core/eval": ["core/api", "core/base", "core/config", "core/graph", "core/model", "core/runtime", "core/engine"],
    "plugins/kernels": ["core/api", "sdk", "plugins/kernels/common"],
    "plugins": ["core/api", "sdk"],
    "apps": ["core", "plugins/linked_plugins.hpp"],
    "bench": ["core", "plugins/linked_plugins.hpp", "tests/support"],
    "tests": ["core", "sdk", "plugins", "apps"],
}

# The one place of each third-party library, by the beginning of its headers' names.
THIRD_PARTY = {
    "yaml-cpp/": ["core/config"],
    "boost/json": ["core/base/json"],
    "dlfcn.h": ["core/runtime"],
    "xxhash.h": ["core/base"],
    "pcre2.h": ["core/model/tokenizers"],
    "utf8proc.h": ["core/model/tokenizers"],
    "tbb/": ["plugins/threads/tbb"],
    "oneapi/": ["plugins/threads/tbb"],
    "xsimd/": ["plugins/kernels/simd"],
    "immintrin.h": ["plugins/kernels/simd", "core/base", "bench"],
    "boost/program_options": ["apps"],
    "boost/mpi": ["apps/perdure/compare"],
    "fmt/": ["apps"],
    "histedit.h": ["apps"],
    "editline/": ["apps"],
    "doctest/": ["tests"],
    "benchmark/": ["bench"],
}

STANDARD = set(
    """algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts condition_variable
    coroutine deque exception execution filesystem format forward_list fstream functional future initializer_list iomanip
    ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers numeric
    optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span
    sstream stack stdexcept stop_token streambuf string string_view strstream syncstream system_error thread tuple
    type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
    cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath csetjmp csignal cstdarg cstddef cstdint cstdio
    cstdlib cstring ctime cuchar cwchar cwctype
    assert.h ctype.h errno.h float.h inttypes.h limits.h math.h signal.h stddef.h stdint.h stdio.h stdlib.h string.h
    time.h""".split()
)
# The operating system; not for core/api, core/graph and core/model, in which there is no machine.
SYSTEM = re.compile(r"(sys|linux|asm)/|(cpuid|cxxabi|dirent|elf|fcntl|glob|langinfo|link|locale|malloc|poll|pthread|pty|pwd|sched|"
                    r"spawn|termios|unistd|wchar)\.h")
NO_SYSTEM = ("core/api", "sdk", "core/graph")

# Layer parts, architectures and strategies. Names of strategies that are English words count as whole strings only.
NAMES = re.compile(r"llama|lstm|rwkv|cepe|gguf|ffn|feed_forward|attn|token_embd|mem_raw|mem_len|sliding|(?<![a-z])ema\b|\brmt\b|"
                   r'"(?:full|memory)"|blk\.', re.I)
NAMELESS = ("core/graph", "core/runtime", "core/engine")
EXCEPT_NAMES = ("core/engine/legacy_memory.",)  # a foreign format of one strategy's state

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def place(path: str) -> str:
    """The key of BELOW that a path belongs to, or the empty string."""
    return next((p for p in BELOW if path.startswith(p + "/")), "")


def own_folder(path: str) -> str:
    """What a file may always include: its room, or for a plugin the folder of that plugin."""
    parts = path.split("/")
    depth = {"core": 2, "plugins": 3, "apps": 2}.get(parts[0], 1)
    return "/".join(parts[: min(depth, len(parts) - 1)])


def own_include_problem(path: str, header: str) -> str:
    below = BELOW[place(path)]
    if path == "plugins/linked_plugins.hpp":
        below = ["core/runtime"]
    allowed = [own_folder(path)] + below
    if any(header == a or header.startswith(a + "/") for a in allowed):
        return ""
    return f'"{header}" may not be included here; allowed are {", ".join(allowed)}'


def foreign_include_problem(path: str, header: str) -> str:
    if header in STANDARD:
        return ""
    if SYSTEM.match(header) and not path.startswith(NO_SYSTEM) and header != "dlfcn.h":
        return ""
    rooms = next((rooms for prefix, rooms in THIRD_PARTY.items() if header.startswith(prefix)), None)
    if rooms is None:
        return f"<{header}> belongs to no room; name its one room in tools/lint/layers.py"
    if any(path.startswith(room + "/") for room in rooms):
        return ""
    return f"<{header}> belongs to {' and '.join(rooms)} only"


def violations(top):
    for relative in tree.files(top, ".cpp", ".hpp", ".h", ".c"):
        path = str(relative)
        if not place(path):
            continue
        text = tree.without_comments((top / relative).read_text())
        for match in INCLUDE.finditer(text):
            kind, header = match.groups()
            problem = own_include_problem(path, header) if kind == '"' else foreign_include_problem(path, header)
            if problem:
                yield path, text.count("\n", 0, match.start(2)) + 1, problem
        if path.startswith(NAMELESS) and not path.startswith(EXCEPT_NAMES):
            for number, line in enumerate(text.split("\n"), 1):
                for match in NAMES.finditer(line):
                    yield path, number, f"'{match.group(0)}' names a strategy, an architecture or a layer part"


tree.report(list(violations(tree.root())), "layers")
