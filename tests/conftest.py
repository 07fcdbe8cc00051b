"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# no clock decides on a test: on a busy machine an example may take seconds
settings.register_profile("medr3", deadline=None)
settings.load_profile("medr3")
