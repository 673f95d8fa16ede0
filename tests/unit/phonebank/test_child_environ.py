"""What children may see of the caller's environment."""

from __future__ import annotations

from phonebank.child_environ import environ_for_children

SHELL = {
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "https_proxy": "http://127.0.0.1:3128",
    "PHONEBANK_SLOTS": "5",
    "PHONEBANK_SECRET_BOT_TOKEN": "t",
    "PHONEBANK_SECRET_BOT_TOKEN_HOSTS": "bot.example",
    "PHONEBANK_SECRET_OTHER": "o",
    "PLAIN": "p",
    "AWS_ACCESS_KEY_ID": "k",
    "GITHUB_TOKEN": "g",
}


def test_children_get_settings_and_the_secrets_that_the_plan_uses() -> None:
    """And nothing else that the shell happens to hold."""
    kept = environ_for_children(SHELL, secrets={"BOT_TOKEN"}, with_aws=False)
    assert set(kept) == {
        "PATH",
        "LC_ALL",
        "https_proxy",
        "PHONEBANK_SLOTS",
        "PHONEBANK_SECRET_BOT_TOKEN",
        "PHONEBANK_SECRET_BOT_TOKEN_HOSTS",
    }


def test_a_secret_may_come_from_the_variable_of_its_own_name() -> None:
    """On one's own machine nobody wants to export it twice."""
    kept = environ_for_children(SHELL, secrets={"PLAIN"}, with_aws=False)
    assert kept["PHONEBANK_SECRET_PLAIN"] == "p"
    assert "PLAIN" not in kept


def test_a_fleet_that_stays_gets_all_declared_secrets() -> None:
    """It does not know the plans to come."""
    kept = environ_for_children(SHELL, secrets=None, with_aws=False)
    assert "PHONEBANK_SECRET_OTHER" in kept
    assert "GITHUB_TOKEN" not in kept


def test_storage_credentials_go_only_to_a_fleet_that_stores_there() -> None:
    """`s3://` needs them, `file://` does not."""
    assert "AWS_ACCESS_KEY_ID" in environ_for_children(SHELL, secrets=set(), with_aws=True)
    assert "AWS_ACCESS_KEY_ID" not in environ_for_children(SHELL, secrets=set(), with_aws=False)
