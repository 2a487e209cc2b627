"""A small finished run, simulated and assigned for real from a made-up posterior: what the report is tested on."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.config import RunConfig, load_config
from engine.data import DataIssue, issues_frame
from engine.planning.allocate import plan_territories
from engine.planning.quotas import propose
from engine.planning.verification import simulate_run
from engine.results import ForecastResult, RepSkill
from models.draws import Diagnostics
from models.panel import Labels, Panel
from tests.simulation_inputs import make_draws, make_panel

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.yaml"
GOOD = Diagnostics("closing", r_hat=1.001, ess=900.0, divergences=0, rows=1000, cells=100, parameters=30)


def finished_result(
    overrides: tuple[str, ...] = (), names: str | None = None, diagnostics: Diagnostics = GOOD, threads: int = 1
) -> ForecastResult:
    """Run everything behind the models.

    Parameters
    ----------
    overrides : of configs/smoke.yaml
    names : what every rep, account, deal and product is called, when given
    diagnostics : of the only sub-model
    threads : of the simulation
    """
    config = load_config(SMOKE, ("as_of=2026-06-30", "horizon.start=2026-07-01", *overrides))
    panel = make_panel(deals=300, reps=12, accounts=80, territories=4)
    panel = panel if names is None else renamed(panel, names)
    draws = replace(make_draws(panel), diagnostics=(diagnostics,))
    outcomes, fresh = simulate_run(config, panel, draws, threads, verify=draws.converged())
    first = config.horizon.first_month
    quotas = propose(panel, outcomes.levels["company"], first, first + config.horizon.months - 1)
    allocation = None
    if outcomes.planning is not None and fresh is not None:
        allocation = plan_territories(config, panel, (outcomes.planning, fresh), quotas)
    issue = DataIssue(
        "opportunities", "7", "amount out of line", "warning", names or "rep00001", 1000.0, names or "kept"
    )
    return ForecastResult(
        config, panel, draws, outcomes, quotas, allocation, skill(config, panel), issues_frame([issue])
    )


def skill(config: RunConfig, panel: Panel) -> RepSkill:
    """Plausible numbers."""
    reps = len(panel.reps.labels)
    rng = np.random.default_rng(config.seed)
    p_win = rng.uniform(0.3, 0.4, reps)
    return RepSkill(p_win, p_win - 0.05, p_win + 0.05, p_win + 0.02, np.arange(reps), rng.normal(0.1, 0.02, 100))


def renamed(panel: Panel, name: str) -> Panel:
    """The company with one name for everything people read."""

    def same(labels: Labels) -> Labels:
        return Labels(labels.ids, np.array([name] * len(labels)))

    return replace(
        panel,
        reps=replace(panel.reps, labels=same(panel.reps.labels)),
        accounts=replace(panel.accounts, labels=same(panel.accounts.labels)),
        products=replace(panel.products, labels=same(panel.products.labels)),
        territories=same(panel.territories),
        deals=replace(panel.deals, names=np.array([name] * len(panel.deals))),
    )
