"""Estimated costs on AWS in US dollars: sums over a price list.

A month costs its storage (`idle`) plus, for each evaluation, the inferences (`estimate`) and the
calls, index entries and one query around them (`overhead`). Free tiers are never subtracted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from healthval.cloud.prices import Prices
from healthval.errors import UsageError

LAMBDA_GB = 0.5
LAMBDA_EXTRA_SECONDS = 0.05
LOG_BYTES_PER_CALL = 2_000
MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
MAX_SECONDS = 60.0
MAX_MEGABYTES = 4.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a bill."""

    what: str
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines of costs and their sum."""

    lines: tuple[Cost, ...]

    @property
    def usd(self) -> float:
        """Sum of the lines, in US dollars."""
        return sum(line.usd for line in self.lines)

    def share(self, what: str) -> float | None:
        """Share of one line in the sum; None if the sum is zero."""
        total = self.usd
        part = sum(line.usd for line in self.lines if line.what == what)
        return part / total if total else None

    def __add__(self, other: "Bill") -> "Bill":
        """Add two bills line by line."""
        return _bill((line.what, line.usd) for line in (*self.lines, *other.lines))

    def __mul__(self, times: float) -> "Bill":
        """Multiply every line by `times`."""
        return Bill(tuple(Cost(line.what, line.usd * times) for line in self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Stored data that are billed also without evaluations, in GB."""

    images_gb: float = 3.0
    objects_gb: float = 5.0
    versions_gb: float = 1.0
    logs_gb: float = 1.0
    index_gb: float = 0.1


def idle(prices: Prices, storage: Storage | None = None) -> Bill:
    """Return the bill of a month without evaluations: storage only.

    The index (on demand, under 25 GB), serverless endpoints, functions, the API and the web
    application firewall inside CloudFront's flat-rate free plan cost nothing while unused.
    """
    kept = storage or Storage()
    return _bill(
        [
            ("model images (ECR)", kept.images_gb * prices["ecr_gb_month"]),
            ("objects (S3)", kept.objects_gb * prices["s3_standard_gb_month"]),
            ("earlier versions (S3)", kept.versions_gb * prices["s3_standard_gb_month"]),
            ("logs (CloudWatch)", kept.logs_gb * prices["cloudwatch_logs_store_gb_month"]),
            ("firewall (CloudFront free plan)", prices["cloudfront_flat_free_month"]),
        ]
    )


def hardened(prices: Prices, *, zones: int = 2, endpoints: int = 3) -> Bill:
    """Return the monthly costs that the hardened profile adds to `idle`.

    Parameters
    ----------
    zones, endpoints : availability zones, and interface VPC endpoints in each
    """
    hours = prices.content.hours_per_month
    return _bill(
        [
            ("customer keys (KMS), 3", 3 * prices["kms_cmk_month"]),
            (
                "regional firewall (WAF), 3 rules",
                prices["waf_webacl_month"] + 3 * prices["waf_rule_month"],
            ),
            (
                "interface endpoints (VPC)",
                endpoints * zones * hours * prices["vpc_interface_endpoint_az_hour"],
            ),
            ("data events (CloudTrail), 1 million", 1e6 * prices["cloudtrail_data_event"]),
            ("secrets, 2", 2 * prices["secrets_manager_secret_month"]),
            ("alarms, 5", 5 * prices["cloudwatch_alarm_month"]),
            ("point-in-time recovery, 1 GB", prices["dynamodb_pitr_gb_month"]),
            ("configuration items, 50", 50 * prices["config_item"]),
        ]
    )


def estimate(
    n_inferences: int, *, memory_mb: int, seconds: float, megabytes: float, prices: Prices
) -> Bill:
    """Return the cost of inferences, each a separate call to the hub and to the model endpoint.

    Table rows in one batch are one call, so for tables this is an upper bound.

    Parameters
    ----------
    memory_mb : memory of the serverless endpoint, 1024 to 6144 in steps of 1024
    seconds : time in the model, per call
    megabytes : data in and out, per call

    Raises
    ------
    UsageError
        If a figure is outside the limits of a serverless endpoint.

    References
    ----------
    SageMaker Serverless Inference: per second of the chosen memory, and per GB in and out.
    """
    _check(n_inferences, memory_mb, seconds, megabytes)
    lambda_second = LAMBDA_GB * prices["lambda_gb_second_x86"]
    each = _bill(
        [
            ("model (SageMaker)", seconds * prices[f"sagemaker_serverless_second_{memory_mb}_mb"]),
            ("data (SageMaker)", megabytes / 1000 * prices["sagemaker_serverless_data_gb"]),
            (
                "hub (Lambda)",
                prices["lambda_request"] + lambda_second * (seconds + LAMBDA_EXTRA_SECONDS),
            ),
            ("requests (API Gateway)", prices["apigw_http_request"]),
            ("index (DynamoDB)", prices["dynamodb_wru"]),
            ("logs (CloudWatch)", LOG_BYTES_PER_CALL / 1e9 * prices["cloudwatch_logs_ingest_gb"]),
        ]
    )
    return each * n_inferences


