"""The command while it is being loaded."""

from __future__ import annotations

import sys

import pytest

from phonebank.__main__ import main


class CtrlC:
    """Finds no module: the user has enough when the command's own is asked for."""

    def find_spec(self, name: str, *_: object) -> None:
        """As the import system asks."""
        if name == "phonebank.cli":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_command_loads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second or two, and people change their minds."""
    monkeypatch.delitem(sys.modules, "phonebank.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [CtrlC(), *sys.meta_path])
    assert main() == 130
