"""Where time and deals get lost: ageing, slow follow-up, too little pipeline, work without progress, selling time.

Every row names one deal or one rep, the value beside what is typical, and the money at stake: for deals what they are
expected to bring (``p_win`` times amount), for reps what is missing to the pipeline that they need.
"""

from typing import Any

import numpy as np
import pandas as pd

from engine.kpis.facts import Facts, index_of
from engine.results import ForecastResult
from models.panel import NONE, Bools, Dates, Floats, Ints

COLUMNS = ["kind", "rep", "rep_name", "opportunity_id", "name", "value", "typical", "unit", "at_stake", "words"]

OLD = 0.9
"""Quantile of the cycles of won deals beyond which an open deal is old."""

FEW_LEADS = 5
"""Leads below which a rep's follow-up is not judged."""

SLOW = 1.5
"""Multiple of the company's median follow-up from which a rep is slow."""

BUSY = 4
"""Activities since the last move of stage from which a deal is worked on without progress."""

RECENT = np.timedelta64(180, "D")
"""Days of leads and hours that are looked at."""


def inefficiencies(result: ForecastResult, facts: Facts, kpis: pd.DataFrame | None = None) -> pd.DataFrame:
    """All kinds in one table, the most money first within a kind.

    Parameters
    ----------
    kpis : kpis.csv, from which the coverage that is there and that is needed are taken; without it no row says so
    """
    parts = [_ageing(result, facts), _overdue(result, facts), _without_progress(result, facts)]
    parts += [_follow_up(facts), _selling_time(facts), _coverage(facts, kpis)]
    kept = [part for part in parts if len(part)]
    frame = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=COLUMNS)
    rank = {kind: i for i, kind in enumerate(dict.fromkeys(frame["kind"]))}
    order = frame.assign(_kind=frame["kind"].map(rank), _money=-frame["at_stake"].astype(float).fillna(0.0))
    return order.sort_values(["_kind", "_money", "rep", "opportunity_id"], ignore_index=True)[COLUMNS]


def expected(result: ForecastResult) -> Floats:
    """[panel deal] chance to be won ever times the amount; 0 of closed deals."""
    panel, found = result.panel, result.outcomes.deals
    value = np.zeros(len(panel.deals))
    value[found.deal] = found.p_win * np.nan_to_num(panel.deals.list_amount[found.deal])
    return value


def days_open(facts: Facts) -> Ints:
    """[deal] days from creation to the as-of date."""
    created = facts.deals["created"].to_numpy().astype("datetime64[D]")
    return (facts.panel.as_of - created).astype(np.int64)


def old_age(facts: Facts) -> float:
    """Days after which only one in ten of the won deals was still to be won; NaN where none was won."""
    won = facts.deals[facts.deals["outcome"] == "won"]
    days = (won["closed"] - won["created"]).dt.days
    return float(days.quantile(OLD)) if len(days) else float("nan")


def _deal_rows(result: ForecastResult, kind: str, chosen: Bools) -> pd.DataFrame:
    """Rows of some open deals, with value, typical, unit and words still to come."""
    panel, index = result.panel, np.flatnonzero(chosen)
    reps = panel.reps.labels
    ids, names = np.append(reps.ids, ""), np.append(reps.names, "")
    return pd.DataFrame(
        {
            "kind": kind,
            "rep": ids[panel.deals.rep[index]],
            "rep_name": names[panel.deals.rep[index]],
            "opportunity_id": panel.deals.ids[index],
            "name": panel.deals.names[index],
            "at_stake": expected(result)[index],
        }
    )


def _open(facts: Facts) -> Bools:
    opened: Bools = (facts.deals["outcome"] == "open").to_numpy()
    return opened


def _ageing(result: ForecastResult, facts: Facts) -> pd.DataFrame:
    age, limit = days_open(facts), old_age(facts)
    chosen = _open(facts) & (age > limit)
    frame = _deal_rows(result, "ageing", chosen)
    words = [f"open for {days} days; nine of ten won deals took at most {limit:.0f}" for days in age[chosen]]
    return frame.assign(value=age[chosen].astype(float), typical=limit, unit="days open", words=words)


def _overdue(result: ForecastResult, facts: Facts) -> pd.DataFrame:
    day: Dates = facts.deals["expected_close"].to_numpy().astype("datetime64[D]")
    late = np.where(np.isnat(day), 0, (facts.panel.as_of - np.where(np.isnat(day), facts.panel.as_of, day)).astype(int))
    chosen = _open(facts) & (late > 0)
    frame = _deal_rows(result, "close date in the past", chosen)
    words = [f"was to close {days} days ago" for days in late[chosen]]
    return frame.assign(value=late[chosen].astype(float), typical=0.0, unit="days late", words=words)


