#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs sample_reports and reads what it writes as a strict XML reader does (the pages are XML as well as HTML):
   well formed, equal when written again, no request to anybody, every id once, and hostile texts are texts.
   check_markup.py SAMPLE_REPORTS"""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

# Where a page or a picture could name something that is not in it.
LINKS = ("href", "src", "srcset", "data", "action", "poster", "{http://www.w3.org/1999/xlink}href")
SCRIPT_ELEMENTS = {"img", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "image", "use"}
HOSTILE_NAMES = ["</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a&b <b>]]></b> 'q' &lt;"]


def local_name(element) -> str:
    return element.tag.rsplit("}", 1)[-1].lower()


def element_problems(element):
    if local_name(element) in SCRIPT_ELEMENTS:
        yield f"holds <{local_name(element)}>"
    for name, value in element.attrib.items():
        if name.startswith("on"):
            yield f"attribute {name} would be executed"
        if name in LINKS and not value.startswith("#"):
            yield f"{name}=\"{value}\" points outside"
        if "url(" in value and not re.fullmatch(r"url\(#[\w-]+\)", value):
            yield f"{name}=\"{value}\" points outside"


def ids_problems(root):
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    if len(ids) != len(set(ids)):
        yield f"ids are used twice: {sorted(i for i in set(ids) if ids.count(i) > 1)}"
    for element in root.iter():
        used = re.findall(r"url\(#([\w-]+)\)", element.attrib.get("clip-path", ""))
        used += element.attrib.get("aria-labelledby", "").split()
        used += re.findall(r"^#(.+)", element.attrib.get("href", ""))
        yield from (f"#{name} is nowhere" for name in used if name not in ids)


def page_problems(root):
    scripts = [e for e in root.iter() if local_name(e) == "script"]
    if len(scripts) != 1:
        yield f"holds {len(scripts)} scripts instead of one"
    for table in (e for e in root.iter() if local_name(e) == "table"):
        if table.find("caption") is None:
            yield "a table has no caption"
        yield from ("a heading of a table has no scope" for th in table.iter("th") if "scope" not in th.attrib)


def file_problems(path: pathlib.Path):
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8").replace("<!DOCTYPE html>\n", ""))
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        yield str(error)
        return
    for element in root.iter():
        yield from element_problems(element)
        if local_name(element) == "style" and re.search(r"@import|url\(", element.text):
            yield "a style sheet asks for more"
    yield from ids_problems(root)
    if path.suffix == ".html":
        yield from page_problems(root)
    elif "viewBox" not in root.attrib:
        yield "has no viewBox"
    if path.parent.name == "hostile_texts" and path.name in ("report.html", "loss.svg"):
        shown = [e.text for e in root.iter() if e.text]
        yield from (f"does not show {name!r}" for name in HOSTILE_NAMES if not any(name in text for text in shown))


def write_reports(program: str, folder: pathlib.Path):
    subprocess.run([program, str(folder)], check=True)
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        first, second = pathlib.Path(scratch, "first"), pathlib.Path(scratch, "second")
        files = write_reports(sys.argv[1], first)
        problems = [f"{f}: {problem}" for f in files for problem in file_problems(first / f)]
        if files != write_reports(sys.argv[1], second):
            problems.append("the second run wrote other files")
        problems += [f"{f}: written again, it differs" for f in files
                     if (first / f).read_bytes() != (second / f).read_bytes()]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems or len(files) < 10 else 0


sys.exit(main())
