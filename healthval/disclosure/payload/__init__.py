"""From a site's result to the payload of its release, small cells suppressed; pure."""
