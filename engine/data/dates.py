"""Reads dates. ISO dates need no word; other ways of writing are accepted only when one reading is possible."""

import re
from dataclasses import dataclass

import pandas as pd

ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2})?)?"
YEAR_FIRST = r"\d{4}[/.]\d{1,2}[/.]\d{1,2}"
DAY_OR_MONTH_FIRST = r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?:,?[T ]\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp][Mm])?)?"

TIME = r",?[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s?([AaPp][Mm])?"
"""Time of day behind a date."""

FIRST_YEAR, LAST_YEAR = 1900, 9999
"""A year outside is a typing mistake (0217 for 2017)."""


@dataclass(frozen=True)
class DatesRead:
    """Result of reading a column of texts.

    Attributes
    ----------
    days : [row] ``datetime64[us]`` days, NaT where empty, unreadable or ambiguous
    bad : [row] true where the text is not a date
    ambiguous : [row] true where day and month cannot be told apart; then the whole column is in doubt
    """

    days: pd.Series
    bad: pd.Series
    ambiguous: pd.Series


def read_dates(texts: pd.Series, date_format: str | None, timezone: str) -> DatesRead:
    """Read a column of dates.

    Parameters
    ----------
    texts : [row] stripped texts, empty where there is no date
    date_format : how they are written, in the codes of strptime (a time of day behind it is left away when the codes
        have none); None: ISO, or the only reading that fits every row. ISO dates are read in any case
    timezone : zone in which a time stamp with an offset becomes a day
    """
    given = texts != ""
    days = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    ambiguous = pd.Series(False, index=texts.index)
    if date_format is not None:
        written = texts[given] if "%H" in date_format or "%I" in date_format else _without_time(texts[given])
        days[given] = _whole_days(pd.to_datetime(written, format=date_format, errors="coerce"))
        iso = days.isna() & texts.str.fullmatch(ISO)
        days[iso] = _iso_days(texts[iso], timezone)
    else:
        iso = texts.str.fullmatch(ISO)
        days[iso] = _iso_days(texts[iso], timezone)
        slashed = texts.str.fullmatch(YEAR_FIRST)
        days[slashed] = _whole_days(
            pd.to_datetime(texts[slashed].str.replace("[/.]", "-", regex=True), format="%Y-%m-%d", errors="coerce")
        )
        parts = texts.str.extract(f"^{DAY_OR_MONTH_FIRST}$", flags=re.ASCII)
        written = parts[0].notna()
        days[written], ambiguous[written] = _either_first(parts[written])
    years = days.dt.year
    days[(years < FIRST_YEAR) | (years > LAST_YEAR)] = pd.NaT
    return DatesRead(days, given & days.isna() & ~ambiguous, ambiguous)


def moments(texts: pd.Series, date_format: str | None) -> pd.Series:
    """Texts by which dates sort in time, with the time of day where it is written; empty for what is no date."""
    if texts.str.fullmatch(ISO).all():
        return texts.str.replace(" ", "T", regex=False)
    days = read_dates(texts, date_format, "UTC").days.dt.strftime("%Y-%m-%d").fillna("")
    parts = texts.str.extract(f"{TIME}$")
    hour = pd.to_numeric(parts[0]).fillna(0)
    afternoon = parts[3].str.casefold()
    hour = hour.mask(afternoon.notna(), hour % 12) + 12 * (afternoon == "pm")
    seconds = 3600 * hour + 60 * pd.to_numeric(parts[1]).fillna(0) + pd.to_numeric(parts[2]).fillna(0)
    return days + seconds.astype("int64").map("T{:05d}".format)


def _without_time(texts: pd.Series) -> pd.Series:
    return texts.str.replace(f"{TIME}$", "", regex=True)


def both_readings(text: str) -> str:
    """The two dates an ambiguous text may mean, in words."""
    day_first, month_first = (
        pd.to_datetime(text.split(" ")[0].split("T")[0].rstrip(",").replace(".", "/").replace("-", "/"), format=form)
        for form in ("%d/%m/%Y", "%m/%d/%Y")
    )
    words = [f"{day.day} {day.month_name()} {day.year}" for day in (day_first, month_first)]
    return f"{text!r}, which is {words[0]} or {words[1]}"


def _either_first(parts: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Days of texts with day and month in unknown order, and where they are ambiguous."""
    readings = []
    for day, month in ((0, 1), (1, 0)):
        iso = parts[2] + "-" + parts[month].str.zfill(2) + "-" + parts[day].str.zfill(2)
        readings.append(_whole_days(pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce")))
    day_first, month_first = readings
    failures = [int(reading.isna().sum()) for reading in readings]
    if failures == [0, 0]:
        differ = day_first != month_first
        return day_first.mask(differ), differ
    return (day_first if failures[0] <= failures[1] else month_first), pd.Series(False, index=parts.index)


def _iso_days(texts: pd.Series, timezone: str) -> pd.Series:
    """Days of ISO texts; a time with an offset is moved to the company's time zone first."""
    zoned = texts.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True) & (texts.str.len() > len("2026-06-30"))
    days = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    days[~zoned] = _whole_days(pd.to_datetime(texts[~zoned].str[:10], format="%Y-%m-%d", errors="coerce"))
    moments = pd.to_datetime(texts[zoned].str.replace(" ", "T", n=1), format="ISO8601", errors="coerce", utc=True)
    days[zoned] = _whole_days(moments.dt.tz_convert(timezone).dt.tz_localize(None))
    return days


def _whole_days(moments: pd.Series) -> pd.Series:
    return moments.astype("datetime64[us]").dt.normalize()
