"""A chat server for judges that compare texts."""

from chat_server import chat_server, no_waiting  # noqa: F401  # fixtures
