"""Actions that call a Python function."""

import asyncio
import contextlib
import importlib
import inspect
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgevoice.errors import ActionError
from edgevoice.think.actions_base import ActionContext, ActionResult, Template, from_mapping, too_slow

MAX_HANGING = 4
"""Threads of functions that did not return may exist at once. A thread cannot be killed; without a bound, a function
that hangs at every turn would fill the memory."""

_running: set[threading.Thread] = set()


@dataclass(frozen=True)
class PythonAction:
    module: str
    function: str
    timeout: float
    name: Template
    place: str

    @property
    def label(self) -> str:
        return f"python {self.module}:{self.function}"

    @property
    def placeholders(self) -> frozenset[str]:
        return self.name.placeholders

    async def perform(self, context: ActionContext) -> ActionResult:
        """Call the function with the context: a coroutine function in the loop, any other one in a thread.

        Raises:
            ActionError: it cannot be imported, raised, took too long, or gave something else than a mapping, a
            string or None; or MAX_HANGING functions have not returned yet.
        """
        name = self.name.fill(context.slots)
        try:
            async with asyncio.timeout(self.timeout) as limit:
                function = await self._threaded(self._import)
                if inspect.iscoroutinefunction(function):
                    answer = await function(context)
                else:
                    answer = await self._threaded(lambda: function(context))
        except ActionError:
            raise
        except Exception as error:
            if limit.expired():
                raise too_slow(self.label, self.place, name, self.timeout) from None
            raise self._raised(error, name) from error
        return self._result(answer, name)

    def _import(self) -> Callable[[ActionContext], Any]:
        try:
            found: Any = importlib.import_module(self.module)
            for part in self.function.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise ActionError(
                f"{self.label} cannot be imported: {error}",
                place=self.place,
                remedy="see that its folder is in PYTHONPATH",
                spoken="Sorry, this action is not set up.",
            ) from error
        if not callable(found):
            raise ActionError(f"{self.label} is no function", place=self.place)
        return found  # type: ignore[no-any-return]

    async def _threaded(self, work: Callable[[], Any]) -> Any:
        if len(_running) >= MAX_HANGING:
            raise ActionError(
                f"{MAX_HANGING} functions of actions have not returned yet",
                place=self.place,
                remedy="give what they wait for a timeout, and restart edgevoice",
                spoken="Sorry, I am still busy with earlier requests.",
            )
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(answer: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(answer)
            else:
                done.set_exception(error)

        def body() -> None:
            answer: Any = None
            error: BaseException | None = None
            try:
                answer = work()
            except StopIteration as raised:  # which a future refuses
                error = RuntimeError(f"StopIteration: {raised}").with_traceback(raised.__traceback__)
            except BaseException as raised:  # noqa: BLE001  handed over to the loop
                error = raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
            _running.discard(threading.current_thread())
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, answer, error)

        thread = threading.Thread(target=body, name=f"action {self.module}:{self.function}", daemon=True)
        _running.add(thread)
        thread.start()
        return await done

    def _raised(self, error: Exception, name: str) -> ActionError:
        frames = traceback.extract_tb(error.__traceback__)
        where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        return ActionError(
            f"{self.label} raised {type(error).__name__}: {error}{where}",
            place=self.place,
            spoken=f"{name[:1].upper()}{name[1:]} reported an error.",
        )

    def _result(self, answer: object, name: str) -> ActionResult:
        match answer:
            case None:
                return ActionResult()
            case str():
                return ActionResult({"output": answer})
            case ActionResult():
                return answer
            case Mapping():
                return from_mapping({str(key): value for key, value in answer.items()})
            case _:
                raise ActionError(
                    f"{self.label} gave a {type(answer).__name__}",
                    place=self.place,
                    remedy="return a dict, a str or None",
                    spoken=f"{name[:1].upper()}{name[1:]} reported an error.",
                )
