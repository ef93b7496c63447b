"""What git and DVC brought: which files are those of their receipts, and what would run again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medhash.flow.receipts import Fit, Receipts
from medhash.flow.steps import Step, Steps


@dataclass(frozen=True)
class Restoration:
    """How the files of a scale stand to their receipts.

    Attributes:
        scale: name of the scale.
        fits: every step of the configuration, in the order in which they run, and how it fits.
        elsewhere: files that are not here, of steps that fit.
    """

    scale: str
    fits: dict[Step, Fit]
    elsewhere: list[Path]

    @property
    def complete(self) -> bool:
        """Whether a run has nothing to do."""
        return all(fit.ok for fit in self.fits.values())

    def text(self) -> str:
        """What was found, for people: every file that is refused, and why."""
        good = sum(fit.ok for fit in self.fits.values())
        lines = [f"Scale {self.scale}: {good} of {len(self.fits)} steps fit their receipts."]
        lines += self._reasons("refused", "Refused, and made again by the next run:")
        lines += self._reasons("outdated", "Outdated, and made again by the next run:")
        lines += self._following()
        lines += self._absent()
        lines += self._not_here()
        if self.complete:
            lines.append("Nothing has to be made again.")
        return "\n".join(lines)

    def _reasons(self, state: str, heading: str) -> list[str]:
        fits = [fit for fit in self.fits.values() if fit.state == state and fit.cause is None]
        return [heading, *(f"  {fit.reason}" for fit in fits)] if fits else []

    def _following(self) -> list[str]:
        count = sum(fit.cause is not None for fit in self.fits.values())
        return [f"{count} more steps are made again because they need one of these."] * (count > 0)

    def _absent(self) -> list[str]:
        rules = Counter(step.rule for step, fit in self.fits.items() if fit.state == "absent")
        counts = ", ".join(f"{rule} {count}" for rule, count in rules.items())
        return [f"Not made yet: {counts}."] if rules else []

    def _not_here(self) -> list[str]:
        if not self.elsewhere:
            return []
        places: dict[str, list[Path]] = defaultdict(list)
        for path in self.elsewhere:
            places[path.name].append(path)
        lines = [f"  {len(paths)} {name}: {_some(paths)}" for name, paths in places.items()]
        return ["Not here, but known by their receipts; `dvc pull` brings them:", *lines]


def restoration(scale: str, steps: Steps, receipts: Receipts) -> Restoration:
    """Compare every file of a scale that is here with its receipt.

    Args:
        scale: name of the scale.
        steps: of its configuration.
        receipts: what is known of them.
    """
    fits = {step: receipts.fits(step) for step in steps.all()}
    elsewhere = [
        path
        for step, fit in fits.items()
        if fit.ok
        for path in step.outputs.values()
        if not path.exists()
    ]
    return Restoration(scale, fits, elsewhere)


def _some(paths: Iterable[Path], shown: int = 2) -> str:
    """``a/x, b/x and 7 more``."""
    names = [path.as_posix() for path in paths]
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
