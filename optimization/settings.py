"""What the analyst may choose about an assignment. Public keys of the config, so names here change only with a note."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

type Fairness = Literal["attainment", "potential", "hours"]


class AllocationWeights(BaseModel):
    """What one point of unfairness is weighed against. All terms of the objective are in points.

    A point of unfairness is one point of chance of quota (fairness ``attainment``), or one percent of a fair share
    (``potential``, ``hours``). A point of money is one percent of the sum of all quotas.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    move_cost: float = Field(default=1.0, ge=0)
    """Points that one point of money at risk from moves costs."""
    potential: float = Field(default=1.0, ge=0)
    """Points that one point of money of expected revenue given up costs, against the best rep for each account."""
    mean_deviation: float = Field(default=0.5, ge=0)
    """Points that one point of mean deviation outside the band costs; a point of spread costs 1."""
    floor: float = Field(default=0.1, ge=0)
    """Points that raising the lowest chance by one point is worth beyond its effect on the spread."""


class Bands(BaseModel):
    """Bands that every book must lie in, around the share that goes with the rep's capacity (fte, days, ramp).

    Each is the largest deviation as a share of the fair share: 0.1 lets a book be 10 percent off. None: no band.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    revenue: float | None = Field(default=None, ge=0, le=10)
    """Expected revenue of the book, with what no assignment changes, share of the fair share."""
    hours: float | None = Field(default=None, ge=0, le=10)
    """Selling hours of the book, share of the fair share."""
    accounts: float | None = Field(default=None, ge=0, le=10)
    """Number of accounts, share of the fair share."""
    commission: float | None = Field(default=None, ge=0, le=10)
    """Expected commission on the accounts of the book, where rates are known, share of the fair share."""


class AllocationSettings(BaseModel):
    """How accounts are assigned to reps."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    enabled: bool = True
    """Whether accounts are assigned at all."""
    method: Literal["auto", "model", "large"] = "auto"
    """How: one model of all pairs, or the large path (relaxation, bands, search around the worst books), which takes
    seconds where the model takes minutes; auto: by the number of pairs of account and rep that are allowed."""
    fairness: Fairness = "attainment"
    """What is evened between reps: the chance of quota, expected revenue against quota, or hours against capacity."""
    attainment_band_points: float = Field(default=2.0, ge=0, le=100)
    """Spread between the highest and the lowest chance of quota that counts as fair on held-out futures, points of
    chance; the search aims lower by what the noise of simulation and posterior adds."""
    value_band_share: float = Field(default=0.05, ge=0, le=10)
    """Deviation of a book from its fair share that is fair for `potential` and `hours`, share of the fair share."""
    value_band_is_rule: bool = False
    """Whether every book must lie within `value_band_share` of its share of revenue (false: only wished for)."""
    max_moved_accounts_share: float | None = Field(default=0.25, ge=0, le=1)
    """Largest share of all accounts that may leave an owner who could keep them; none: no limit."""
    max_moved_value_share: float | None = Field(default=None, ge=0, le=1)
    """Largest share of all accounts' revenue that may leave an owner who could keep it; none: no limit."""
    max_move_cost: float | None = Field(default=None, ge=0)
    """Largest sum of money at risk from moves, money; none: no limit."""
    max_moved_accounts_per_rep: int | None = Field(default=None, ge=0)
    """Most accounts that leave or join one book, the two added up, accounts; none: no limit."""
    max_moved_value_share_per_rep: float | None = Field(default=None, ge=0, le=10)
    """Most revenue that leaves or joins one book, added up, as a share of the rep's fair share; none: no limit."""
    max_move_cost_per_rep: float | None = Field(default=None, ge=0)
    """Most money at risk from accounts that leave or join one book, added up, money; none: no limit."""
    min_accounts: int | None = Field(default=None, ge=0)
    """Fewest accounts of every active rep, accounts; none: no limit."""
    max_accounts: int | None = Field(default=None, ge=0)
    """Most accounts of every active rep, accounts; none: no limit."""
    hours_capacity: bool = True
    """Whether the hours of a book must fit the hours of its rep, where both are known."""
    min_hours: float | None = Field(default=None, ge=0)
    """Fewest selling hours a month of every active rep's accounts, hours; none: no limit."""
    min_potential: float | None = None
    """Least expected revenue of every active rep's book, with what no assignment changes, money; none: no limit."""
    max_potential: float | None = None
    """Most expected revenue of every active rep's book, with what no assignment changes, money; none: no limit."""
    bands: Bands = Bands()
    """Bands on several metrics at once, around each rep's share by capacity."""
    max_travel_km: float | None = Field(default=None, ge=0)
    """Most km a month that the accounts of a full-time rep ask for, less for part of an fte, km; none: no limit."""
    hire_min_share: float | None = Field(default=None, ge=0, le=2)
    """Least expected revenue of a new hire's book, as a share of the fair share by quota; none: no limit."""
    hire_min_accounts: int | None = Field(default=None, ge=0)
    """Fewest accounts that a new hire gets from reps whose books are above their fair share, or that nobody owns,
    accounts; none: no limit."""
    weights: AllocationWeights = AllocationWeights()
    """What unfairness, moves and expected revenue are worth against each other."""
    level_epsilon_points: float = Field(default=0.25, ge=0, le=100)
    """What a lexicographic level of the certificate may take from each earlier one, points of chance."""
    rounds: int = Field(default=4, ge=1, le=50)
    """Most rounds of linearising the chance of quota and solving, rounds."""
    step_share: float = Field(default=0.3, gt=0, le=1)
    """Share of a book, in expected revenue against its quota, that one round may change."""
    integer_pairs: int = Field(default=400, ge=1)
    """Up to this many pairs `potential` and `hours` are one integer program, else rounded relaxations, pairs."""
    search_paths: int = Field(default=4000, ge=100)
    """Simulated paths used in the rounds; the last improvement uses all, paths."""
    polish_steps: int = Field(default=300, ge=0)
    """Most steps of one descent on the simulated paths; a step makes several moves, trades or rings, steps."""
    mip_gap: float = Field(default=0.001, ge=0)
    """Relative gap at which the integer program of a round may stop, share."""
    mip_nodes: int = Field(default=200, ge=1)
    """Most branch-and-bound nodes of one integer program; unlike a time limit this keeps results repeatable, nodes."""
    confidence_groups: int = Field(default=10, ge=0)
    """Groups of posterior draws for each of which the plan is improved anew, to see how sure it is of each account
    (fairness `attainment`); below 2: not asked, groups."""
    time_limit: float = Field(default=600.0, gt=0)
    """Seconds after which the best plan so far is returned and marked as not repeatable, seconds."""
