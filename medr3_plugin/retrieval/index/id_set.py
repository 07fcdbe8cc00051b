"""A set of strings in eight bytes each, for the uniqueness of ids in corpora of any size."""

from __future__ import annotations

import hashlib

import numpy as np


class IdSet:
    """A set of strings in eight bytes each: 64-bit hashes in one sorted array and a small recent set.

    Two different ids are taken for one with a probability of about n² / 2⁶⁵: 8·10⁻⁵ for 54 million.
    """

    def __init__(self, merge_at: int = 1 << 18) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()
        self._merge_at = merge_at

    def add(self, identity: str) -> bool:
        """Put `identity` in; whether it was new."""
        digest = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "little")
        if digest in self._recent:
            return False
        place = int(np.searchsorted(self._sorted, np.uint64(digest)))
        if place < len(self._sorted) and int(self._sorted[place]) == digest:
            return False
        self._recent.add(digest)
        if len(self._recent) >= self._merge_at:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.union1d(self._sorted, recent)
            self._recent.clear()
        return True

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)
