"""Every step of a configuration, made from the descriptions in :mod:`medhash.flow.kinds`.

Snakemake's rules, the commands, ``medhash restore`` and everything else that asks what a file is
made from read these. A step's *version* covers its code and settings; the contents of its inputs
are compared by :mod:`medhash.flow.receipts`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.files import sha256_of_value
from medhash.flow.code_memory import remembered_fingerprint
from medhash.flow.kind import Files, StepKind, Values
from medhash.flow.kinds import kind_of, kinds
from medhash.schema.cell import Cell

_DIGITS = 16


@dataclass(frozen=True, eq=False)
class Step:
    """One job of the flow.

    Attributes:
        kind: what it has in common with the others of its rule.
        values: the parts of its key.
        version: text that changes when code or settings do that decide its outputs.
        inputs: name -> file that it reads.
        outputs: name -> file that it writes.
        receipt: where its receipt lies; written after the outputs.
        settings: the settings that it depends on.
        modules: the modules that its code starts from.
    """

    kind: StepKind
    values: Values
    version: str
    inputs: Files
    outputs: Files
    receipt: Path
    settings: dict[str, Any]
    modules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule} {self.key}"

    @property
    def rule(self) -> str:
        """The rule of Snakemake that runs it."""
        return self.kind.rule

    @property
    def key(self) -> str:
        """Which of the rule's steps: ``ach/covid_ct/mae``, ``ach/covid_ct/hashnet/ach/8/0``."""
        return self.kind.key(*self.values)

    @property
    def arguments(self) -> str:
        """The step as it is typed, without ``medhash`` and the options of a configuration."""
        return self.kind.arguments(*self.values)

    @property
    def cell(self) -> Cell | None:
        """The cell that it is about, if it is about one."""
        return self.kind.cell(*self.values)

    @property
    def files(self) -> tuple[Path, ...]:
        """Outputs and receipt."""
        return (*self.outputs.values(), self.receipt)

    @property
    def timed(self) -> tuple[Path, ...]:
        """The outputs that tell how long something took: never the same bytes twice."""
        return tuple(self.outputs[name] for name in self.kind.timed)

    @property
    def epochs(self) -> int:
        """How many epochs it has; 0 if it does not train."""
        return self.kind.epochs(self.settings, *self.values)

    @property
    def state(self) -> Path | None:
        """Where training keeps its state after each epoch; None for steps that do not train."""
        return self.kind.state(self.outputs)

    def into(self, folder: Path) -> Step:
        """The same step with its outputs and receipt in another folder, below their own paths."""
        outputs = {name: folder / path for name, path in self.outputs.items()}
        return replace(self, outputs=outputs, receipt=folder / self.receipt)


class Steps:
    """The steps of one configuration, each made once, when it is asked for.

    Args:
        configuration: what is run.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._layout = configuration.layout
        self._made: dict[tuple[str, Values], Step] = {}
        self._makers: dict[Path, Step] = {}
        self._makers_of: dict[Step, list[Step]] = {}

    def of(self, command: str, *coordinates: object) -> Step:
        """The step that a command runs: ``of("train", cell)``, ``of("split", paper, dataset)``.

        Raises:
            MedhashError: the configuration has none of these coordinates.
        """
        given = "/".join(map(str, coordinates))
        sharing = [kind for kind in kinds() if command in (kind.rule, kind.command)]
        for kind in sharing:
            values = kind.find(self.configuration, given)
            if values is not None:
                return self._step(kind, values)
        raise sharing[0].refusal(given)

    def find(self, rule: str, key: str) -> Step:
        """The step of a rule.

        Raises:
            MedhashError: there is none of that key.
        """
        kind = kind_of(rule)
        values = kind.values(key) if kind else None
        step = None if kind is None or values is None else self._known(kind, values)
        if step is None:
            raise MedhashError(f"scale {self.configuration.label}: no step '{rule} {key}'")
        return step

    def making(self, path: Path) -> Step | None:
        """The step that writes a file (or is receipted there), or None."""
        if path not in self._makers:
            text = path.as_posix()
            for kind in kinds():
                for values in kind.making(self._layout, text):
                    with suppress(MedhashError):
                        self._known(kind, values)
                if path in self._makers:
                    break
        return self._makers.get(path)

    def makers(self, step: Step) -> list[Step]:
        """The steps that write what a step reads, in the order of its inputs."""
        if step not in self._makers_of:
            makers = dict.fromkeys(self.making(path) for path in step.inputs.values())
            self._makers_of[step] = [maker for maker in makers if maker is not None]
        return self._makers_of[step]

    def needed_for(self, *targets: Path) -> list[Step]:
        """All steps behind some files, those that come first in front.

        Args:
            targets: paths; files that no step makes need none.
        """
        ordered: dict[Step, None] = {}
        for target in targets:
            step = self.making(target)
            if step is not None:
                self._add(step, ordered)
        return list(ordered)

    def asked(self, before: StepKind | None = None) -> list[Step]:
        """The steps that a whole run asks for, all or those of rules before one."""
        chosen = [kind for kind in kinds() if before is None or kind.order < before.order]
        return [self._step(kind, v) for kind in chosen for v in kind.asked(self.configuration)]

    def all(self) -> list[Step]:
        """Every step of the run: those asked for, and those behind them."""
        return self.needed_for(*(step.receipt for step in self.asked()))

    def _known(self, kind: StepKind, values: Values) -> Step | None:
        """The step of a key, if the configuration has it; see :meth:`StepKind.find`."""
        if (kind.rule, values) not in self._made:
            given = "/".join(value for _, value in kind.typed(*values))
            if kind.find(self.configuration, given) != values:
                return None
        return self._step(kind, values)

    def _step(self, kind: StepKind, values: Values) -> Step:
        if (kind.rule, values) not in self._made:
            parts = kind.parts(self, *values)
            step = Step(
                kind,
                values,
                _version(parts.settings, parts.modules),
                parts.inputs,
                kind.outputs(self._layout, *values) | parts.further,
                self._layout.receipt(kind.rule, kind.key(*values)),
                parts.settings,
                parts.modules,
            )
            self._made[kind.rule, values] = step
            self._makers |= dict.fromkeys(step.files, step)
        return self._made[kind.rule, values]

    def _add(self, step: Step, ordered: dict[Step, None]) -> None:
        """The step behind all that it needs."""
        if step in ordered:
            return
        for maker in self.makers(step):
            self._add(maker, ordered)
        ordered[step] = None


def _version(settings: dict[str, Any], modules: tuple[str, ...]) -> str:
    code = remembered_fingerprint(*modules)["fingerprint"]
    return f"code {code[:_DIGITS]}, settings {sha256_of_value(settings)[:_DIGITS]}"
