"""Foreign templates with an idle cost that is hidden fail the audit; honest ones beside them pass."""

import textwrap

import pytest

from healthval.cloud.audit.audit import audit_templates
from healthval.cloud.prices import load_prices

PRICES = load_prices()
SAM = "Transform: AWS::Serverless-2016-10-31\n"
LOOPS = "Transform: AWS::LanguageExtensions\n"
TABLE = "{Type: AWS::DynamoDB::Table, Properties: {BillingMode: %s}}"


def by(condition):
    """A table that is provisioned where the condition is false."""
    head = f"Conditions: {{Open: {condition}}}\n"
    return head + "Resources: {T: " + TABLE % "!If [Open, PAY_PER_REQUEST, PROVISIONED]" + "}"


def alone(kind, properties="{}"):
    return f"Resources: {{It: {{Type: {kind}, Properties: {properties}}}}}"


def function(events, globals_="", properties=""):
    return f"{SAM}{globals_}\nResources: {{F: {{Type: AWS::Serverless::Function, Properties: {{{properties}Events: {events}}}}}}}"


MINUTE = "{E: {Type: Schedule, Properties: {Schedule: rate(1 minute)}}}"
CATEGORY = "{IsLogging: true, AdvancedEventSelectors: [{FieldSelectors: [{Field: eventCategory, Equals: [%s]}]}]}"
FREE_PLAN = """
Resources:
  Acl: {Type: AWS::WAFv2::WebACL, Properties: {Scope: %s, Rules: [%s]}}
  Plan: {Type: AWS::PricingPlanManager::Subscription, Properties: {PlanTier: FREE, ResourceArns: [!GetAtt Acl.Arn]}}
"""
GROUP = "{Statement: {ManagedRuleGroupStatement: {VendorName: AWS, Name: %s}}}"
ATTACKS = {
    # values that AWS compares or puts together in another way than Python
    "true is not 1": by("!Equals [true, 1]"),
    "1 is not 1.0": by("!Equals [1, 1.0]"),
    "a boolean beside its text": by('!Not [!Equals [true, "True"]]'),
    "an octal number": by('!Not [!Equals [010, "010"]]'),
    "a dynamic reference that is joined": by('!Equals [!Join ["", ["{{resolve:ssm:", "x}}"]], !Join ["", ["{{resolve:ssm:", "x}}"]]]').replace("!Equals", "!Not [!Equals").replace("]]]}", "]]]]}"),
    "one condition through three others": "Parameters: {P: {Type: String, Default: on}}\nConditions: {A: !Equals [!Ref P, on], B: !And [!Condition A, !Condition A], Open: !Or [!Condition B, !Condition B]}\nResources: {T: " + TABLE % "!If [Open, PAY_PER_REQUEST, PROVISIONED]" + "}",
    "a mapping in a mapping": "Mappings: {M: {a: {k: PAY_PER_REQUEST}, b: {k: PROVISIONED}}, N: {x: {k: b}}}\nResources: {T: " + TABLE % "!FindInMap [M, !FindInMap [N, x, k], k]" + "}",
    "no value": "Resources: {T: " + TABLE % "!Ref AWS::NoValue" + "}",
    "a field twice beside two merges": "Resources: {T: {Type: AWS::DynamoDB::Table, Properties: {<<: {}, <<: {}, BillingMode: PAY_PER_REQUEST, BillingMode: PROVISIONED}}}",
    # sections, attributes, macros and loops
    "an include at the top": "Fn::Transform: {Name: AWS::Include, Parameters: {Location: 's3://x/y.yaml'}}\nResources: {A: {Type: AWS::SNS::Topic}}",
    "modules": "Modules: {Network: {Source: ./network.yaml}}\nResources: {A: {Type: AWS::SNS::Topic}}",
    "an include in a mapping": "Mappings: {Fn::Transform: {Name: AWS::Include}}\nResources: {A: {Type: AWS::SNS::Topic}}",
    "an attribute of a resource": "Resources: {A: {Type: AWS::SNS::Topic, Fn::Transform: {Name: X}}}",
    "an attribute that nobody knows": "Resources: {A: {Type: AWS::SNS::Topic, ForEach: [a, b]}}",
    "a loop that replaces another resource": LOOPS + "Resources: {Nat: {Type: AWS::EC2::NatGateway}, 'Fn::ForEach::X': [N, [at], {'N${N}': {Type: AWS::SNS::Topic}}]}",
    "a loop whose turns have one name": LOOPS + "Resources: {'Fn::ForEach::X': [N, [a, b], {T: {Type: AWS::KMS::Key}}]}",
    "a loop over a mapping": LOOPS + "Mappings: {M: {a: {l: [a, b]}}}\nResources: {'Fn::ForEach::X': [N, !FindInMap [M, a, l], {'T${N}': {Type: AWS::SNS::Topic}}]}",
    "twelve alarms of a loop": LOOPS + "Resources: {'Fn::ForEach::X': [N, [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], {'T${N}': {Type: AWS::CloudWatch::Alarm}}]}",
    "a stack set": alone("AWS::CloudFormation::StackSet", "{TemplateBody: '{}'}"),
    "a nested template in the text": alone("AWS::CloudFormation::Stack", "{TemplateBody: '{}'}"),
    # SAM
    "a schedule with the memory of Globals": function(MINUTE, "Globals: {Function: {MemorySize: 10240, Timeout: 900}}"),
    "a schedule under an expression of Globals": f"{SAM}Conditions: {{C: !Equals [!Ref AWS::Region, x]}}\nGlobals: {{Function: {{Timeout: 900}}}}\nResources: {{F: {{Type: AWS::Serverless::Function, Properties: !If [C, {{Events: {MINUTE}}}, {{}}]}}}}",
    "a cache of the implicit API": function("{E: {Type: Api, Properties: {Path: /, Method: get}}}", "Globals: {Api: {CacheClusterEnabled: true}}"),
    "pollers of a queue's event": function("{E: {Type: SQS, Properties: {Queue: x, ProvisionedPollerConfig: {MinimumPollers: 2}}}}"),
    "an alias with provisioned concurrency": function("{}", properties="AutoPublishAlias: live, ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}, "),
    "Globals that are ignored": SAM + "Resources: {F: {Type: AWS::Serverless::Function, IgnoreGlobals: '*'}}",
    # services
    "an alarm over a query": alone("AWS::CloudWatch::Alarm", "{Metrics: [{Id: q, Expression: SELECT AVG(x) FROM y GROUP BY z}]}"),
    "an alarm over an unknown expression": alone("AWS::CloudWatch::Alarm", "{Metrics: [{Id: q, Expression: !ImportValue x}]}"),
    "an alarm over six fast metrics": alone("AWS::CloudWatch::Alarm", "{Metrics: [{Id: a, MetricStat: {Period: 10}}, {Id: b, MetricStat: {Period: 60}}]}"),
    "data events by a parameter": "Parameters: {C: {Type: String, Default: Management}}\n" + alone("AWS::CloudTrail::Trail", CATEGORY % "!Ref C"),
    "events without a category": alone("AWS::CloudTrail::Trail", "{AdvancedEventSelectors: [{FieldSelectors: [{Field: readOnly, Equals: ['true']}]}]}"),
    "a health check by HTTPS": alone("AWS::Route53::HealthCheck", "{HealthCheckConfig: {Type: HTTPS}}"),
    "a fast health check": alone("AWS::Route53::HealthCheck", "{HealthCheckConfig: {Type: TCP, RequestInterval: 10}}"),
    "a paid rule group in the free plan": FREE_PLAN % ("CLOUDFRONT", GROUP % "AWSManagedRulesATPRuleSet"),
    "a rule group by a parameter": "Parameters: {G: {Type: String, Default: AWSManagedRulesCommonRuleSet}}" + FREE_PLAN % ("CLOUDFRONT", GROUP % "!Ref G"),
    "a regional firewall in the free plan": FREE_PLAN % ("REGIONAL", ""),
    "a private connection": alone("AWS::Events::Connection", "{InvocationConnectivityParameters: {}}"),
    "a certificate of a private authority": alone("AWS::CertificateManager::Certificate", "{CertificateAuthorityArn: x}"),
    "warm throughput": alone("AWS::DynamoDB::Table", "{BillingMode: PAY_PER_REQUEST, WarmThroughput: {ReadUnitsPerSecond: 40000}}"),
    "insights of a replica's index": alone("AWS::DynamoDB::GlobalTable", "{BillingMode: PAY_PER_REQUEST, Replicas: [{Region: a, GlobalSecondaryIndexes: [{ContributorInsightsSpecification: {Enabled: true}}]}]}"),
    "events of Kafka with sqs in a name": alone("AWS::Lambda::EventSourceMapping", "{EventSourceArn: 'arn:aws:kafka:us-east-1:1:cluster:sqs:1'}"),
    "events of Kafka of one's own": alone("AWS::Lambda::EventSourceMapping", "{SelfManagedEventSource: {}}"),
    "serverless by a condition": "Conditions: {C: !Equals [!Ref AWS::Region, x]}\n" + alone("AWS::SageMaker::EndpointConfig", "{ProductionVariants: [{ServerlessConfig: !If [C, {MemorySizeInMB: 1024, MaxConcurrency: 1}, !Ref AWS::NoValue]}]}"),
    "three replicas of a key": "Resources: {A: {Type: AWS::KMS::ReplicaKey}, B: {Type: AWS::KMS::ReplicaKey}}",
    "two secrets": "Resources: {A: {Type: AWS::SecretsManager::Secret}, B: {Type: AWS::SecretsManager::Secret}}",
    "endpoints of two services in three zones": "Resources: {A: {Type: AWS::EC2::VPCEndpoint, Properties: {VpcEndpointType: Interface, SubnetIds: !Split [',', 'a,b,c']}}}",
    "stored archives of a topic's events": alone("AWS::Events::Archive", "{SourceArn: x}"),
    "snapshots of a SAM function": SAM + "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13, SnapStart: {ApplyOn: PublishedVersions}}}}",
}  # fmt: skip
TYPES = [
    "AWS::RDS::DBCluster",
    "AWS::OpenSearchServerless::Collection",
    "AWS::MSK::ServerlessCluster",
    "AWS::Kinesis::Stream",
    "AWS::Pipes::Pipe",
    "AWS::Timestream::Database",
    "AWS::EC2::EIP",
    "AWS::EC2::TransitGateway",
    "AWS::Route53Resolver::ResolverEndpoint",
    "AWS::EFS::FileSystem",
    "AWS::Backup::BackupVault",
    "AWS::InspectorV2::Filter",
    "AWS::GuardDuty::Detector",
    "AWS::Macie::Session",
    "AWS::Config::ConfigRule",
    "AWS::Grafana::Workspace",
    "AWS::QuickSight::DataSource",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::CloudFront::MonitoringSubscription",
    "AWS::CloudWatch::MetricStream",
    "AWS::Synthetics::Canary",
    "AWS::CloudTrail::EventDataStore",
    "AWS::Shield::Protection",
    "AWS::FMS::Policy",
    "AWS::SES::DedicatedIpPool",
    "AWS::S3Express::DirectoryBucket",
    "AWS::SageMaker::Domain",
    "AWS::Cassandra::Table",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InstanceConnectEndpoint",
    "AWS::CodePipeline::Pipeline",
    "AWS::WAFRegional::WebACL",
    "AWS::Location::Map",
    "AWS::FSx::FileSystem",
]
LAMBDA = "F: {Type: AWS::Lambda::Function, Properties: {MemorySize: 128, Timeout: 3}}"
HONEST = {
    "two texts that differ": "Conditions: {C: !Equals [a, b]}\nResources: {N: {Type: AWS::EC2::NatGateway, Condition: C}, A: {Type: AWS::SNS::Topic}}",
    "two numbers that differ": "Conditions: {C: !Equals [1, 2]}\nResources: {N: {Type: AWS::EC2::NatGateway, Condition: C}}",
    "the same parameter": "Parameters: {P: {Type: String}}\n" + by("!Equals [!Ref P, !Ref P]"),
    "an alarm over arithmetic": alone("AWS::CloudWatch::Alarm", "{Metrics: [{Id: e, Expression: 100 * a / b}, {Id: a, MetricStat: {Period: 300}}, {Id: b, MetricStat: {Period: 300}}]}"),
    "a trail of management events": alone("AWS::CloudTrail::Trail", CATEGORY % "Management"),
    "a calculated health check": alone("AWS::Route53::HealthCheck", "{HealthCheckConfig: {Type: CALCULATED}}"),
    "a rule group in the free plan": FREE_PLAN % ("CLOUDFRONT", GROUP % "AWSManagedRulesCommonRuleSet"),
    "a function of SAM with Globals": function("{E: {Type: HttpApi}}", "Globals: {Function: {MemorySize: 10240, Timeout: 900}, Api: {TracingEnabled: true}}"),
    "Java with snapshots by Globals": SAM + "Globals: {Function: {Runtime: java21}}\nResources: {F: {Type: AWS::Serverless::Function, Properties: {SnapStart: {ApplyOn: PublishedVersions}}}}",
    "a daily run": f"Resources: {{{LAMBDA}, R: {{Type: AWS::Events::Rule, Properties: {{ScheduleExpression: rate(1 day), Targets: [{{Arn: !GetAtt F.Arn}}]}}}}}}",
    "a connection": alone("AWS::Events::Connection", "{AuthorizationType: API_KEY}"),
    "a loop of topics": LOOPS + "Resources: {'Fn::ForEach::X': [N, [a, b], {'T${N}': {Type: AWS::SNS::Topic}}]}",
    "merges without a field twice": "Resources: {T: {Type: AWS::DynamoDB::Table, Properties: {<<: {}, BillingMode: PAY_PER_REQUEST}}}",
    "a queue by its ARN": alone("AWS::Lambda::EventSourceMapping", "{EventSourceArn: 'arn:aws:sqs:us-east-1:1:q'}"),
}  # fmt: skip


@pytest.fixture
def audit(tmp_path):
    def run(text):
        path = tmp_path / "main.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return audit_templates([path], PRICES)

    return run


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_a_hidden_idle_cost_fails(audit, text):
    assert not audit(text).passes


@pytest.mark.parametrize("kind", TYPES)
def test_a_service_that_is_billed_while_idle_fails(audit, kind):
    assert audit(alone(kind)).faults


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_an_honest_template_passes(audit, text):
    bill = audit(text)
    assert bill.passes, bill.lines


def test_a_fault_is_of_the_template_and_not_of_its_syntax(audit):
    unreadable = [
        name for name, text in ATTACKS.items()
        for fault in audit(text).faults
        if "valid YAML" in fault.what or "not a CloudFormation" in fault.what
    ]  # fmt: skip
    assert unreadable == []
