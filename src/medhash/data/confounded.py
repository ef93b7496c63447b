"""Phantoms in which one confounder goes with the class: their names and their cards.

``phantom_covid_ct~window-0.75`` is ``phantom_covid_ct`` with its confounder ``window`` correlated
with the class at strength 0.75 in the database, and shifted in the queries (``reversed``, see
:class:`~medhash.data.phantoms.confounding.Confounding`). The name says it all, so that such a
dataset needs no entry in any file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medhash.data.cards import find_card
from medhash.errors import MedhashError
from medhash.schema.datasets import (
    PHANTOM_PREFIX,
    DatasetCard,
    SplitRule,
    split_name,
    without_split,
)

# The phantoms' own code takes long to import, and most commands draw nothing.
if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.data.phantoms import Confounding
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SEPARATOR = "~"
_FORM = re.compile(
    rf"(?P<phantom>{PHANTOM_PREFIX}[a-z0-9_]+){SEPARATOR}(?P<confounder>[a-z_]+)-(?P<strength>[0-9.]+)"
)


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Generate the phantom of a step, confounded if its name says so."""
    from medhash.data.phantoms import generate

    dataset, settings = step.values[0], step.settings
    generate(
        configuration.card(dataset),
        step.outputs["images"].parent,
        settings["image_size"],
        settings["images"],
        settings["seed"],
        confounding_of(dataset),
    )


@dataclass(frozen=True)
class ConfoundedName:
    """What the name of a confounded phantom says; ``str()`` gives the name.

    Attributes:
        phantom: the phantom without correlation (``phantom_covid_ct``).
        confounder: one of its confounders.
        strength: of the correlation, 0 to 1.
    """

    phantom: str
    confounder: str
    strength: float

    def __str__(self) -> str:
        return f"{self.phantom}{SEPARATOR}{self.confounder}-{self.strength:g}"


def parse_name(dataset: str) -> ConfoundedName | None:
    """What a dataset's name says of its confounder, or None if it is no confounded phantom.

    Raises:
        MedhashError: the name has the separator but not the form; one strength has one name.
    """
    if SEPARATOR not in dataset:
        return None
    match = _FORM.fullmatch(dataset)
    try:
        name = ConfoundedName(match["phantom"], match["confounder"], float(match["strength"]))  # type: ignore[index]
    except (TypeError, ValueError):
        name = None
    if name is None or str(name) != dataset or not 0 <= name.strength <= 1:
        raise MedhashError(
            f"dataset '{dataset}': expected phantom_<dataset>{SEPARATOR}<confounder>-<strength "
            "from 0 to 1>, for example phantom_covid_ct~window-0.75"
        )
    return name


def resolve_card(cards: dict[str, DatasetCard], dataset: str) -> DatasetCard:
    """The card of any dataset: one of ``cards``, or derived from a confounded phantom's name.

    Of another split of a dataset it is the dataset's, with the split in the title.

    A confounded phantom is split as it was generated (rule ``official``), because its roles
    decide the correlation; the whole database is trained on.

    Raises:
        MedhashError: the dataset is unknown, or its name has not the form.
    """
    if split_name(dataset):
        card = find_card(cards, without_split(dataset))
        return card.model_copy(update={"title": f"{card.title}, {split_name(dataset)} split"})
    name = parse_name(dataset)
    if name is None:
        return find_card(cards, dataset)
    phantom = find_card(cards, name.phantom)
    update = {
        "name": dataset,
        "title": f"{phantom.title}, {name.confounder} going with the class "
        f"(strength {name.strength:g}), shifted in the queries",
        "split": SplitRule(rule="official"),
        "notes": (f"synthetic: {name.phantom} with a confounder that goes with the class",),
    }
    return phantom.model_copy(update=update)


def confounding_of(dataset: str) -> Confounding | None:
    """How a phantom's confounder is drawn, by its name; None draws all independently."""
    name = parse_name(dataset)
    if name is None:
        return None
    from medhash.data.phantoms import Confounding

    return Confounding(confounder=name.confounder, strength=name.strength)


def check_confounders(confounders: Mapping[str, str], where: str) -> None:
    """Refuse a confounder that a dataset's phantom does not have.

    Args:
        confounders: dataset -> confounder.
        where: file and key, for the message.

    Raises:
        MedhashError: there is no such phantom or confounder.
    """
    from medhash.data.phantoms import MODALITIES, Confounding

    for dataset, confounder in confounders.items():
        if dataset not in MODALITIES:
            raise MedhashError(
                f"{where}: there is no phantom of '{dataset}'; there is one of "
                f"{', '.join(MODALITIES)}"
            )
        try:
            Confounding(confounder=confounder, strength=0).check(
                MODALITIES[dataset].confounders, dataset
            )
        except MedhashError as error:
            raise MedhashError(f"{where}: {error}") from None
