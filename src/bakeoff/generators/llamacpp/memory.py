"""How much memory of this machine is free for us. Knows no model."""

import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
_GROUP_FILES = (  # what may be used, what is used, and what of that can be had back
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def available(meminfo: Path = Path("/proc/meminfo"), group: Path = _GROUP) -> int:
    """Bytes that can be had without swapping: of the machine, and of the container we are in."""
    found = [_of_machine(meminfo)]
    for limit, used, reclaimable in _GROUP_FILES:
        try:
            most = int((group / limit).read_text())
            now = int((group / used).read_text())
            stat = (group / used).with_name("memory.stat").read_text()
        except (OSError, ValueError):  # there is no such file, or it says `max`
            continue
        found.append(most - now + _numbers(stat).get(reclaimable, 0))
    return max(0, min(found))


def _of_machine(meminfo: Path) -> int:
    try:
        kilobytes = _numbers(meminfo.read_text().replace(":", ""))["MemAvailable"]
    except (OSError, KeyError):  # no Linux: half of what is built in
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        return 4 << 30
    return kilobytes << 10


def _numbers(text: str) -> dict[str, int]:
    """The lines of a name and a number."""
    parts = (line.split() for line in text.splitlines())
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}
