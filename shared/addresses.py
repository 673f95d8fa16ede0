"""Which addresses a worker may call: the rules, applied after DNS. Knows no HTTP and no socket.

Loopback, private and public addresses are all allowed, since self-hosted agents live on all of
them; refused is what no agent lives at, and whatever lies outside an operator's own list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Link-local holds the metadata service of most clouds; these are the ones outside it.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), else `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def refusal(address: Address, allowed: Iterable[Network] = ()) -> str | None:
    """Why `address` must not be called, or None. `allowed`, where not empty, narrows the rest."""
    target = embedded(address)
    why = None
    if target.is_unspecified or target == ipaddress.IPv4Address("255.255.255.255"):
        why = "is no host's address"
    elif target.is_multicast:
        why = "is a multicast address"
    elif target in _METADATA:
        why = "is a cloud metadata service"
    elif target.is_link_local:
        why = "is link-local, where cloud metadata services live"
    else:
        networks = list(allowed)
        if networks and not any(target in network for network in networks):
            why = "is outside the addresses that this fleet may call"
    return why


def networks(texts: Iterable[str]) -> list[Network]:
    """Addresses and CIDR networks as written in a setting; raises ValueError."""
    return [ipaddress.ip_network(text.strip(), strict=False) for text in texts if text.strip()]
