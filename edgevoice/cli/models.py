"""``edgevoice models``: what models there are, and getting, checking and removing them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevoice.modelcatalog import Model
    from edgevoice.modelstore import ModelStore

HELP = "list, fetch, check and remove models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every model with its state, size, licence and where it comes from")
    listing.add_argument("names", nargs="*", metavar="NAME")
    pull = actions.add_parser("pull", help="fetch or build models, check and install them")
    pull.add_argument("names", nargs="*", metavar="NAME", help="default: those of your configuration")
    pull.add_argument("--all-for", type=Path, metavar="CONFIG", help="the models that a configuration file names")
    pull.add_argument("--into", type=Path, metavar="DIR", help="make a bundle there, for a board without a network")
    pull.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    verify = actions.add_parser("verify", help="hash every file of installed models")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are installed")
    verify.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    remove = actions.add_parser("remove", help="remove models")
    remove.add_argument("names", nargs="+", metavar="NAME")
    build = actions.add_parser("build", help="make a recognition model out of Whisper weights that you have")
    build.add_argument(
        "source",
        type=Path,
        help="a CTranslate2 or Hugging Face folder, or a .safetensors, pytorch_model.bin or .pt file",
    )
    build.add_argument(
        "target", type=Path, help="folder of the new model; use it with --set asr.whisper.model=./FOLDER"
    )
    build.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json, vocab.json or *.tiktoken")
    build.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    for action in (listing, pull, verify, remove):
        action.add_argument("--json", action="store_true", help="the result as JSON")


def run(args: argparse.Namespace) -> int:
    from edgevoice.modelstore import ModelStore

    if args.action == "build":
        return _build(args)
    store = ModelStore()
    match args.action:
        case "list":
            return _list(store, args)
        case "pull":
            return _pull(store, args)
        case "verify":
            return _verify(store, args)
        case _:
            return _remove(store, args)


def _list(store: "ModelStore", args: argparse.Namespace) -> int:
    installed = {found.name: found for found in store.installed()}
    outdated = store.outdated()
    models = [store.catalog[name] for name in args.names] or list(store.catalog)
    entries = []
    for model in models:
        there = installed.get(model.name)
        entry = _entry(model)
        entry["state"] = "installed" if there else "outdated" if model.name in outdated else "available"
        if there:
            entry |= {"path": str(there.path), "size": there.size, "source": there.source}
        entries.append(entry)
    if args.json:
        return _print_json({"root": str(store.root), "models": entries})
    print(f"{len(installed)} of {len(list(store.catalog))} models are installed in {store.root}\n")
    width = max(len(model.name) for model in models)
    for entry in entries:
        size = f"{entry['size'] / 1e6:.1f} MB"
        print(f"{entry['name']:<{width}}  {entry['task']:<4}  {entry['state']:<9}  {size:>9}  {entry['licence']}")
        print(f"    {entry['description']}")
        print(f"    by {entry['author']}; {entry['origin']}")
        came = [f"installed from {entry['source']}"] if "source" in entry else entry["sources"]
        print(f"    {', or '.join(came)}\n")
    return 0


def _entry(model: "Model") -> dict[str, Any]:
    from edgevoice.modelfetch import describe

    return {
        "name": model.name,
        "task": model.task,
        "description": model.description,
        "licence": model.licence,
        "author": model.author,
        "origin": model.origin,
        "size": model.size,
        "sources": [describe(source) for source in model.sources],
        "files": {name: {"size": spec.size, "sha256": spec.sha256} for name, spec in model.files.items()},
    }


def _pull(store: "ModelStore", args: argparse.Namespace) -> int:
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.config import load, model_names
    from edgevoice.modelstore import ModelStore

    names = list(args.names)
    if args.all_for is not None or not names:
        names += model_names(load(args.all_for))
    target = store if args.into is None else ModelStore(args.into, store.catalog)
    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        pulled = target.pull(names, progress, near=None if target is store else store)
    if args.json:
        paths = {name: str(target.path(name)) for name in dict.fromkeys(names)}
        return _print_json({"root": str(target.root), "pulled": pulled, "models": paths})
    for name in pulled:
        print(f"{name}: installed in {target.path(name)}")
    if args.into is not None:
        print(f"Copy {target.root} to the board, and there either set EDGEVOICE_MODELS to the copy,")
        print("or copy what is in it into ~/.local/share/edgevoice/models.")
    elif not pulled:
        print(f"{len(set(names))} models are installed and up to date in {target.root}")
    return 0


def _verify(store: "ModelStore", args: argparse.Namespace) -> int:
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.errors import ModelError

    names = list(dict.fromkeys(args.names)) or [*(found.name for found in store.installed()), *store.broken()]
    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        damage = store.verify(names, progress)
    damaged = {found.model for found in damage}
    if args.json:
        faults = [{"model": found.model, "path": str(found.path), "cause": found.cause} for found in damage]
        _print_json({"root": str(store.root), "good": [n for n in names if n not in damaged], "damage": faults})
    else:
        for name in names:
            if name not in damaged:
                print(f"{name}: good")
        for found in damage:
            print(f"edgevoice: error: {found.error()}", file=sys.stderr)
        if not names:
            print(f"no models are installed in {store.root}")
    return ModelError.exit_code if damage else 0


def _remove(store: "ModelStore", args: argparse.Namespace) -> int:
    removed = store.remove(args.names)
    if args.json:
        return _print_json({"root": str(store.root), "removed": removed})
    for name in dict.fromkeys(args.names):
        print(f"{name}: {'removed' if name in removed else 'was not installed'}")
    return 0


def _build(args: argparse.Namespace) -> int:
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.export.whisper import build_whisper

    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        build_whisper(args.source, args.target, lambda what, _part: progress.step(what), tokenizer=args.tokenizer)
    print(args.target)
    return 0


def _print_json(value: object) -> int:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value)).decode())
    return 0
