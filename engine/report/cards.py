"""Book cards: one small page per rep, about that rep alone: what you own, your chance, what drives it, what moved."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from engine.report.html import environment, template_text
from engine.report.names import aliases, masked
from engine.report.page import Column, Table, make_table, shortened
from engine.report.words import Words, words_of
from engine.results import ForecastResult

ACCOUNTS, MOVES, DEALS = 8, 8, 4
"""Most rows of the tables of a card: it is one page."""

OWN = (
    Column("account_name", "col.account"),
    Column("potential_mean", "col.potential", "money"),
    Column("hours", "col.hours", "count"),
)

MOVED = (
    Column("direction", "card.direction"),
    Column("account_name", "col.account"),
    Column("reason_text", "col.why", wide=True),
    Column("potential_mean", "col.potential", "money"),
)

DRIVERS = (
    Column("account_name", "col.account"),
    Column("stage", "col.stage"),
    Column("amount", "col.amount", "money"),
    Column("p_win_in_period", "col.won_in_horizon", "share"),
    Column("share_of_rep_variance", "col.share_of_rep_variance", "share"),
    Column("drivers", "col.drivers", wide=True, english=True),
)

NAME_CHARACTERS = 80


@dataclass(frozen=True)
class Card:
    """One rep's card: its name on disk, who it is about, sentences by key, tables with the rows left out of each."""

    file: str
    rep: str
    texts: dict[str, str]
    chances: tuple[tuple[str, str, float], ...]
    tables: dict[str, Table | None]
    more: dict[str, int]


def write_cards(result: ForecastResult, tables: dict[str, pd.DataFrame], folder: Path) -> int:
    """Write the cards of all reps of the plan into a new folder; nothing without a plan, or where names are absent.

    Returns
    -------
    number of cards
    """
    if "books" not in tables or result.config.report.names == "absent":
        return 0
    words = words_of(result.config.report.language)
    folder.mkdir(parents=True, exist_ok=True)
    template, taken = environment().get_template("card.html.j2"), set[str]()
    called = aliases(tables, result.config.report.names, words("name.rep"))
    for _, book in tables["books"].iterrows():
        card = card_of(result, tables, words, book, called)
        name = card.file if card.file.lower() not in taken else f"{card.file}-{len(taken)}"
        taken.add(name.lower())
        style = Markup(template_text("card.css"))
        page = template.render(words=words, card=card, about=_about(result, words), style=style)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return len(taken)


def card_of(
    result: ForecastResult, tables: dict[str, pd.DataFrame], words: Words, book: "pd.Series", called: dict[str, str]
) -> Card:
    """The card of one row of books.csv.

    Parameters
    ----------
    tables : with real ids
    called : what stands for each rep's id where names are hidden; empty for full names
    """
    rep = str(book["rep"])
    name = shortened(called.get(rep, str(book["rep_name"]) or rep), NAME_CHARACTERS)
    allocation, deals = tables["allocation"], tables["deals"]
    mine = allocation[allocation["new_rep"] == rep].sort_values("potential_mean", ascending=False, kind="stable")
    mine_deals = deals[deals["rep"] == rep].sort_values("share_of_rep_variance", ascending=False, kind="stable")
    moved = _moved(allocation, rep, words)
    shown = {
        "own": (mine, OWN, ACCOUNTS),
        "drives": (_hidden(mine_deals, called), DRIVERS, DEALS),
        "moved": (moved, MOVED, MOVES),
    }
    drawn = {key: _table(words, key, frame.head(most), columns) for key, (frame, columns, most) in shown.items()}
    more = {key: max(len(frame) - most, 0) for key, (frame, _, most) in shown.items()}
    chances = tuple(
        (words(f"card.{key}"), words.share(value), 100 * float(np.nan_to_num(value)))
        for key, value in (("before", book["p_attain_before"]), ("after", book["p_attain"]))
    )
    file = file_name(called.get(rep, rep))
    return Card(file, name, _texts(result, words, book, moved), chances, drawn, more)


def _hidden(frame: pd.DataFrame, called: dict[str, str]) -> pd.DataFrame:
    return frame if not called else frame.assign(drivers=masked(frame["drivers"], called))


def _table(words: Words, key: str, frame: pd.DataFrame, columns: tuple[Column, ...]) -> Table | None:
    return None if frame.empty else make_table(words, f"card_{key}", frame, columns)


def _moved(allocation: pd.DataFrame, rep: str, words: Words) -> pd.DataFrame:
    """Accounts that come or go: the other rep is not named."""
    changes = allocation[allocation["old_rep"] != allocation["new_rep"]]
    comes, goes = changes[changes["new_rep"] == rep], changes[changes["old_rep"] == rep]
    frame = pd.concat([comes.assign(direction=words("card.in")), goes.assign(direction=words("card.out"))])
    frame["reason_text"] = [words.reason(reason) for reason in frame["reason"]]
    return frame.sort_values("potential_mean", ascending=False, kind="stable")


def _texts(result: ForecastResult, words: Words, book: "pd.Series", moved: pd.DataFrame) -> dict[str, str]:
    currency = result.config.currency
    money = {key: words.money(book[key]) for key in ("p10", "p90", "quota")}
    shares = {"before": words.share(book["p_attain_before"]), "after": words.share(book["p_attain"])}
    counts = {"accounts": words.money(book["accounts"]), "hours": words.money(book["hours"])}
    into = int((moved["direction"] == words("card.in")).sum())
    source = words(f"source.{book['quota_source']}")
    return {
        "own": words("card.own_text", expected=words.money(book["revenue_mean"]), currency=currency, **counts, **money),
        "chance": words("card.chance_text", currency=currency, source=source, **money, **shares),
        "drives": words("card.drives_text"),
        "moved": words("card.moved_text", into=into, out=len(moved) - into) if len(moved) else words("card.no_moves"),
    }


def _about(result: ForecastResult, words: Words) -> str:
    allocation = result.allocation
    first, last = ("", "") if allocation is None else (_month(allocation.start), _month(allocation.end))
    return words(
        "card.about",
        name=result.config.name,
        as_of=result.panel.as_of,
        currency=result.config.currency,
        start=first,
        end=last,
    )


def _month(number: int) -> str:
    return str(np.datetime64(int(number), "M"))


def file_name(rep: str) -> str:
    """A name that every file system takes; what had to be changed is told apart by a digest.

    Examples
    --------
    >>> file_name("R012"), file_name("Rep 04")
    ('R012', 'Rep-04')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", rep).strip("-.")[:60]
    if plain.replace("-", " ") == rep or plain == rep:
        return plain
    return f"{plain or 'rep'}-{sha256(rep.encode('utf-8')).hexdigest()[:8]}"
