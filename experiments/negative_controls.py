"""No skill where there is none: ``python -m experiments.negative_controls [CONFIG ...] [--set KEY=VALUE]``.

Two kinds of controls. On data known to have no such effect, the models must not find one: name the configs of such
data. On the demo company, whose reps and products do differ, the labels of deals are shuffled, so that the truth is
zero: reps and products across all deals (winning, amounts), and every deal dealt out to one of the reps who were there
(arrivals). The limits are those of the project: the posterior mean effects of a group vary by at most 0.05 (SD over
members), no member differs by more than 0.1 with a probability above 0.9, and nobody is flagged.
"""

import argparse
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from engine.config import RunConfig, load_config
from engine.data import as_of_date, build_panel, cut, load_tables
from engine.errors import EngineError
from engine.seeds import seed_for
from models.fit import fit_one
from models.flags import CERTAINTY, LEAST_EFFECT, flags, from_team
from models.panel import NONE, OPEN, WON, Bools, Floats, Ints, Panel

DAYS_PER_MONTH = 365.25 / 12

LARGEST_SPREAD = 0.05
"""Largest SD over members of the posterior mean effects, on the logit or the log."""

MISSING = "not in the model"


@dataclass(frozen=True)
class Control:
    """Effects whose truth is zero, or taken to be.

    Attributes
    ----------
    name : of the control
    model : sub-model
    group : kind of the members
    draws : [D, member] differences from the team, of the members with data
    """

    name: str
    model: str
    group: str
    draws: Floats


def shuffled(panel: Panel, rng: np.random.Generator) -> Panel:
    """The panel with the labels of reps, and apart from them those of products, permuted over its deals."""
    deals = panel.deals
    rep, product = rng.permutation(deals.rep), rng.permutation(deals.product)
    return replace(panel, deals=replace(deals, rep=rep, product=product))


def dealt_out(panel: Panel, ramp_months: float, rng: np.random.Generator) -> Panel:
    """The panel with every deal given to a rep employed on the day of its creation, by chance.

    The chance goes by full-time equivalents and a ramp of ``ramp_months``, which the model knows of: beyond these no
    rep and no territory brings in more than another.
    """
    deals, reps = panel.deals, panel.reps
    end = np.where(np.isnat(reps.end), np.datetime64("9999-12-31"), reps.end)
    rep = deals.rep.copy()
    days, inverse = np.unique(deals.created, return_inverse=True)
    for i, day in enumerate(days):
        tenure = (day - reps.start).astype(float) / DAYS_PER_MONTH  # NaN where the start is unknown
        ramp = np.where(np.isnat(reps.start), 1.0, 1 - np.exp(-np.maximum(tenure, 0.0) / ramp_months))
        chance = np.where(day <= end, reps.fte * ramp, 0.0)
        if chance.sum() > 0:
            rows = np.flatnonzero(inverse == i)
            rep[rows] = rng.choice(len(chance), size=len(rows), p=chance / chance.sum())
    return replace(panel, deals=replace(deals, rep=rep))


def winning(name: str, panel: Panel, config: RunConfig) -> Iterator[Control]:
    """Effects of reps and products on winning."""
    part = fit_one("closing", panel, config.models, seed_for(config.seed, "models"))
    if part is None:
        return
    closed = panel.deals.outcome != OPEN
    for group, index, draws in (
        ("rep", panel.deals.rep, part[0].win_rep),
        ("product", panel.deals.product, part[0].win_product),
    ):
        yield Control(name, "winning", group, _of_team(draws, index[closed]))


def amounts(name: str, panel: Panel, config: RunConfig) -> Iterator[Control]:
    """Effects of reps and products on the won amount."""
    part = fit_one("amounts", panel, config.models, seed_for(config.seed, "models"))
    if part is None:
        return
    won = panel.deals.outcome == WON
    for group, index, draws in (
        ("rep", panel.deals.rep, part[0].rep),
        ("product", panel.deals.product, part[0].product),
    ):
        yield Control(name, "amount", group, _of_team(draws, index[won]))


def arrivals(name: str, panel: Panel, config: RunConfig) -> Iterator[Control]:
    """Effects of reps on the number of new deals."""
    part = fit_one("arrivals", panel, config.models, seed_for(config.seed, "models"))
    if part is not None:
        yield Control(name, "arrivals", "rep", _of_team(part[0].rep, panel.deals.rep))


def _of_team(draws: Floats, index: Ints) -> Floats:
    seen: Bools = np.bincount(index[index != NONE], minlength=draws.shape[1]) > 0
    return from_team(draws, seen)


