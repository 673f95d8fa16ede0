"""The command line as a person or a CI job meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phonebank.cli import front_desk, main

BROKEN = """\
version: 1
name: broken
agents: [{name: one, smallwebrtc: {offer_url: "http://127.0.0.1:7/o"}}]
personas: [{name: calm}]
scenarios:
  - name: typo
    script: [{sya: "Hi"}]
"""


@pytest.fixture(autouse=True)
def no_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own environment."""
    for name in ("PHONEBANK_REDIS_URL", "PHONEBANK_STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_broken_plan_is_one_line_with_file_line_and_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`phonebank: plan.yaml:7: $.scenarios[0]...`, exit code 2, and no traceback."""
    file = tmp_path / "plan.yaml"
    file.write_text(BROKEN)
    assert main(["check", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"phonebank: {file}:7: $.scenarios[0].script[0]")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["run"],
        ["run", "no-such-file.yaml"],
        ["runs"],
        ["show", "run-1"],
        ["worker"],
    ],
)
def test_a_wrong_command_exits_with_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing ran, and a sentence on stderr says why."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err
    assert not said.out
    assert "Traceback" not in said.err


def test_a_setting_of_the_wrong_type_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment is part of the command."""
    monkeypatch.setenv("PHONEBANK_SLOTS", "many")
    assert main(["runs"]) == 2
    assert "PHONEBANK_SLOTS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis://user:hunter2@127.0.0.1:1/0", 4),
        ("redis://127.0.0.1:1/0?password=hunter2", 4),
        ("redis://:hunter2/x@127.0.0.1:1/0", 2),
    ],
)
def test_a_password_in_a_url_is_not_shown(
    url: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A CI log is read by many; a slash in a password makes its start look like a port."""
    assert main(["runs", "--redis-url", url, "--storage-url", "memory://"]) == code
    assert "hunter2" not in capsys.readouterr().err


SHOW = """
import sys
from phonebank.report import Report
from tests.unit.phonebank.calls import a_call, a_run

Report(as_json={as_json}).results(a_run(), [a_call(0)], "somewhere")
sys.exit(3)
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reader_that_leaves_does_not_change_the_exit_code(*, as_json: bool) -> None:
    """`phonebank run | head` still says what the run came to."""
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    command = [sys.executable, "-c", SHOW.format(as_json=as_json)]
    ended = subprocess.run(command, stdout=write_fd, stderr=subprocess.PIPE, check=False)
    os.close(write_fd)
    assert ended.returncode == 3, ended.stderr


@pytest.mark.parametrize("place", ["folder", "file/junit.xml"])
def test_a_junit_file_that_cannot_be_written_is_refused_before_the_run(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Afterwards the run's own exit code would be lost."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    words = ["run", str(tmp_path / "no-such-plan.yaml"), "--junit", str(tmp_path / place)]
    assert main(words) == 2
    assert "--junit" in capsys.readouterr().err


def test_networks_that_cannot_be_read_name_their_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a worker is started that would only fall over them."""
    monkeypatch.setenv("PHONEBANK_ALLOW_ADDRESSES", "10.0.0.0/8,agents.example")
    assert main(["runs"]) == 2
    assert "PHONEBANK_ALLOW_ADDRESSES" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(front_desk.commands))
def test_help_shows_the_environment_variable_of_every_option(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be typed can be set."""
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    options = [
        part for part in front_desk.commands[name].params if part.param_type_name == "option"
    ]
    assert " ".join(text.split()).count("[env var:") == len(options)
