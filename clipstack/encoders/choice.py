"""The engine that encodes on this machine; nothing heavy is imported."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys

from clipstack.errors import PrerequisiteError, UsageError

ENGINES = ("auto", "openvino", "torch")


def choose(engine: str, device: str) -> str:
    """Choose "openvino" or "torch".

    Args:
        engine: of the settings; "auto" is OpenVINO on the CPU of an x86 machine.
        device: "auto" takes a GPU where there is one, and only PyTorch runs there.

    Raises:
        UsageError: there is no such engine, or it can't run on that device.
        PrerequisiteError: OpenVINO was asked for and is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(f"{engine!r} is no engine", hint=f"Engines are {', '.join(ENGINES)}.")
    if engine == "torch":
        return engine
    on_cpu = device == "cpu" or (device == "auto" and (engine == "openvino" or not has_gpu()))
    if engine == "auto":
        return "openvino" if on_cpu and has_openvino() else "torch"
    if not on_cpu:
        raise UsageError(
            f"OpenVINO runs on the CPU, not on {device}", hint="Use `--engine torch`, or `auto`."
        )
    if not has_openvino():
        raise PrerequisiteError(
            "OpenVINO is not installed, or not made for this CPU",
            hint="Type `pip install openvino` on an x86 machine, or use `--engine torch`.",
        )
    return engine


def has_openvino() -> bool:
    """Whether OpenVINO is installed, and made for this machine's CPU."""
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return x86 and importlib.util.find_spec("openvino") is not None


def has_gpu() -> bool:
    """Whether this machine has a GPU for PyTorch, without importing it: Apple's, or one of
    NVIDIA's that its driver answers for and that this PyTorch is built for."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return _cuda_devices() > 0 and _has_cuda_build()


def _cuda_devices() -> int:
    """Source: CUDA driver API, cuInit and cuDeviceGetCount."""
    try:
        driver = ctypes.CDLL("libcuda.so.1" if sys.platform != "win32" else "nvcuda.dll")
        count = ctypes.c_int(0)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
        return count.value
    except (OSError, AttributeError):
        return 0


def _has_cuda_build() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "+cpu" not in version("torch")
    except PackageNotFoundError:
        return False
