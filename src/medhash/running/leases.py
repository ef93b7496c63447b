"""Who is working on a step: files that two processes cannot both create.

A process takes the lease of a step before it runs it, renews it while it works, and gives it back.
All that share a file system, also NFS with several nodes, see the same files. The lease of a
process that is gone is taken over: at once where the process is known to have ended (same
machine), otherwise when it was not renewed for :data:`LEASE_SECONDS`. How long is measured by the
clock of the one who waits, so that clocks of nodes need not agree.

The files are those of ``filelock.SoftFileLease``.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.flow.steps import Step

LEASE_SECONDS = 120.0
"""After this time without a renewal a lease is anybody's."""
LEASE_VARIABLE = "MEDHASH_LEASE_SECONDS"
"""Another time; all processes that share a folder of results must be given the same."""
_RENEWALS = 8
_POLLS_A_RENEWAL = 4
_SUFFIX = ".lease"


@dataclass(frozen=True)
class Holder:
    """Who has a lease.

    Attributes:
        process: its number on its host.
        host: name of the machine.
        renewed: when it last gave a sign of life, seconds since 1970, by the file server's clock.
        seconds: for how long the lease holds after that.
    """

    process: int
    host: str
    renewed: float
    seconds: float

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    @property
    def is_stale(self) -> bool:
        """Whether it was silent for so long that it is gone; by the clock of this machine."""
        return time.time() - self.renewed > self.seconds


class Leases:
    """The leases of one scale.

    Args:
        layout: where they lie.
        seconds: how long a lease holds without a renewal; else what the environment says.
    """

    def __init__(self, layout: Layout, seconds: float | None = None) -> None:
        self._layout = layout
        self.seconds = lease_seconds() if seconds is None else seconds
        self._known: dict[Step, SoftFileLease] = {}
        self._seen: dict[Step, Holder | None] = {}

    def take(self, step: Step) -> bool:
        """Take a step's lease unless another process has it; does not wait.

        Ask again with the same object: whether a silent holder is gone shows only in time.
        """
        return self._acquire(self._of(step))

    def give_back(self, step: Step) -> None:
        """Let others have the step."""
        self._of(step).release()

    def is_lost(self, step: Step) -> bool:
        """Whether others took the lease from us, because this process was asleep for too long."""
        return self._of(step).compromise is not None

    def holder(self, step: Step) -> Holder | None:
        """Who has the lease, if anybody."""
        return read_holder(lease_path(self._layout, step.rule, step.key))

    def shows_life(self, step: Step) -> bool:
        """Whether its holder renewed the lease since the first time that this was asked."""
        now = self.holder(step)
        first = self._seen.setdefault(step, now)
        return now is not None and first is not None and now != first

    @contextmanager
    def held(self, step: Step) -> Iterator[bool]:
        """Hold a step's lease inside of this, for a command that was asked for this step alone.

        Where another process has it, watch until that gives a sign of life or can be taken over.

        Yields:
            Whether another process gave it back while we watched: it may have done the work.

        Raises:
            MedhashError: another process is working on the step.
        """
        waited = not self.take(step)
        if waited:
            self._watch(step)
        try:
            yield waited
        finally:
            self.give_back(step)

    def _watch(self, step: Step) -> None:
        while not self.take(step):
            if self.shows_life(step):
                raise MedhashError(
                    f"{step} is being worked on by {self.holder(step)}; wait until it is done, "
                    "or stop it, and start again"
                )
            time.sleep(self.seconds / _RENEWALS / _POLLS_A_RENEWAL)

    def _of(self, step: Step) -> SoftFileLease:
        if step not in self._known:
            path = lease_path(self._layout, step.rule, step.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._known[step] = SoftFileLease(
                path, lease_duration=self.seconds, heartbeat_interval=self.seconds / _RENEWALS
            )
        return self._known[step]

    def _acquire(self, lease: SoftFileLease) -> bool:
        try:
            lease.acquire(blocking=False)
        except Timeout:
            return False
        except LeaseSettingsMismatch:
            holder = read_holder(Path(lease.lock_file))
            other = f"{holder.seconds:g} s" if holder else "another time"
            raise MedhashError(
                f"{lease.lock_file}: held for {other}, here {LEASE_VARIABLE} is "
                f"{self.seconds:g}; give every process the same"
            ) from None
        return True


def lease_path(layout: Layout, rule: str, key: str) -> Path:
    """The file that says who is working on a step."""
    return layout.root / "running" / rule / f"{key}{_SUFFIX}"


def held_keys(layout: Layout, rule: str) -> dict[str, Holder]:
    """Key -> holder of those steps of a rule that are, or were when it died, worked on."""
    folder = layout.root / "running" / rule
    holders = {
        path.relative_to(folder).as_posix().removesuffix(_SUFFIX): read_holder(path)
        for path in sorted(folder.rglob(f"*{_SUFFIX}"))
    }
    return {key: holder for key, holder in holders.items() if holder is not None}


def read_holder(path: Path) -> Holder | None:
    """Who has a lease; None if nobody has, or it is just being written."""
    owner = SoftFileLease(path).owner
    try:
        renewed = path.stat().st_mtime
    except FileNotFoundError:
        return None
    if owner is None:
        return None
    host = owner.hostname.partition("?")[0]
    return Holder(owner.pid, host, renewed, owner.lease_duration or LEASE_SECONDS)


def lease_seconds() -> float:
    """How long a lease holds: :data:`LEASE_SECONDS`, or what the environment says.

    Raises:
        MedhashError: the environment says no positive number.
    """
    text = os.environ.get(LEASE_VARIABLE, "")
    if not text:
        return LEASE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise MedhashError(f"{LEASE_VARIABLE}={text!r}: expected seconds, a number above 0")
    return seconds
