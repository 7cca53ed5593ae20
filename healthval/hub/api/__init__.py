"""HTTP of the hub: routes by resource, their documentation, limits, errors and connections."""
