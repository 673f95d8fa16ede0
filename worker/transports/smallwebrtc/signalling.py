"""Pipecat's HTTP signalling: the offer, directly or after a `/start` request for a session.

Owns what is sent, what is tried again and what each refusal is called; refuses to know SDP or
media. All of it happens within one deadline. Texts from the agent go into `detail` as they came
(bounded): the call redacts them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

import msgspec

from shared.agent import IceServer, SmallWebRTC
from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.http import (
    AddressRefusedError,
    AnswerBrokenError,
    Http,
    HttpAnswer,
    HttpError,
    RedirectedError,
    RequestInvalidError,
    TimedOutError,
    UnreachableError,
)
from worker.transports.smallwebrtc.answer import MAX_ANSWER_BYTES, Answer, read_answer

_START_TRIES: Final = 3
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 2.0
_MAX_SESSION_ID: Final = 200
_MAX_ICE_SERVERS: Final = 20


class Session(msgspec.Struct, frozen=True):
    """Where the offer goes. `session_id` is empty for a direct offer."""

    offer_url: str
    session_id: str = ""
    ice_servers: tuple[IceServer, ...] = ()
    """What `/start` recommended; for callers whose plan names none."""


class Signalling:
    """One call's requests to one endpoint; `deadline` is on the loop's clock, in seconds."""

    def __init__(
        self, endpoint: SmallWebRTC, tell_agent: dict[str, str], http: Http, deadline: float
    ) -> None:
        self._endpoint = endpoint
        self._tell_agent = tell_agent
        self._http = http
        self._deadline = deadline

    async def is_loopback(self) -> bool:
        """Whether the endpoint lives on this host's loopback; raises `CallFailure`."""
        return all(address.is_loopback for address in await self._addresses())

    async def session(self) -> Session:
        """The place for the offer, asking `/start` first where the endpoint has one.

        Raises `CallFailure`, START_REFUSED above all.
        """
        url = self._endpoint.start_url
        if url is None:
            if self._endpoint.offer_url is None:
                raise _failure(EndedReason.PLAN_INVALID, "the endpoint has no URL")
            return Session(self._endpoint.offer_url)
        body = {
            "transport": "webrtc",
            "enableDefaultIceServers": await self._wants_ice_servers(),
            # A session's bot reads the start body; request_data of the offer would replace it.
            "body": {**self._endpoint.start_body, **self._tell_agent},
        }
        answer = await self._start(url, body)
        return self._session_of(url, answer)

    async def offer(self, session: Session, sdp: str) -> Answer:
        """Send the offer; a session that is not ready yet (404) is asked again until the deadline.

        Raises `CallFailure`: OFFER_REFUSED, OFFER_TIMED_OUT, ANSWER_INVALID and others.
        """
        body: dict[str, Any] = {"sdp": sdp, "type": "offer"}
        if self._endpoint.request_data or not session.session_id:
            data = {**self._endpoint.request_data, **self._tell_agent}
            # Snake case alone: runners drop `requestData`, and both together break Pipecat Cloud.
            if data:
                body["request_data"] = data
        pause_s = _FIRST_PAUSE_S
        while True:
            answer = await self._post(session.offer_url, body)
            if 200 <= answer.status < 300:
                return read_answer(answer)
            not_ready = bool(session.session_id) and answer.status == 404
            if not not_ready or not await self._pause(pause_s):
                raise _failure(EndedReason.OFFER_REFUSED, _quoted(answer))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _start(self, url: str, body: dict[str, Any]) -> HttpAnswer:
        pause_s = _FIRST_PAUSE_S
        for tries_left in reversed(range(_START_TRIES)):
            answer = await self._post(url, body)
            if 200 <= answer.status < 300:
                return answer
            final = answer.status < 500 or not tries_left
            if final or not await self._pause(pause_s):
                break
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise _failure(EndedReason.START_REFUSED, _quoted(answer))

    def _session_of(self, url: str, answer: HttpAnswer) -> Session:
        try:
            tree = answer.json()
        except AnswerBrokenError as error:
            raise _failure(EndedReason.START_REFUSED, str(error)) from error
        session_id = tree.get("sessionId") if isinstance(tree, dict) else None
        if not isinstance(session_id, str) or not 0 < len(session_id) <= _MAX_SESSION_ID:
            raise _failure(EndedReason.START_REFUSED, "the answer has no usable sessionId")
        return Session(_offer_url(self._endpoint, url, session_id), session_id, _ice_servers(tree))

    async def _wants_ice_servers(self) -> bool:
        """An agent on the public internet is met through its servers; one nearby is met directly,
        and asking an unreachable STUN server costs five seconds.
        """
        if self._endpoint.ice_servers:
            return False
        return all(address.is_global for address in await self._addresses())

    async def _addresses(self) -> list[Any]:
        url = self._endpoint.start_url or self._endpoint.offer_url or ""
        try:
            return list(await self._http.addresses(url, self._left_s()))
        except HttpError as error:
            raise _named(error) from error

    async def _post(self, url: str, body: dict[str, Any]) -> HttpAnswer:
        try:
            return await self._http.post_json(
                url,
                body,
                self._endpoint.headers,
                timeout_s=self._left_s(),
                max_bytes=MAX_ANSWER_BYTES,
            )
        except HttpError as error:
            raise _named(error) from error

    async def _pause(self, pause_s: float) -> bool:
        """Wait before another try; False where the deadline leaves no room for one."""
        if self._left_s() <= pause_s:
            return False
        await asyncio.sleep(pause_s)
        return True

    def _left_s(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())


def _offer_url(endpoint: SmallWebRTC, start_url: str, session_id: str) -> str:
    safe = quote(session_id, safe="")
    if endpoint.offer_url is not None:
        return endpoint.offer_url.replace("{session_id}", safe)
    before, found, after = start_url.rpartition("/start")
    if not found:
        raise _failure(EndedReason.PLAN_INVALID, "start_url has no /start and no offer_url beside")
    return f"{before}/sessions/{safe}/api/offer{after}"


def _ice_servers(tree: dict[str, Any]) -> tuple[IceServer, ...]:
    """`iceConfig.iceServers` as browsers take them; entries of another shape are left out."""
    config = tree.get("iceConfig")
    listed = config.get("iceServers") if isinstance(config, dict) else None
    servers = []
    for entry in listed[:_MAX_ICE_SERVERS] if isinstance(listed, list) else []:
        try:
            wanted = {k: entry.get(k) for k in ("urls", "username", "credential")}
            servers.append(msgspec.convert(wanted, IceServer))
        except (msgspec.ValidationError, AttributeError):
            continue
    return tuple(servers)


_ENDED = {
    AddressRefusedError: EndedReason.ADDRESS_REFUSED,
    UnreachableError: EndedReason.ENDPOINT_UNREACHABLE,
    TimedOutError: EndedReason.OFFER_TIMED_OUT,
    RedirectedError: EndedReason.OFFER_REFUSED,
    RequestInvalidError: EndedReason.PLAN_INVALID,
}


def _named(error: HttpError) -> CallFailure:
    return _failure(_ENDED.get(type(error), EndedReason.ANSWER_INVALID), str(error))


def _failure(reason: EndedReason, detail: str) -> CallFailure:
    return CallFailure(reason, Step.SIGNALLING, detail)


def _quoted(answer: HttpAnswer) -> str:
    text = answer.text(280)
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"
