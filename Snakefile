# Configuration, stages, named targets. What is run is said in config/ and by the profiles.
import gc
import sys
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.utils import min_version

from medhash.configuration.assignments import command_options
from medhash.configuration.loading import check_experiments, check_is_named, load
from medhash.configuration.runs import with_remembered
from medhash.errors import MedhashError
from medhash.flow.checked_settings import check_new_method_settings
from medhash.flow.kinds import kinds
from medhash.flow.steps import Steps
from medhash.flow.targets import check_omitted, check_targets

min_version("9.0")

# A plan is made of many small objects that stay: to look for garbage among them takes a fifth of
# its time.
gc.set_threshold(200_000, 50, 50)

try:
    configuration = load(overrides=with_remembered(config))
    if workflow.is_main_process:
        check_new_method_settings(configuration)
        check_experiments(configuration)
    check_is_named(configuration)
except MedhashError as error:
    sys.exit(f"medhash: {error}")

layout = configuration.layout
logs = f"logs/{configuration.run}"
options = command_options({"scale": configuration.scale} | configuration.overrides)


# what each named target asks for
steps = Steps(configuration)
targets = {kind.target: [] for kind in kinds() if kind.target}
for step in steps.asked():
    targets[step.kind.target] += map(str, step.outputs.values())
targets["all"] = [file for files in targets.values() for file in files]

if workflow.is_main_process:
    told, _ = get_argument_parser().parse_known_args(sys.argv[1:])
    try:
        check_targets(told.targets, targets, configuration, steps)
        check_omitted(told.omit_from, steps)
    except MedhashError as error:
        sys.exit(f"medhash: {error}")
    named = [*(told.targets or ["all"]), *told.forcerun, *told.until, *told.prioritize]
    # Rules know steps by their receipts alone: every other file that is named becomes a target.
    targets |= {name: [name] for name in named if steps.making(Path(name))}


include: "workflow/rules/messages.smk"
include: "workflow/rules/slurm.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/steps.smk"


for target in [name for name in targets if name not in {kind.rule for kind in kinds()}]:

    rule:
        name:
            target
        # the target if none is named
        default_target: target == "all"
        input:
            receipts_for(targets[target]),
        localrule: True
