"""``edgevoice bench run``: measure engines, turns, idle load and heat on this machine."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.cli.common import add_config_arguments, add_grammar_argument, load_config, positive

if TYPE_CHECKING:
    from edgevoice.bench.manifests import Given
    from edgevoice.bench.measure import Limits, Spec, Tell
    from edgevoice.bench.plan import Wanted
    from edgevoice.bench.session import Session
    from edgevoice.bench.speech import Recording
    from edgevoice.config import Config

HELP = "measure engines, whole turns, idle load and heat on this machine"

PARTS = ("wake", "vad", "asr", "tts", "turn", "idle", "contention")
MOST_THREADS = 4
"""Thread counts that are measured by default: boards have four cores, and no engine here gains from more."""

RECORDINGS = 20
"""Recordings of a manifest that are taken by default: more of them make rounds longer, and medians no surer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", type=_words, metavar="PART,PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument(
        "--engines", type=_words, metavar="NAME,NAME", help="only these engines, ours and those of others"
    )
    parser.add_argument(
        "--threads", type=_numbers, metavar="N,N", help=f"threads (default: 1 to the cores, at most {MOST_THREADS})"
    )
    parser.add_argument(
        "--variants",
        type=_words,
        metavar="NAME,NAME",
        help="how recognisers are fed: plain (a whole recording), stream (in blocks, with partial texts), grammar "
        "(held to the intents); default: plain,stream",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="recordings: JSON lines with audio; with text, intent and slots, phrase, or speech, which adds accuracy; "
        "one of each kind may be given. Without it a voice speaks some",
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="only the first N recordings of a manifest (default: 20)"
    )
    add_grammar_argument(parser)
    parser.add_argument(
        "--peer-model",
        type=_pair,
        action="append",
        default=[],
        metavar="ENGINE=MODEL",
        help="another model for an engine of others: a name of the catalog or a path",
    )
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="time for each thing that is measured (default: 15)"
    )
    parser.add_argument(
        "--narrow",
        type=_seconds,
        metavar="PERCENT",
        help="go on to the next when the median is known to this (default: 2)",
    )
    parser.add_argument(
        "--minutes", type=_seconds, metavar="N", help="also a soak: turns without a pause for so long, watching heat"
    )
    parser.add_argument(
        "--busy", type=positive, metavar="N", help="processes that take the processor (default: the cores)"
    )
    parser.add_argument(
        "--realtime", action="store_true", help="turns at the pace of a microphone instead of simulating it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, with every value")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_arguments(parser)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(sorted({positive(part) for part in text.split(",")}))
    if found[-1] > 64:
        raise argparse.ArgumentTypeError("at most 64")
    return found


def _seconds(text: str) -> float:
    if not 0 < (number := float(text)) < 1e6:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def _pair(text: str) -> tuple[str, str]:
    name, equals, model = text.partition("=")
    if not (name and equals and model):
        raise argparse.ArgumentTypeError(f"'{text}' is no ENGINE=MODEL")
    return name, model


def run(args: argparse.Namespace) -> int:
    """Everything is checked before anything is measured. What was measured is kept also when it is stopped.

    Raises:
        EngineError: after all else, what could not be measured.
    """
    import sys

    from edgevoice.bench import schema, table
    from edgevoice.bench.session import Session
    from edgevoice.bench.shortfall import shortfall
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.cli.streams import stopped_once

    config, given = _checked(args)
    stopped: BaseException | None = None
    with stopped_once():
        with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
            tell = _teller(progress)
            session = Session(_options(args, config))
            try:
                _measure(args, config, given, session, tell)
            except BaseException as error:  # noqa: BLE001 - raised again once what was measured is saved
                stopped = error
                tell("stopped; what was measured is kept", 0.0)
            result = session.result(partial=stopped is not None)
        try:
            if args.json is not None:
                schema.write(result, args.json)
        finally:  # a disk that is full must not take the tables away, too
            print("\n".join(table.tables(result)))
    if stopped is not None:
        raise stopped
    if (lacking := shortfall(result, args.engines or ())) is not None:
        raise lacking
    return 0


