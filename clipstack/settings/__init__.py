"""Settings of a run: from defaults, files, the target, the environment and flags."""

from clipstack.settings.directories import (
    PROJECT_FILE,
    cache_dir,
    config_dir,
    data_dir,
    project_file,
    user_file,
)
from clipstack.settings.fields import (
    DEFAULT_MODEL,
    INDEXES,
    METRICS,
    NAMES,
    SECRET,
    Settings,
    display_value,
    template,
)
from clipstack.settings.layers import load

__all__ = [
    "DEFAULT_MODEL",
    "INDEXES",
    "METRICS",
    "NAMES",
    "PROJECT_FILE",
    "SECRET",
    "Settings",
    "cache_dir",
    "config_dir",
    "data_dir",
    "display_value",
    "load",
    "project_file",
    "template",
    "user_file",
]
