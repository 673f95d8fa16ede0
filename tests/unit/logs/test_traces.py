"""A trace in a log says where, and never what the variables held."""

from __future__ import annotations

import pytest
import structlog

from shared.logs import set_up_logs
from shared.settings import Settings


@pytest.mark.parametrize("as_json", [True, False])
def test_a_trace_holds_no_local_variable(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Resolved headers are locals of the call that broke."""
    kept = structlog.get_config()
    set_up_logs(Settings(log_json=as_json), "test")
    try:
        authorization = "Bearer " + "s3cret"
        try:
            raise ValueError(len(authorization))  # noqa: TRY301 - the trace is the point
        except ValueError:
            structlog.get_logger().exception("call_broke")
    finally:
        structlog.configure(**kept)
        structlog.contextvars.clear_contextvars()
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "s3cret" not in said.replace('"s3cret"', "")