def overhead(prices: Prices) -> Bill:
    """Return the cost of one evaluation without its inferences: 20 calls, 6 writes, one query."""
    call_seconds = LAMBDA_GB * 2 * LAMBDA_EXTRA_SECONDS
    calls, writes, reads, puts = 20, 6, 20, 3
    scanned_tb = prices.content.athena_minimum_mb / 1e6
    return _bill(
        [
            (
                "hub (Lambda)",
                calls * (prices["lambda_request"] + call_seconds * prices["lambda_gb_second_x86"]),
            ),
            ("requests (API Gateway)", calls * prices["apigw_http_request"]),
            (
                "index (DynamoDB)",
                writes * prices["dynamodb_wru"] + reads * prices["dynamodb_rru"],
            ),
            ("objects (S3)", puts * prices["s3_put"]),
            ("query (Athena)", scanned_tb * prices["athena_tb_scanned"]),
        ]
    )


def month(n_evaluations: int, inferences: Bill, prices: Prices) -> Bill:
    """Return the bill of a month with `n_evaluations`, each with the same `inferences`."""
    return idle(prices) + (inferences + overhead(prices)) * n_evaluations


@dataclass(frozen=True, slots=True)
class Use:
    """Bills of a month with this many evaluations: small studies, and large ones with more security."""

    n_evaluations: int
    low: Bill
    high: Bill


def usage(prices: Prices) -> tuple[Use, ...]:
    """Return the bills of an idle, a light and an active month.

    An evaluation is 50 images (4 GB of memory, 1 s, 1 MB) with one customer key in the low bill, and
    90 images (6 GB, 1.4 s, 2 MB) with two keys, 6 GB more of images and 1 GB of logs in the high one.
    An idle month has neither keys nor more images.
    """
    small = estimate(50, memory_mb=4096, seconds=1.0, megabytes=1.0, prices=prices)
    large = estimate(90, memory_mb=6144, seconds=1.4, megabytes=2.0, prices=prices)
    one_key = _bill([("customer keys (KMS)", prices["kms_cmk_month"])])
    more = _bill(
        [
            ("customer keys (KMS)", 2 * prices["kms_cmk_month"]),
            ("model images (ECR)", 6 * prices["ecr_gb_month"]),
            ("logs (CloudWatch)", prices["cloudwatch_logs_ingest_gb"]),
        ]
    )
    used = [
        Use(n, month(n, small, prices) + one_key, month(n, large, prices) + more)
        for n in (100, 10_000)
    ]
    return (Use(0, idle(prices), idle(prices)), *used)


def per_thousand(prices: Prices) -> dict[str, float]:
    """Return the cost of 1000 inferences of three sizes of models, in US dollars."""
    sizes = {
        "table, 2 GB, 0.05 s, 10 KB": (2048, 0.05, 0.01),
        "film, 4 GB, 0.5 s, 1 MB": (4096, 0.5, 1.0),
        "film, 6 GB, 1.4 s, 2 MB": (6144, 1.4, 2.0),
    }
    return {
        size: estimate(1000, memory_mb=gb, seconds=s, megabytes=mb, prices=prices).usd
        for size, (gb, s, mb) in sizes.items()
    }


def _bill(costs: Iterable[tuple[str, float]]) -> Bill:
    added: dict[str, float] = {}
    for what, usd in costs:
        added[what] = added.get(what, 0.0) + usd
    return Bill(tuple(Cost(what, usd) for what, usd in added.items()))


def _check(n_inferences: int, memory_mb: int, seconds: float, megabytes: float) -> None:
    rules: tuple[tuple[bool, str], ...] = (
        (n_inferences >= 0, "the number of inferences must be 0 or more"),
        (memory_mb in MEMORY_MB, "memory must be 1024 to 6144 MB in steps of 1024"),
        (0 < seconds <= MAX_SECONDS, "an inference must take more than 0 and up to 60 s"),
        (0 <= megabytes <= 2 * MAX_MEGABYTES, "a call must have up to 4 MB in and 4 MB out"),
    )
    for holds, rule in rules:
        if not holds:
            raise UsageError(f"{rule}: the limit of a serverless endpoint")
