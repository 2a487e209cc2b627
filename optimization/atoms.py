"""A rule and the account, rep or family it speaks of: what a conflict is made of, and what can be left out."""

import numpy as np

from optimization.problem import Bools

type Atom = tuple[str, str]
"""Name of a rule, and its key: a rep, an account, the first account of a family, "all" for a row about the whole plan;
an empty key stands for every key of the rule."""


def left_out(without: frozenset[Atom], atom: Atom) -> bool:
    """Whether the atom is left out, by itself or with its whole rule."""
    return atom in without or (atom[0], "") in without


def keys_left_out(without: frozenset[Atom], rule: str, keys: np.ndarray) -> Bools:
    """[key] whether the rule is left out for each of ``keys`` (texts)."""
    if (rule, "") in without:
        return np.ones(len(keys), dtype=bool)
    named = [key for name, key in without if name == rule]
    return np.isin(keys, named) if named else np.zeros(len(keys), dtype=bool)


def spell(atom: Atom) -> str:
    """An atom for people and files: ``locks: A17``."""
    return f"{atom[0]}: {atom[1]}" if atom[1] not in ("", "all") else atom[0]
