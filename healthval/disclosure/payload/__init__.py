"""The payload of a release, built from a site's result with small cells suppressed (pure)."""
