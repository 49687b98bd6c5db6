#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, as C++20; the C headers of core/api also as C11. A header that a source includes before
   anything else is left to the build.
   self_contained.py [ROOT [C++ COMPILER [C COMPILER]]]"""

import concurrent.futures
import os
import re
import subprocess
import sys

import tree

# What a header needs beyond the tree's own flags: kernels of an instruction set are compiled for it.
EXTRA_FLAGS = {prefix: ["-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16"]
               for prefix in ("plugins/kernels/simd/", "plugins/attention/rwkv/isa/")}


def command(path: str, as_c: bool):
    cxx = sys.argv[2] if len(sys.argv) > 2 else "c++"
    cc = sys.argv[3] if len(sys.argv) > 3 else "cc"
    language = [cc, "-std=c11", "-x", "c"] if as_c else [cxx, "-std=c++20", "-x", "c++"]
    extra = next((flags for prefix, flags in EXTRA_FLAGS.items() if path.startswith(prefix)), [])
    return language + extra + ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-Wno-unused-function",
                               "-DPERDURE_SOURCE_DIR=\"\"", "-DPERDURE_BINARY_DIR=\"\"", "-I.", "-fsyntax-only", "-"]


def check(top, path: str, as_c: bool):
    """The compiler's first complaint about a file that only includes the header, or None."""
    done = subprocess.run(command(path, as_c), cwd=top, input=f'#include "{path}"\n', capture_output=True, text=True)
    if done.returncode == 0:
        return None
    complaint = next((line for line in done.stderr.split("\n") if "error" in line), done.stderr.strip())
    return path, 1, f"does not compile alone as {'C11' if as_c else 'C++20'}: {complaint}"


def included_first(top):
    """The headers that some C++ source includes before anything else: its compilation proves them."""
    sources = [(top / p).read_text() for p in tree.files(top, ".cpp")]
    firsts = [re.search(r'^#include (\S+)', text, re.M) for text in sources]
    return {m[1].strip('"') for m in firsts if m}


def main():
    top = tree.root()
    proven = included_first(top)
    headers = [str(p) for p in tree.files(top, ".hpp", ".h") if str(p).startswith(("core/", "sdk/", "plugins/", "apps/", "tests/"))]
    jobs = [(h, False) for h in headers if h not in proven] + [(h, True) for h in headers if h.startswith("core/api/") and h.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda job: check(top, *job), jobs))
    tree.report([v for v in found if v], "self-contained headers")


main()
