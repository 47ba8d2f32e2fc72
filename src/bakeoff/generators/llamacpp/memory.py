"""The memory that this process can allocate, on the machine and in its container."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_FILES = (  # limit, usage, and the reclaimable part of the usage: cgroup v2, then v1
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int:
    """Return the bytes that can be allocated without swapping, on the machine and in the cgroup."""
    free = [_machine_memory(meminfo)]
    for limit_file, usage_file, reclaimable in _CGROUP_FILES:
        try:
            limit = int((cgroup / limit_file).read_text())
            usage = int((cgroup / usage_file).read_text())
            stat = (cgroup / usage_file).with_name("memory.stat").read_text()
        except (OSError, ValueError):  # another cgroup version, or the limit is `max`
            continue
        free.append(limit - usage + _parse_numbers(stat).get(reclaimable, 0))
    return max(0, min(free))


def _machine_memory(meminfo: Path) -> int:
    try:
        kilobytes = _parse_numbers(meminfo.read_text().replace(":", ""))["MemAvailable"]
    except (OSError, KeyError):  # not Linux: half of the installed memory
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        return 4 << 30
    return kilobytes << 10


def _parse_numbers(text: str) -> dict[str, int]:
    """Return the numbers by name, of the lines with a name and a number."""
    parts = (line.split() for line in text.splitlines())
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}
