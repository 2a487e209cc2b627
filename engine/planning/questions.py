"""The plug of ``python -m engine.planning``: which questions there are, what they may be asked, and what they answer.

A question is a module with ``answer(run, settings, options) -> Answer`` and a frozen pydantic class of settings in a
module that imports nothing heavy. Both are named as texts in `QUESTIONS` and imported when they are needed, so that
``--help`` and refused settings wait for nothing.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import BaseModel, ValidationError

from engine.config import RunOptions
from engine.config.problems import nearest, refusals
from engine.config.reading import Document, KeyPath, dotted, parse_value, read_document
from engine.errors import InputRefusedError, Problem

if TYPE_CHECKING:
    import pandas as pd

    from engine.finished import FinishedRun


@dataclass(frozen=True)
class Answer:
    """What a question is answered with.

    Attributes
    ----------
    title : one line, such as "Quotas with the same chance for every rep, 2026-Q3"
    tables : by file name without ending; every one becomes a CSV file
    lines : what the terminal shows under the title, in words and numbers
    metrics : aggregates for MLflow, never about a single rep; values that are not finite are left out
    notes : assumptions and cautions that belong to the numbers
    shown : names of the tables that the terminal prints
    """

    title: str
    tables: Mapping[str, "pd.DataFrame"]
    lines: tuple[str, ...]
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


class Answering(Protocol):
    """The function ``answer`` of a question's module."""

    def __call__(self, run: "FinishedRun", settings: BaseModel, options: RunOptions) -> Answer:
        """Answer on the draws of a finished run; the seed is ``run.config.seed``."""


@dataclass(frozen=True)
class Question:
    """One entry of the registry.

    Attributes
    ----------
    module : dotted name of the module with ``answer``
    settings : ``module:Class`` of its settings; the module must not import anything heavy
    summary : what it answers, one line for ``--help``
    """

    module: str
    settings: str
    summary: str


_MINE = "engine.planning.question_settings"

QUESTIONS: dict[str, Question] = {
    "quotas": Question(
        "engine.planning.equal_chance", f"{_MINE}:QuotasSettings", "quotas with the same chance for every rep"
    ),
    "coverage": Question(
        "engine.planning.coverage", f"{_MINE}:CoverageSettings", "pipeline coverage needed for a chosen chance of quota"
    ),
    "capacity": Question(
        "engine.planning.hiring", f"{_MINE}:CapacitySettings", "chance of the goal against number and date of hires"
    ),
    "leads": Question("engine.planning.leads", f"{_MINE}:LeadsSettings", "who should get the next inbound leads"),
    "compensation": Question(
        "engine.planning.compensation",
        "engine.planning.compensation_settings:CompensationSettings",
        "what a compensation plan pays, and what it costs",
    ),
    "leaderboard": Question(
        "engine.planning.leaderboard",
        "engine.planning.leaderboard_settings:LeaderboardSettings",
        "the chance of each rank",
    ),
    "slump": Question(
        "engine.planning.slump",
        "engine.planning.slump_settings:SlumpSettings",
        "a weak month told apart from a lasting slump",
    ),
    "conversion": Question(
        "engine.planning.conversion",
        "engine.planning.conversion_settings:ConversionSettings",
        "stage conversion per rep, with the chance of being below the team",
    ),
}
"""By the word of the command line."""


def settings_class(name: str) -> type[BaseModel]:
    """Class of a question's settings.

    Raises
    ------
    InputRefusedError
        When there is no such question, with the nearest.
    """
    if name not in QUESTIONS:
        near = nearest(name, list(QUESTIONS))
        mend = f"did you mean `{near}`?" if near else "pick one of them"
        raise InputRefusedError([Problem("QUESTION", f"`{name}`", ", ".join(QUESTIONS), mend)])
    module, _, cls = QUESTIONS[name].settings.partition(":")
    return cast(type[BaseModel], getattr(importlib.import_module(module), cls))


def answering(name: str) -> Answering:
    """Function that answers a question of `QUESTIONS`; importing it takes seconds."""
    return cast(Answering, importlib.import_module(QUESTIONS[name].module).answer)


def read_settings(name: str, file: Path | None = None, overrides: Sequence[str] = ()) -> BaseModel:
    """Settings of a question from a YAML file and the ``key.sub=value`` texts of --set, which win.

    Raises
    ------
    InputRefusedError
        With every problem of the question's name, the file and the overrides.
    """
    cls = settings_class(name)
    document = Document(origin={(): name}) if file is None else read_document(file)
    for text in overrides:
        _override(document, text)
    problems, settings = list(document.problems), None
    try:
        settings = cls.model_validate(document.values)
    except ValidationError as error:
        found = refusals(error, document, cls.model_json_schema())
        problems += [problem for path, problem in found.items() if path not in document.broken]
    if settings is None or problems:
        raise InputRefusedError(problems)
    return settings


def _override(document: Document, text: str) -> None:
    """Apply one ``key.sub=value``; the value is read as YAML."""
    key, equals, written = text.partition("=")
    path: KeyPath = tuple(key.strip().split("."))
    if not equals or not all(path):
        problem = Problem(f"--set {text}", "no key and value", "KEY=VALUE, e.g. chance=0.7", "write it so")
        document.problems.append(problem)
        return
    value, problems = parse_value(written, f"--set {key}")
    document.problems.extend(problems)
    section = document.values
    for depth, part in enumerate(path[:-1], 1):
        below = section.setdefault(str(part), {})
        if not isinstance(below, dict):
            came = f"a value at `{dotted(path[:depth])}`"
            document.problems.append(Problem(f"--set {key}", came, "a section of keys", "set it as a whole"))
            return
        section = below
    if not problems:
        section[str(path[-1])] = value
        document.origin[path] = f"--set {dotted(path)}"
