"""A bounded, closable channel between tasks of one event loop."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """One producer, one consumer. What happens when it is full is the producer's choice: ``offer`` or ``send``."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a channel holds at least one item")
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        return self._closed

    def offer(self, item: T) -> T | None:
        """Put an item in without waiting. When full the oldest one gives way and is returned. Nothing happens after
        ``close``."""
        if self._closed:
            return None
        dropped = self._items.popleft() if len(self._items) >= self._capacity else None
        self._items.append(item)
        self._changed.set()
        return dropped

    async def send(self, item: T) -> None:
        """Put an item in, waiting while it is full. Nothing happens after ``close``."""
        while len(self._items) >= self._capacity and not self._closed:
            await self._wait()
        self.offer(item)

    def close(self, error: BaseException | None = None) -> None:
        """End the stream. The consumer still gets what is in it, then the end, or ``error`` raised."""
        if not self._closed:
            self._closed, self._error = True, error
        self._changed.set()

    def __aiter__(self) -> "Channel[T]":
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                raise self._error or StopAsyncIteration
            await self._wait()
        item = self._items.popleft()
        self._changed.set()
        return item

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
