"""What this machine's processor can do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# As Linux calls them.
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@cache
def multiplies_bfloat16(path: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether it multiplies bfloat16 in instructions made for that; False where Linux doesn't say so.

    Args:
        path: where Linux tells what processors have.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return False
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return not _BFLOAT16.isdisjoint(flags.split())
    return False
