"""Weights from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.kind import PAPER, Files, Parts, Resources, StepKind, Values, Wildcard

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps

_NETWORK = Wildcard("network", "[a-z0-9_]+")


class Kind(StepKind):
    """Take the weights of a file for a network that is pretrained, in place of random numbers.

    The key weights of config.yaml names the file. Writes
    results/<run>/<paper>/weights/<network>.safetensors.
    """

    order = 35
    wildcards = (PAPER, _NETWORK)
    form = "PAPER/NETWORK"
    help = "Such as ynet/vgg16_bn."
    runs_in = "medhash.training.weights_from_elsewhere"
    resources = Resources(memory_mb=4000, minutes=20, local=True)
    made_again = "deep"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The configuration must name a file for the network."""
        from medhash.schema.validation import check_name

        paper, network = given
        check_name(paper, configuration.papers, "paper", self.rule)
        check_name(network, configuration.weights, "network", "weights of config.yaml")
        configuration.starting_network(paper, network)
        return given

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The weights, under the names that the network has for them."""
        return {"weights": layout.weights(*values)}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The file, and the network."""
        configuration, (paper, kind) = steps.configuration, values
        network = configuration.starting_network(paper, kind)
        modules = self.runs_in, f"medhash.models.backbones.{kind}"
        settings = {"network": network.model_dump(mode="json")}
        return Parts({"file": configuration.weights[kind]}, settings, modules)

    def group(self, *values: str) -> Values:
        """One stage a network."""
        return ("weights", *values)
