"""Labels in three languages: no key is missing, none is left over, all fill in the same values."""

import re
import string
from pathlib import Path

import numpy as np
import pytest
import yaml

from engine.deals.waterfall import STEPS
from engine.kpis.reports import REPORTS
from engine.report.kpi_sections import TOLD
from engine.report.words import LANGUAGES, MISSING, words_of
from models.attainment_shares import PARTS
from optimization.reasons import REASONS

ROOM = Path(__file__).parents[1] / "engine" / "report"

MADE = re.compile(
    r"(level|step|step_meaning|part|meaning|reason|band|severity|gate|source|table\.card|card|search|page\.names|figure)[._]"
    r"|text\.(fan|no)_(goal|call|pace)|text\.(value_share|work_share|p_attain)"
)
"""Keys that are put together from a word and a value, such as ``level.rep``."""


def values(text: str) -> set[str]:
    """Names that a text fills in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def asked_for() -> set[str]:
    """Keys that the code and the templates name outright."""
    found = set()
    for path in [*ROOM.glob("*.py"), *ROOM.glob("templates/*.j2")]:
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"""words\(\s*["']([a-z_]+\.[a-z_0-9]+)["']""", text))
        found |= set(re.findall(r'Column\("[a-z_0-9]+", "([a-z_]+\.[a-z_0-9]+)"', text))
        found |= set(re.findall(r'"((?:text|missing|figure)\.[a-z_0-9]+)"', text))
        found |= {f"table.{name}" for name in re.findall(r'make_table\(\s*words, "([a-z_]+)"', text)}
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_values(language: str) -> None:
    english, other = words_of("en").labels, words_of(language).labels
    assert set(other) == set(english)
    assert [key for key in english if values(other[key]) != values(english[key])] == []
    assert [key for key, text in other.items() if not isinstance(text, str) or not text.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_catalogue_says_a_key_twice(language: str) -> None:
    text = (ROOM / "labels" / f"{language}.yaml").read_text(encoding="utf-8")
    keys = re.findall(r'^("?[a-z_]+\.[^:]*(?:: [^"]*)?"?): "', text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(yaml.safe_load(text))


def test_every_key_that_is_asked_for_is_there_and_none_is_left_over() -> None:
    labels, asked = set(words_of("en").labels), asked_for()
    for told in TOLD:
        asked |= {f"{kind}.{told.name}" for kind in ("section", "text", "table")}
    assert len(asked) > 150
    assert asked - labels == set()
    assert sorted(key for key in labels - asked if not MADE.match(key)) == []


def test_every_word_of_a_closed_set_is_translated() -> None:
    labels = words_of("en").labels
    assert {f"step.{step}" for step in (*STEPS, "start", "end")} <= set(labels)
    assert {f"part.{part}" for part in PARTS} <= set(labels)
    assert {f"reason.{part}" for reason in REASONS for part in reason.split(", ")} <= set(labels)
    assert {told.name for told in TOLD} <= set(REPORTS)


def test_languages_differ_where_words_do() -> None:
    english, dutch, german = (words_of(name).labels for name in LANGUAGES)
    same = [key for key in english if english[key] == dutch[key] == german[key] and len(english[key]) > 40]
    assert same == []


def test_numbers_follow_the_language() -> None:
    english, dutch, german = map(words_of, LANGUAGES)
    assert [words.money(1234567.8) for words in (english, dutch, german)] == ["1,234,568", "1.234.568", "1.234.568"]
    assert english.share(0.123) == "12%"
    assert german.share(0.123) == "12\u00a0%"
    assert dutch.number(0.0456, "points") == "4,6%"
    assert english.signed(-1234) == "-1,234"
    assert english.signed(0.0) == "+0"
    assert english.compact(9_118_547) == "9.1M"
    assert dutch.compact(99_999) == "99.999"
    assert german.number(np.nan, "money") == MISSING
    assert english.times(5.55) == "5.5 ×" or english.times(5.55) == "5.6 ×"


def test_a_missing_key_is_told() -> None:
    with pytest.raises(KeyError):
        words_of("en")("no.such_key")
