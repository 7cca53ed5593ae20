"""Pure statistics: every number with an interval."""
