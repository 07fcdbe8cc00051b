"""The stage schedule, promotion rules and the progressive trainer mode."""