def _checked(args: argparse.Namespace) -> "tuple[Config, Given]":
    """The configuration, and what the manifests hold.

    Raises:
        ConfigError: with all that is wrong with what was typed. OutputError: the result could not be written.
    """
    from edgevoice.bench import manifests, plan
    from edgevoice.bench.peers import PEERS
    from edgevoice.bench.subjects import VARIANTS
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.listening import with_grammars
    from edgevoice.suggest import did_you_mean

    mistakes = []
    for option, given, known in (
        ("--only", args.only or (), PARTS),
        ("--engines", args.engines or (), plan.known_engines()),
        ("--variants", args.variants or (), VARIANTS),
        ("--peer-model", [name for name, _ in args.peer_model], list(PEERS)),
    ):
        for word in given:
            if word not in known:
                hint = did_you_mean(word, known) or f"choose of: {', '.join(known)}"
                mistakes.append(f"option {option}: there is no '{word}'; {hint}")
    for name, model in args.peer_model:
        if "/" in model and not Path(model).exists():
            mistakes.append(f"option --peer-model {name}: there is no {model}")
    if args.json is not None and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
        mistakes.append(f"option --json {args.json}: no file can be written there")
    if mistakes:
        raise ConfigError("\n".join(mistakes) if len(mistakes) == 1 else "\n".join(["several mistakes", *mistakes]))
    config = with_grammars(load_config(args), args.grammar)
    return config, manifests.load(args.manifest, config, args.limit or RECORDINGS)


def _teller(progress: Any) -> "Tell":
    """Shows a step as a line, and its advance as a bar."""

    def tell(what: str, part: float) -> None:
        if part <= 0.0:
            progress.step(what)
        else:
            progress.advance(round(1000 * min(part, 1.0)), 1000, what)

    return tell


