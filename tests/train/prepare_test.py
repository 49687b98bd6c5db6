# SPDX-License-Identifier: Apache-2.0
"""From books and tasks to token files."""

import subprocess
import sys
import unittest

import numpy
import support
from perdure_train import gutenberg, prepare
from perdure_train.data import TokenFile, Windows
from perdure_train.documents import EOS
from perdure_train.errors import UsageError
from perdure_train.tokenizer import BOS, Tokenizer, token_type

_BOOK = """The Project Gutenberg EBook of Tales, by Somebody

This eBook is for the use of anyone anywhere

*** START OF THIS PROJECT GUTENBERG EBOOK TALES, BY
SOMEBODY ***

Produced by A. Volunteer

THE {0}

Once there was a {0} who lived
in a \u201cwell\u201d\u2014deep.

It _croaked_.  Nobody
came.

End of the Project Gutenberg EBook of Tales

*** END OF THIS PROJECT GUTENBERG EBOOK TALES ***
The licence.
"""


class GutenbergTest(unittest.TestCase):
    def test_head_foot_and_credits_go_and_lines_are_joined(self):
        self.assertEqual(gutenberg.clean_book(_BOOK.format("FROG")),
                         'THE FROG\nOnce there was a FROG who lived in a "well"--deep.\nIt croaked. Nobody came.\n')

    def test_a_text_from_elsewhere_stays_whole(self):
        self.assertEqual(gutenberg.clean_book("One.\r\n\r\nTwo\r\nlines."), "One.\nTwo lines.\n")


def told_first(folder):
    """The first quality of the training text."""
    return (folder / "train.txt").read_text().split()[1]


