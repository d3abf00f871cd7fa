"""The torch engine by batch size, beside what the device's matrix product allows.

    python benchmarks/gpu.py [--quick] [--batches 1,8,32,64,128,256,512]

On CUDA in fp16, elsewhere on the CPU in fp32. The limit is the rate of the image tower's own
products (the same shapes, the same batch and precision, by torch) over its operations for a
picture. Pixels start in the host's memory and vectors end there, as in an import. Prints Markdown.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import common
import numpy as np
from common import say


def rate(
    work: Callable[[], object], amount: float, seconds: float, sync: Callable[[], None]
) -> float:
    """The best `amount` a second in `seconds` of turns, after a warm one."""
    work()
    sync()
    best, until = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < until:
        started = time.perf_counter()
        work()
        sync()
        best = min(best, time.perf_counter() - started)
    return amount / best


def product_rate(products: list[Any], batch: int, device: str, half: bool, seconds: float) -> float:
    """Floating-point operations a second of the products with weights, each at its best."""
    import torch

    kind = torch.float16 if half else torch.float32
    counts = Counter(one for one in products if one.weights)
    needed, done = 0.0, 0
    for one, times in counts.items():
        left = torch.randn(one.rows * batch, one.inner, device=device, dtype=kind)
        right = torch.randn(one.inner, one.columns, device=device, dtype=kind)
        amount = one.operations * batch
        found = rate(
            lambda a=left, b=right: torch.mm(a, b), amount, seconds / len(counts), _sync(device)
        )
        needed += times * amount / found
        done += times * amount
    return done / needed


def _sync(device: str) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


def main() -> None:
    parser = common.options(__doc__)
    parser.add_argument("--batches", help="pictures at once, with , between them")
    asked = parser.parse_args()
    os.environ.update(common.own_environment(asked.work, asked.work / "data"))
    import torch

    from clipstack import encoders
    from clipstack.bench import compute_limit
    from clipstack.encoders.models.catalog import describe, resolve
    from clipstack.encoders.openvino import export

    info = describe(resolve(str(common.model(asked)), download=False))
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    encoder = encoders.load(
        info, engine="torch", device=device, precision="fp16" if on_gpu else "fp32"
    )
    name = torch.cuda.get_device_name() if on_gpu else "the CPU: there is no GPU here"
    print(f"{common.machine()} PyTorch {torch.__version__} on {name}.\n")
    height, width = info.geometry.shape
    products = compute_limit.products(
        export.ensure_export(info, say) / export.IMAGES, height, width
    )
    operations = sum(one.operations for one in products)
    default = "1,8,32,64,128,256,512,1024" if on_gpu else "1,8,32"
    batches = [int(size) for size in (asked.batches or default).split(",")]
    seconds = 0.3 if asked.quick else 1.5
    random = np.random.default_rng(0)
    shown = []
    for batch in batches:
        say(f"Batches of {batch}")
        pixels = random.integers(0, 256, (batch, height, width, 3), np.uint8)
        reached = allowed = 0.0
        for _ in range(3):  # in turn, as others may be busy on the machine for a while
            reached = max(
                reached,
                rate(
                    lambda data=pixels: encoder.encode_images(data), batch, seconds, _sync(device)
                ),
            )
            allowed = max(allowed, product_rate(products, batch, device, on_gpu, seconds))
        most = allowed / operations
        shown.append(
            [
                str(batch),
                f"{reached:,.0f} images/s",
                f"{allowed / 1e12:.2f} TFLOP/s",
                f"{most:,.0f} images/s",
                f"{reached / most:.0%}",
            ]
        )
    headings = ["batch", f"torch {encoder.precision}", "matrix product", "limit", "reached"]
    print(common.table(headings, shown))
    print(f"\n{operations / 1e9:.2f} GFLOP a picture, counted from the graph of the image tower.")


if __name__ == "__main__":
    main()
