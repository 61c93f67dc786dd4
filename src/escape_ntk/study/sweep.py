"""One runner for all experiments: a sweep is a list of frozen points; finished points are skipped.

A point is a frozen dataclass of JSON values; its record is addressed by all of them.  Workers
compute and hand back; this process alone writes.  Results do not depend on the executor or on the
order; a killed sweep goes on where it stood.
"""

import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.records.provenance import environment
from escape_ntk.records.store import Record, RecordStore, default_root
from escape_ntk.study.point import Point, Result, configuration, key_of
from escape_ntk.training.run import Run

CHECKPOINT_SECONDS = 20.0
"""A killed run loses at most so much, where what it is at can be cut."""
ROUNDS = 3
"""Fresh pools that may die in a row without any point finishing."""


class WorkersDiedError(checks.EscapeNTKError, RuntimeError):
    """Workers kept dying on the same points."""


@dataclasses.dataclass(frozen=True)
class Computed:
    """What a worker hands back: the numbers, the seconds, and where they were computed."""

    summary: dict
    arrays: dict[str, np.ndarray]
    seconds: float
    environment: dict[str, Any]

    def record(self, point: Point, store: RecordStore) -> Record:
        """Store it, and forget the state of the run."""
        record = store.save(
            point.experiment,
            configuration(point),
            summary=self.summary,
            arrays=self.arrays,
            wall_seconds=self.seconds,
            environment=self.environment,
        )
        store.checkpoint(point.experiment, configuration(point)).clear()
        return record


def lookup(point: Point, store: RecordStore) -> Record | None:
    """The stored record of a point, or None."""
    return store.load_key(point.experiment, key_of(point))


def compute(point: Point, root: Path, every: float, progress: str | None = None) -> Computed:
    """Compute one point; what an earlier attempt left in checkpoints below ``root`` is taken up."""
    code = environment(
        point.device or "cpu"
    )  # before the run: what is imported now is what computes
    checkpoint = RecordStore(root).checkpoint(point.experiment, configuration(point))
    run = Run(checkpoint, every=every, progress=progress)
    summary, arrays = point.compute(run)
    return Computed(summary, arrays, run.seconds, code)


