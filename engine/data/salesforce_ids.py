"""Ids of Salesforce: 15 characters that differ by case only become the 18 that spreadsheets can tell apart."""

import string

import pandas as pd

SHORT = r"(?=.{0,2}\d)(?=(?:\D*\d){3})[A-Za-z0-9]{15}"
"""An id of 15 characters: a digit among the first three (the key of its kind), three digits at least."""

SUFFIX = string.ascii_uppercase + "012345"
"""Character for every pattern of five bits."""


def upgraded(texts: pd.Series) -> pd.Series:
    """Ids of 18 characters for those of 15; other texts stay.

    The three more say which of the letters are capitals, a bit each, five characters to a letter.

    References
    ----------
    Salesforce, "Convert 15 character IDs to 18 character IDs" (knowledge article 000385585)

    Examples
    --------
    >>> upgraded(pd.Series(["001A0000006Vm9r", "Acme"])).tolist()
    ['001A0000006Vm9rIAC', 'Acme']
    """
    short = texts.str.fullmatch(SHORT).fillna(False).astype(bool)
    known = {text: text + _suffix(text) for text in texts[short].unique()}
    return texts.where(~short, texts.map(known)).astype("str")


def _suffix(text: str) -> str:
    parts = [text[start : start + 5] for start in (0, 5, 10)]
    return "".join(SUFFIX[sum(1 << place for place, letter in enumerate(part) if letter.isupper())] for part in parts)
