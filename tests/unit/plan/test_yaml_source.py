"""YAML and JSON are read within bounds, without surprises, and with the line of every path."""

from __future__ import annotations

import pytest

from shared.errors import PlanError
from shared.source_bounds import MAX_BYTES, MAX_DEPTH, MAX_NODES
from shared.yaml_source import read_source


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("007", "007"),
        ("12:30", "12:30"),
        ("2026-11-20", "2026-11-20"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_are_sane(written: str, value: object) -> None:
    """Only what looks like a number is one, and only true and false are booleans."""
    tree = read_source(f"a: {written}").tree
    assert tree == {"a": value}
    assert type(tree["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "a: 1\na: 2",
        '{"a": 1, "a": 2}',
        "a: *x",
        "a: &a [*a]",
        "a: !!python/object/apply:os.system [true]",
        "a: !!binary aGk=",
        "a: !mine 1",
        "a: .inf",
        "a: -.INF",
        "a: .nan",
        "a: 1e999",
        "a: 99999999999999999999",
        '{"a": 99999999999999999999}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"\\ud800": 1}',
        "? [a]\n: 1",
        "? {a: b}\n: 1",
        "--- 1\n--- 2",
        "x: &x {a: 1}\ny: {<<: *x}",
        "a: [",
        "a: 'open",
        "a: \x00",
        "\ttab: 1",
        "- a\nb: 1",
        "\ud800",
        "%YAML 9.9\n---\na: 1",
        "a: " + "9" * 100_000,
        "k" * 501 + ": 1",
        '{"' + "k" * 501 + '": 1}',
    ],
)
def test_what_could_surprise_is_refused(text: str) -> None:
    """Each is a PlanError with a sentence, never another exception."""
    with pytest.raises(PlanError) as caught:
        read_source(text)
    assert caught.value.message


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"a: \xc3\x28"])
def test_bytes_must_be_utf8(text: bytes) -> None:
    """Other encodings are named as such."""
    with pytest.raises(PlanError, match="UTF-8"):
        read_source(text)


def test_a_byte_order_mark_is_left_out() -> None:
    """Editors on Windows write one."""
    assert read_source(b"\xef\xbb\xbfa: 1").tree == {"a": 1}


def test_size_is_bounded() -> None:
    """Bytes are counted, not characters."""
    with pytest.raises(PlanError, match="bytes"):
        read_source("#" + "ä" * (MAX_BYTES // 2))


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000, '{"a":' * 100_000, "{a: " * 9999])
def test_depth_is_bounded(text: str) -> None:
    """However deep it goes, the answer comes at once and as a PlanError."""
    with pytest.raises(PlanError, match="nested deeper"):
        read_source(text)


def test_depth_limit_is_exact() -> None:
    """A value at the greatest depth is read, one below it is not; JSON and YAML alike."""
    for opening, closing in (("[", "]"), (" [", "]")):
        for inner in ("1", "x"):
            at_limit = opening * MAX_DEPTH + inner + closing * MAX_DEPTH
            assert read_source(at_limit).tree
            with pytest.raises(PlanError, match="nested deeper"):
                read_source("[" + at_limit + "]")


def test_aliases_share_values_without_sharing_changes() -> None:
    """An alias is a copy."""
    tree = read_source("a: &x {b: [1]}\nc: *x\nd: &y 5\ne: *y").tree
    assert tree == {"a": {"b": [1]}, "c": {"b": [1]}, "d": 5, "e": 5}
    tree["c"]["b"].append(2)
    assert tree["a"] == {"b": [1]}


def test_alias_expansion_is_bounded() -> None:
    """Nine lines that would be a billion values are refused."""
    lines = ["a: &a [1,1,1,1,1,1,1,1,1]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    with pytest.raises(PlanError, match=str(MAX_NODES)):
        read_source("\n".join(lines))


def test_aliases_do_not_get_around_the_depth() -> None:
    """An alias's own depth counts where it is used."""
    lines = ["a0: &a0 [[[[1]]]]"]
    lines += [f"a{at}: &a{at} [[[[*a{at - 1}]]]]" for at in range(1, 12)]
    with pytest.raises(PlanError, match="nested deeper"):
        read_source("\n".join(lines))


def test_node_limit_counts_json_too() -> None:
    """A flat list is bounded as well."""
    with pytest.raises(PlanError, match=str(MAX_NODES)):
        read_source("[" + "1," * MAX_NODES + "1]")


def test_lines_of_paths() -> None:
    """A key's line for mappings, an item's first line for lists."""
    lines = read_source("a: 1\nb:\n  - x\n  - c: 2\n    d:\n      5\n").lines
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert lines[("b", 1)] == 4
    assert lines[("b", 1, "d")] == 5
    assert read_source('{"a":\n [1,\n2]}').lines[("a", 1)] == 3
    assert read_source('{"a": 1}').lines == {}
