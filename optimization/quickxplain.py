"""An irreducible conflict among many rules with few questions to the solver.

Source: Junker (2004), QuickXplain: preferred explanations and relaxations for over-constrained problems, AAAI-04,
pages 167 to 172. A conflict of k out of n rules takes about 2k log2(n / k) + 2k questions.
"""

from collections.abc import Callable, Sequence


def irreducible[T](cannot_hold: Callable[[Sequence[T]], bool], rules: Sequence[T]) -> list[T]:
    """Subset of ``rules`` that cannot hold together, of which every proper subset can.

    Parameters
    ----------
    cannot_hold : whether a set of rules cannot hold together; more rules never make it false
    rules : cannot hold together; those named first are kept in the conflict last
    """
    return _search(cannot_hold, [], [], list(rules)) if not cannot_hold([]) else []


def _search[T](cannot_hold: Callable[[Sequence[T]], bool], kept: list[T], added: list[T], rules: list[T]) -> list[T]:
    """Rules that ``kept`` needs to become a conflict; ``added`` is what was put into it last."""
    if added and cannot_hold(kept):
        return []
    if len(rules) == 1:
        return rules
    half = len(rules) // 2
    first, second = rules[:half], rules[half:]
    of_second = _search(cannot_hold, kept + first, first, second)
    of_first = _search(cannot_hold, kept + of_second, of_second, first)
    return of_first + of_second
