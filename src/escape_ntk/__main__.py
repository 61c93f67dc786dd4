"""The command line: ``escape-ntk list | run NAME | claims | records [NAME]``.

Only what every command needs is imported here: PyTorch and the experiments come with a command.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from escape_ntk.records.store import RecordStore

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
SEED = r"[0-9]{1,9}"
"""A seed: experiments make others from it, which PyTorch must be able to take."""
MOST_SEEDS = 100_000
PATHS = ("records", "root", "csv", "parquet")
"""Options that name a file or folder."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"1,2,5-8"`` → (1, 2, 5, 6, 7, 8).

    Nothing, a word, or a range that runs backwards is refused, whatever stands beside it.
    """
    from escape_ntk import checks

    seeds: list[int] = []
    for piece in text.split(","):
        ends = re.fullmatch(rf"({SEED})(?:-({SEED}))?", piece.strip())
        found = range(int(ends[1]), int(ends[2] or ends[1]) + 1) if ends else range(0)
        if not found or len(found) + len(seeds) > MOST_SEEDS:
            raise checks.InputError(
                checks.message(
                    expected="seeds below 1 000 000 000, 100 000 at most, such as 1,2,5-8",
                    got=repr(text),
                    remedy="--seeds 1-10",
                )
            )
        seeds += found
    return tuple(dict.fromkeys(seeds))


def parser() -> argparse.ArgumentParser:
    """The four commands and their options."""
    top = argparse.ArgumentParser(prog="escape-ntk", description="Experiments, claims, records.")
    where = "folder of the records (default: the book's)"
    top.add_argument("--records", help=where)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--records", default=argparse.SUPPRESS, help=where)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=words, description=words, parents=[common])

    command("list", "the experiments, and how many of their runs are recorded")
    _run_options(command("run", "compute what is not recorded yet; resumes when killed"))
    ledger = command("claims", "every claim with its verdict")
    ledger.add_argument("--json", action="store_true", help="the whole ledger as a JSON array")
    inside = command("records", "what is stored: all databases, or one of them as a table")
    inside.add_argument("name", nargs="?", help="a database, such as curves")
    files = inside.add_mutually_exclusive_group()
    files.add_argument("--csv", metavar="FILE", help="write a table; - for the screen")
    files.add_argument("--parquet", metavar="FILE", help="the same for pandas and kin")
    return top


def _run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument("name")
    run.add_argument("--scale", default="full", help="live or full (default: full)")
    run.add_argument("--seeds", help="for example 1,2,5-8 (default: those of the claims)")
    run.add_argument("--data", help="of cnn: digits (default), cifar10, or made")
    run.add_argument("--root", help="folder of the packed archive, for --data cifar10 or made")
    run.add_argument("--activation", help="of cnn: relu or gelu alone")
    run.add_argument("--workers", type=int, default=1, help="processes that share the cores")
    run.add_argument("--device", help="of mlp and cnn: run on this device, cuda or cpu")
    run.add_argument("--scheduler", help="tcp://…: on a Dask cluster; no folder need be shared")
    run.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=20.0,
        help="how often an unfinished run is saved (default: %(default)g)",
    )


def list_experiments(store: RecordStore) -> None:
    """One line for each experiment; records are counted, not read."""
    from escape_ntk import chapters
    from escape_ntk.study.plans import SCALES
    from escape_ntk.study.point import key_of

    stored = {name: store.keys(name) for name in store.experiments()}
    for e in chapters.experiments():
        for scale in SCALES:
            points = e.points(scale)
            done = sum(key_of(p) in stored.get(p.experiment, ()) for p in points)
            print(f"{e.name:18} {scale:5} {done:4}/{len(points):<4} recorded   {e.title}")


def run(store: RecordStore, args: argparse.Namespace) -> None:
    """Compute the missing points of one experiment and say what each run gave."""
    from escape_ntk import checks
    from escape_ntk.chapters import experiment
    from escape_ntk.study import sweep
    from escape_ntk.study.point import key_of

    seeds = None if args.seeds is None else parse_seeds(args.seeds)
    chosen = experiment(args.name)
    points = chosen.points(
        args.scale, seeds, data=args.data, root=args.root, activation=args.activation
    )
    every = checks.number("--checkpoint-seconds", args.checkpoint_seconds, least=0)
    if args.device and (args.workers != 1 or args.scheduler):
        raise checks.InputError(
            checks.message(
                expected="--device, or else --workers or --scheduler",
                got="both",
                remedy="leave one out: on a device the runs go side by side in one process",
            )
        )
    if args.device:
        points = chosen.on(points, args.device)
    missing = [p for p in points if key_of(p) not in store.keys(p.experiment)]
    if chosen.forecast and missing and (words := chosen.forecast(missing[0])):
        print(f"{len(missing)} of {len(points)} runs are missing; {words}", flush=True)
    try:
        if args.device and chosen.together:
            sweep.run_side_by_side(points, store, chosen.together, args.device)
        else:
            with cluster(args.scheduler) if args.scheduler else nullcontext() as executor:
                sweep.run_points(
                    points, store, workers=args.workers, executor=executor, checkpoint_seconds=every
                )
    except KeyboardInterrupt:
        done = sum(key_of(point) in store.keys(point.experiment) for point in points)
        print(f"\nescape-ntk: {done} of {len(points)} runs are recorded", file=sys.stderr)
        raise
    plural = "" if len(points) == 1 else "s"
    print(f"{len(points)} run{plural} of {args.name} ({args.scale}) recorded below {store.root}")


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of the Dask scheduler at ``address`` as a ``concurrent.futures.Executor``."""
    from escape_ntk import checks

    try:
        from distributed import Client
    except ImportError as error:
        raise checks.InputError(
            checks.message(
                expected="the package distributed, for --scheduler",
                got="none installed",
                remedy="pip install 'escape-ntk[cluster]', or leave --scheduler out",
            )
        ) from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise checks.InputError(
            checks.message(
                expected="the address of a running Dask scheduler, such as tcp://host:8786",
                got=f"{address!r}: {error}",
                remedy="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
            )
        ) from error
    with client, client.get_executor(pure=False) as executor:
        yield executor


