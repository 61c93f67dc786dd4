"""The records made before they moved into databases are all there, bit for bit.

Count and digest were taken from the 5486 files (JSON and npz) of commit 76c21ff, and are taken here
from the databases: over experiment, key, config, summary, provenance, and each array's name, dtype,
shape and bytes; names as they are stored.

200 of them were withdrawn since: single draws of ``ntk-blindness`` and ``ntk-stretched``, which a
mean over many directions replaced.  Count and digest without them were taken when all 2743 still
gave ef0b5c52fa9a6697da26d5551ea42c7bee860945ba97e4fd481c81be6d439581.
"""

import dataclasses

import numpy as np
import pytest

from escape_ntk.records import encoding, vocabulary
from escape_ntk.records import store as records
from escape_ntk.records.store import Record, RecordStore, default_root

COUNT = 2543
DIGEST = "00d0b2e8a23f86b2760b2a63a8d36909116f5c56364772cfb15fa67c674e2401"
BEFORE = "2026-11-28T18:00"
"""All were written before; what is recorded later is not counted."""


def content(record: Record) -> str:
    arrays = [
        [name, a.dtype.str, list(a.shape), encoding.sha256(a.tobytes())]
        for name, a in sorted(record.arrays.items())
    ]
    known = [record.experiment, record.key, record.config, record.summary, record.provenance]
    return encoding.sha256(encoding.canonical([*known, arrays]))


def digest(records: list[Record]) -> str:
    return encoding.sha256("\n".join(sorted(map(content, records))).encode())


@pytest.fixture(scope="module")
def carried() -> list[Record]:
    store = RecordStore(default_root())
    with pytest.MonkeyPatch.context() as as_stored:
        as_stored.setattr(vocabulary, "OLD_NAMES", {})
        as_stored.setattr(records, "_READ", {})
        every = [record for name in store.experiments() for record in store.find(name)]
    return [record for record in every if record.provenance["written_utc"] < BEFORE]


def test_no_record_was_lost_or_changed(carried):
    assert len(carried) == COUNT and digest(carried) == DIGEST


def test_control_one_bit_is_seen(carried):
    first = carried[0]
    name, array = next((n, a) for n, a in first.arrays.items() if a.dtype == np.float64)
    moved = first.arrays | {name: np.nextafter(array, np.inf)}
    others = [dataclasses.replace(first, arrays=moved), *carried[1:]]
    assert digest(others) != DIGEST and digest(carried[1:]) != DIGEST
