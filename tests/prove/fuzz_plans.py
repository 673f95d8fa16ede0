"""Mutated plans through `phonebank check`: exit code 2 or a valid plan, never a traceback.

    python -m tests.prove.fuzz_plans --count 20000 --seed 7

Owns the mutations: of bytes, of lines and of the tree. The command runs in this process, by the
same function as the console script; a mutant that breaks it is printed and kept.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import io
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from phonebank.cli import main as phonebank
from phonebank.exit_codes import ExitCode

ROOT = Path(__file__).parents[2]
SLOW_S = 2.0
WORDS = (
    *("", " ", "\t", ": ", "- ", "? ", "[", "]", "{", "}", "*a", "&a ", "!!python/object:os ", "|"),
    *("'", '"', "%", "@", "`", "~", "<<: *a", "---", "...", "\\", "${", "${A}", "{{", "}}", "null"),
    *(".nan", ".inf", "1e999", "-1", "0", "9" * 30, "\x00", "\ufeff", "\u2028", "é", "\U0001f4de"),
    *("say", "script", "hang_up: {}", "goal: x", "livekit: {}", "id: 1", "../../etc/passwd"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**64, 10**40, 1.5, -0.0, 1e300),
    *("", " ", "x", "hang_up", "{{x}}", "${X}", "${x}", "\x00", "x" * 5000, "sha256:" + "0" * 64),
    *([], [[]], [None], {}, {"": 1}, {"name": "x"}, {"say": "x"}, ["x", 1, {}], "2026-01-01"),
)


def main() -> int:
    """Run so many mutants; 1 where one of them broke the command."""
    parser = argparse.ArgumentParser(description="Mutated plans against `phonebank check`.")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    broken, told = fuzz(options.count, options.seed)
    sys.stdout.write(told + "\n")
    return 1 if broken else 0


def fuzz(count: int, seed: int) -> tuple[int, str]:
    """How many mutants broke the command, and a sentence about all of them."""
    chance = random.Random(seed)
    texts = [path.read_text() for path in sorted((ROOT / "examples").glob("*.yaml"))]
    trees = [yaml.safe_load(text) for text in texts]
    codes: collections.Counter[int] = collections.Counter()
    broken, slowest_s, began_s = 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pb-fuzz-") as folder:
        path = Path(folder) / "plan.yaml"
        for number in range(count):
            path.write_bytes(mutant(chance, texts, trees))
            before_s = time.monotonic()
            code, said = checked(path)
            took_s = time.monotonic() - before_s
            slowest_s = max(slowest_s, took_s)
            codes[code] += 1
            if is_broken(code, said) or took_s > SLOW_S:
                broken += 1
                kept = Path(tempfile.gettempdir()) / f"pb-fuzz-{seed}-{number}.yaml"
                kept.write_bytes(path.read_bytes())
                sys.stdout.write(f"mutant {number}: exit {code}, {took_s:.1f} s, {kept}\n{said}\n")
    seconds = time.monotonic() - began_s
    valid, wrong = codes[ExitCode.PASSED], codes[ExitCode.WRONG]
    return broken, (
        f"{count} mutants, seed {seed}: {valid} valid plans, {wrong} refused with exit code 2, "
        f"{broken} broke the command; slowest {slowest_s:.2f} s, {seconds:.0f} s in all"
    )


def checked(path: Path) -> tuple[int, str]:
    """`phonebank check`: its exit code and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = phonebank(["check", str(path)])
        except BaseException as error:  # noqa: BLE001 - `main` promises never to raise
            return -1, repr(error)
    return code, said.getvalue()


def is_broken(code: int, said: str) -> bool:
    """Neither a plan nor a refusal that says where."""
    if "Traceback" in said or "internal error" in said:
        return True
    return code not in (ExitCode.PASSED, ExitCode.WRONG)


def mutant(chance: random.Random, texts: list[str], trees: list[Any]) -> bytes:
    """One changed plan."""
    kind = chance.random()
    if kind < 0.4:
        return _as_text(chance, _changed_tree(chance, copy.deepcopy(chance.choice(trees)))).encode(
            errors="surrogatepass"
        )
    if kind < 0.7:
        return _changed_lines(chance, chance.choice(texts)).encode(errors="surrogatepass")
    return _changed_bytes(chance, chance.choice(texts).encode())


def _as_text(chance: random.Random, tree: Any) -> str:
    if chance.random() < 0.5:
        return json.dumps(tree)
    try:
        text: str = yaml.safe_dump(tree, allow_unicode=chance.random() < 0.5)
    except yaml.YAMLError:
        return json.dumps(tree)
    return text


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        for key in list(keys):
            found.append((node, key))
            if isinstance(node[key], (dict, list)):
                waiting.append(node[key])
    return found


def _changed_tree(chance: random.Random, tree: Any) -> Any:
    for _ in range(chance.randint(1, 3)):
        places = _places(tree)
        if not places:
            break
        node, key = chance.choice(places)
        deed = chance.randrange(5)
        if deed == 0:
            node[key] = copy.deepcopy(chance.choice(VALUES))
        elif deed == 1:
            del node[key]
        elif deed == 2:
            other, place = chance.choice(places)
            with contextlib.suppress(KeyError, IndexError):
                node[key] = copy.deepcopy(other[place])
        elif isinstance(node, dict):
            node[chance.choice(WORDS)] = copy.deepcopy(chance.choice(VALUES))
        else:
            node.extend(copy.deepcopy(node[: chance.randint(1, 3)]))
    return tree


def _changed_lines(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        deed = chance.randrange(5)
        if deed == 0:
            del lines[at]
        elif deed == 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif deed == 2:
            lines[at] = " " * chance.randint(1, 3) + lines[at]
        elif deed == 3:
            place = chance.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + chance.choice(WORDS) + lines[at][place:]
        else:
            lines[at] = lines[at].replace(":", chance.choice(("", ": :", ": -", "=")), 1)
        lines = lines or [""]
    return "\n".join(lines)


def _changed_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed))
        deed = chance.randrange(4)
        if deed == 0:
            changed[at] = chance.randrange(256)
        elif deed == 1:
            del changed[at : at + chance.randint(1, 40)]
        elif deed == 2:
            changed[at:at] = chance.choice(WORDS).encode()
        else:
            begin = chance.randrange(len(changed))
            changed[at:at] = changed[begin : begin + chance.randint(1, 80)]
        changed = changed or bytearray(b" ")
    return bytes(changed)


if __name__ == "__main__":
    sys.exit(main())
