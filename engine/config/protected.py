"""Attributes of people that no forecast and no plan may rest on, recognised by the names of columns."""

import re
import unicodedata

PROTECTED = (
    "age",
    "birth",
    "birthdate",
    "birthday",
    "disability",
    "dob",
    "ethnic",
    "ethnicity",
    "gender",
    "geboortedatum",
    "geburtsdatum",
    "geslacht",
    "geschlecht",
    "health",
    "marital",
    "married",
    "maternity",
    "nationality",
    "nationaliteit",
    "orientation",
    "parental",
    "pregnancy",
    "pregnant",
    "race",
    "religion",
    "salutation",
    "sex",
    "sexual",
    "staatsangehoerigkeit",
    "union",
)
"""Words of a column name that speak of sex, age, origin, belief, health, family or union membership (Dutch and German
too): what European law protects (directives 2000/43/EC, 2000/78/EC, 2006/54/EC; article 9 of the GDPR)."""

OF_PEOPLE = frozenset({"age", "health", "orientation", "parental", "race", "salutation", "union"})
"""Words that speak of a protected attribute only where a row is a person: the health of an account is none."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def protected_words(column: str) -> list[str]:
    """Words of a column's name that speak of a protected attribute.

    Examples
    --------
    >>> protected_words("Rep_Gender__c"), protected_words("dateOfBirth"), protected_words("package_stage")
    (['gender'], ['birth'], [])
    """
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    return [word.lower() for word in _WORD.findall(plain) if word.lower() in PROTECTED]
