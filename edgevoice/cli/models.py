"""``edgevoice models``: what models there are, and getting, checking, choosing and removing them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevoice.modelcatalog import Model
    from edgevoice.modelfolder import Damage
    from edgevoice.modelstore import ModelStore
    from edgevoice.modelversions import Version

HELP = "list, fetch, check and remove models, and choose between versions of one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every model with its state, size, licence and where it comes from")
    listing.add_argument("names", nargs="*", metavar="NAME")
    pull = actions.add_parser("pull", help="fetch or build models, check and install them")
    pull.add_argument("names", nargs="*", metavar="NAME", help="default: those of your configuration")
    pull.add_argument("--all-for", type=Path, metavar="CONFIG", help="the models that a configuration file names")
    pull.add_argument("--into", type=Path, metavar="DIR", help="make a bundle there, for a board without a network")
    pull.add_argument(
        "--keep-outdated", action="store_true", help="leave what is replaced, while an older edgevoice still uses it"
    )
    pull.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    prune = actions.add_parser("prune", help="remove what was replaced and kept")
    verify = actions.add_parser("verify", help="hash every file of installed models, and check their provenance")
    verify.add_argument(
        "names",
        nargs="*",
        metavar="NAME[@VERSION]",
        help="also a path of a folder with a provenance; default: all versions of all that are installed",
    )
    verify.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    use = actions.add_parser("use", help="let a model's name stand for another version of it")
    use.add_argument("name", metavar="NAME@VERSION", help="the catalog's own version is NAME@catalog")
    use.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    rollback = actions.add_parser("rollback", help="go back to the version that was in use before")
    rollback.add_argument("name", metavar="NAME")
    rollback.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    remove = actions.add_parser("remove", help="remove models, or single versions of them")
    remove.add_argument("names", nargs="+", metavar="NAME[@VERSION]")
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
    for action in (listing, pull, prune, verify, use, rollback, remove):
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
        case "prune":
            return _prune(store, args)
        case "verify":
            return _verify(store, args)
        case "use" | "rollback":
            return _choose(store, args)
        case _:
            return _remove(store, args)


def _list(store: "ModelStore", args: argparse.Namespace) -> int:
    own = store.own()
    outdated = store.outdated()
    known = [name for name in args.names if name not in own]
    entries = [_entry(store.catalog[name]) for name in known] if args.names else [_entry(m) for m in store.catalog]
    entries += [{"name": name} for name in own if not args.names or name in args.names]
    for entry in entries:
        versions = store.versions(entry["name"])
        active = next((version for version in versions if version.active), None)
        entry["state"] = "installed" if active else "outdated" if entry["name"] in outdated else "available"
        if "task" not in entry and (any_version := active or next(iter(versions), None)):
            entry |= {"task": any_version.task, "description": "A model of your own", "licence": any_version.licence}
            entry |= {"author": "you", "origin": any_version.origin, "size": any_version.size}
            entry["sources"] = ["no version of it is in use"]
        if active:
            entry |= {"path": str(active.path), "size": active.size, "source": active.source}
        entry["versions"] = [_version(version) for version in versions]
    if args.json:
        return _print_json({"root": str(store.root), "models": entries})
    shown = [entry for entry in entries if "task" in entry]  # A damaged one is named by "verify".
    there = sum(len(store.versions(model.name)) > 0 for model in store.catalog)
    print(f"{there} of {len(list(store.catalog))} models are installed in {store.root}\n")
    width = max(len(entry["name"]) for entry in shown)
    for entry in shown:
        size = f"{entry['size'] / 1e6:.1f} MB"
        print(f"{entry['name']:<{width}}  {entry['task']:<4}  {entry['state']:<9}  {size:>9}  {entry['licence']}")
        print(f"    {entry['description']}")
        print(f"    by {entry['author']}; {entry['origin']}")
        came = [f"installed from {entry['source']}"] if "source" in entry else entry["sources"]
        print(f"    {', or '.join(came)}")
        if any(version["name"] != "catalog" for version in entry["versions"]):
            told = (_told(version) for version in entry["versions"])
            print(f"    versions: {', '.join(told)}")
        print()
    return 0


def _version(version: "Version") -> dict[str, Any]:
    return {
        "name": version.name,
        "in_use": version.active,
        "size": version.size,
        "path": str(version.path),
        "source": version.source,
    }


def _told(version: dict[str, Any]) -> str:
    return f"{version['name']} ({version['size'] / 1e6:.1f} MB{', in use' if version['in_use'] else ''})"


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
        pulled = target.pull(names, progress, near=None if target is store else store, keep_outdated=args.keep_outdated)
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


def _prune(store: "ModelStore", args: argparse.Namespace) -> int:
    pruned = store.prune()
    if args.json:
        return _print_json({"root": str(store.root), "pruned": pruned})
    for name in pruned:
        print(f"{name}: removed")
    return 0


def _verify(store: "ModelStore", args: argparse.Namespace) -> int:
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.errors import ModelError

    names = list(dict.fromkeys(args.names)) or _everything(store)
    good: list[str] = []
    damage: list[Damage] = []
    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        for name in names:
            found = _folder(name) if "/" in name else store.verify([name], progress) or _provenance(store, name)
            damage += found
            if not found:
                good.append(name)
    if args.json:
        faults = [{"model": found.model, "path": str(found.path), "cause": found.cause} for found in damage]
        _print_json({"root": str(store.root), "good": good, "damage": faults})
    else:
        for name in good:
            print(f"{name}: good")
        for each in damage:
            print(f"edgevoice: error: {each.error()}", file=sys.stderr)
        if not names:
            print(f"no models are installed in {store.root}")
    return ModelError.exit_code if damage else 0


def _everything(store: "ModelStore") -> list[str]:
    """What is installed, every version: by the model's name alone where that stands for the catalog's version."""
    found = [version for model in store.catalog for version in store.versions(model.name)]
    found += [version for name in store.own() for version in store.versions(name)]
    names = [version.model if version.active and version.name == "catalog" else str(version) for version in found]
    return [*names, *(name for name in store.broken() if name not in names)]


def _provenance(store: "ModelStore", name: str) -> "list[Damage]":
    """What is wrong with where a version says it comes from. That of the catalog is known by its hashes."""
    from edgevoice.modelfolder import Damage, read_manifest
    from edgevoice.quantize import provenance

    version = store.version(name)
    if version.name == "catalog":
        return []
    remedy = f"make it again, or remove it with: edgevoice models remove {version}"
    faults = provenance.faults(version.path, read_manifest(version.path))
    return [Damage(str(version), path, cause, remedy) for path, cause in faults]


def _folder(name: str) -> "list[Damage]":
    """What is wrong with a model that lies outside of the store, by the provenance beside it."""
    from edgevoice.modelfolder import Damage
    from edgevoice.quantize import provenance

    faults = provenance.faults(Path(name).expanduser())
    return [Damage(name, path, cause, "make it again") for path, cause in faults]


def _choose(store: "ModelStore", args: argparse.Namespace) -> int:
    from edgevoice.cli.progress import ProgressLine

    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        choose = store.use if args.action == "use" else store.rollback
        version = choose(args.name, progress)
    if args.json:
        return _print_json({"root": str(store.root), "model": version.model, "in_use": version.name})
    print(f"{version.model} is now {version} ({version.size / 1e6:.1f} MB); what runs already keeps what it has loaded")
    return 0


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
