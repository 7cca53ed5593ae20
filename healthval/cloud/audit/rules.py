"""Idle cost of the resource types whose properties decide it."""

from collections.abc import Callable
from typing import Final

from healthval.cloud.audit import monitoring, schedules
from healthval.cloud.audit.lines import Line, Lines, Prices, Resource, is_false, is_unknown
from healthval.cloud.audit.values import ABSENT, Reference
from healthval.errors import counted

_PLANS: Final = {
    "FREE": "cloudfront_flat_free_month",
    "PRO": "cloudfront_flat_pro_month",
    "BUSINESS": "cloudfront_flat_business_month",
    "PREMIUM": "cloudfront_flat_premium_month",
}
_TABLES: Final = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::Serverless::SimpleTable",
}
# Managed rule groups with a separate monthly price, beside the one of a rule.
_PAID_GROUPS: Final = {
    "AWSManagedRulesACFPRuleSet": "waf_fraud_group_month",
    "AWSManagedRulesATPRuleSet": "waf_fraud_group_month",
    "AWSManagedRulesAntiDDoSRuleSet": "waf_ddos_group_month",
    "AWSManagedRulesBotControlRuleSet": "waf_bot_group_month",
}


def _table(r: Resource, prices: Prices) -> Lines:
    recovery = ("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")
    if r.is_on(*recovery) or r.is_on("Replicas", "[]", *recovery):
        yield r.shared("point-in-time recovery", "recoveries")
    yield r.shared("index", "tables")


def _bucket(r: Resource, prices: Prices) -> Lines:
    for name in (
        "AnalyticsConfigurations",
        "InventoryConfigurations",
        "MetadataConfiguration",
        "MetadataTableConfiguration",
        "MetricsConfigurations",
        "ReplicationConfiguration",
    ):
        if r.is_set(name):
            yield r.unknown(f"{name} of unknown cost")
    yield r.shared("objects", "buckets")


def _repository(r: Resource, prices: Prices) -> Lines:
    yield r.shared("images", "repositories")


def _log_group(r: Resource, prices: Prices) -> Lines:
    yield r.shared("logs", "log_groups")


def _function(r: Resource, prices: Prices) -> Lines:
    if r.is_set("CapacityProviderConfig"):
        yield r.forbidden("EC2 instances for Lambda")
    if r.is_set("ProvisionedConcurrencyConfig"):
        yield r.forbidden("provisioned concurrency")
    is_java = all(str(value).startswith("java") for value in r.values("Runtime"))
    if not is_java and not r.is_one_of({"", "None"}, "SnapStart", "ApplyOn"):
        yield r.unknown("stored snapshots (SnapStart)")
    yield from schedules.of_function(r, prices)
    yield r.shared("logs", "log_groups")


def _state_machine(r: Resource, prices: Prices) -> Lines:
    kinds = {kind for events in r.values("Events") for kind in _kinds_of_events(r, events)}
    if not kinds <= {"Api", "CloudWatchEvent", "EventBridgeRule"}:
        yield r.unknown("scheduled or unknown runs of a state machine")


def _kinds_of_events(r: Resource, events: object) -> list[object]:
    if not isinstance(events, dict):
        return [] if events is ABSENT else ["unknown"]
    return [kind for event in events.values() for kind in r.scope.get(event, "Type")]


def _event_source(r: Resource, prices: Prices) -> Lines:
    if r.is_set("ProvisionedPollerConfig"):
        yield r.forbidden("provisioned pollers")
    if all(value is not ABSENT and is_false(value) for value in r.values("Enabled")):
        return
    for source in r.values("EventSourceArn"):
        service = _service(r, source)
        if service == "sqs":
            yield r.shared("polls of a queue", "queue_pollers")
        elif service == "dynamodb":
            yield r.priced("reads of a table's stream", 0.0)
        else:
            yield r.unknown("source of events of unknown cost")


def _service(r: Resource, source: object) -> str:
    """Return the service of a source of events: of a resource here, or of an ARN."""
    if isinstance(source, Reference):
        body = r.scope.resources.get(source.name)
        kind = str(body.get("Type")) if isinstance(body, dict) else ""
        return {"AWS::SQS::Queue": "sqs"}.get(kind, "dynamodb" if kind in _TABLES else "")
    parts = source.split(":") if isinstance(source, str) else []
    return parts[2] if len(parts) > 5 and parts[0] == "arn" else ""


