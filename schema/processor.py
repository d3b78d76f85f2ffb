"""Capabilities of this machine's processor."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Linux's names of the flags.
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@cache
def multiplies_bfloat16(path: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has instructions for bfloat16 products; False where unknown.

    Args:
        path: the file in which Linux lists the processor's flags.
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
