"""Order and meaning of the stages of an export: by outcome, by history, by their words."""

import re

import pandas as pd

from engine.data.cells import texts_of
from engine.recognition.profiles import in_words

WON = r"won|win|gewonnen|gewonnene?r?|gagnee?|ganad[ao]|vint[ao]|sold|verkocht|verkauft|signed|ordered"
LOST = (
    r"lost|lose|loss|verloren|perdue?|perdid[ao]|pers[ao]|cancell?ed|abandoned|disqualified|unqualified|rejected|dropped|"
    r"dead|out|afgewezen|geannuleerd|abgelehnt|storniert"
)
"""Words of closed stages in some languages."""

STEPS = (
    r"new|neu|nieuw|inbound|suspect",
    r"prospect\w*|lead|appointment\w*|intro\w*|contact\w*|first\w*|kennismak\w*|erst\w*",
    r"qualif\w*|engag\w*|discover\w*|need\w*|analys\w*|develop\w*|behoefte\w*|bedarf\w*",
    r"solution|value|demo\w*|present\w*|evaluat\w*|perception|id|trial|poc|pilot",
    r"propos\w*|quote\w*|price|offer\w*|offerte\w*|angebot\w*",
    r"negotiat\w*|review|decision\w*|onderhandel\w*|verhandl\w*|verbal|commit\w*",
    r"contract\w*|legal|sign\w*|closing|procure\w*",
)
"""Words of open stages in the order in which sales come to them."""


def meanings(names: list[str], deals: pd.DataFrame) -> dict[str, str]:
    """What each stage means: how most of its deals ended where that is on record, else what its words say."""
    found = {}
    stage = texts_of(deals["stage"])
    ended = texts_of(deals["outcome"]).str.casefold() if "outcome" in deals else pd.Series("", index=deals.index)
    for name in names:
        outcomes = ended[(stage == name) & ended.isin(["open", "won", "lost"])]
        found[name] = str(outcomes.mode().iloc[0]) if len(outcomes) else meaning(name)
    return found


def meaning(name: str) -> str:
    """What the words of a stage say: open, won or lost."""
    text = in_words(name)
    for word, pattern in (("won", WON), ("lost", LOST)):
        if re.search(rf"\b(?:closed|abgeschlossen|gesloten)?(?:{pattern})\b", text):
            return word
    return "open"


def in_order(found: dict[str, str], history: pd.DataFrame | None, usual: list[str]) -> dict[str, str]:
    """Stages in the order of the sale, closed ones last.

    Parameters
    ----------
    history : rows of a stage history in order of time, if there is one
    usual : order in which the CRM has its own stages
    """
    rank: dict[str, float] = {}
    if history is not None:
        stage = texts_of(history["stage"])
        place = stage.groupby(texts_of(history["opportunity"]), sort=False).cumcount()
        rank = {str(name): float(value) for name, value in place.groupby(stage).mean().items()}

    def key(name: str) -> tuple[object, ...]:
        number = re.match(r"\s*(\d+)", name)
        known = usual.index(name) if name in usual else len(usual)
        step = next((i for i, words in enumerate(STEPS) if re.search(rf"\b(?:{words})\b", in_words(name))), len(STEPS))
        closed = ("open", "won", "lost").index(found[name])
        return closed, int(number[1]) if number else 99, rank.get(name, 99.0), known, step, name

    return {name: found[name] for name in sorted(found, key=key)}
