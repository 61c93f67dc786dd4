"""One runner for all experiments: a sweep is a list of frozen points; finished points are skipped.

A point is a frozen dataclass of JSON values; its record is addressed by all of them.  Results do
not depend on the executor or on the order; a killed sweep goes on where it stood.
"""

import dataclasses
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.provenance import environment
from escape_ntk.records import Record, RecordStore
from escape_ntk.run import UNSAVED, Run

CHECKPOINT_SECONDS = 20.0
"""A killed run loses at most so much."""
Result = tuple[dict, dict[str, np.ndarray]]


@runtime_checkable
class Point(Protocol):
    """One run: a frozen dataclass whose fields are its configuration."""

    experiment: ClassVar[str]

    def compute(self, run: Run = UNSAVED) -> Result:
        """(summary, arrays) of this point; ``run`` goes on to whatever takes long."""
        ...


def configuration(point: Point) -> dict:
    """The fields of a point, by which its record is addressed."""
    return dataclasses.asdict(point)


def lookup(point: Point, store: RecordStore) -> Record | None:
    """The stored record of a point, or None."""
    return store.load(point.experiment, configuration(point))


def run_point(
    point: Point,
    store: RecordStore,
    progress: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Record:
    """Load or compute one point; a checkpoint of an earlier attempt is taken up."""
    config = configuration(point)
    stored = store.load(point.experiment, config)
    inner = store.checkpoint(point.experiment, config)
    if stored is not None:
        inner.clear()  # left by a kill between the record and this line
        return stored
    code = environment()  # before the run: what is imported now is what computes
    run = Run(inner, every=checkpoint_seconds, progress=progress)
    summary, arrays = point.compute(run)
    record = store.save(
        point.experiment,
        config,
        summary=summary,
        arrays=arrays,
        wall_seconds=run.seconds,
        environment=code,
    )
    inner.clear()
    return record


def _worker(point: Point, root: Path, threads: int, checkpoint_seconds: float) -> None:
    torch.set_num_threads(threads)
    run_point(point, RecordStore(root), checkpoint_seconds=checkpoint_seconds)


Together = Callable[[Sequence[Point], torch.device], Iterator[tuple[Point, Result, float]]]
"""(points, device) ↦ each point with its result and its share of the seconds, as it ends."""


def run_side_by_side(
    points: Sequence[Point],
    store: RecordStore,
    together: Together,
    device: str,
    *,
    progress: bool = True,
) -> list[Record]:
    """Records of all points, in their order; missing ones are computed ``together`` on one device.

    The numbers agree with those of :func:`run_points` up to rounding.  A kill costs the points
    that are under way.  :class:`~escape_ntk.checks.InputError` where there is no such device.
    """
    place = _device(device)
    missing = [point for point in dict.fromkeys(points) if lookup(point, store) is None]
    code = environment(place)
    with tqdm(total=len(missing), desc="runs", disable=not (progress and missing)) as bar:
        for point, (summary, arrays), seconds in together(missing, place):
            store.save(
                point.experiment,
                configuration(point),
                summary=summary,
                arrays=arrays,
                wall_seconds=seconds,
                environment=code,
            )
            bar.update()
    return [run_point(point, store) for point in points]


def _device(name: str) -> torch.device:
    """The device of this name, once it has held a number."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise checks.InputError(
            checks.message(
                expected="a device that PyTorch can use here",
                got=f"{name!r}: {str(error).splitlines()[0]}",
                remedy="--device cuda where there is a CUDA device; --device cpu anywhere",
            )
        ) from error


ROUNDS = 3
"""Fresh pools that may die in a row without any point finishing."""


class WorkersDiedError(checks.EscapeNTKError, RuntimeError):
    """Workers kept dying on the same points."""


def run_points(
    points: Sequence[Point],
    store: RecordStore,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> list[Record]:
    """Records of all points, in their order; missing ones are computed.

    By ``workers`` processes of this machine, which share its cores (one: in this process), or by
    any ``executor`` whose workers see the folder of the ``store``, one thread a point.  Records do
    not depend on which.  A worker that dies costs its point's unsaved seconds: the missing points
    go to a fresh pool.  :class:`WorkersDiedError` after three pools in which none was finished.
    """
    checks.integer("workers", workers, least=1)
    missing = [point for point in dict.fromkeys(points) if lookup(point, store) is None]
    bar = tqdm(total=len(missing), desc="runs", disable=not (progress and missing), delay=2)
    with bar:
        if executor is None and workers == 1:
            for point in missing:
                run_point(point, store, "this run" if progress else None, checkpoint_seconds)
                bar.update()
        else:
            threads = 1 if executor else max(1, torch.get_num_threads() // workers)
            work = partial(
                _worker, root=store.root, threads=threads, checkpoint_seconds=checkpoint_seconds
            )
            open_pool = _own_pool if executor is None else lambda workers: nullcontext(executor)
            _run_in_pools(missing, store, work, open_pool, workers, bar)
    return [run_point(point, store) for point in points]


def _own_pool(workers: int) -> Executor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _run_in_pools(
    missing: list[Point], store: RecordStore, work, open_pool, workers: int, bar: tqdm
) -> None:
    """Submit ``missing`` to a pool; when it breaks, what is still missing to the next one.

    The points that were running go to the end of the queue, and after a pool in which nothing was
    finished the next has one worker: so a point that kills its worker holds up no other.
    """
    fruitless = 0
    while missing:
        broken, size = None, 1 if fruitless else workers
        with open_pool(size) as pool:
            try:
                for job in as_completed([pool.submit(work, point) for point in missing]):
                    job.result()
                    bar.update()
            except BrokenExecutor as error:
                broken = error
        left = [point for point in missing if lookup(point, store) is None]
        fruitless = 0 if len(left) < len(missing) else fruitless + 1
        if left and fruitless == ROUNDS:
            raise WorkersDiedError(
                checks.message(
                    expected=f"workers that finish the {len(left)} points left",
                    got=f"{ROUNDS} pools that died on them, the first {left[0]}",
                    remedy="fewer workers (memory?), or this point alone with workers=1",
                )
            ) from broken
        bar.update(bar.total - len(left) - bar.n)
        missing = left[size:] + left[:size]


@dataclasses.dataclass(frozen=True)
class LiveResult:
    """A point computed now and not stored; figures take it in place of a record."""

    experiment: str
    config: dict
    summary: dict
    arrays: dict[str, np.ndarray]


def run_live(point: Point) -> LiveResult:
    """Compute a point here and now, without records."""
    summary, arrays = point.compute()
    return LiveResult(point.experiment, configuration(point), summary, arrays)
