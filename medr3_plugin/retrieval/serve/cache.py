"""A least-recently-used cache of search results, bounded by the documents it holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from medr3_plugin.records import Hit

Hits = tuple[Hit, ...]


class ResultCache:
    """Results by key, least recently used out first; safe to use from several threads.

    Args:
        capacity: hits kept over all entries (an entry weighs its hits, an empty result weighs 1). Counting
            hits and not entries bounds the memory whatever the callers' top-k. 0 switches the cache off.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Hashable, Hits] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Hits | None:
        """The hits stored under `key`, which becomes the most recent; None if there are none."""
        with self._lock:
            hits = self._entries.get(key)
            if hits is not None:
                self._entries.move_to_end(key)
            return hits

    def put(self, key: Hashable, hits: Hits) -> None:
        """Store `hits` under `key`; an entry heavier than the whole cache is not stored."""
        if max(1, len(hits)) > self.capacity:
            return
        with self._lock:
            gone = [self._entries.pop(key)] if key in self._entries else []
            self._entries[key] = hits
            self._weight += max(1, len(hits)) - sum(max(1, len(old)) for old in gone)
            while self._weight > self.capacity:
                self._weight -= max(1, len(self._entries.popitem(last=False)[1]))

    def __len__(self) -> int:
        return len(self._entries)