def _options(args: argparse.Namespace, config: "Config") -> dict[str, Any]:
    """What was asked for, and the configured engines."""
    import msgspec

    from edgevoice.config import TASKS

    def plain(value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    typed = {
        name: [plain(each) for each in value] if isinstance(value, list) else plain(value)
        for name, value in vars(args).items()
        if name not in ("command", "action", "run", "run_action", "json", "quiet")
    }
    typed["peer_model"] = [f"{name}={model}" for name, model in args.peer_model]
    chosen = {
        task: {"engine": getattr(config, task).engine, **msgspec.to_builtins(getattr(config, task).chosen)}
        for task in TASKS
    }
    return {"typed": typed, "block": config.input.block, **chosen}


def _measure(args: argparse.Namespace, config: "Config", given: "Given", session: "Session", tell: "Tell") -> None:
    from edgevoice.bench import accuracy, plan, speech
    from edgevoice.bench.measure import Limits

    parts = args.only or PARTS
    limits = Limits()
    limits = Limits(
        seconds=args.seconds or limits.seconds, narrow=(args.narrow or 100 * limits.narrow) / 100, rounds=limits.rounds
    )
    heard = given.of("texts", "commands")
    streamed = given.of("wake", "speech", "texts", "commands")
    if ("asr" in parts and not heard) or ({"wake", "vad", "contention"} & set(parts) and not streamed):
        tell("a voice speaks what is to be recognised", 0.0)
        spoken = tuple(speech.spoken(speech.SENTENCES))
        heard, streamed = heard or spoken, streamed or spoken
    for task in plan.ENGINE_TASKS:
        if task in parts:
            recordings = heard if task == "asr" else streamed
            session.take_all(plan.specs(task, _wanted(args, config, recordings)), limits, tell, recordings)
    if "turn" in parts or args.minutes:
        _turns(args, config, given, session, limits, tell)
    if "idle" in parts:
        _idle(args, config, session, limits, tell)
    if "contention" in parts:
        _contention(args, config, streamed, session, limits, tell)
    if given.wake and "wake" in parts:
        session.take(accuracy.waking(config, given.wake), tell)
    if given.speech and "vad" in parts:
        session.take(accuracy.detecting(config, given.speech), tell)
    if given.commands and {"asr", "turn"} & set(parts):
        session.take(accuracy.understanding(config, given.commands), tell)
    if "tts" in parts and (texts := [part.text for part in given.texts if part.text]):
        session.take(accuracy.speaking(config, texts), tell)


def _wanted(args: argparse.Namespace, config: "Config", heard: "tuple[Recording, ...]") -> "Wanted":
    import os

    from edgevoice.bench.plan import Wanted

    cores = len(os.sched_getaffinity(0))
    return Wanted(
        config=config,
        recordings=heard,
        threads=args.threads or tuple(range(1, min(cores, MOST_THREADS) + 1)),
        variants=args.variants or ("plain", "stream"),
        engines=None if args.engines is None else frozenset(args.engines),
        peer_models={name: str(Path(model).absolute()) if "/" in model else model for name, model in args.peer_model},
    )


def _daemon(config: "Config", kind: Any, task: Any, load: Callable[[], Any], main: str) -> "Spec":
    """What is measured of the whole daemon."""
    from edgevoice.bench.measure import Spec
    from edgevoice.bench.plan import model_name

    options = config.asr.chosen
    return Spec(
        kind=kind,
        task=task,
        engine=config.asr.engine,
        model=model_name(options),
        threads=getattr(options, "threads", 1),
        load=load,
        main=main,
    )


def _turns(
    args: argparse.Namespace, config: "Config", given: "Given", session: "Session", limits: "Limits", tell: "Tell"
) -> None:
    import dataclasses

    from edgevoice.bench import speech
    from edgevoice.bench.soak import Soak
    from edgevoice.bench.turn import Assisting

    commands = given.of("commands")
    if not commands:
        tell("a voice speaks commands", 0.0)
        commands = tuple(speech.spoken(speech.COMMANDS))
    load = Assisting(config, commands, args.realtime)
    spec = _daemon(config, "turn", "turn", load, "answer_ms")
    spec = dataclasses.replace(spec, variant="realtime" if args.realtime else "")
    if "turn" in (args.only or PARTS):
        session.take_all([spec], limits, tell)
    if args.minutes:
        soak = dataclasses.replace(spec, kind="soak", load=dataclasses.replace(load, realtime=False), variant="")
        session.take(Soak(session.next_group, soak, 60 * args.minutes), tell)


def _idle(args: argparse.Namespace, config: "Config", session: "Session", limits: "Limits", tell: "Tell") -> None:
    from functools import partial

    from edgevoice.audio.devices import has_sound_card
    from edgevoice.bench.idle import Idle, RealDaemon

    spec = _daemon(config, "idle", "idle", lambda: None, "cpu_percent")
    arguments = [f"--config={args.config}"] if args.config else []
    arguments += [f"--set={override}" for override in args.overrides]
    daemon = partial(RealDaemon, arguments, live=has_sound_card(input=True))
    session.take(
        Idle(
            session.next_group,
            daemon,
            2 * limits.seconds,
            engine=spec.engine,
            model=spec.model,
            threads=spec.threads,
        ),
        tell,
    )


def _contention(
    args: argparse.Namespace,
    config: "Config",
    heard: "tuple[Recording, ...]",
    session: "Session",
    limits: "Limits",
    tell: "Tell",
) -> None:
    import os
    from dataclasses import replace

    from edgevoice.bench import speech
    from edgevoice.bench.contention import Contention, Listening
    from edgevoice.bench.plan import model_name
    from edgevoice.bench.subjects import Ours

    loads = tuple(Ours(task, getattr(config, task).engine, getattr(config, task).chosen) for task in ("wake", "vad"))
    load = Listening(loads, speech.lasting(heard, limits.seconds), config.input.block)
    spec = _daemon(config, "contention", "wake", load, "chunk_ms")
    spec = replace(spec, engine=config.wake.engine, model=model_name(config.wake.chosen), threads=1)
    busy = args.busy or len(os.sched_getaffinity(0))
    session.take(Contention(session.next_group, spec, busy), tell)
