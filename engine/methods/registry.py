"""All forecast methods by name. The engine's own come first; the rest is what they are compared with."""

from engine.config import RunConfig
from engine.methods import (
    call_evidence,
    conversion,
    human_call,
    lead_qualification,
    panel_series,
    regression,
    stage_weighted,
    win_probability,
)
from engine.methods.engine_legs import EngineLegs
from engine.methods.protocol import Method, Refinement

LEGS = "engine_legs"
"""The engine's models alone."""

ENGINE = "engine"
"""What the engine would have said: its models combined with the other methods by weights known on the day."""

LEGS_AND_CALLS = "engine_legs_and_calls"
"""The same paths in the light of the reps' calls, where there are any."""

CALL = "reps_call"
"""Method against which value added is counted."""


def rivals() -> dict[str, Method]:
    """Everything but the engine's own, in the order of the table."""
    return {
        CALL: human_call.raw,
        "reps_call_corrected": human_call.corrected,
        "stage_weighted": stage_weighted.forecast,
        "win_probability": win_probability.forecast,
        "conversion": conversion.forecast,
        "lead_qualification": lead_qualification.forecast,
        "regression": regression.forecast,
        **panel_series.METHODS,
    }


SLOW = ("arima",)
"""Rivals that are only asked by name."""

REFINEMENTS: dict[str, tuple[str, Refinement]] = {LEGS_AND_CALLS: (LEGS, call_evidence.weigh)}
"""Methods that go on from another one's paths: its name, and what is done."""


def methods(config: RunConfig) -> dict[str, Method]:
    """The engine's legs on the tier that the config asks for, and the rivals it names (all when it names none)."""
    asked = config.backtest
    sampler = config.models.sampler.model_copy(update={"method": asked.tier, "cores": 1})
    legs = EngineLegs(config.models.model_copy(update={"sampler": sampler}), config.simulation)
    wanted = asked.methods or [name for name in rivals() if name not in SLOW]
    chosen = {name: method for name, method in rivals().items() if name in wanted}
    return {LEGS: legs, **chosen}
