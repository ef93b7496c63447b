# Configuration, stages, named targets. What is run is said in config/ and by the profiles.
import sys

from snakemake.utils import min_version

from medhash.configuration.assignments import CommandOptions
from medhash.configuration.grid import Cell
from medhash.configuration.loading import check_experiments, check_method_settings, load
from medhash.errors import MedhashError
from medhash.provenance.steps import StepVersions

min_version("9.0")

try:
    configuration = load(overrides=config)
    if workflow.is_main_process:
        check_method_settings(configuration)
        check_experiments(configuration)
except MedhashError as error:
    sys.exit(f"medhash: {error}")

layout = configuration.layout
versions = StepVersions(configuration)
logs = f"logs/{configuration.scale}"
options = CommandOptions({"scale": configuration.scale} | configuration.overrides)


wildcard_constraints:
    dataset="[^/]+",
    seed="[0-9]+",
    stage="mae|classification",
    cell="[^/]+/[^/]+/[^/]+/[0-9]+/[0-9]+",
    stem="[a-z0-9]+_[a-z0-9]+",


localrules:
    all,
    all_leakage,
    all_tables,
    all_figures,


include: "workflow/rules/messages.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/explanation.smk"
include: "workflow/rules/speed.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"


rule all_tables:
    input:
        expand(
            f"{layout.root}/tables/{{stem}}.{{suffix}}",
            stem=configuration.tables,
            suffix=["csv", "md", "tex"],
        ),


rule all_figures:
    input:
        expand(
            f"{layout.root}/figures/{{stem}}.{{suffix}}",
            stem=configuration.figures,
            suffix=["pdf", "png", "csv"],
        ),


rule all_leakage:
    input:
        [
            f"{layout.leakage(dataset, configuration.split_seed(dataset))}.{suffix}"
            for dataset in configuration.datasets
            for suffix in ("csv", "md", "json")
        ],


# the target if none is named
rule all:
    default_target: True
    input:
        rules.all_tables.input,
        rules.all_figures.input,
        rules.all_leakage.input,
