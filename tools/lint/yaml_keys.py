#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/configuration.md and the sources name the same keys: those that core/config reads, and the options that strategies
state, those they share (sdk) and their own (plugins/attention), and those of stores."""

import re

import tree

DOCUMENT = "docs/configuration.md"
SETTINGS = ("core/config/settings.cpp", "core/config/comparison.cpp")
READER = re.compile(r'MapReader (\w+)\([^;]*?"([\w.]*)"\)|MapReader& (\w+)[,)]')
# The maps whose readers are handed to other functions, one in each file.
PASSED_ON = {"core/config/settings.cpp": "attention", "core/config/comparison.cpp": "compare"}
READ = re.compile(r'\b(\w+)\.(?:text|texts|integer|integer_or|real|flag|path|paths|choice|take)\("(\w+)"')
OPTION = re.compile(r'\{\s*\.name = "(\w+)",\s*\.type = OptionType::')
DOCUMENTED = re.compile(r"^\| `([\w.]+)` \|", re.M)
HEADING = re.compile(r"^## (?:Options of `(\w+)`|(Options that strategies share)|.*)$", re.M)
SHARED = "Options that strategies share"


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def keys_read(path: str, text: str):
    """(key, line) of every key that the settings reader asks for. A reader's prefix holds until its name is reused."""
    prefixes = {}
    events = sorted([(m.start(), m) for m in READER.finditer(text)] + [(m.start(), m) for m in READ.finditer(text)],
                    key=lambda event: event[0])
    for offset, match in events:
        if match.re is READER:
            name, prefix, passed = match.groups()
            prefixes[name or passed] = PASSED_ON[path] if passed else prefix
            continue
        name, word = match.groups()
        if name in prefixes:
            yield ".".join(filter(None, [prefixes[name], word])), line_of(text, offset)


def options_stated(top):
    """(plugin, option, path, line) of every option a strategy or a store states, or SHARED for those of sdk."""
    for folder in ("sdk", "plugins/attention", "plugins/stores"):
        for relative in tree.files(top / folder, ".cpp", ".hpp"):
            path = f"{folder}/{relative}"
            text = tree.without_comments((top / path).read_text())
            for match in OPTION.finditer(text):
                owner = SHARED if folder == "sdk" else relative.parts[0]
                yield owner, match.group(1), path, line_of(text, match.start())


def documented(text: str):
    """(section, key, line): the section is a strategy's name, SHARED, or empty for the keys of the configuration itself."""
    section, start = "", 0
    for heading in list(HEADING.finditer(text)) + [None]:
        end = heading.start() if heading else len(text)
        for match in DOCUMENTED.finditer(text, start, end):
            yield section, match.group(1), line_of(text, match.start())
        if heading:
            section, start = heading.group(1) or heading.group(2) or "", heading.end()


def violations(top):
    text = (top / DOCUMENT).read_text()
    rows = {(section, key): line for section, key, line in documented(text)}
    known = set()
    for path in SETTINGS:
        for key, line in keys_read(path, tree.without_comments((top / path).read_text())):
            known.add(("", key))
            if ("", key) not in rows:
                yield path, line, f"{key} is not documented in {DOCUMENT}"
    for strategy, option, path, line in options_stated(top):
        known.add((strategy, option))
        if (strategy, option) not in rows and ("", f"attention.{option}") not in rows:
            yield path, line, f"option {option} of {strategy} is not documented in {DOCUMENT}"
    for (section, key), line in rows.items():
        section_keys = {k for s, k in known if s == section}
        if key not in section_keys and not any(k.startswith(key + ".") for k in section_keys):
            yield DOCUMENT, line, f"{key} is documented but nobody reads it"


tree.report(list(violations(tree.root())), "configuration keys")
