"""Scenarios to companies: every change by its own function, problems of all of them at once."""

from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import InputRefusedError, Problem
from engine.scenarios.asking import Ask, ChangeRefusedError
from engine.scenarios.company import Company, Frame
from engine.scenarios.customers import retention
from engine.scenarios.people import allocation, hire, leave, part_time, swap
from engine.scenarios.pipeline import delay, generation, lose, win
from engine.scenarios.rates import amount, crisis, cycle, price, win_rate
from engine.scenarios.reading import Scenario
from engine.scenarios.targets import quota

CHANGES: dict[str, Callable[[Company, Any, Ask], Company]] = {
    "hire": hire,
    "leave": leave,
    "part_time": part_time,
    "swap": swap,
    "win_rate": win_rate,
    "cycle": cycle,
    "amount": amount,
    "lose": lose,
    "win": win,
    "price": price,
    "generation": generation,
    "delay": delay,
    "quota": quota,
    "retention": retention,
    "crisis": crisis,
    "allocation": allocation,
}
"""The function of every kind of `engine.scenarios.settings.KINDS`."""


def apply_all(
    base: Company, scenarios: Sequence[Scenario], frame: Frame, problems: Sequence[Problem] = ()
) -> list[Company]:
    """The company of every scenario.

    Parameters
    ----------
    problems : found while reading; what is found here is added

    Raises
    ------
    InputRefusedError
        With every problem of every scenario.
    """
    found, companies = list(problems), []
    for scenario in scenarios:
        company = base
        for item in scenario.items:
            try:
                company = CHANGES[item.change.change](company, item.change, Ask(item, company, frame))  # type: ignore[attr-defined]
            except ChangeRefusedError as error:
                found += error.problems
        companies.append(company)
    if found:
        raise InputRefusedError(found)
    return companies
