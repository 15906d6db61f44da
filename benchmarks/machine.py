"""What it was measured on, in words."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def described(folder: Path, busy: float) -> list[tuple[str, str]]:
    """The machine, the software, the disk that `folder` is on, and what else ran."""
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("processor", f"{_processor()}, {os.cpu_count()} logical cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("file system", _file_system(folder)),
        ("system", f"{_system()}, kernel {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("busy with other things", f"load average {busy:.1f} at the start"),
    ]


def load() -> float:
    """How many processes wanted to run in the last minute."""
    return os.getloadavg()[0]


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _file_system(folder: Path) -> str:
    """The type of the deepest mount above `folder`."""
    place = f"{folder.resolve()}/"
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    above = [(where, kind) for where, kind in mounts if place.startswith(where.rstrip("/") + "/")]
    return max(above, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]


def _lines(path: str) -> list[str]:
    """What Linux says; nothing elsewhere."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
