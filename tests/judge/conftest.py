from __future__ import annotations

from chat_server import chat_server, no_waiting  # noqa: F401  # fixtures
