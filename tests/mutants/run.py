#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the suite notice a slip of one line?

    run.py [--build DIR] [--jobs N] [--list | --check] [NAME...]

Applies each mutant of the tables beside this file alone, in a copy of the sources below DIR (the
working tree is never touched), builds the one test target that it names and runs it. The test must
fail. First the same tests run without any mutant: there they must pass, each of them. NAME is a
mutant, a pattern of names, or a table ("core-ring"); nothing means all. --check only looks whether
each mutant applies. Status 1 when a mutant survives, does not apply or does not compile. As root,
since many tests are `kernel` ones.

README.md describes the tables.
"""

import argparse
import dataclasses
import fcntl
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUTPUT_LINES_SHOWN = 40


@dataclasses.dataclass
class Mutant:
    table: str
    name: str
    file: str = ""
    test: str = ""  # target of CMake and name of CTest
    filters: list = dataclasses.field(default_factory=list)
    after: str = ""
    old: str = ""
    new: str = None  # None: the line goes


class Wrong(Exception):
    """Of a table or a mutant, not of the code under test."""


def read_table(path):
    mutants = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, value = line.partition(" ")
        value = value.strip()
        if not line.strip() or key == "#":
            continue
        if key == "mutant":
            mutants.append(Mutant(path.stem, value))
            continue
        if not mutants:
            raise Wrong(f"{path.name}:{number}: a line before the first mutant")
        last = mutants[-1]
        if key == "file":
            last.file = value
        elif key == "test":
            last.test, *last.filters = value.split()
        elif key == "after":
            last.after = value
        elif key == "-":
            last.old = value
        elif key == "+":
            last.new = value
        else:
            raise Wrong(f"{path.name}:{number}: unknown word `{key}`")
    for mutant in mutants:
        if not (mutant.name and mutant.file and mutant.test and mutant.filters and mutant.old):
            raise Wrong(f"{path.name}: mutant `{mutant.name}` needs file, test with filter, and -")
        if mutant.new == mutant.old:
            raise Wrong(f"{path.name}: mutant `{mutant.name}` changes nothing")
    return mutants


def read_tables():
    mutants = []
    for path in sorted(HERE.glob("*.txt")):
        mutants += read_table(path)
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Wrong("two mutants have one name: " + ", ".join(twice))
    return mutants


def choose(mutants, patterns):
    if not patterns:
        return mutants
    chosen = []
    for pattern in patterns:
        found = [m for m in mutants if m.table == pattern or fnmatch.fnmatch(m.name, pattern)]
        if not found:
            raise Wrong(f"no mutant and no table is named `{pattern}`")
        chosen += [m for m in found if m not in chosen]
    return [m for m in mutants if m in chosen]


def only_line(lines, text, what):
    """The number of the one line that is `text` but for its indentation."""
    found = [number for number, line in enumerate(lines) if line.strip() == text]
    if len(found) != 1:
        raise Wrong(f"{what} occurs {len(found)} times: {text}")
    return found[0]


def mutated(mutant, text):
    lines = text.split("\n")
    first = only_line(lines, mutant.after, "`after`") + 1 if mutant.after else 0
    if mutant.after:
        rest = [at for at in range(first, len(lines)) if lines[at].strip() == mutant.old]
        if not rest:
            raise Wrong(f"the line is not after `{mutant.after}`: {mutant.old}")
        at = rest[0]
    else:
        at = only_line(lines, mutant.old, "the line")
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    # A blank line in place of one that goes keeps the numbers of all others.
    lines[at] = "" if mutant.new is None else indent + mutant.new
    return "\n".join(lines)


def apply_to(mutant, tree):
    """Gives the original text."""
    path = tree / mutant.file
    if not path.is_file():
        raise Wrong(f"no such file: {mutant.file}")
    text = path.read_text()
    path.write_text(mutated(mutant, text))
    return text


def run(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    return done.returncode, done.stdout


def tail(text):
    return "\n".join("    " + line for line in text.splitlines()[-OUTPUT_LINES_SHOWN:])


def wait_or_end(child, seconds_max):
    # A node namespace ends in good order on SIGTERM, and at once with the script that made it.
    for seconds, number in ((seconds_max, signal.SIGTERM), (20, signal.SIGKILL)):
        try:
            status = child.wait(seconds)
            return status if number == signal.SIGTERM else None
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, number)
    child.wait()
    return None


@dataclasses.dataclass
class Test:
    command: list
    directory: str
    is_unit: bool
    seconds_max: float = 600

    def learn(self, seconds):
        """A mutant may wait for what never comes, and tests of a node look at it for 30 s."""
        self.seconds_max = 15 + 5 * seconds if self.is_unit else 90 + 3 * seconds


class Copy:
    """The sources as they are in the working tree, and a build tree, which one run leaves for the
    next. It is where every checkout has it, so that a compiler cache knows the files again."""

    def __init__(self, tree, jobs):
        self.tree = tree
        self.build = tree / "build" / "release"
        self.jobs = jobs
        self.tests = {}

    def claim(self):
        """Two runs would change each other's files."""
        self.tree.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.tree.with_suffix(".lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Wrong(f"another run works in {self.tree}") from None

    def refresh(self):
        status, listed = run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"])
        if status != 0:
            raise Wrong("git ls-files: " + listed)
        wanted = {name for name in listed.splitlines() if (ROOT / name).is_file()}
        for name in sorted(wanted):
            source, target = ROOT / name, self.tree / name
            # What a run that was killed left changed differs, and so do files that changed since.
            if target.is_file() and target.read_bytes() == source.read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
        for folder, folders, names in os.walk(self.tree):
            if pathlib.Path(folder) == self.tree:
                folders.remove("build") if "build" in folders else None
            for name in names:
                path = pathlib.Path(folder) / name
                if str(path.relative_to(self.tree)) not in wanted:
                    path.unlink()

    def configure(self):
        status, text = run(["cmake", "--preset", "release", "-S", str(self.tree), "-B",
                            str(self.build)])
        if status != 0:
            raise Wrong("cmake does not configure the copy:\n" + tail(text))

    def make(self, targets):
        return run(["cmake", "--build", str(self.build), "-j", str(self.jobs), "--target",
                    *targets])

    def look_up(self, targets):
        """Their commands, which CTest knows once they are built."""
        status, text = run(["ctest", "--test-dir", str(self.build), "--show-only=json-v1"])
        if status != 0:
            raise Wrong("ctest lists no tests:\n" + tail(text))
        known = {test["name"]: test for test in json.loads(text)["tests"]}
        for target in targets:
            if "command" not in known.get(target, {}):
                raise Wrong(f"CTest knows no test `{target}`")
            properties = {one["name"]: one["value"] for one in known[target]["properties"]}
            self.tests[target] = Test(known[target]["command"], properties["WORKING_DIRECTORY"],
                                      "unit" in properties.get("LABELS", []))

    def test(self, target, filters):
        """The status, negative for a signal, or None: it did not end; and what was printed."""
        test = self.tests[target]
        environment = {**os.environ, "GTEST_FILTER": ":".join(filters), "GTEST_COLOR": "no"}
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            with subprocess.Popen(test.command, cwd=test.directory, env=environment,
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                  start_new_session=True) as child:
                status = wait_or_end(child, test.seconds_max)
            output.seek(0)
            return status, output.read()


def passed_in(text):
    return set(re.findall(r"\[       OK \] (\S+)", text))


def baseline(copy, mutants):
    """Tests that fail, skip or do not exist without any mutant cannot kill one."""
    wanted = {}
    for mutant in mutants:
        wanted.setdefault(mutant.test, set()).update(mutant.filters)
    print(f"baseline: {len(wanted)} targets", flush=True)
    status, text = copy.make(sorted(wanted))
    if status != 0:
        raise Wrong("the copy does not build:\n" + tail(text))
    copy.look_up(wanted)
    for target, filters in sorted(wanted.items()):
        begin = time.monotonic()
        status, text = copy.test(target, sorted(filters))
        copy.tests[target].learn(time.monotonic() - begin)
        if status != 0:
            raise Wrong(f"{target} fails without a mutant:\n" + tail(text))
        passed = passed_in(text)
        for one in sorted(filters):
            if not fnmatch.filter(passed, one):
                raise Wrong(f"{target}: no test `{one}` ran and passed:\n" + tail(text))


def verdict_of(copy, mutant):
    """A word for the table and what to show with it."""
    status, text = copy.make([mutant.test])
    if status != 0:
        return "DOES NOT COMPILE", tail(text)
    status, text = copy.test(mutant.test, mutant.filters)
    if status == 0:
        return "SURVIVED", tail(text)
    failed = [name for name in re.findall(r"\[  FAILED  \] ([\w/]+\.[\w/]+)", text)
              if any(fnmatch.fnmatch(name, one) for one in mutant.filters)]
    if failed:
        return "killed", ""
    if status is None:
        return "killed (hangs)", ""
    if status < 0 or status > 128:
        return "killed (crashes)", ""
    return "ENDED WITHOUT A VERDICT", tail(text)


def judge(copy, mutants):
    table = []
    for mutant in mutants:
        begin = time.monotonic()
        path = copy.tree / mutant.file
        try:
            original = apply_to(mutant, copy.tree)
        except Wrong as wrong:
            table.append((mutant, "DOES NOT APPLY", 0.0))
            print(f"{mutant.name}: DOES NOT APPLY: {mutant.file}: {wrong}", flush=True)
            continue
        try:
            verdict, shown = verdict_of(copy, mutant)
        finally:
            path.write_text(original)
        seconds = time.monotonic() - begin
        table.append((mutant, verdict, seconds))
        print(f"{mutant.name}: {verdict}, {seconds:.0f} s", flush=True)
        if shown:
            print(shown, flush=True)
    return table


def check(mutants):
    wrong_ones = 0
    for mutant in mutants:
        try:
            path = ROOT / mutant.file
            if not path.is_file():
                raise Wrong("no such file")
            mutated(mutant, path.read_text())
        except Wrong as wrong:
            wrong_ones += 1
            print(f"{mutant.name}: DOES NOT APPLY: {mutant.file}: {wrong}")
    print(f"{len(mutants)} mutants, {wrong_ones} do not apply")
    return 1 if wrong_ones else 0


def report(table, seconds):
    print(f"\n{'mutant':<52} {'test':<28} {'verdict':<24} {'time':>5}")
    for mutant, verdict, took in table:
        print(f"{mutant.name:<52} {mutant.test:<28} {verdict:<24} {took:>4.0f} s")
    killed = sum(1 for _, verdict, _ in table if verdict.startswith("killed"))
    print(f"{killed} of {len(table)} mutants killed, took {seconds:.0f} s")
    return 0 if killed == len(table) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        mutants = choose(read_tables(), arguments.names)
        if arguments.list:
            for mutant in mutants:
                print(f"{mutant.table:<20} {mutant.name:<52} {mutant.test}")
            return 0
        if arguments.check:
            return check(mutants)
        copy = Copy(pathlib.Path(arguments.build).resolve() / "mutants", arguments.jobs)
        copy.claim()
        copy.refresh()
        copy.configure()
        baseline(copy, mutants)
        return report(judge(copy, mutants), time.monotonic() - begin)
    except Wrong as wrong:
        print(f"mutants: {wrong}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
