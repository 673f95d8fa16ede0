"""The leases of the calls this process holds. Owns renewal; refuses to know what a call is.

All leases are renewed in one batch, six times per lease. The answer names calls that were
cancelled or that are no longer ours. A process that cannot renew tells its calls to hang up before
their leases end, so that an agent is never called by two workers for one call. That watch waits for
nothing, least of all for Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from redis.asyncio import Redis

from shared import metrics
from shared.call import EndedReason
from shared.errors import StateError
from shared.state.calls import CallKey, Holding, announce_worker, renew, withdraw_worker
from shared.state.keys import RENEWALS_PER_LEASE, WORKER_LIFE_MS
from worker.media.clock import now_ns

MARGIN_SHARE = 0.2
"""Share of the lease that is left for hanging up when renewal fails."""
LOOKS_PER_LEASE = 30

log = structlog.get_logger()


class Tenant(Protocol):
    """Whatever lives on a lease."""

    def hang_up(self, reason: EndedReason, detail: str) -> None:
        """End soon, for this reason; the first reason given stands."""


class Leases:
    """Leases held by one process under one worker name."""

    def __init__(self, redis: Redis, worker: str, slots: int, lease_s: float) -> None:
        self._redis = redis
        self._worker = worker
        self._slots = slots
        self._lease_s = lease_s
        self._tenants: dict[CallKey, Tenant] = {}
        self._renewed_ns: dict[CallKey, int] = {}
        self._offers_slots = True

    @property
    def lease_ms(self) -> int:
        """How long a lease lasts."""
        return round(self._lease_s * 1000)

    @contextmanager
    def held(self, key: CallKey, tenant: Tenant, claimed_ns: int) -> Iterator[None]:
        """Renew the lease of `key` for the time of the block.

        `claimed_ns`: when the claim was asked for (`worker.media.clock`), so that its lease ends
        no sooner than is reckoned with here.
        """
        self._tenants[key] = tenant
        self._renewed_ns[key] = claimed_ns
        try:
            yield
        finally:
            self._tenants.pop(key, None)
            self._renewed_ns.pop(key, None)

    async def stop_offering(self) -> None:
        """Offer no more slots to admission; leases go on being renewed."""
        self._offers_slots = False
        await withdraw_worker(self._redis, self._worker)

    async def keep(self) -> None:
        """Renew, announce and watch until cancelled; a Redis that is away is tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_renewing(), name="renewals")
            group.create_task(self._keep_watch(), name="expiries")

    async def _keep_renewing(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._lease_s / 2):
                    await self._renew()
                    await self._announce()
            except (StateError, TimeoutError) as error:
                log.warning("renewal_failed", error=str(error))
            await asyncio.sleep(self._lease_s / RENEWALS_PER_LEASE)

    async def _keep_watch(self) -> None:
        while True:
            self._hang_up_expiring()
            await asyncio.sleep(self._lease_s / LOOKS_PER_LEASE)

    async def _announce(self) -> None:
        if not self._offers_slots:
            return
        life_ms = max(WORKER_LIFE_MS, self.lease_ms // 2)
        await announce_worker(self._redis, self._worker, self._slots, life_ms=life_ms)
        if not self._offers_slots:  # withdrawn meanwhile, perhaps before this reached Redis
            await withdraw_worker(self._redis, self._worker)

    async def _renew(self) -> None:
        keys = list(self._tenants)
        if not keys:
            return
        asked_ns = now_ns()
        renewals = await renew(self._redis, self._worker, keys, lease_ms=self.lease_ms)
        lost = 0
        for renewal in renewals:
            tenant = self._tenants.get(renewal.key)
            if tenant is None:
                continue
            if renewal.state is Holding.HELD:
                self._renewed_ns[renewal.key] = asked_ns
            elif renewal.state is Holding.CANCELLED:
                self._renewed_ns[renewal.key] = asked_ns
                tenant.hang_up(EndedReason.CANCELLED, "the run was cancelled")
            else:
                lost += 1
                tenant.hang_up(EndedReason.LEASE_LOST, "the call was given to another worker")
        metrics.leases_renewed(len(renewals) - lost, lost)

    def _hang_up_expiring(self) -> None:
        limit_ns = int(self._lease_s * (1 - MARGIN_SHARE) * 1e9)
        now = now_ns()
        for key, renewed_ns in self._renewed_ns.items():
            if now - renewed_ns > limit_ns:
                self._tenants[key].hang_up(
                    EndedReason.LEASE_LOST, "the lease could not be renewed in time"
                )
