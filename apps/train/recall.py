#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Talks with a model of the task `dialogue` through `perdure chat` and counts the facts that it still knows.

Each conversation is new and of the test split: phrasings and values of its own (dialogue_words.py). One process is told four
facts and talked to about other things, and ends; another one goes on from the saved memory and is asked for one of the
facts; then its memory is reset (the control), and it is asked once more. Conversations in which the model repeated the fact
by itself while other things were talked about do not count. Needs nothing but Python and perdure."""

import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from perdure_train.arguments import Parser, count, count_or_zero  # noqa: E402
from perdure_train.generators import dialogue_words as words  # noqa: E402
from perdure_train.generators.dialogue import ask, talk, tell  # noqa: E402
from perdure_train.plot import recall_curve  # noqa: E402

SPLIT = "test"


def lines_of(document) -> list:
    """What the user says in a document's turns."""
    return [m.group(1) for s in document if (m := re.fullmatch(r"\[INST\] (.*) \[/INST\]", s.text))]


class Chat:
    """One memory, talked to by processes that follow each other."""

    def __init__(self, options, store: str):
        self._command = [options.program, "chat", "-c", options.config, "--quiet", "--set", f"store.path={store}"]
        for setting in options.set:
            self._command += ["--set", setting]

    def __call__(self, *lines: str) -> tuple:
        """(replies, positions in tokens that /memory told); one process."""
        try:
            run = subprocess.run(self._command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
        except OSError as error:
            print(f"recall.py: --program {self._command[0]} cannot be run ({error}); name perdure's program", file=sys.stderr)
            sys.exit(2)
        if run.returncode:
            sys.exit(f"recall.py: {' '.join(self._command)} failed: {run.stderr.strip()}")
        positions = [int(m.replace(",", "")) for m in re.findall(r"^([\d,]+) tokens read", run.stdout, re.MULTILINE)]
        return [reply.strip() for reply in re.findall(r"^.*Assistant: (.*)$", run.stdout, re.MULTILINE)], positions


def converse(options, distance: int, chance: random.Random) -> dict:
    """One conversation; `distance` words of other talk, which is counted in tokens afterwards."""
    facts = {kind: words.value(kind, SPLIT, chance) for kind in chance.sample(words.KINDS, len(words.KINDS))}
    told = [line for kind, value in facts.items() for line in lines_of(tell(SPLIT, kind, value, chance))]
    other = lines_of(talk(SPLIT, distance, chance))
    kind = chance.choice(list(facts))
    place = list(facts).index(kind) + 1
    if options.corrected:
        facts[kind] = words.value(kind, SPLIT, chance, other_than=facts[kind])
        told += lines_of(tell(SPLIT, kind, facts[kind], chance, corrected=True))
        place = len(told)
    question, wanted = lines_of(ask(SPLIT, kind, facts[kind], chance))[0], words.ANSWERS[kind].format(facts[kind])
    with tempfile.TemporaryDirectory() as store:
        chat = Chat(options, store)
        try:
            replies, (fact, end) = chat(*told[:place], "/memory", *told[place:], *other, "/memory")
            (answer, control), _ = chat(question, "/reset", question)
        except ValueError:
            sys.exit(f"recall.py: {options.program} does not answer as perdure chat does; name perdure's program")
    return {"kind": kind, "told": told, "question": question, "wanted": wanted, "answer": answer, "control": control,
            "tokens": end - fact, "repeated": any(facts[kind] in reply for reply in replies[len(told):])}


def share(right: list) -> tuple:
    """(share, low, high): Wilson's 95 % interval."""
    z, count, p = 1.96, len(right), sum(right) / len(right)
    middle, spread = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    low, high = ((middle + sign * spread) / (1 + z * z / count) for sign in (-1, 1))
    return p, max(0.0, low), min(1.0, high)


def told_and_asked(options, distance: int) -> list:
    results = []
    for sample in range(options.samples):
        results.append(converse(options, distance, random.Random(f"{options.seed} {distance} {sample}")))
        if sys.stderr.isatty():
            print(f"\r{sample + 1}/{options.samples}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return results


def report(options, distance: int) -> tuple:
    """Prints what came out at a distance; a point of the picture."""
    asked = told_and_asked(options, distance)
    results = [r for r in asked if not r["repeated"]]
    if not results:
        sys.exit(f"recall.py: in all conversations with {distance} words the model repeated the fact by itself")
    tokens = [r["tokens"] for r in results]
    mean = sum(tokens) / len(tokens)
    right = [r["answer"] == r["wanted"] for r in results]
    recalled, control = share(right), share([r["control"] == r["wanted"] for r in results])
    print(f"{mean:7.0f} tokens ({min(tokens)} to {max(tokens)}): "
          + ", ".join("{:.1%} ({:.1%} to {:.1%}) {}".format(*s, what)
                      for s, what in ((recalled, "right"), (control, "with the memory reset"))))
    kinds = {kind: [ok for ok, r in zip(right, results) if r["kind"] == kind] for kind in words.KINDS}
    print("        " + ", ".join(f"{kind} {sum(oks)} of {len(oks)}" for kind, oks in kinds.items())
          + f"; {len(asked) - len(results)} do not count, the model repeated the fact", flush=True)
    for r in [r for ok, r in zip(right, results) if not ok][:options.show]:
        print(f"        told {r['told']}, asked {r['question']!r}: {r['answer']!r}")
    return mean, recalled, control


def main() -> None:
    parser = Parser(prog="recall.py", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("config", help="a configuration of the model, such as configs/chat.yaml")
    parser.add_argument("--words", type=count_or_zero, nargs="+", default=[600, 3000],
                        help="of other talk between facts and question, growing (600 3000)")
    parser.add_argument("--samples", type=count, default=100, help="conversations per distance (%(default)s)")
    parser.add_argument("--corrected", action="store_true",
                        help="the fact that is asked for was told otherwise first; right is what it was corrected to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default="perdure")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="handed on to perdure")
    parser.add_argument("--show", type=count_or_zero, default=0, help="prints so many wrong answers of each distance")
    parser.add_argument("--svg", help="the picture to write")
    options = parser.parse_args()
    if sorted(set(options.words)) != options.words:
        parser.error(f"--words {' '.join(map(str, options.words))}: each distance must be larger than the one before")
    if options.svg and options.words[0] == 0:
        parser.error("--words 0 has no place in the picture of --svg, whose scale is logarithmic; leave one of the two out")
    if options.svg and (pathlib.Path(options.svg).is_dir() or not pathlib.Path(options.svg).parent.is_dir()):
        parser.error(f"--svg {options.svg} cannot be written; name a file in a folder that is there")
    points = [report(options, distance) for distance in options.words]
    if options.svg:
        pathlib.Path(options.svg).write_text(recall_curve(points))


main()
