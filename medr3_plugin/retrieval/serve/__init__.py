"""The retrieval service: one index behind HTTP, batched and cached."""
