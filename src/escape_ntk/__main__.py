"""The command line: ``escape-ntk list | run NAME | claims``."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from pathlib import Path

from escape_ntk import checks, claims
from escape_ntk.experiments import sweep
from escape_ntk.experiments.catalogue import EXPERIMENTS, SCALES, experiment
from escape_ntk.records import RecordStore, default_root


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"1,2,5-8"`` → (1, 2, 5, 6, 7, 8)."""
    seeds: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        try:
            seeds += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            seeds = []
        if not seeds:
            raise checks.InputError(
                checks.message(
                    expected="seeds such as 1,2,5-8", got=repr(text), remedy="--seeds 1-10"
                )
            )
    return tuple(dict.fromkeys(seeds))


def parser() -> argparse.ArgumentParser:
    """The three commands and their options."""
    top = argparse.ArgumentParser(prog="escape-ntk", description="Experiments and claims.")
    top.add_argument("--records", type=Path, help="folder of the records (default: the book's)")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments, and how many of their runs are recorded")
    run = commands.add_parser("run", help="compute what is not recorded yet; resumes when killed")
    run.add_argument("name")
    run.add_argument("--scale", default="full", help=" or ".join(SCALES) + " (default: full)")
    run.add_argument("--seeds", help="for example 1,2,5-8 (default: those of the claims)")
    run.add_argument("--data", help="of cnn: digits (default) or cifar10")
    run.add_argument("--root", type=Path, help="folder of the packed archive, for --data cifar10")
    run.add_argument("--workers", type=int, default=1, help="processes that share the cores")
    run.add_argument("--device", help="of mlp: runs side by side on this device, cuda or cpu")
    run.add_argument("--scheduler", help="tcp://…: on a Dask cluster that sees the records' folder")
    run.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=sweep.CHECKPOINT_SECONDS,
        help="how often an unfinished run is saved (default: %(default)g)",
    )
    ledger = commands.add_parser("claims", help="every claim with its verdict")
    ledger.add_argument("--json", action="store_true", help="the whole ledger as a JSON array")
    return top


def list_experiments(store: RecordStore) -> None:
    """One line for each experiment."""
    for e in EXPERIMENTS:
        for scale in SCALES:
            points = e.points(scale)
            done = sum(sweep.lookup(point, store) is not None for point in points)
            print(f"{e.name:18} {scale:5} {done:4}/{len(points):<4} recorded   {e.title}")


def run(store: RecordStore, args: argparse.Namespace) -> None:
    """Compute the missing points of one experiment and say what each run gave."""
    seeds = parse_seeds(args.seeds) if args.seeds else None
    chosen = experiment(args.name)
    points = chosen.points(args.scale, seeds, data=args.data, root=args.root)
    every = checks.number("--checkpoint-seconds", args.checkpoint_seconds, least=0)
    if args.device:
        if args.workers != 1 or args.scheduler:
            raise checks.InputError(
                checks.message(
                    expected="--device, or else --workers or --scheduler",
                    got="both",
                    remedy="leave one out: on a device the runs go side by side in one process",
                )
            )
        records = chosen.run_side_by_side(points, store, args.device)
    else:
        with cluster(args.scheduler) if args.scheduler else nullcontext() as executor:
            records = sweep.run_points(
                points, store, workers=args.workers, executor=executor, checkpoint_seconds=every
            )
    print(f"{len(records)} runs of {args.name} ({args.scale}) recorded below {store.root}")


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of the Dask scheduler at ``address`` as a ``concurrent.futures.Executor``."""
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
    rows = claims.evaluate_all(store)
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    words = {fate: f"control {fate}" for fate in claims.Fate} | {"passes": "CONTROL PASSES"}
    for row in rows:
        control = words[row["negative_control"]["fate"]]
        print(f"{row['verdict']:15} {control:17} {row['id']:26} {row['statement']}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors of the package are printed without a traceback, exit status 2."""
    args = parser().parse_args(argv)
    store = RecordStore(args.records or default_root())
    try:
        if args.command == "list":
            list_experiments(store)
        elif args.command == "run":
            run(store, args)
        else:
            show_claims(store, args.json)
    except checks.EscapeNTKError as error:
        print(f"escape-ntk: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("escape-ntk: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
