"""Where the horizon is heading: the forecast beside goal and call, targets of products, deals that reps still need."""

import numpy as np
import pandas as pd

from engine.kpis.facts import Facts
from engine.planning.leaderboard import leaderboard_table, rank_chances, ranks_table
from engine.planning.quotas import capacity
from engine.report.periods import periods
from engine.results import ForecastResult
from models.calendar import MONTHS_PER_YEAR, month_number
from models.panel import NONE, Calls, Floats, Ints, Labels

RECENT = np.timedelta64(365, "D")
"""Days before the as-of date that say what a won deal brings."""

FEWEST_WON = 5
"""Won deals below which a rep's typical deal is the company's."""

MOST_RANKED = 8_000_000
"""Reps x paths that are ranked at most; beyond that every few paths stand for all."""

MIX = "the company's goal by the mix of the last twelve months"
NO_TARGET = "none"


def forecast_report(result: ForecastResult, facts: Facts, forecast: pd.DataFrame) -> pd.DataFrame:
    """forecast.csv beside the reps' calls and the same months of the year before.

    ``call`` sums the newest call of each rep for a period that begins with the row's first month and is as long as the
    row; calls say when they begin only, so a row has one where its first month has calls and no longer row begins.
    """
    months, panel = result.outcomes.months, result.panel
    names = dict(periods(months, panel.fiscal_year_start))
    longest = {int(columns[0]): max(len(c) for c in names.values() if c[0] == columns[0]) for columns in names.values()}
    frame = forecast.rename(columns={"quota": "goal", "p_attain": "p_goal"})
    frame = frame.assign(call=np.nan, year_before=np.nan)
    for level, part in frame.groupby("level", sort=False):
        spoken = level in ("company", "region", "territory", "manager", "rep")
        for period, columns in names.items():
            here = part.index[part["period"] == period]
            keys = frame.loc[here, "key"]
            first = int(months[columns[0]])
            before = revenue_of(facts, str(level), first - MONTHS_PER_YEAR, int(months[columns[-1]]) - MONTHS_PER_YEAR)
            frame.loc[here, "year_before"] = keys.map(before).to_numpy()
            if spoken and longest[int(columns[0])] == len(columns):
                frame.loc[here, "call"] = keys.map(_called(facts, str(level), first)).to_numpy()
    order = ["level", "key", "key_name", "period", "booked", "open", "new", "p10", "p50", "p90", "goal", "p_goal"]
    return frame[[*order, "call", "year_before"]]


def revenue_of(facts: Facts, level: str, first: int, last: int) -> dict[str, float]:
    """Revenue of every member between two months (inclusive); nothing where the months are not on record."""
    if first < int(month_number(np.array([facts.panel.first_day]))[0]):
        return {}
    month = month_number(facts.revenue["date"].to_numpy().astype("datetime64[D]"))
    inside = ((month >= first) & (month <= last)).astype(bool)
    labels = facts.labels(level)
    place = facts.revenue[level].to_numpy()
    place = np.where(place == NONE, len(labels) - 1, place)
    sums = np.bincount(place[inside], facts.revenue["amount"].to_numpy()[inside], len(labels))
    return dict(zip(labels.ids.tolist(), sums.tolist(), strict=True))


def newest_calls(calls: Calls, month: int, until: np.datetime64) -> tuple[Ints, Floats]:
    """Reps and amounts of the newest calls, by a day, for periods that begin with a month."""
    here = np.flatnonzero((calls.month == month) & (calls.day <= until))
    here = here[np.lexsort((calls.day[here], calls.rep[here]))]
    last = np.append(np.diff(calls.rep[here]) != 0, np.ones(min(len(here), 1), dtype=bool))
    return calls.rep[here][last], calls.amount[here][last]


def _called(facts: Facts, level: str, month: int) -> dict[str, float]:
    rep, amount = newest_calls(facts.panel.calls, month, facts.panel.as_of)
    homes = facts.at_home(pd.DataFrame({"rep": facts.panel.reps.labels.ids[rep]}))
    keys = facts.labels(level).ids[homes[level].to_numpy()] if len(rep) else np.array([], dtype=np.str_)
    sums = pd.Series(amount).groupby(keys).sum()
    return {str(key): float(total) for key, total in sums.items()}