class PrepareTest(support.TrainerTest):
    def books(self):
        folder = self.scratch / "books"
        folder.mkdir(exist_ok=True)
        for name in ("Frog", "Crow", "Bear", "Wolf"):
            (folder / f"{name} Tales.txt").write_text(_BOOK.format(name.upper()) * 3)
        return folder

    def test_books_are_held_out_by_name(self):
        out = self.scratch / "prepared"
        support.command("prepare", "--source", self.books(), "--validation", "Crow Tales", "--test", "Bear Tales", "--exclude",
                        "Wolf Tales", "--vocab-size", 292, "--out", out)
        texts = {split: (out / f"{split}.txt").read_text() for split in prepare.SPLITS}
        for split, animal in (("train", "FROG"), ("validation", "CROW"), ("test", "BEAR")):
            for other in ("FROG", "CROW", "BEAR", "WOLF"):
                self.assertEqual(other in texts[split], other == animal, f"{other} in {split}")
        ids = TokenFile(out, "test").ids
        self.assertEqual(ids[0], BOS)
        self.assertEqual(Tokenizer(out / "tokenizer.model").decode(ids[1:]), texts["test"].removesuffix("\n"))
        self.assertNotIn(str(out).encode(), (out / "tokenizer.model").read_bytes())  # where it was made is nobody's business

    def test_ids_above_the_vocabulary_are_refused_with_the_file(self):
        folder = self.scratch / "wrong_ids"
        folder.mkdir()
        (folder / "data.json").write_text('{"vocab_size": 300}')
        numpy.array([1, 5, 300], token_type(300)).tofile(folder / "train.bin")
        numpy.zeros(3, numpy.uint8).tofile(folder / "train.answer")
        with self.assertRaisesRegex(UsageError, r"train\.bin has the token id 300, but .* vocab_size 300"):
            TokenFile(folder, "train")

    def test_a_book_that_is_not_there_is_named(self):
        options = ["prepare", "--source", str(self.books()), "--test", "Cat Tales", "--out", str(self.scratch / "no")]
        self.assertEqual(support.train_main(options), 2)

    def test_repeat_and_reverse_mark_their_answers(self):
        for task in ("repeat", "reverse"):
            out = self.scratch / task
            support.command("prepare", "--task", task, "--documents", 50, "--held-out-documents", 5, "--vocab-size", 320,
                            "--out", out)
            file = TokenFile(out, "test")
            ids, marks = file.ids[:], file.answers[:]
            first = list(ids[1:list(ids).index(2)])
            answer = ids[numpy.flatnonzero(marks)][:len(first)]
            self.assertEqual(list(answer), first if task == "repeat" else first[::-1])
            self.assertEqual(ids[numpy.flatnonzero(marks)[len(first)]], 2)

    def test_a_thing_of_a_lexicon_keeps_its_quality_to_the_end_of_the_document(self):
        out = self.scratch / "lexicon"
        support.command("prepare", "--task", "lexicon", "--documents", 6, "--held-out-documents", 2, "--distance", 2000,
                        "--vocab-size", 500, "--out", out)
        worlds = []
        for text in (out / "train.txt").read_text().splitlines():
            words = text.split()
            told = list(zip(words[::2], words[1::2]))
            worlds.append(dict(told))
            self.assertEqual(len(words), 2000)
            for thing, quality in told:
                self.assertEqual(quality, worlds[-1][thing])
        self.assertNotEqual(worlds[0], worlds[1])
        file = TokenFile(out, "train")
        self.assertEqual(Tokenizer(out / "tokenizer.model").decode(file.ids[file.answers[:] == 1]).split()[0], told_first(out))

    def test_fresh_text_has_the_ids_of_the_tokenizer(self):
        script = str(support.TOP / "apps/train/fresh.py")
        lines = subprocess.run([sys.executable, script, str(self.data / "tokenizer.bin"), "20"], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        pieces = Tokenizer(self.data / "tokenizer.model")
        self.assertEqual(len(lines), 20)
        for line in lines:
            ids = [int(i) for i in line.split()]
            told = ids[1:ids.index(2)]
            self.assertEqual(ids, [1, *told, 2, *pieces.encode("Repeat above."), 1, *told, 2])
            self.assertEqual(pieces.encode(pieces.decode(told)), told)

    def test_marks_end_with_the_answer(self):
        pieces = Tokenizer(self.data / "tokenizer.model")
        from perdure_train.documents import Segment
        document = [Segment("the fox"), Segment("a king", answer=True), EOS, Segment("the boat")]
        ids, marks = prepare.encode_document(document, pieces)
        asked = pieces.encode("a king")
        begin = len(pieces.encode("the fox"))
        self.assertEqual(marks, [0] * begin + [1] * (len(asked) + 1) + [0] * (len(ids) - begin - len(asked) - 1))


class WindowsTest(support.TrainerTest):
    def test_an_epoch_reads_every_window_once(self):
        out = self.scratch / "counted"
        out.mkdir()
        (out / "data.json").write_text('{"vocab_size": 1000}')
        (out / "train.bin").write_bytes(numpy.arange(900, dtype=numpy.uint16).tobytes())
        (out / "train.answer").write_bytes(bytes(900))
        windows = Windows(TokenFile(out, "train"), rows=1, window=16, seed=3)
        begins = sorted(int(windows.next()[0][0, 0]) for _ in range(899 // 16 - 1))
        self.assertEqual(begins, [begins[0] + 16 * i for i in range(len(begins))])

    def test_chained_windows_continue_each_other_until_they_are_fresh(self):
        for reading, chain in (("shuffled", 4), ("order", 4), ("stream", 1)):
            windows = Windows(TokenFile(self.data, "train"), rows=3, window=16, chain=chain, reading=reading)
            last, fresh_count = None, 0
            for _ in range(40):
                inputs, targets, _, fresh, _ = windows.next()
                self.assertTrue((inputs[:, 1:] == targets[:, :-1]).all())
                for row in range(3):
                    if not fresh[row]:
                        self.assertEqual(int(inputs[row, 0]), int(last[row]))
                last, fresh_count = targets[:, -1], fresh_count + int(fresh.sum())
            self.assertEqual(fresh_count > 20, chain == 4)


support.run()
