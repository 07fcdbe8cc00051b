"""The rewards as functions that other trainers call: TRL, OpenRLHF, and verl without this package's environment."""