def show_claims(store: RecordStore, as_json: bool) -> None:
    """The ledger, as JSON or as one line a claim."""
    from escape_ntk import chapters
    from escape_ntk.study.claims import Fate

    rows = chapters.evaluate_all(store)
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    words = {fate: f"control {fate}" for fate in Fate} | {"passes": "CONTROL PASSES"}
    for row in rows:
        control = words[row["negative_control"]["fate"]]
        print(f"{row['verdict']:15} {control:17} {row['id']:26} {row['statement']}")


def show_records(store: RecordStore, args: argparse.Namespace) -> None:
    """All databases, or one: in words, or as a table in a file."""
    from escape_ntk import checks
    from escape_ntk.records import export

    asked = {kind: getattr(args, kind) for kind in export.FORMATS if getattr(args, kind)}
    if args.name is None:
        if asked:
            raise checks.InputError(
                checks.message(
                    expected="a database to make a table of",
                    got=f"--{next(iter(asked))} alone",
                    remedy="escape-ntk records NAME --csv FILE; `escape-ntk records` lists names",
                )
            )
        print("\n".join(export.overview(store)))
        return
    found = export.found(store, args.name)
    if not asked:
        print("\n".join(export.description(found)))
    for kind, path in asked.items():
        content = export.FORMATS[kind](found)
        if str(path) != "-":
            export.write_new(path, content)
            print(f"{export.count(found)} of {args.name} in {path}")
        elif kind == "csv" and sys.stdout is not None:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)  # the same bytes as in a file, whatever the terminal
        else:
            raise checks.InputError(
                checks.message(
                    expected=f"a file for --{kind}", got="the screen", remedy="name a new file"
                )
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors of the package are printed without a traceback, exit status 2.

    1 when all was done but for records that are damaged, which a warning names.
    """
    _print_anywhere()
    args = parser().parse_args(argv)
    try:
        return _do(args)
    except KeyboardInterrupt:
        more = "; the same command goes on from here" if args.command == "run" else ""
        print(f"escape-ntk: interrupted{more}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _print_no_more()
        return 0
    except OSError as error:
        print(
            f"escape-ntk: expected to read and write what was asked for; got {error}; "
            "remedy: see to the disk, or send the output elsewhere",
            file=sys.stderr,
        )
        _print_no_more()
        return 2


def _print_no_more() -> None:
    """Nothing is left to be written when Python ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _do(args: argparse.Namespace) -> int:
    from escape_ntk import checks  # imports PyTorch: not for --help
    from escape_ntk.records.store import RecordStore, default_root

    try:
        _check_words(args)
    except checks.EscapeNTKError as error:
        print(f"escape-ntk: {error}", file=sys.stderr)
        return 2
    store = RecordStore(args.records or default_root())
    commands = {
        "list": lambda: list_experiments(store),
        "run": lambda: run(store, args),
        "claims": lambda: show_claims(store, args.json),
        "records": lambda: show_records(store, args),
    }
    said: list[str] = []

    def say(message: Warning | str, category: type[Warning], *where: object) -> None:
        said.extend([category.__name__] if category is checks.RecordWarning else [])
        print(f"escape-ntk: warning: {message}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = say
            commands[args.command]()
        if sys.stdout is not None:
            sys.stdout.flush()
    except checks.EscapeNTKError as error:
        print(f"escape-ntk: {error}", file=sys.stderr)
        return 2
    return 1 if said and args.command == "records" else 0


def _check_words(args: argparse.Namespace) -> None:
    """Refuse an option that is left empty, as by a shell variable that is not set; make paths."""
    from escape_ntk import checks

    for option, value in vars(args).items():
        if not isinstance(value, str) or option == "seeds":  # parse_seeds says more
            continue
        if not value.strip():
            flag = option if option in ("name", "command") else f"--{option}"
            raise checks.InputError(
                checks.message(
                    expected=f"a value for {flag}", got=repr(value), remedy=f"leave {flag} out"
                )
            )
        if option in PATHS:
            setattr(args, option, Path(value))


def _print_anywhere() -> None:
    """Letters that a terminal's encoding lacks, such as λ, are written as ``\\u03bb``."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
