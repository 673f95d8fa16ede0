"""Which addresses a worker may call."""

from __future__ import annotations

import ipaddress

import pytest

from shared.addresses import networks, refusal


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "fd12::1", "93.184.216.34", "2606::1"]
)
def test_loopback_private_and_public_addresses_are_allowed(text: str) -> None:
    """Self-hosted agents live on all of them."""
    assert refusal(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
        "::ffff:0.0.0.0",
    ],
)
def test_addresses_of_no_agent_are_refused(text: str) -> None:
    """Link-local, metadata, multicast and unspecified, also dressed as IPv6."""
    assert refusal(ipaddress.ip_address(text))


def test_a_list_narrows_and_never_widens() -> None:
    """An operator's list keeps others out, and lets no metadata service in."""
    allowed = networks(["10.0.0.0/8", "169.254.0.0/16", " ::1 "])
    assert refusal(ipaddress.ip_address("10.9.9.9"), allowed) is None
    assert refusal(ipaddress.ip_address("::ffff:10.9.9.9"), allowed) is None
    assert refusal(ipaddress.ip_address("::1"), allowed) is None
    assert refusal(ipaddress.ip_address("192.168.0.1"), allowed)
    assert refusal(ipaddress.ip_address("169.254.169.254"), allowed)
