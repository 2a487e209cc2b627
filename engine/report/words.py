"""Words and numbers of the page in the reader's language: one catalogue a language, formats by Babel (Unicode CLDR)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal, get_args

import numpy as np
import yaml
from babel import Locale
from babel.numbers import format_compact_decimal, format_decimal, format_percent

type Language = Literal["en", "nl", "de"]

LANGUAGES: tuple[str, ...] = get_args(Language.__value__)

MISSING = "–"
"""What stands for a number that is not known."""

SMALL = 100_000
"""Amounts below this are never shortened."""

SEPARATORS = {"en": ".,", "nl": ",.", "de": ",."}
"""Signs of decimals and of thousands, as Plotly wants them."""


@dataclass(frozen=True)
class Words:
    """One language.

    Attributes
    ----------
    language : en, nl or de
    labels : texts by key, with ``{names}`` of what is filled in
    """

    language: str
    labels: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Text of a key.

        Raises
        ------
        KeyError
            When the catalogue lacks the key, or a value is missing.
        """
        return self.labels[key].format(**values)

    def known(self, key: str, otherwise: str) -> str:
        """Text of a key whose set is not closed, such as a reason: as it came where the catalogue does not have it."""
        return self.labels.get(key, otherwise)

    def reason(self, text: object) -> str:
        """Why an account moves or stays, one of `optimization.reasons.REASONS`, part by part."""
        return ", ".join(self.known(f"reason.{part}", part) for part in str(text).split(", "))

    def number(self, value: object, form: str) -> str:
        """A number in one of `FORMATS`; a dash where it is missing."""
        number = float(str(value))
        if not np.isfinite(number):
            return MISSING
        pattern = FORMATS[form]
        if "%" in pattern:
            return str(format_percent(number, _percent(pattern, self.language), locale=self.language))
        return str(format_decimal(number + 0.0, pattern, locale=self.language))

    def money(self, value: object) -> str:
        """Whole units of the currency."""
        return self.number(value, "money")

    def compact(self, value: object) -> str:
        """Money in a few signs, such as 9.1M; small amounts whole."""
        number = float(str(value))
        if not np.isfinite(number) or abs(number) < SMALL:
            return self.money(value)
        return str(format_compact_decimal(number, locale=self.language, fraction_digits=1))

    def signed(self, value: object) -> str:
        """The same with its sign."""
        return self.number(value, "signed")

    def share(self, value: object) -> str:
        """Whole per cents."""
        return self.number(value, "share")

    def times(self, value: object) -> str:
        """A multiple, one decimal."""
        text = self.number(value, "one")
        return text if text == MISSING else f"{text} ×"


FORMATS = {
    "money": "#,##0",
    "signed": "+#,##0;-#,##0",
    "share": "#,##0%",
    "points": "#,##0.0%",
    "count": "#,##0",
    "one": "#,##0.0",
    "plain": "#,##0.000",
}
"""CLDR patterns of the formats that a column may have."""


@lru_cache
def _percent(pattern: str, language: str) -> str:
    """The pattern with the sign of per cent where the language has it: German puts a space before it."""
    own = str(Locale.parse(language).percent_formats[None].pattern)
    return own.replace("0", pattern.split("#,##")[1].rstrip("%"), 1) if "." in pattern else own


@lru_cache
def words_of(language: str) -> Words:
    """Catalogue of a language, from ``labels/LANGUAGE.yaml``."""
    text = resources.files("engine.report").joinpath(f"labels/{language}.yaml").read_text(encoding="utf-8")
    return Words(language, yaml.safe_load(text))
