#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guards pass every call on: each virtual function of a C++ plugin interface is overridden in the guard of its kind. One
that is not would silently be the interface's default for every plugin."""

import re

import tree

GUARDS = {
    "core/api/strategy.hpp": "core/runtime/guarded_attention.cpp",
    "core/api/threads.hpp": "core/runtime/guarded_threads.cpp",
    "core/api/store.hpp": "core/runtime/guarded_store.cpp",
}
VIRTUAL = re.compile(r"\bvirtual\b[^;{]*?\b(\w+)\s*\(")
OVERRIDE = re.compile(r"\b(\w+)\s*\([^;{}]*\)\s*(?:const\s*)?(?:noexcept\s*)?override\b")


def violations(top):
    for interface, guard in GUARDS.items():
        if not (top / interface).exists():
            continue
        text = tree.without_comments((top / interface).read_text())
        passed_on = set(OVERRIDE.findall(tree.without_comments((top / guard).read_text())))
        for match in VIRTUAL.finditer(text):
            if "~" not in match.group(0) and match.group(1) not in passed_on:
                yield interface, text.count("\n", 0, match.start()) + 1, f"{match.group(1)} is not passed on by {guard}"


if __name__ == "__main__":
    tree.report(list(violations(tree.root())), "guards")
