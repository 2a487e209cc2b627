"""Win rate, by closing and by cohort; proposal and closing rate, per qualified opportunity and per lead."""

import numpy as np
import pandas as pd

from engine.kpis.facts import Facts, index_of
from engine.kpis.measures import Measure, mean, ratio, share
from engine.planning.stage_counts import furthest_stage
from engine.results import ForecastResult
from models.panel import NONE, Bools, Floats, Ints

PROPOSAL_WORDS = ("propos", "quot", "offer", "angebot", "offerte")
"""Parts of the name of a stage in which an offer lies with the customer; case does not count."""

LEAD_LEVELS = ("company", "region", "territory", "manager", "rep", "source")


def win_rates(facts: Facts, result: ForecastResult) -> list[pd.DataFrame]:
    """Won of closed, by count and by value, and the share of each creation cohort that is or will be won."""
    deals = facts.deals
    closed = deals[deals["outcome"] != "open"]
    won = (closed["outcome"] == "won").to_numpy().astype(np.float64)
    known = np.isfinite(closed["worth"].to_numpy())
    worth = closed["worth"].to_numpy()[known]
    by_count = Measure("win_rate", "won / (won + lost), by close date, by count", closed, "closed")
    what = "booked amount of won deals / (that + CRM amount, else list price, of lost deals), by close date"
    by_value = Measure("win_rate_value", what, closed[known], "closed")
    found = [share(facts, by_count, won), ratio(facts, by_value, won[known] * worth, worth, (0.0, 1.0))]
    naive = "won / (won + lost), by creation date, closed deals only: biased while deals are open"
    found.append(share(facts, Measure("win_rate_cohort_closed_only", naive, closed, "created"), won))
    hazard = "(won + sum of open deals' chances to be won) / all created, by creation date; chances from the hazard"
    chance = np.zeros(len(deals))
    chance[(deals["outcome"] == "won").to_numpy()] = 1.0
    chance[result.outcomes.deals.deal] = result.outcomes.deals.p_win
    found.append(share(facts, Measure("win_rate_cohort", hazard, deals, "created"), chance))
    return found


def average_deal(facts: Facts) -> list[pd.DataFrame]:
    """Mean amount of won deals."""
    won = facts.deals[(facts.deals["outcome"] == "won") & facts.deals["booked"].notna()]
    what = Measure("average_won_deal", "booked amount of won deals / won deals, by close date", won, "closed")
    return [mean(facts, what, won["booked"].to_numpy())]


def proposal_stage(facts: Facts) -> int:
    """First open stage whose name says that an offer was made; NONE where no name does, or there is no history."""
    if not (furthest_stage(facts.panel) != NONE).any():
        return NONE
    names = [str(name).casefold() for name in facts.panel.stages.names]
    return next((i for i, name in enumerate(names) if any(word in name for word in PROPOSAL_WORDS)), NONE)


def reached(facts: Facts, stage: int) -> tuple[Bools, Bools]:
    """[deal] whether it was ever in a stage or beyond, and whether its history is on record; a win passed them all."""
    furthest: Ints = furthest_stage(facts.panel)
    known = furthest != NONE
    won = (facts.deals["outcome"] == "won").to_numpy()
    return known & ((furthest >= stage) | won), known


def proposal_rates(facts: Facts) -> list[pd.DataFrame]:
    """Proposals of qualified opportunities, and won of proposals."""
    stage = proposal_stage(facts)
    if stage == NONE:
        return []
    name = str(facts.panel.stages.names[stage])
    proposed, known = reached(facts, stage)
    decided = known & (proposed | (facts.deals["outcome"] != "open").to_numpy())
    cohort = facts.deals[decided]
    what = f"opportunities that reached {name} / (that + opportunities closed before), by creation date"
    found = [share(facts, Measure("proposal_rate", what, cohort, "created"), proposed[decided].astype(np.float64))]
    offered = facts.deals[proposed & (facts.deals["outcome"] != "open").to_numpy()]
    won = (offered["outcome"] == "won").to_numpy().astype(np.float64)
    what = f"won / closed opportunities that had reached {name}, by close date"
    return [*found, share(facts, Measure("closing_rate", what, offered, "closed"), won)]


def lead_conversions(facts: Facts) -> list[pd.DataFrame]:
    """Proposals and wins per lead, by the month in which the lead was created."""
    leads = facts.frames.get("leads")
    if leads is None or "opportunity" not in leads or facts.deals.empty:
        return []
    placed = facts.at_home(leads)
    deal = index_of(facts.panel.deals.ids, leads["opportunity"])

    def of_leads(flag: Bools) -> Floats:
        return np.append(flag, False)[deal].astype(np.float64)

    won = of_leads((facts.deals["outcome"] == "won").to_numpy())
    found = []
    stage = proposal_stage(facts)
    if stage != NONE:
        name = str(facts.panel.stages.names[stage])
        what = f"leads whose opportunity reached {name} / leads, by creation date of the lead"
        measure = Measure("proposal_rate_per_lead", what, placed, "created", LEAD_LEVELS)
        found.append(share(facts, measure, of_leads(reached(facts, stage)[0])))
    what = "leads whose opportunity was won / leads, by creation date of the lead (recent leads may still be won)"
    found.append(share(facts, Measure("closing_rate_per_lead", what, placed, "created", LEAD_LEVELS), won))
    if not len(facts.sources):
        return found
    what = "won / leads, by source of the lead and its creation date (recent leads may still be won)"
    found.append(share(facts, Measure("conversion_by_source", what, placed, "created", ("source",)), won))
    return found