def judge(repeated: Sequence[Control]) -> dict[str, object]:
    """One row of the table, from one control in one or more permutations.

    The labels of one permutation differ by chance: with five products and the deals of a demo company, one in seventeen
    has a spread of the posterior means above the limit although the prior is right. So the limit holds for the mean
    over permutations, and the largest stands beside it. Effects that are exactly zero were left out of the model and
    prove nothing.
    """
    first = repeated[0]
    row: dict[str, object] = {"control": first.name, "model": first.model, "group": first.group}
    row |= {"n": first.draws.shape[1], "permutations": len(repeated)}
    if any(item.draws.shape[1] < 2 or not item.draws.any() for item in repeated):
        return row | {"sd_of_means": np.nan, "largest_sd": np.nan, "largest_p": np.nan, "flagged": 0, "pass": MISSING}
    spreads = [float(item.draws.mean(axis=0).std(ddof=1)) for item in repeated]
    largest = max(float((np.abs(item.draws) > LEAST_EFFECT).mean(axis=0).max()) for item in repeated)
    flagged = sum(int(np.count_nonzero(flags(item.draws))) for item in repeated)
    passed = np.mean(spreads) <= LARGEST_SPREAD and largest <= CERTAINTY and flagged == 0
    return row | {
        "sd_of_means": float(np.mean(spreads)),
        "largest_sd": max(spreads),
        "largest_p": largest,
        "flagged": flagged,
        "pass": "yes" if passed else "NO",
    }


def table_of(found: Iterable[Control]) -> pd.DataFrame:
    """One row a control, model and group."""
    grouped: dict[tuple[str, str, str], list[Control]] = {}
    for item in found:
        grouped.setdefault((item.name, item.model, item.group), []).append(item)
    return pd.DataFrame([judge(items) for items in grouped.values()])


def controls(configs: Sequence[RunConfig], demo: RunConfig | None, permutations: int) -> Iterator[Control]:
    """All controls, one fit after another."""
    for config in configs:
        panel = _panel(config)
        yield from winning(f"{config.name} {panel.as_of}", panel, config)
    if demo is not None:
        panel = _panel(demo)
        for i in range(permutations):
            rng = np.random.default_rng([seed_for(demo.seed, "negative controls"), i])
            permuted = shuffled(panel, rng)
            yield from winning(f"{demo.name} permuted", permuted, demo)
            yield from amounts(f"{demo.name} permuted", permuted, demo)
            yield from arrivals(f"{demo.name} dealt out", dealt_out(panel, demo.models.arrivals.ramp_months, rng), demo)


def _panel(config: RunConfig) -> Panel:
    tables = load_tables(config)
    return build_panel(cut(tables, as_of_date(tables, config)), config)


def demo_config(seed: int, overrides: Sequence[str] = ()) -> RunConfig:
    """The embedded demo company; ``overrides`` as with --set, only those of the models are used."""
    values = {
        "name": f"demo-{seed}",
        "as_of": "2026-06-30",
        "horizon": {"start": "2026-07-01"},
        "data": {"source": "demo", "seed": seed},
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "demo.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return load_config(path, [text for text in overrides if text.startswith("models.")])


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, print the table, and answer 1 where a limit is not met."""
    options = argparse.ArgumentParser(prog="python -m experiments.negative_controls", description=__doc__)
    options.add_argument("configs", metavar="CONFIG", type=Path, nargs="*", help="data without effects on winning")
    options.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key in all of them")
    options.add_argument("--as-of", metavar="DATE", nargs="*", default=[], help="dates in turn, in place of as_of")
    options.add_argument("--demo", metavar="N", type=int, default=1, help="demo company to permute; 0 for none")
    options.add_argument("--permutations", metavar="N", type=int, default=3, help="of the demo company's labels")
    options.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = options.parse_args(argv)
    dates = [[f"as_of={date}"] for date in arguments.as_of] or [[]]
    try:
        configs = [load_config(path, [*arguments.set, *date]) for path in arguments.configs for date in dates]
        demo = demo_config(arguments.demo, arguments.set) if arguments.demo else None
        table = table_of(controls(configs, demo, arguments.permutations))
    except EngineError as error:
        print(traceback.format_exc() if arguments.debug else error, file=sys.stderr)
        return error.exit_code
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(f"limits: mean SD of means {LARGEST_SPREAD}, P(|effect| > {LEAST_EFFECT}) {CERTAINTY}, nobody flagged")
    return int((table["pass"] != "yes").any())


if __name__ == "__main__":
    sys.exit(main())
