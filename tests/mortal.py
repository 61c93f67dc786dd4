"""A checkpoint that dies: what the tests of resuming share."""

import dataclasses

from escape_ntk.records import Checkpoint


class KilledError(Exception):
    """Stands for a kill."""


@dataclasses.dataclass(frozen=True)
class Mortal(Checkpoint):
    """A checkpoint whose process dies after some saves."""

    left: list = dataclasses.field(default_factory=list)

    def save(self, state):
        """Save, then perhaps die."""
        super().save(state)
        if not self.left:
            raise KilledError
        self.left.pop()
