"""The arithmetic of a model's image tower, and what this CPU's matrix product allows of it.

The floating-point operations are counted from the graph of the image tower: a product of
[m, k] by [k, n] is 2 m k n operations, a convolution 2 operations per weight and place of its
output, attention two products of queries, keys and values. What is not a product (normalisation,
activations, softmax) is not counted, so the limit is one that no engine quite reaches.
Source of the convention: https://arxiv.org/abs/2001.08361, section 2.1.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from clipstack.bench.report import ComputeLimit
from clipstack.encoders.openvino.runtime import HINTS, compile_properties

PRECISIONS = tuple(HINTS)
"""Those in which a machine's rate can be measured."""


class Product(NamedTuple):
    """One product of a tower: [rows, inner] by [inner, columns], `times` of it; with `weights`
    the second factor belongs to the model."""

    rows: int
    inner: int
    columns: int
    times: int
    weights: bool

    @property
    def operations(self) -> int:
        """Floating-point operations."""
        return 2 * self.rows * self.inner * self.columns * self.times


def products(graph: Path, height: int, width: int) -> list[Product]:
    """The products in a tower's graph for one picture of `height` x `width` pixels, in order."""
    import openvino

    model = openvino.Core().read_model(graph)
    model.reshape({model.input(0): [1, height, width, 3]})
    return [product for operation in model.get_ordered_ops() for product in _products_of(operation)]


def operations(graph: Path, height: int, width: int) -> int:
    """Floating-point operations of one picture."""
    return _operations(products(graph, height, width))


def _operations(products: Iterable[Product]) -> int:
    return sum(product.operations for product in products)


def measure(
    graph: Path, height: int, width: int, *, precision: str, batch: int, seconds: float
) -> ComputeLimit:
    """Run nothing but the tower's products with weights on all cores, for about `seconds`; of each
    part of it the best time counts, as other work on the machine can only slow it down.

    Args:
        precision: one of PRECISIONS.
        batch: pictures at once.
    """
    import openvino

    tower_products = products(graph, height, width)
    parts = Counter(_parts([product for product in tower_products if product.weights], batch))
    core = openvino.Core()
    ready = {part: _compiled(core, part, precision) for part in parts}
    best = dict.fromkeys(parts, float("inf"))
    until = time.perf_counter() + seconds
    first = True
    while first or time.perf_counter() < until:
        first = False
        for part, infer in ready.items():
            started = time.perf_counter()
            infer()
            best[part] = min(best[part], time.perf_counter() - started)
    done = sum(times * _operations(part) for part, times in parts.items())
    needed = sum(times * best[part] for part, times in parts.items())
    return ComputeLimit(precision, _operations(tower_products), done / needed)


def _products_of(operation: Any) -> Iterator[Product]:
    kind = operation.get_type_name()
    if kind == "MatMul":
        left, right = (list(operation.input(at).get_shape()) for at in range(2))
        yield _matmul(operation, left, right)
    elif kind == "Convolution":
        filters = list(operation.input(1).get_shape())
        places = list(operation.output(0).get_shape())
        inner = filters[1] * filters[2] * filters[3]
        yield Product(places[0] * places[2] * places[3], inner, filters[0], 1, True)
    elif kind == "ScaledDotProductAttention":
        query, key, value = (list(operation.input(at).get_shape()) for at in range(3))
        heads = _size(query[:-2])
        yield Product(query[-2], query[-1], key[-2], heads, False)
        yield Product(query[-2], key[-2], value[-1], heads, False)


def _matmul(operation: Any, left: list[int], right: list[int]) -> Product:
    attributes = operation.get_attributes()
    if attributes["transpose_a"]:
        left[-2:] = left[:-3:-1]
    if attributes["transpose_b"]:
        right[-2:] = right[:-3:-1]
    weights = _is_constant(operation.input_value(1).get_node())
    if weights or len(right) == 2:
        return Product(_size(left[:-1]), left[-1], right[-1], 1, weights)
    return Product(left[-2], left[-1], right[-1], _size(left[:-2]), weights)


def _is_constant(node: Any) -> bool:
    while node.get_type_name() in {"Convert", "Reshape", "Transpose", "Multiply"}:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")


def _size(shape: list[int]) -> int:
    size = 1
    for edge in shape:
        size *= edge
    return size


Part: TypeAlias = tuple[Product, ...]


def _parts(tower_products: Sequence[Product], batch: int) -> list[Part]:
    """The products in chains, in which each reads what the one before gives.

    A chain ends where its first product comes again, so that the layers of a tower become equal
    chains, each of which is measured once.
    """
    parts: list[list[Product]] = []
    for product in (product._replace(rows=product.rows * batch) for product in tower_products):
        part = parts[-1] if parts else []
        fits = part and (part[-1].rows, part[-1].columns) == (product.rows, product.inner)
        again = part and product == part[0] and len(set(part)) > 1
        if fits and not again:
            part.append(product)
        else:
            parts.append([product])
    return [tuple(part) for part in parts]


def _compiled(core: Any, part: Part, precision: str) -> Callable[[], object]:
    """A function that computes the products of a part once, already warmed up."""
    import numpy as np
    import openvino
    from openvino import opset13

    random = np.random.default_rng(0)
    start = opset13.parameter([part[0].rows, part[0].inner], np.float32)
    node = start
    for product in part:
        values = random.standard_normal((product.inner, product.columns), np.float32)
        weights = opset13.constant(values / np.float32(product.inner**0.5))
        node = opset13.matmul(node, weights, False, False)
    compiled = core.compile_model(
        openvino.Model([node], [start]), "CPU", compile_properties(precision)
    )
    request = compiled.create_infer_request()
    values = random.standard_normal((part[0].rows, part[0].inner), np.float32)
    request.infer([values])
    return partial(request.infer, [values])