def _key(r: Resource, prices: Prices) -> Lines:
    if not r.is_one_of({"", "AWS_KMS"}, "Origin"):
        yield r.unknown("key outside KMS")
    note = "; 1 dollar more after each of the first two rotations"
    yield r.priced(f"customer key{note}", prices["kms_cmk_month"])


def _secret(r: Resource, prices: Prices) -> Lines:
    for copies in r.counts("ReplicaRegions"):
        if copies is None:
            yield r.unknown("copies of unknown number")
            return
        usd = (1 + copies) * prices["secrets_manager_secret_month"]
        yield r.priced("secret" if not copies else f"secret and {copies} copies", usd)


def _parameter(r: Resource, prices: Prices) -> Lines:
    standard = r.is_one_of({"", "Standard"}, "Tier")
    usd = prices["ssm_standard_parameter_month" if standard else "ssm_advanced_parameter_month"]
    yield r.priced("parameter" if standard else "advanced parameter", usd)


def _vpc_endpoint(r: Resource, prices: Prices) -> Lines:
    hours = prices.content.hours_per_month
    for kind in r.values("VpcEndpointType"):
        if kind is ABSENT or kind == "Gateway":
            yield r.priced("gateway endpoint", prices["vpc_gateway_endpoint_month"])
        elif kind != "Interface":
            yield r.unknown("kind of endpoint")
        else:
            for zones in r.counts("SubnetIds"):
                if not zones:
                    yield r.unknown("interface endpoint in an unknown number of zones")
                    continue
                usd = zones * hours * prices["vpc_interface_endpoint_az_hour"]
                yield r.priced(f"interface endpoint, {zones} zones", usd)


def _web_acl(r: Resource, prices: Prices) -> Lines:
    if _in_free_plan(r) and r.is_one_of({"CLOUDFRONT"}, "Scope"):
        yield r.priced("firewall in the free plan of CloudFront", 0.0)
        yield from _paid_rules(r, prices)
        return
    yield r.priced("firewall", prices["waf_webacl_month"])
    yield from _firewall_rules(r, prices)


def _firewall_rules(r: Resource, prices: Prices) -> Lines:
    for rules in r.counts("Rules"):
        if rules is None:
            yield r.unknown("rules of unknown number")
        elif rules:
            yield r.priced(f"firewall rules, {rules}", rules * prices["waf_rule_month"])
    yield from _paid_rules(r, prices)


def _paid_rules(r: Resource, prices: Prices) -> Lines:
    group = ("Rules", "[]", "Statement", "ManagedRuleGroupStatement")
    if any(vendor not in {ABSENT, "AWS"} for vendor in r.values(*group, "VendorName")):
        yield r.unknown("rules of another vendor")
    for name in r.values(*group, "Name"):
        if isinstance(name, str) and name in _PAID_GROUPS:
            yield r.priced("paid rule group", prices[_PAID_GROUPS[name]])
        elif name is not ABSENT and not isinstance(name, str):
            yield r.unknown("a rule group that is not known")


def _in_free_plan(r: Resource) -> bool:
    """Return whether a subscription of the same template certainly covers this firewall."""
    for body in r.scope.resources.values():
        if (
            not isinstance(body, dict)
            or body.get("Type") != "AWS::PricingPlanManager::Subscription"
        ):
            continue
        plan = Resource(file=r.file, name="", type="", body=body, scope=r.scope)
        condition = body.get("Condition")
        exists = r.scope.truth(condition) == {True} if condition else True
        exists = exists or condition == r.body.get("Condition")
        covered = [v.name for v in plan.items("ResourceArns") if isinstance(v, Reference)]
        if exists and plan.is_one_of({"FREE"}, "PlanTier") and r.name in covered:
            return True
    return False


def _plan(r: Resource, prices: Prices) -> Lines:
    for tier in r.values("PlanTier"):
        if isinstance(tier, str) and tier in _PLANS:
            yield r.priced(f"flat-rate plan, {tier.lower()}", prices[_PLANS[tier]])
        else:
            yield r.unknown("flat-rate plan of unknown tier")


def _zone(r: Resource, prices: Prices) -> Lines:
    yield r.priced("hosted zone", prices["route53_zone_month"])


