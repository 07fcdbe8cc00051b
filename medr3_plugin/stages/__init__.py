"""The stage schedule, promotion rules and the progressive trainer mode.

`schedule`, `state`, `promotion`, `checkpoints` and `dataset` do not need verl.
"""
