#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lints themselves: each finds what it is there for, and lets pass what it must. Compilers as in lints_test.py [C++ COMPILER]."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

LINTS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "lint"
HEADER = "// SPDX-License-Identifier: Apache-2.0\n\n// A purpose.\n#pragma once\n"
CXX = sys.argv.pop(1) if len(sys.argv) > 1 else "c++"


class LintCase(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.top = pathlib.Path(self._folder.name)

    def write(self, path, text):
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def lint(self, name, *arguments):
        """Exit code and output of a lint on the scratch tree."""
        done = subprocess.run([str(LINTS / name), str(self.top), *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def assert_finds(self, name, words, *arguments):
        code, output = self.lint(name, *arguments)
        self.assertEqual(code, 1, output)
        self.assertIn(words, output)

    def assert_passes(self, name, *arguments):
        code, output = self.lint(name, *arguments)
        self.assertEqual(code, 0, output)

    def compile(self, source, target):
        """Compiles C++ text to an object of the scratch tree."""
        (self.top / target).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([CXX, "-std=c++20", "-O0", "-x", "c++", "-c", "-", "-o", str(self.top / target)],
                       input=source, text=True, check=True)


class Layers(LintCase):
    def test_an_include_of_a_higher_room_is_found(self):
        self.write("core/graph/a.cpp", '#include "core/engine/engine.hpp"\n')
        self.assert_finds("layers.py", "core/graph/a.cpp:1:")

    def test_model_and_runtime_do_not_know_each_other(self):
        self.write("core/model/a.cpp", '#include "core/runtime/plan.hpp"\n')
        self.assert_finds("layers.py", "core/model/a.cpp:1:")

    def test_a_plugin_sees_the_interfaces_and_itself_only(self):
        self.write("plugins/attention/a/a.cpp", '#include "core/api/graph.hpp"\n#include "plugins/attention/a/a.hpp"\n')
        self.assert_passes("layers.py")
        self.write("plugins/attention/b/b.cpp", '#include "core/base/buffer.hpp"\n')
        self.assert_finds("layers.py", "plugins/attention/b/b.cpp:1:")

    def test_the_sdk_is_open_to_plugins_and_sees_the_interfaces_only(self):
        self.write("plugins/attention/a/a.cpp", '#include "sdk/kernel.hpp"\n')
        self.write("sdk/kernel.hpp", HEADER + '#include "core/api/kernel.h"\n')
        self.assert_passes("layers.py")
        self.write("core/runtime/a.cpp", '#include "sdk/kernel.hpp"\n')
        self.assert_finds("layers.py", "core/runtime/a.cpp:1:")
        self.write("core/runtime/a.cpp", "")
        self.write("sdk/rope.hpp", HEADER + '#include "core/base/buffer.hpp"\n')
        self.assert_finds("layers.py", "sdk/rope.hpp:5:")

    def test_a_third_party_header_outside_its_room_is_found(self):
        self.write("core/config/a.cpp", "#include <vector>\n#include <yaml-cpp/yaml.h>\n")
        self.assert_passes("layers.py")
        self.write("core/engine/a.cpp", "#include <yaml-cpp/yaml.h>\n")
        self.assert_finds("layers.py", "belongs to core/config only")

    def test_a_library_without_a_room_is_found(self):
        self.write("core/base/a.cpp", "#include <Eigen/Dense>\n")
        self.assert_finds("layers.py", "belongs to no room")

    def test_the_runtime_names_no_strategy_except_in_comments(self):
        self.write("core/runtime/a.cpp", "// as llama does\n#include <memory>\n")
        self.assert_passes("layers.py")
        self.write("core/runtime/a.cpp", 'bool b = name == "memory";\n')
        self.assert_finds("layers.py", "names a strategy")


class SourceRules(LintCase):
    def test_a_source_without_licence_is_found(self):
        self.write("core/base/a.cpp", "int a;\n")
        self.assert_finds("source_rules.py", "the first line must be the licence")

    def test_a_header_without_purpose_is_found(self):
        self.write("core/base/a.hpp", "// SPDX-License-Identifier: Apache-2.0\n\n#pragma once\n")
        self.assert_finds("source_rules.py", "purpose")

    def test_a_path_of_somebodys_machine_is_found(self):
        self.write("docs/a.md", "see /" + "home/me/x\n")
        self.assert_finds("source_rules.py", "absolute path")

    def test_a_merge_that_is_left_half_done_is_found_in_any_text(self):
        for path in ("docs/a.md", "models/a.json", "tests/golden/a.txt", "core/base/a.cpp"):
            for marker in ("<" * 7 + " HEAD", ">" * 7 + " branch", "|" * 7 + " base"):
                with self.subTest(path=path, marker=marker):
                    self.write(path, "// SPDX-License-Identifier: Apache-2.0\nx\n" + marker + "\n")
                    self.assert_finds("source_rules.py", path + ":3: a conflict")
                    (self.top / path).unlink()
        self.write("docs/a.md", "a << b\n" + "=" * 7 + "\n " + "<" * 7 + " HEAD\n")
        (self.top / "models").mkdir(exist_ok=True)
        (self.top / "models/a.bin").write_bytes(b"\0\n" + b"<" * 7 + b" HEAD\n")
        self.assert_passes("source_rules.py")

    def test_a_long_readme_is_found(self):
        self.write("README.md", "x\n" * 131)
        self.assert_finds("source_rules.py", "130 lines")


class ApiHash(LintCase):
    def setUp(self):
        super().setUp()
        for header in ("strategy", "threads", "store"):
            self.write(f"core/api/{header}.hpp", HEADER + '#include "core/api/error.hpp"\nint ' + header + ";\n")
        self.write("core/api/error.hpp", HEADER + "struct Error {};\n")
        self.hashes()

    def hashes(self):
        code, output = self.lint("api_hash.py", "--write")
        self.assertEqual(code, 0, output)
        return dict(re.findall(r'PERDURE_API_HASH_(\w+) "(\w+)"', (self.top / "core/api/api_hash.h").read_text()))

    def test_a_change_refuses_the_plugins_that_include_it_and_no_others(self):
        before = self.hashes()
        self.write("core/api/store.hpp", HEADER + "int changed;\n")
        after = self.hashes()
        self.assertNotEqual(before["stores"], after["stores"])
        self.assertEqual((before["attention"], before["threads"]), (after["attention"], after["threads"]))
        self.write("core/api/error.hpp", HEADER + "struct Error { int place; };\n")
        self.assertNotEqual(after["attention"], self.hashes()["attention"])

    def test_comments_and_white_space_refuse_nobody(self):
        before = self.hashes()
        self.write("core/api/error.hpp", HEADER.replace("A purpose", "Another") + "struct  Error {  // why\n};\n")
        self.assertEqual(before, self.hashes())
        self.write("core/api/error.hpp", HEADER + 'struct Error {}; const char a[] = "a b";\n')
        spaced = self.hashes()
        self.write("core/api/error.hpp", HEADER + 'struct Error {}; const char a[] = "ab";\n')
        self.assertNotEqual(spaced, self.hashes())

    def test_a_hash_that_is_out_of_date_is_found(self):
        self.assert_passes("source_rules.py")
        self.write("core/api/store.hpp", HEADER + "int changed;\n")
        self.assert_finds("source_rules.py", "core/api/api_hash.h:1: does not fit")
        self.assert_finds("api_hash.py", "api_hash.py --write")


class Guards(LintCase):
    def test_a_virtual_function_that_no_guard_passes_on_is_found(self):
        self.write("core/api/threads.hpp", "struct T {\n  virtual ~T() = default;\n  virtual int count() const = 0;\n};\n")
        self.write("core/runtime/guarded_threads.cpp", "// int count() const override\n")
        self.assert_finds("guards.py", "core/api/threads.hpp:3: count is not passed on")
        self.write("core/runtime/guarded_threads.cpp", "struct G : T { int count() const override { return 1; } };\n")
        self.assert_passes("guards.py")


class YamlKeys(LintCase):
    READ = 'void f() {\n  MapReader reader(node, "store");\n  reader.text("kind", kind);\n}\n'

    def test_a_key_without_documentation_is_found(self):
        self.write("core/config/settings.cpp", self.READ)
        self.write("core/config/comparison.cpp", "")
        self.write("docs/configuration.md", "| `store.path` | path |\n")
        code, output = self.lint("yaml_keys.py")
        self.assertEqual(code, 1)
        self.assertIn("settings.cpp:3: store.kind is not documented", output)
        self.assertIn("configuration.md:1: store.path is documented but nobody reads it", output)

    def test_an_option_without_documentation_is_found(self):
        self.write("core/config/settings.cpp", self.READ)
        self.write("core/config/comparison.cpp", "")
        self.write("plugins/attention/a/a.cpp", 'OptionSpec o{.name = "window", .type = OptionType::kInt};\n')
        self.write("docs/configuration.md", "| `store.kind` | name |\n## Options of `b`\n| `window` | integer |\n")
        self.assert_finds("yaml_keys.py", "option window of a is not documented")
        self.write("docs/configuration.md", "| `store.kind` | name |\n## Options of `a`\n| `window` | integer |\n")
        self.assert_passes("yaml_keys.py")


class SelfContained(LintCase):
    def test_a_header_that_needs_another_one_is_found(self):
        self.write("core/base/a.hpp", HEADER + "inline std::string f();\n")
        self.assert_finds("self_contained.py", "core/base/a.hpp", CXX)
        self.write("core/base/a.hpp", HEADER + "#include <string>\nstd::string f();\n")
        self.assert_passes("self_contained.py", CXX)


class Objects(LintCase):
    def archive(self, source):
        self.compile(source, "core/base/a.o")
        library = self.top / "core/base/libperdure_base.a"
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", str(library), str(self.top / "core/base/a.o")], check=True)

    def test_printing_and_ending_the_process_are_found(self):
        for call, header in (('puts("x")', "cstdio"), ("exit(1)", "cstdlib"), ("abort()", "cstdlib"),
                             ('(void)(std::cout << "x")', "iostream"), ('fprintf(stderr, "%d", 1)', "cstdio")):
            self.archive(f"#include <{header}>\nvoid f() {{ {call}; }}\n")
            self.assert_finds("no_print.sh", "must not print")

    def test_formatting_into_memory_passes(self):
        self.archive('#include <cstdio>\nvoid f(char* p) { snprintf(p, 4, "%d", 1); }\n')
        self.assert_passes("no_print.sh")

    def test_an_inline_function_in_a_kernel_object_is_found(self):
        where = "plugins/kernels/simd/CMakeFiles/simd_avx2.dir/a.o"
        self.compile("inline int twice(int a) { return 2 * a; }\nint f(int a) { return twice(a); }\n", where)
        self.assert_finds("weak_symbols.sh", "twice")
        self.compile("inline int twice_avx2(int a) { return 2 * a; }\nint f(int a) { return twice_avx2(a); }\n", where)
        self.assert_passes("weak_symbols.sh")

    def test_a_folder_without_objects_is_an_error(self):
        self.assert_finds("weak_symbols.sh", "build first")
        self.assert_finds("no_print.sh", "build first")


unittest.main()