def product_targets(result: ForecastResult, facts: Facts) -> pd.DataFrame:
    """One row a product over the forecast horizon.

    Nobody gives targets by product in the quotas table, so the company's goal is split by the mix of revenue in the
    last twelve months; ``target_source`` says so, and is `NO_TARGET` without a goal.
    """
    outcome = result.outcomes.levels["product"]
    months = result.outcomes.months
    first, last = int(months[0]), int(months[-1])
    goal, _ = result.quotas.target("company", "", first, last)
    recent = facts.revenue[facts.revenue["date"].to_numpy().astype("datetime64[D]") > facts.panel.as_of - RECENT]
    labels = facts.labels("product")
    place = np.where(recent["product"] == NONE, len(labels) - 1, recent["product"])
    sold = dict(zip(labels.ids.tolist(), np.bincount(place, recent["amount"], len(labels)).tolist(), strict=True))
    value = np.array([max(sold.get(str(key), 0.0), 0.0) for key in outcome.keys])
    mix = value / value.sum() if value.sum() > 0 else np.full(len(value), np.nan)
    total = outcome.total.sum(axis=2, dtype=np.float64)  # [path, product]
    low, middle, high = np.quantile(total, [0.1, 0.5, 0.9], axis=0)
    target = goal * mix
    before = revenue_of(facts, "product", first - MONTHS_PER_YEAR, last - MONTHS_PER_YEAR)
    frame = {
        "product": outcome.keys,
        "product_name": outcome.names,
        "booked": outcome.booked.sum(axis=1),
        "p10": low,
        "p50": middle,
        "p90": high,
        "target": target,
        "target_source": np.where(np.isfinite(target), MIX, NO_TARGET),
        "p_target": np.where(np.isfinite(target), (total >= target).mean(axis=0), np.nan),
        "year_before": [before.get(str(key), np.nan) for key in outcome.keys],
        "mix": mix,
    }
    return pd.DataFrame(frame).sort_values(["mix", "product"], ascending=[False, True], ignore_index=True)


def won_deal_goals(result: ForecastResult, facts: Facts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Goals of reps in deals with their chances of each rank, and the table of ranks."""
    panel, months = result.panel, result.outcomes.months
    first, last = int(months[0]), int(months[-1])
    reps = np.flatnonzero(capacity(panel, first, last) > 0)
    value = result.outcomes.levels["rep"].total[:, reps].sum(axis=2, dtype=np.float64)
    thin = value[:: max(1, value.size // MOST_RANKED)]
    labels = Labels(panel.reps.labels.ids[reps], panel.reps.labels.names[reps])
    if len(reps) < 2:
        board = pd.DataFrame({"rep": labels.ids, "rep_name": labels.names, "rank_mean": 1.0, "p_first": 1.0})
        ranks = pd.DataFrame({"rep": labels.ids, "rep_name": labels.names, "rank": 1, "chance": 1.0})
    else:
        chance = rank_chances(thin)
        board, ranks = leaderboard_table(labels, thin, chance, 3), ranks_table(labels, chance)
    quota = np.array([result.quotas.target("rep", str(key), first, last)[0] for key in labels.ids])
    booked = result.outcomes.levels["rep"].booked[reps].sum(axis=1)
    typical = typical_deal(facts)[reps]
    gap = (quota - booked).clip(min=0.0)
    frame = pd.DataFrame(
        {
            "rep": labels.ids,
            "quota": quota,
            "booked": booked,
            "gap": gap,
            "typical_deal": typical,
            "deals_won": _won_within(facts, first, last)[reps],
            "deals_needed": np.ceil(gap / typical),
            "deals_expected": _expected_wins(result)[reps],
            "p_quota": np.where(np.isfinite(quota), (value >= np.nan_to_num(quota)).mean(axis=0), np.nan),
        }
    )
    chances = ["rank_mean", "rank_p05", "rank_p95", "p_first", "p_top_3"]
    kept = board.rename(
        columns={name: "p_top_3" for name in board if str(name).startswith("p_top_") and str(name)[-1].isdigit()}
    )
    kept = kept.reindex(columns=["rep", "rep_name", *chances])
    columns = ["rep", "rep_name", *frame.columns[1:], *chances]
    return kept.merge(frame, on="rep")[columns], ranks


def typical_deal(facts: Facts) -> Floats:
    """[rep] mean amount of the deals won in the last year; the company's for a rep with few; NaN where none was won."""
    deals = facts.deals
    day = deals["closed"].to_numpy().astype("datetime64[D]")
    won = ((deals["outcome"] == "won") & (deals["rep"] != NONE)).to_numpy() & (day > facts.panel.as_of - RECENT)
    rep, amount = deals["rep"].to_numpy()[won], deals["booked"].fillna(0.0).to_numpy()[won]
    count = np.bincount(rep, minlength=len(facts.panel.reps.labels))
    total = np.bincount(rep, amount, len(count))
    everyone = float(amount.mean()) if len(amount) else np.nan
    return np.where(count >= FEWEST_WON, total / np.maximum(count, 1), everyone)


def _won_within(facts: Facts, first: int, last: int) -> Ints:
    """[rep] deals won in the months of the horizon up to the as-of date."""
    deals = facts.deals[(facts.deals["outcome"] == "won") & (facts.deals["rep"] != NONE)]
    month = month_number(deals["closed"].to_numpy().astype("datetime64[D]"))
    inside = (month >= first) & (month <= last)
    return np.bincount(deals["rep"].to_numpy()[inside], minlength=len(facts.panel.reps.labels))


def _expected_wins(result: ForecastResult) -> Floats:
    """[rep] open deals expected to be won in the horizon."""
    found, owner = result.outcomes.deals, result.panel.deals.rep[result.outcomes.deals.deal]
    known = owner != NONE
    return np.bincount(owner[known], found.p_win_in_period[known], len(result.panel.reps.labels))
