"""Section "Disclosure control": each site's policy, suppressed cells, attacks on the releases."""

from markupsafe import Markup

from healthval.aggregate.result import SiteSummary
from healthval.contracts.submission import SUPPRESSED, band_limits
from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import box, bullets, paragraphs, table, words
from healthval.report.wording.language import many, reword, say


def disclosure(findings: Findings) -> Section:
    """Build the section on the disclosure policies and the suppressed cells."""
    rows = [_policy_row(findings, site) for site in findings.study.sites]
    sheet = table(
        say("Disclosure control at each site"),
        [
            say("Site"),
            say("Policy"),
            say("Minimum cell"),
            say("Cells withheld"),
            say("Attacks withstood"),
        ],
        rows,
        kind="words",
    )
    blocks = (paragraphs(what_left(findings), _gate(findings)), sheet, _attacks(findings))
    return Section("disclosure", say("Disclosure control"), blocks)


def _gate(findings: Findings) -> str:
    """Describe what checked the numbers of this report before they left a site."""
    found = findings.study.secure_sum
    source = say("The results of this report are computed from the released aggregates only.")
    if found is not None and found.thresholds:
        source = say(
            "The results of this report are computed from the released aggregates and the total of "
            "the secure sum only. The sites that opened the total compared it with the floor of {floor}; it has "
            "no noise.",
            floor=found.floor,
        )
    return say(
        "Each site's gate checked the aggregates of this report against its policy and "
        "attacked them before they were released. {source}",
        source=source,
    )


def what_left(findings: Findings) -> str:
    """Name the kinds of data that left the hospitals, with the counts that are known."""
    n, k = findings.study.n, findings.study.k
    cases = say("at least {lower}", lower=many(n.lower, "case")) if n.lower else say("cases")
    found = findings.study.secure_sum
    kinds, sums = say("Two kinds"), ""
    if found is not None and found.status != "none":
        kinds = say("These kinds")
        sums = say(
            ", and from those that joined the secure sum its messages, none of which has a "
            "readable table of one hospital"
        )
    return say(
        "{kinds} of data about patients left {k}: de-identified inputs of {cases}, which were sent to "
        "the hosted model to be scored with fixed test inputs{also} aggregates{sums}. The "
        "egress ledger of each hospital lists every transfer with its time, size and number "
        "of cases.",
        kinds=kinds,
        k=say("the hospital") if k == 1 else say("the {k}", k=many(k, "hospital")),
        cases=cases,
        also="," if sums else say(", and"),
        sums=sums,
    )


def _policy_row(findings: Findings, site: SiteSummary) -> list[object]:
    release = findings.released[site.site]
    attacks = [attack for attack in release.certificate.attacks if attack.checked]
    kinds = many(len(attacks), "kind")
    checks = many(sum(attack.checked for attack in attacks), "check")
    return [
        site.site,
        say(
            "{policy}, version {policy_version}",
            policy=site.policy,
            policy_version=site.policy_version,
        ),
        site.minimum_cell,
        suppressed_cells(release.model_dump(mode="json")),
        f"{kinds}, {checks}" if attacks else say("none recorded"),
    ]


def suppressed_cells(released: object) -> int:
    """Count the suppressed cells and estimates of a release.

    >>> suppressed_cells({"n": "suppressed", "auroc": {"withheld": "suppressed", "n": 40}})
    2
    """
    if isinstance(released, dict):
        return sum(suppressed_cells(value) for value in released.values())
    if isinstance(released, list | tuple):
        return sum(suppressed_cells(value) for value in released)
    return int(released == SUPPRESSED or band_limits(released) is not None)


def checks_by_attack(findings: Findings) -> dict[str, int]:
    """Count the checks of each attack over all releases."""
    kinds: dict[str, int] = {}
    for release in findings.released.values():
        for attack in release.certificate.attacks:
            kinds[attack.name] = kinds.get(attack.name, 0) + attack.checked
    return kinds


def _attacks(findings: Findings) -> Markup:
    kinds = checks_by_attack(findings)
    if not kinds:
        return paragraphs(say("The certificates record no attack on the releases."))
    named = {name: reword(words(name).replace("-", " ")) for name in kinds}
    items = [f"{named[name]}: {many(n, 'check')}" for name, n in kinds.items() if n]
    idle = [named[name] for name, n in kinds.items() if not n]
    without = say("Without anything to check: {idle}.", idle=", ".join(idle)) if idle else ""
    inside = bullets(items) + paragraphs(without)
    return box(say("Attacks that the releases withstood"), inside, "box columns")
