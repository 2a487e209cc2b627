"""A tiny company in CSV files for the tests of ``engine.data``: right as it is, to be broken one cell at a time."""

from collections.abc import Mapping
from pathlib import Path

from engine.config.schema import RunConfig

OPPORTUNITIES = """id,rep,stage,created,closed,account,product,amount,won_amount,expected_close
D1,R1,Won,2025-01-10,2025-02-20,A1,P1,100,90,2025-02-28
D2,R1,Lost,2025-01-15,2025-03-05,A2,P1,200,,2025-03-31
D3,R2,Propose,2025-02-01,,A2,P2,300,,2025-06-30
D4,R2,Won,2025-03-01,2025-04-15,A3,P2,400,420,2025-04-30
D5,R1,Qualify,2025-04-10,,A1,P1,150,,2025-07-31
"""

STAGE_HISTORY = """opportunity,stage,date,expected_close,amount
D1,Qualify,2025-01-10,2025-01-31,100
D1,Propose,2025-02-01,2025-02-28,100
D1,Won,2025-02-20,,
D2,Qualify,2025-01-15,2025-03-31,200
D2,Lost,2025-03-05,,
D3,Qualify,2025-02-01,2025-05-31,250
D3,Propose,2025-03-20,2025-06-30,300
D4,Qualify,2025-03-01,2025-04-30,400
D4,Propose,2025-03-25,2025-04-30,400
D4,Won,2025-04-15,,
D5,Qualify,2025-04-10,2025-07-31,150
"""

BOOKINGS = """date,amount,rep,account,product,opportunity
2025-01-05,50,R1,A1,P1,
2025-01-20,60,R1,A1,P1,
2025-02-03,-10,R1,A1,P1,
2025-03-10,500,R2,A3,P2,
2025-04-20,420,R2,A3,P2,D4
2025-04-25,70,R2,A1,P1,
"""

ACCOUNTS = """id,name,segment,territory,owner,parent,locked
A1,Alpha,Large,North,,,no
A2,Beta,Small,South,R1,A1,yes
A3,Gamma,Small,South,R2,,no
A4,Delta,Small,,,,no
"""

ACCOUNT_OWNERS = """account,rep,valid_from
A2,R2,2025-01-01
A2,R1,2025-04-01
A3,R2,2025-01-01
"""

REPS = """id,name,start,end,manager,territory
R1,Ann,2024-01-01,,R3,North
R2,Bob,2024-06-01,,R3,South
R3,Cid,2023-01-01,,,
R4,Dee,2025-04-20,,R3,North
"""

PRODUCTS = """id,name,list_price
P1,Basic,120
P2,Plus,350
"""

QUOTAS = """level,key,start,amount
rep,R1,2025-04-01,1000
rep,R2,2025-04-01,2000
company,,2025-04-01,3500
"""

COMPANY = {
    "opportunities": OPPORTUNITIES,
    "stage_history": STAGE_HISTORY,
    "bookings": BOOKINGS,
    "accounts": ACCOUNTS,
    "account_owners": ACCOUNT_OWNERS,
    "reps": REPS,
    "products": PRODUCTS,
    "quotas": QUOTAS,
}

STAGES = [
    {"name": "Qualify", "meaning": "open"},
    {"name": "Propose", "meaning": "open"},
    {"name": "Won", "meaning": "won"},
    {"name": "Lost", "meaning": "lost"},
]


def company_config(
    folder: Path, texts: dict[str, str], settings: Mapping[str, Mapping[str, object]] | None = None, **data: object
) -> RunConfig:
    """Write the tables as CSV files into a folder, and make the config that reads them.

    Parameters
    ----------
    texts : content of every table's file
    settings : further keys of a table's config, by table
    data : further keys of `data`
    """
    tables: dict[str, dict[str, object]] = {}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        tables[name] = {"path": f"{name}.csv", **(settings or {}).get(name, {})}
        if name == "quotas":
            tables[name].setdefault("period", "quarter")
    return run_config({"source": "tables", "root": str(folder), "tables": tables, **data})


def run_config(data: dict[str, object], **other: object) -> RunConfig:
    """Config of a run over some data, with the stages of the tiny company."""
    values = {"name": "tiny", "horizon": {"start": "2025-05-01"}, "data": data, "stages": STAGES, **other}
    return RunConfig.model_validate(values)
