"""De-identification policy of a plan."""

from healthval.deid.dicom.files.removal import tags_of
from healthval.deid.pixels.regions import region_rule
from healthval.deid.policy import Dates, Option, PixelPolicy, Policy
from healthval.plan import Plan


def deid_policy(plan: Plan) -> Policy:
    """Return the plan's de-identification policy.

    Raises
    ------
    UsageError
        If a region rule does not fit, an attribute is unknown, or two choices contradict each other.
    """
    dates: Dates = "shift" if plan.dates == "shifted" else "remove"
    if plan.images is None:
        return Policy(dates=dates)
    pixels, profile = plan.images.pixels, plan.images.profile
    rules = tuple(region_rule(position, rule) for position, rule in enumerate(pixels.rules))
    return Policy(
        options=frozenset(map(Option, profile.options)),
        dates=dates,
        pixels=PixelPolicy(rules=rules, text=pixels.text, sign_off=pixels.sign_off),
        private_allowlist=frozenset(
            (one.creator, int(one.group, 16), int(one.element, 16))
            for one in profile.private_allowlist
        ),
        public_allowlist=frozenset(
            int(tag.replace(",", ""), 16) for tag in profile.public_allowlist
        ),
        remove=tags_of(profile.remove),
    )
