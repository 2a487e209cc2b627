"""The log density of a PyMC model as one compiled function for data and parameters of any size.

The rule this module keeps: nothing compiled knows a size or an array. Free variables are cut from one vector at
positions that are inputs, everything in ``pm.Data`` is an input too, and so the graph of a model is the same for every
company and date. PyTensor finds its Numba code on disk, and a second fit in the same process compiles nothing at all.
Numbers that follow from the data must be in ``pm.Data``, else they are compiled in: right, but compiled anew each time.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pymc.distributions.continuous import FlatRV
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import toposort
from pytensor.tensor.variable import TensorConstant

from models.panel import Floats


@dataclass(frozen=True)
class Density:
    """Log density of a model, and its named variables, as functions of one unconstrained vector [parameter].

    Attributes
    ----------
    origin : [parameter] the model's initial point
    slope : compiled density and gradient
    values : compiled values of free variables and deterministics, for a matrix of points
    data : inputs of both beside the point
    names : of those variables, with their dims where the model names them
    leaves : where the free variable ``leaf`` lies, whose elements are independent of each other given all others; empty
        where the model has none
    """

    origin: Floats
    slope: Any
    values: Any
    data: tuple[Any, ...]
    names: tuple[tuple[str, tuple[str, ...]], ...]
    leaves: slice = slice(0, 0)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Log density, up to a constant, and its gradient."""
        value, slope = self.slope(x, *self.data)
        return float(value), slope

    def named(self, raw: Floats) -> xr.Dataset:
        """Free and deterministic variables of points [chain, draw, parameter]."""
        flat = np.ascontiguousarray(raw.reshape(-1, raw.shape[-1]))
        found = {}
        for (name, given), array in zip(self.names, self.values(flat, *self.data), strict=True):
            dims = given or tuple(f"{name}_{i}" for i in range(array.ndim - 1))
            found[name] = (("chain", "draw", *dims), array.reshape(*raw.shape[:2], *array.shape[1:]))
        return xr.Dataset(found)


_COMPILED: dict[Hashable, tuple[Any, Any]] = {}
"""Compiled functions of this process by the structure of their graph."""


def density_of(model: pm.Model) -> Density:
    """Compile the density of a model of continuous variables, each a number or a vector."""
    start = model.initial_point()
    starts = [np.ravel(start[variable.name]).astype(float) for variable in model.value_vars]
    variables = [*model.free_RVs, *model.deterministics]
    point, ends = pt.vector("point"), pt.lvector("ends")
    # Flat variables have no density, but PyMC writes zeros of their length for it.
    dense = [v for v in model.basic_RVs if v.owner is None or not isinstance(v.owner.op, FlatRV)]
    log_density = model.logp(vars=[*dense, *model.potentials])
    outputs = _cut([log_density, *model.replace_rvs_by_values(variables)], model.value_vars, point, ends)
    key, leaves = _structure(outputs)
    shared = [leaf for leaf in leaves if isinstance(leaf, SharedVariable)]
    if key not in _COMPILED:
        _COMPILED[key] = _compile(outputs, point, [ends, *shared])
    slope, values = _COMPILED[key]
    positions = np.cumsum([0, *(len(part) for part in starts)])
    return Density(
        origin=np.concatenate(starts),
        slope=slope,
        values=values,
        data=(positions, *(leaf.get_value(borrow=True) for leaf in shared)),
        names=tuple((str(v.name), tuple(model.named_vars_to_dims.get(v.name) or ())) for v in variables),
        leaves=_place("leaf", [str(v.name) for v in model.free_RVs], positions.tolist()),
    )


def _place(name: str, names: list[str], positions: list[int]) -> slice:
    """Where a free variable lies in the point."""
    i = names.index(name) if name in names else -1
    return slice(0, 0) if i < 0 else slice(positions[i], positions[i + 1])


def _cut(outputs: Sequence[Variable], inputs: Sequence[Any], point: Any, ends: Any) -> list[Any]:
    """Outputs with the free variables cut from the point, and no shape of theirs left in any type."""
    new: dict[Variable, Any] = {}
    for i, variable in enumerate(inputs):
        part = point[ends[i] : ends[i + 1]]
        new[variable] = part[0] if variable.ndim == 0 else part
    # Not `graph_replace`: it would keep the old static shapes by checking them.
    for node in toposort(outputs):
        if any(variable in new for variable in node.inputs):
            again = node.op.make_node(*[new.get(variable, variable) for variable in node.inputs])
            new |= dict(zip(node.outputs, again.outputs, strict=True))
    return [new.get(output, output) for output in outputs]


def _structure(outputs: Sequence[Variable]) -> tuple[Hashable, list[Variable]]:
    """Key that two graphs share when they differ in their inputs' values only, and the inputs in order."""
    number: dict[Variable, int] = {}
    leaves: list[Variable] = []
    key: list[Hashable] = []

    def place(variable: Variable) -> int:
        if variable not in number:
            number[variable] = len(number)
            if isinstance(variable, Constant):
                data = variable.data
                key.append((variable.type, np.asarray(data).tobytes() if _is_array(variable) else repr(data)))
            else:
                leaves.append(variable)
                key.append(variable.type)
        return number[variable]

    for node in toposort(outputs):
        key.append((node.op, tuple(place(variable) for variable in node.inputs)))
        for output in node.outputs:
            number[output] = len(number)
    key.append(tuple(place(output) for output in outputs))
    return tuple(key), leaves


def _is_array(constant: Constant) -> bool:
    return isinstance(constant, TensorConstant) or isinstance(constant.data, np.generic | np.ndarray)


def _compile(outputs: list[Any], point: Any, data: list[Any]) -> tuple[Any, Any]:
    """Density with gradient in Numba, and all named values for a matrix of points in NumPy."""
    inputs = [variable.type(name=variable.name) for variable in data]
    log_density, *values = graph_replace(outputs, dict(zip(data, inputs, strict=True)), strict=False)
    gradient = pt.grad(log_density, point)
    slope = pytensor.function(
        [point, *inputs], [log_density, gradient], mode="NUMBA", trust_input=True, on_unused_input="ignore"
    )
    batch = pt.matrix("batch")
    many = pytensor.function(
        [batch, *inputs],
        vectorize_graph(values, {point: batch}),
        mode="FAST_COMPILE",
        trust_input=True,
        on_unused_input="ignore",
    )
    return slope, many
