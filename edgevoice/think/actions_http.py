"""Actions that tell a web service. The HTTP client is imported when the first such action is performed."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from edgevoice.engines.registry import require
from edgevoice.errors import ActionError
from edgevoice.events import SlotValue
from edgevoice.think.actions_base import (
    KEPT_BYTES,
    ActionContext,
    ActionResult,
    Template,
    payload,
    read_answer,
    too_slow,
)


@dataclass(frozen=True)
class HttpAction:
    url: Template
    method: str
    headers: tuple[tuple[str, Template], ...]
    timeout: float
    name: Template
    place: str

    @property
    def label(self) -> str:
        return f"{self.method} {self.url.source}"

    @property
    def placeholders(self) -> frozenset[str]:
        headers = (template.placeholders for _, template in self.headers)
        return self.url.placeholders.union(self.name.placeholders, *headers)

    async def perform(self, context: ActionContext) -> ActionResult:
        """Send intent, slots and text as JSON and read the answer.

        Slots in the URL are quoted, so that they cannot change its path, query or host. Neither proxies nor
        credentials are taken from the environment, and redirects are not followed.

        Raises:
            ActionError: the service cannot be reached, refuses, answers too late or too much.
        """
        httpx = require("httpx2")
        name = self.name.fill(context.slots)
        headers = {"Content-Type": "application/json"} if self.method != "GET" else {}
        headers |= {key: template.fill(context.slots) for key, template in self.headers}
        request: dict[str, Any] = {
            "method": self.method,
            "url": self.url.fill({key: _quoted(value) for key, value in context.slots.items()}),
            "headers": headers | {"Accept-Encoding": "identity"},
        }
        if self.method != "GET":
            request["content"] = json.dumps(payload(context))
        try:
            async with asyncio.timeout(self.timeout):
                return await self._exchange(httpx, request, name)
        except TimeoutError:
            raise too_slow(self.label, self.place, name, self.timeout) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise self._failed(f"{type(error).__name__}: {error}", f"{name} could not be reached.") from error

    async def _exchange(self, httpx: Any, request: dict[str, Any], name: str) -> ActionResult:
        client = httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False)
        body = bytearray()
        async with client, client.stream(**request) as response:
            if response.status_code >= 300:
                where = response.headers.get("location", "")
                raise self._failed(
                    f"the answer is {response.status_code} {response.reason_phrase}"
                    + (f", a redirect to {where}" if where else ""),
                    f"{name} reported an error.",
                )
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise self._failed("the answer is compressed, which was not asked for", f"{name} reported an error.")
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > KEPT_BYTES:
                    raise self._failed(
                        f"the answer is longer than {KEPT_BYTES // 1024} KiB", f"{name} answered too much."
                    )
        return read_answer(bytes(body))

    def _failed(self, cause: str, spoken: str) -> ActionError:
        return ActionError(f"{self.label}: {cause}", place=self.place, spoken=spoken[:1].upper() + spoken[1:])


def _quoted(value: SlotValue) -> str:
    return quote(str(value), safe="")