def _health_check(r: Resource, prices: Prices) -> Lines:
    """Price a check of an endpoint outside AWS with its options: where it is, is not known."""
    config = ("HealthCheckConfig",)
    if r.is_one_of({"CALCULATED", "CLOUDWATCH_METRIC"}, *config, "Type"):
        yield r.priced("health check", prices["route53_health_check_month"])
        return
    is_plain = r.is_one_of({"HTTP", "TCP"}, *config, "Type")
    is_slow = all(str(v) == "30" or v is ABSENT for v in r.values(*config, "RequestInterval"))
    options = 2 * (not is_plain) + (not is_slow) + r.is_on(*config, "MeasureLatency")
    usd = prices["route53_health_check_outside_month"]
    usd += options * prices["route53_health_check_option_month"]
    yield r.priced(f"health check of an endpoint, {counted(options, 'option')}", usd)


def _connection(r: Resource, prices: Prices) -> Lines:
    if r.is_set("InvocationConnectivityParameters") or r.is_set(
        "AuthParameters", "ConnectivityParameters"
    ):
        yield r.unknown("private connection, billed per hour")
    yield r.priced("connection", 0.0)


def _client(r: Resource, prices: Prices) -> Lines:
    flows = r.items("AllowedOAuthFlows")
    if "client_credentials" in flows or any(map(is_unknown, flows)):
        yield r.unknown("client for machines, which may be billed per month")
    yield r.priced("client", 0.0)


def _endpoint(r: Resource, prices: Prices) -> Lines:
    for value in r.values("EndpointConfigName"):
        body = r.scope.resources.get(value.name) if isinstance(value, Reference) else None
        known = isinstance(body, dict) and body.get("Type") == "AWS::SageMaker::EndpointConfig"
        if not known:
            yield r.unknown("endpoint whose configuration is outside this template")
            return
    yield r.priced("endpoint", 0.0)


def _endpoint_config(r: Resource, prices: Prices) -> Lines:
    hour = prices.content.hours_per_month
    variants = [*r.items("ProductionVariants"), *r.items("ShadowProductionVariants")]
    if not variants or any(is_unknown(variant) for variant in variants):
        yield r.unknown("variants that are not known")
    is_real_time = r.is_set("AsyncInferenceConfig")
    for variant in variants:
        serverless = r.scope.get(variant, "ServerlessConfig")
        is_real_time |= any(value is ABSENT for value in serverless)
        for name in ("InstanceType", "InitialInstanceCount", "ManagedInstanceScaling"):
            is_real_time |= any(v is not ABSENT for v in r.scope.get(variant, name))
        provisioned = r.scope.get(variant, "ServerlessConfig", "ProvisionedConcurrency")
        if any(value is not ABSENT for value in provisioned):
            yield r.forbidden("provisioned concurrency")
    if is_real_time:
        least = hour * prices["sagemaker_realtime_ml_t2_medium_hour"]
        yield r.forbidden("real-time endpoint; the smallest instance is priced", least)


Rule = Callable[[Resource, Prices], Lines]

RULES: Final[dict[str, Rule]] = {
    "AWS::CloudTrail::Trail": monitoring.trail,
    "AWS::CloudWatch::Alarm": monitoring.alarm,
    "AWS::CloudWatch::CompositeAlarm": monitoring.composite_alarm,
    "AWS::CloudWatch::Dashboard": monitoring.dashboard,
    "AWS::Cognito::UserPoolClient": _client,
    "AWS::DynamoDB::GlobalTable": _table,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::VPCEndpoint": _vpc_endpoint,
    "AWS::ECR::Repository": _repository,
    "AWS::Events::Connection": _connection,
    "AWS::Events::Rule": schedules.rule,
    "AWS::KMS::Key": _key,
    "AWS::KMS::ReplicaKey": _key,
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::MetricFilter": monitoring.metric_filter,
    "AWS::PricingPlanManager::Subscription": _plan,
    "AWS::Route53::HealthCheck": _health_check,
    "AWS::Route53::HostedZone": _zone,
    "AWS::S3::Bucket": _bucket,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::SageMaker::EndpointConfig": _endpoint_config,
    "AWS::Scheduler::Schedule": schedules.schedule,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::Serverless::Function": _function,
    "AWS::Serverless::StateMachine": _state_machine,
    "AWS::WAFv2::RuleGroup": _firewall_rules,
    "AWS::WAFv2::WebACL": _web_acl,
}

__all__ = ["RULES", "Line"]
