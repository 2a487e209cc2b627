"""Who has signed a plan: a file beside the run, since a run folder never changes after it is complete."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import InputRefusedError, Problem
from engine.runs import content_hash, file_hash, find_run, read_manifest


@dataclass(frozen=True)
class SignOff:
    """What was signed and by whom.

    Attributes
    ----------
    path : the sign-off file
    files_hash : sha256 over the hashes of all files of the run
    signed : who, when (UTC), and what they noted, in the order of signing
    """

    path: Path
    files_hash: str
    signed: tuple[dict[str, str], ...]


def signoff_path(folder: Path) -> Path:
    """Where the signatures of a run are kept."""
    return folder.with_name(f"{folder.name}.signoff.json")


def sign(run: str, output: Path, by: str, note: str = "") -> SignOff:
    """Add a signature to a run that has a plan.

    Raises
    ------
    RunNotFoundError
        When there is no such run.
    InputRefusedError
        When nobody signs, the run has no plan, its files are no longer those it was completed with, or the signatures
        speak of other files.
    """
    folder = find_run(run, output)
    manifest = read_manifest(folder)
    problems = []
    if not by.strip():
        problems.append(Problem("--sign", "an empty name", "who signs", "name a person"))
    if not (folder / "allocation.csv").is_file():
        problems.append(Problem(str(folder), "a run without a plan", "a run with allocation.csv", "name another run"))
    files = {} if manifest is None else manifest.files
    changed = [name for name, known in files.items() if _hash_or_none(folder / name) != known]
    if changed:
        came = f"files that changed after the run was complete: {', '.join(changed[:5])}"
        problems.append(Problem(str(folder), came, "the files as they were written", "run the plan once more"))
    path, whole = signoff_path(folder), content_hash([files])
    before = _read(path)
    if before.get("files_hash", whole) != whole:
        problems.append(Problem(str(path), "signatures of other files", "those of this run", "move the file away"))
    if problems:
        raise InputRefusedError(problems)
    entry = {"by": by.strip(), "date": datetime.now(UTC).isoformat(timespec="seconds"), "note": note.strip()}
    signed = [*before.get("signed", []), entry]
    content = {"run_id": f"{folder.parent.name}/{folder.name}", "files_hash": whole, "signed": signed}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return SignOff(path, whole, tuple(signed))


def _hash_or_none(path: Path) -> str | None:
    return file_hash(path) if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefusedError([Problem(str(path), str(error), "a sign-off file", "move it away")]) from error
    return found
