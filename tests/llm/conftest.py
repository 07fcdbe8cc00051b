from __future__ import annotations

import pytest
from chat_server import chat_server, no_waiting  # noqa: F401  # fixtures

pytest.importorskip("stamina")