def run_point(
    point: Point,
    store: RecordStore,
    progress: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Record:
    """Load or compute one point; a checkpoint of an earlier attempt is taken up."""
    stored = _finished(point, store)
    if stored is not None:
        return stored
    with _named(point):
        computed = compute(point, store.root, checkpoint_seconds, progress)
    return computed.record(point, store)


@contextmanager
def _named(point: Point) -> Iterator[None]:
    """An error says which point it came from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"at the point {point}")
        raise


def _finished(point: Point, store: RecordStore) -> Record | None:
    """The stored record of a point, or None; a kill just after it may have left a state."""
    record = lookup(point, store)
    if record is not None:
        store.checkpoint(point.experiment, configuration(point)).clear()
    return record


# ---------------------------------------------------------------- many points


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
    any ``executor``, one thread a point, whose workers need no folder in common with this process:
    they save the state of a run below their own :func:`~escape_ntk.records.store.default_root`.
    Records do not depend on which.  A worker that dies costs its point's unsaved seconds: the
    missing points go to a fresh pool.  :class:`WorkersDiedError` after three pools in which none
    was finished.  An error of a point, which a note names, or Ctrl-C, ends the sweep at once: what
    is finished is stored, what is under way keeps the state it saved last, the rest is not begun.
    """
    checks.integer("workers", workers, least=1)
    found = {point: _finished(point, store) for point in dict.fromkeys(points)}
    missing = [point for point, record in found.items() if record is None]
    bar = tqdm(total=len(missing), desc="runs", disable=not (progress and missing), delay=2)
    with bar:
        if executor is None and workers == 1:
            words = "this run" if progress else None
            for point in missing:
                found[point] = run_point(point, store, words, checkpoint_seconds)
                bar.update()
        elif missing:
            root = store.root if executor is None else None
            threads = 1 if executor else max(1, torch.get_num_threads() // workers)
            work = partial(_worker, root=root, threads=threads, every=checkpoint_seconds)

            def keep(point: Point, computed: Computed) -> None:
                found[point] = computed.record(point, store)
                bar.update()

            _Pools(work, keep, workers, executor).run(missing)
    return [record for record in map(found.get, points) if record is not None]


def _worker(point: Point, root: Path | None, threads: int, every: float) -> Computed:
    torch.set_num_threads(threads)
    return compute(point, default_root() if root is None else root, every)


@dataclasses.dataclass
class _Pools:
    """A pool of processes, or the caller's executor; another one when it dies."""

    work: Callable[[Point], Computed]
    keep: Callable[[Point, Computed], None]
    workers: int
    executor: Executor | None

    def run(self, missing: Sequence[Point]) -> None:
        """Compute and keep every point.

        When a pool breaks, the points that were running go to the end of the queue, and after a
        pool in which nothing was finished the next has one worker: so a point that kills its
        worker holds up no other.
        """
        fruitless, left = 0, list(missing)
        while left:
            size, before, broken = 1 if fruitless else self.workers, len(left), None
            try:
                with self._open(size) as pool:
                    self._share_out(pool, left)
            except BrokenExecutor as error:
                broken = error
            fruitless = 0 if len(left) < before else fruitless + 1
            if left and fruitless == ROUNDS:
                raise WorkersDiedError(
                    checks.message(
                        expected=f"workers that finish the {len(left)} points left",
                        got=f"{ROUNDS} pools that died on them, the first {left[0]}",
                        remedy="fewer workers (memory?), or this point alone with workers=1; in a "
                        'script, workers only below `if __name__ == "__main__":`',
                    )
                ) from broken
            left = left[size:] + left[:size]

    def _share_out(self, pool: Executor, left: list[Point]) -> None:
        """Submit every point; keep results as they come and take them off ``left``."""
        with _interrupts_held_back():  # workers inherit it: Ctrl-C is for this process alone
            jobs: dict[Future, Point] = {pool.submit(self.work, point): point for point in left}

        def harvest(done: Iterable[Future]) -> None:
            for job in done:
                if job.done() and not job.cancelled() and job.exception() is None:
                    self.keep(jobs[job], job.result())
                    left.remove(jobs.pop(job))

        try:
            while jobs:
                done, _ = wait(jobs, return_when=FIRST_COMPLETED)
                harvest(done)
                for job in done & jobs.keys():  # an error, raised as soon as it is known
                    with _named(jobs[job]):
                        job.result()
        except BaseException:
            harvest(list(jobs))
            raise
        finally:
            for job in jobs:
                job.cancel()

    @contextmanager
    def _open(self, size: int) -> Iterator[Executor]:
        """The caller's executor, which stays open, or a pool that ends with its last result.

        When an error or Ctrl-C ends it, its processes are killed: what they were at is saved.
        """
        if self.executor is not None:
            yield self.executor
            return
        pool = ProcessPoolExecutor(size, mp_context=_context(), initializer=_begin_worker)
        try:
            yield pool
        except BaseException:
            _kill(pool)
            raise
        pool.shutdown()


def _context() -> BaseContext:
    """On Linux workers are forked from a process that has imported everything and run nothing.

    Elsewhere a fork after such imports is unsafe or there is none, and each imports for itself.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits, where the system lets a thread ask for that; processes begun inherit it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End a pool without waiting for what its processes are at."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with suppress(OSError, ValueError):
            process.kill()


# ---------------------------------------------------------------- on one device


Together = Callable[[Sequence[Any], torch.device], Iterator[tuple[Any, Result, float]]]
"""(points, device) ↦ each point with its result and its share of the seconds, as it ends.

Any: a function knows the points of its own class alone.
"""


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
    place = usable(device)
    found = {point: lookup(point, store) for point in dict.fromkeys(points)}
    missing = [point for point, record in found.items() if record is None]
    code = environment(place)
    with tqdm(total=len(missing), desc="runs", disable=not (progress and missing)) as bar:
        for point, (summary, arrays), seconds in together(missing, place):
            found[point] = Computed(summary, arrays, seconds, code).record(point, store)
            bar.update()
    records = ((point, found[point]) for point in points)
    return [run_point(point, store) if record is None else record for point, record in records]


def usable(name: str) -> torch.device:
    """The device of this name, once it has held a number; else InputError."""
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
