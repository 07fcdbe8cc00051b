"""Answer judges: the verdict and the protocol, the LLM judge, judges from options."""