def _without_progress(result: ForecastResult, facts: Facts) -> pd.DataFrame:
    """Open deals with many activities since they last entered a stage."""
    done = facts.frames.get("activities")
    moves = facts.panel.stage_moves
    if done is None or "opportunity" not in done:
        return pd.DataFrame(columns=COLUMNS)
    since = facts.deals["created"].to_numpy().astype("datetime64[D]")
    np.maximum.at(since, moves.deal, moves.date.astype("datetime64[D]"))
    deal = index_of(facts.panel.deals.ids, done["opportunity"])
    day = done["date"].to_numpy().astype("datetime64[D]")
    known = deal != NONE
    after = known & (day > np.append(since, facts.panel.as_of)[deal])
    count = np.bincount(deal[after], minlength=len(since))
    chosen = _open(facts) & (count >= BUSY)
    idle = (facts.panel.as_of - since).astype(np.int64)
    frame = _deal_rows(result, "activity without progress", chosen)
    words = [
        f"{n} activities in the {days} days since it last changed stage"
        for n, days in zip(count[chosen], idle[chosen], strict=True)
    ]
    typical = float(np.median(count[_open(facts)])) if _open(facts).any() else np.nan
    return frame.assign(value=count[chosen].astype(float), typical=typical, unit="activities", words=words)


def _rep_rows(facts: Facts, kind: str, rep: Ints) -> pd.DataFrame:
    reps = facts.panel.reps.labels
    return pd.DataFrame(
        {"kind": kind, "rep": reps.ids[rep], "rep_name": reps.names[rep], "opportunity_id": "", "name": ""}
    )


def _follow_up(facts: Facts) -> pd.DataFrame:
    """Reps whose leads wait much longer for a first touch; a lead without one has waited until today."""
    leads = facts.frames.get("leads")
    if leads is None or not {"rep", "first_touch"} <= set(leads):
        return pd.DataFrame(columns=COLUMNS)
    as_of = pd.Timestamp(facts.panel.as_of)
    recent = leads[leads["created"] > pd.Timestamp(facts.panel.as_of - RECENT)]
    wait = (recent["first_touch"].fillna(as_of) - recent["created"]).dt.days
    typical = float(wait.median()) if len(wait) else np.nan
    by_rep = wait.groupby(index_of(facts.panel.reps.labels.ids, recent["rep"])).agg(["median", "size"])
    untouched = recent["first_touch"].isna().groupby(index_of(facts.panel.reps.labels.ids, recent["rep"])).sum()
    slow = by_rep[(by_rep["size"] >= FEW_LEADS) & (by_rep["median"] > SLOW * typical) & (by_rep.index >= 0)]
    rep = slow.index.to_numpy(dtype=np.int64)
    active = facts.panel.reps.active[rep]
    slow, rep = slow[active], rep[active]
    words = [
        f"half of {row.size_} leads of {RECENT.astype(int)} days waited {row.median:.0f} days or more, "
        f"{int(untouched[who])} still wait"
        for who, row in zip(rep, slow.rename(columns={"size": "size_"}).itertuples(), strict=True)
    ]
    frame = _rep_rows(facts, "follow-up lag", rep)
    values = slow["median"].to_numpy(dtype=float)
    return frame.assign(value=values, typical=typical, unit="days to first touch", at_stake=np.nan, words=words)


def _selling_time(facts: Facts) -> pd.DataFrame:
    """Reps in the lowest quarter of selling time."""
    hours = facts.frames.get("rep_hours")
    if hours is None or "selling" not in hours:
        return pd.DataFrame(columns=COLUMNS)
    recent = hours[hours["month"] > pd.Timestamp(facts.panel.as_of - RECENT)]
    rep = index_of(facts.panel.reps.labels.ids, recent["rep"])
    sums = recent[["paid", "selling"]].groupby(rep).sum()
    sums = sums[(sums["paid"] > 0) & (sums.index >= 0)]
    share = sums["selling"] / sums["paid"]
    typical = float(sums["selling"].sum() / sums["paid"].sum()) if len(sums) else np.nan
    share = share[(share < share.quantile(0.25)) & facts.panel.reps.active[share.index.to_numpy(dtype=np.int64)]]
    frame = _rep_rows(facts, "selling time", share.index.to_numpy(dtype=np.int64))
    everyone = f"{100 * typical:.0f} % of all reps'"
    words = [f"{100 * part:.0f} % of the paid hours went into selling, {everyone}" for part in share]
    columns: dict[str, Any] = {
        "value": share.to_numpy(),
        "typical": typical,
        "unit": "share of paid hours",
        "at_stake": np.nan,
    }
    return frame.assign(**columns, words=words)


def _coverage(facts: Facts, kpis: pd.DataFrame | None) -> pd.DataFrame:
    """Reps whose open pipeline, all of it as in the need, is short of what they need."""
    if kpis is None:
        return pd.DataFrame(columns=COLUMNS)
    rows = kpis[kpis["level"] == "rep"].set_index("key")
    have = rows.loc[rows["kpi"] == "pipeline_coverage_open", ["value", "denominator"]]
    need = rows.loc[rows["kpi"] == "pipeline_coverage_needed", "value"]
    both = have.join(need.rename("need"), how="inner")
    short = both[both["value"] < both["need"]]
    rep = index_of(facts.panel.reps.labels.ids, pd.Series(short.index, dtype="str"))
    frame = _rep_rows(facts, "coverage short of need", rep)
    pairs = short[["value", "need"]].to_numpy()
    words = [f"has {a:.1f} x what is missing to the quota, needs {b:.1f} x" for a, b in pairs]
    stake = ((short["need"] - short["value"]) * short["denominator"]).to_numpy()
    columns: dict[str, Any] = {
        "value": short["value"].to_numpy(),
        "typical": short["need"].to_numpy(),
        "unit": "x",
        "at_stake": stake,
    }
    return frame.assign(**columns, words=words)
