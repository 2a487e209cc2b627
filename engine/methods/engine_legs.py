"""The engine's own legs: posterior draws of the hierarchical models, simulated, and summed to places."""

from dataclasses import dataclass

import numpy as np

from engine.methods.protocol import Forecast, MethodUnavailableError, Places, Question
from engine.seeds import seed_for
from engine.simulation.clock import SimulationHorizons
from engine.simulation.outcomes import Outcomes
from engine.simulation.settings import SimulationSettings
from models.panel import Panel
from models.settings import ModelSettings


@dataclass(frozen=True)
class EngineLegs:
    """The method as `engine.pipeline` runs it, on the fast or the full tier of ``models``.

    Attributes
    ----------
    models : priors, sampler and legs
    simulation : how the paths are cut; their number comes with the question
    """

    models: ModelSettings
    simulation: SimulationSettings

    def __call__(self, panel: Panel, question: Question) -> Forecast:
        """Fit, simulate and sum to places."""
        return at_places(self.outcomes(panel, question))

    def outcomes(self, panel: Panel, question: Question) -> Outcomes:
        """Fit and simulate; every path is in the sample."""
        from models.fit import fit_all, sub_models

        if not sub_models(panel, self.models):
            raise MethodUnavailableError("needs closed opportunities or orders of accounts")
        from engine.simulation.simulate import simulate

        draws = fit_all(panel, self.models, seed_for(question.seed, "models"))
        settings = self.simulation.model_copy(update={"paths": question.paths, "sample_paths": question.paths})
        horizons = SimulationHorizons(question.months)
        return simulate(panel, draws, horizons, settings, question.seed, threads=1)


def at_places(outcomes: Outcomes) -> Forecast:
    """Sum the sample of a simulation over accounts and products; every simulated pair is a place."""
    cells = outcomes.cells
    pairs, place = np.unique(np.stack([cells.territory, cells.rep]), axis=1, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(pairs.shape[1]))
    total = np.add.reduceat(outcomes.sample[:, order], starts, axis=1)
    return Forecast(Places(rep=pairs[1], territory=pairs[0]), total)
