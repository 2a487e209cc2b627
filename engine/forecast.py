"""The main job: ``python -m engine.forecast CONFIG``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.command import add_machine_options, exit_code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m engine.forecast",
        description="Forecast the horizon of CONFIG and, where accounts have owners, plan who should own which.",
        epilog="Exit codes: 0 done, 2 config or data refused, 3 not converged, 4 infeasible, 130 interrupted.",
    )
    options.add_argument("config", metavar="CONFIG", type=Path, nargs="?", help="YAML file, such as configs/q3.yaml")
    options.add_argument("--check", action="store_true", help="validate config and data, run nothing")
    options.add_argument("--schema", action="store_true", help="print the JSON schema of the config")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key; repeatable")
    options.add_argument("--out", metavar="DIR", type=Path, help="parent folder of all runs (config: output)")
    options.add_argument("--seed", metavar="N", type=int, help="root of all random numbers (config: seed)")
    add_machine_options(options)
    return options


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask and print what came of it.

    Returns
    -------
    exit code

    Raises
    ------
    EngineError
        for everything the user can mend.
    """
    # Imported late, so that --help answers at once: pydantic for the config, the heavy rest for the pipeline.
    from engine.config import RunConfig, RunOptions, load_config

    if arguments.schema:
        print(json.dumps(RunConfig.model_json_schema(), indent=2, ensure_ascii=False))
        return 0
    given = {"seed": arguments.seed, "output": arguments.out}
    given = {key: value for key, value in given.items() if value is not None}
    config = load_config(arguments.config, arguments.set, given)
    from engine import pipeline

    if arguments.check:
        print(pipeline.check(config))
        return 0
    summary = pipeline.run(config, RunOptions(threads=arguments.threads))
    print(summary.text)
    return summary.exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a message and an exit code."""
    options = parser()
    arguments = options.parse_args(argv)
    if arguments.config is None and not arguments.schema:
        options.error("the following arguments are required: CONFIG")
    return exit_code(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
