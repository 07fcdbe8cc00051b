"""The stage schedule, promotion rules and the progressive trainer mode.

`trainer` needs verl; the other modules do not.
"""
