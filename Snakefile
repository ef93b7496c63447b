# Configuration, stages, named targets. What is run is said in config/ and by the profiles.
import sys

from snakemake.utils import min_version

from medhash.configuration.assignments import CommandOptions
from medhash.configuration.claimed import claimed_by
from medhash.configuration.loading import check_experiments, load
from medhash.errors import MedhashError
from medhash.flow.checked_settings import check_new_method_settings

min_version("9.0")

try:
    configuration = load(overrides=config)
    if workflow.is_main_process:
        check_new_method_settings(configuration)
        check_experiments(configuration)
except MedhashError as error:
    sys.exit(f"medhash: {error}")

layout = configuration.layout
logs = f"logs/{configuration.scale}"
options = CommandOptions({"scale": configuration.scale} | configuration.overrides)


wildcard_constraints:
    paper="[a-z0-9]+",
    dataset="[^/]+",
    size="[0-9]+",
    seed="[0-9]+",
    stage="[^/]+",
    cell="[^/]+/[^/]+/[^/]+/[0-9]+/[0-9]+",
    name="[a-z0-9]+",


localrules:
    all,
    all_leakage,
    all_tables,
    all_figures,


# what each named target asks for
targets = {
    "all_tables": [
        f"{layout.table(table.paper, table.name)}.{suffix}"
        for table in configuration.tables.values()
        for suffix in ("csv", "md", "tex")
    ],
    "all_figures": [
        f"{layout.figure(figure.paper, figure.name)}.{suffix}"
        for figure in configuration.figures.values()
        for suffix in ("pdf", "png", "csv")
    ],
    "all_leakage": [
        f"{configuration.leakage_for(*view)}.{suffix}"
        for view in configuration.views
        for suffix in ("csv", "md", "json")
    ],
    "claims": [
        f"{layout.root}/claims.{suffix}"
        for suffix in ("csv", "md")
        if claimed_by(configuration)
    ],
    "report": [f"{layout.root}/report.html"],
}
targets["all"] = [file for files in targets.values() for file in files]


include: "workflow/rules/messages.smk"
include: "workflow/rules/slurm.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/explanation.smk"
include: "workflow/rules/speed.smk"
include: "workflow/rules/lesions.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"


rule all_tables:
    input:
        targets["all_tables"],


rule all_figures:
    input:
        targets["all_figures"],


rule all_leakage:
    input:
        targets["all_leakage"],


# the target if none is named
rule all:
    default_target: True
    input:
        targets["all"],
