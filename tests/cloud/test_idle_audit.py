"""Planted idle costs are found wherever a template hides them, and serverless templates pass."""

import json
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from healthval.cli import cli
from healthval.cloud.audit.audit import audit_templates, resource_lines
from healthval.cloud.audit.lines import Resource
from healthval.cloud.audit.schedules import runs
from healthval.cloud.audit.template import read_template
from healthval.cloud.audit.types import FORBIDDEN, FREE, TRAPS
from healthval.cloud.audit.values import ABSENT, UNKNOWN, Scope
from healthval.cloud.prices import load_prices
from healthval.errors import UsageError

PRICES = load_prices()


@pytest.fixture
def audit(tmp_path):
    def run(text, name="main.yaml", **others):
        for other, content in others.items():
            (tmp_path / f"{other}.yaml").write_text(textwrap.dedent(content), encoding="utf-8")
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return audit_templates([path], PRICES)

    return run


def verdicts(bill):
    return {line.verdict for line in bill.faults}


SERVERLESS = """
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Stage: {Type: String, Default: test}
Conditions:
  IsLive: !Equals [!Ref Stage, live]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Bucket: {Type: AWS::S3::Bucket}
  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !If [IsLive, 90, 7]}}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt Role.Arn
      Code: {ZipFile: "x = 1"}
      MemorySize: !If [IsLive, 1024, !Ref AWS::NoValue]
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP, Name: !Sub "${Stage}-api"}}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Condition: IsLive
    Properties: {MetricName: Errors, Namespace: AWS/Lambda, Period: 300, Threshold: 1}
"""


def test_a_serverless_template_costs_its_storage_and_passes(audit):
    bill = audit(SERVERLESS)
    assert bill.passes
    assert bill.usd == pytest.approx(6 * 0.023 + 0.03)


# Every way to keep a property from sight: each hides the same provisioned table.
HIDDEN_CAPACITY = {
    "default of the service": "{}",
    "literal": "{BillingMode: PROVISIONED}",
    "parameter with a harmless default": "{BillingMode: !Ref Harmless}",
    "parameter of the Systems Manager": "{BillingMode: !Ref Stored}",
    "allowed value": "{BillingMode: !Ref Either}",
    "condition": "{BillingMode: !If [Maybe, PROVISIONED, PAY_PER_REQUEST]}",
    "condition that removes": "{BillingMode: !If [Maybe, !Ref AWS::NoValue, PAY_PER_REQUEST]}",
    "nested condition": "{BillingMode: !If [Maybe, PAY_PER_REQUEST, !If [Other, PROVISIONED, PAY_PER_REQUEST]]}",
    "mapping": "{BillingMode: !FindInMap [Modes, !Ref AWS::Region, mode]}",
    "mapping by known key": "{BillingMode: !FindInMap [Modes, eu-west-1, mode]}",
    "mapping's default": "{BillingMode: !FindInMap [Modes, x, mode, {DefaultValue: PROVISIONED}]}",
    "join": '{BillingMode: !Join ["", [PROV, ISIONED]]}',
    "sub": '{BillingMode: !Sub ["${A}ISIONED", {A: PROV}]}',
    "sub of a parameter": '{BillingMode: !Sub "${Either}"}',
    "select": "{BillingMode: !Select [1, [PAY_PER_REQUEST, PROVISIONED]]}",
    "select by parameter": "{BillingMode: !Select [!Ref Harmless, [PAY_PER_REQUEST, PROVISIONED]]}",
    "split": '{BillingMode: !Select [0, !Split [",", "PROVISIONED,x"]]}',
    "import": "{BillingMode: !ImportValue other}",
    "dynamic reference": '{BillingMode: "{{resolve:ssm:mode}}"}',
    "macro": "{BillingMode: PAY_PER_REQUEST, Fn::Transform: {Name: Changer}}",
    "whole properties": "!If [Maybe, {BillingMode: PROVISIONED}, {BillingMode: PAY_PER_REQUEST}]",
    "base64": "{BillingMode: !Base64 UFJPVklTSU9ORUQ=}",
    "spelling": "{BillingMode: pay_per_request}",
}
FRAME = """
Parameters:
  Harmless: {{Type: String, Default: PAY_PER_REQUEST}}
  Stored: {{Type: "AWS::SSM::Parameter::Value<String>", Default: PAY_PER_REQUEST, AllowedValues: [PAY_PER_REQUEST]}}
  Either: {{Type: String, AllowedValues: [PAY_PER_REQUEST, PROVISIONED]}}
  Only: {{Type: String, AllowedValues: [PAY_PER_REQUEST]}}
Conditions:
  Maybe: !Equals [!Ref Harmless, x]
  Other: !Not [!Condition Maybe]
  Always: !Or [!Equals [a, a], !Condition Maybe]
Mappings:
  Modes:
    us-east-1: {{mode: PAY_PER_REQUEST}}
    eu-west-1: {{mode: PROVISIONED}}
Resources:
  Table: {{Type: AWS::DynamoDB::Table, Properties: {properties}}}
"""


@pytest.mark.parametrize("properties", HIDDEN_CAPACITY.values(), ids=HIDDEN_CAPACITY)
def test_provisioned_capacity_is_found_wherever_it_hides(audit, properties):
    assert not audit(FRAME.format(properties=properties)).passes


OPEN = {
    "literal": "{BillingMode: PAY_PER_REQUEST}",
    "allowed value": "{BillingMode: !Ref Only}",
    "certain condition": "{BillingMode: !If [Always, PAY_PER_REQUEST, PROVISIONED]}",
    "mapping by known key": "{BillingMode: !FindInMap [Modes, us-east-1, mode]}",
    "join": '{BillingMode: !Join ["_", [PAY, PER, REQUEST]]}',
    "sub": '{BillingMode: !Sub ["PAY_${A}_REQUEST", {A: PER}]}',
    "both branches": "!If [Maybe, {BillingMode: PAY_PER_REQUEST}, {BillingMode: !Ref Only}]",
}


@pytest.mark.parametrize("properties", OPEN.values(), ids=OPEN)
def test_a_value_that_is_certain_is_no_fault(audit, properties):
    assert audit(FRAME.format(properties=properties)).passes


def one(kind, properties="{}", **attributes):
    body = {"Type": kind, **attributes}
    text = f"Resources:\n  It: {json.dumps(body)[:-1]}, Properties: {properties}}}\n"
    return text + "  Queue: {Type: AWS::SQS::Queue}\n"


NEVER = [
    "AWS::EC2::Instance",
    "AWS::EC2::NatGateway",
    "AWS::ECS::Service",
    "AWS::EKS::Cluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::HealthLake::FHIRDatastore",
    "AWS::RDS::DBCluster",
    "AWS::Redshift::Cluster",
    "AWS::RedshiftServerless::Workgroup",
    "AWS::SageMaker::NotebookInstance",
    "AWS::ApplicationAutoScaling::ScalableTarget",
]


@pytest.mark.parametrize("kind", NEVER)
def test_the_never_list_is_forbidden_also_under_a_condition(audit, kind):
    text = "Parameters: {On: {Type: String, Default: 'false'}}\n"
    text += "Conditions: {Enabled: !Equals [!Ref On, 'true']}\n"
    assert verdicts(audit(text + one(kind, Condition="Enabled"))) == {"forbidden"}


def test_a_resource_whose_condition_never_holds_is_not_made(audit):
    text = "Conditions: {Never: !Equals [a, b]}\n" + one("AWS::EC2::NatGateway", Condition="Never")
    assert audit(text).passes


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::ApiGateway::Stage", "{CacheClusterEnabled: true}"),
        ("AWS::ApiGateway::Stage", "{CacheClusterEnabled: !Ref AWS::StackName}"),
        ("AWS::ApiGateway::Deployment", "{StageDescription: {CacheClusterEnabled: 'true'}}"),
        ("AWS::Lambda::Alias", "{ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}}"),
        ("AWS::Lambda::Version", "{ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}}"),
        ("AWS::Lambda::EventSourceMapping", "{EventSourceArn: !GetAtt Queue.Arn, ProvisionedPollerConfig: {MinimumPollers: 1}}"),
        ("AWS::Lambda::Function", "{CapacityProviderConfig: {}}"),
        ("AWS::SageMaker::EndpointConfig", "{ProductionVariants: [{InstanceType: ml.m5.large}]}"),
        ("AWS::SageMaker::EndpointConfig", "{ProductionVariants: [{ServerlessConfig: {MemorySizeInMB: 1024, ProvisionedConcurrency: 1}}]}"),
        ("AWS::SageMaker::EndpointConfig", "{ProductionVariants: [{ServerlessConfig: {}}], ShadowProductionVariants: [{InitialInstanceCount: 1}]}"),
        ("AWS::SageMaker::EndpointConfig", "{AsyncInferenceConfig: {}, ProductionVariants: [{ServerlessConfig: {}}]}"),
        ("AWS::SageMaker::EndpointConfig", "{ProductionVariants: [!If [C, {ServerlessConfig: {}}, {InstanceType: x}]]}"),
        ("AWS::CloudFront::Distribution", "{DistributionConfig: {ViewerCertificate: {SslSupportMethod: vip}}}"),
    ],
)  # fmt: skip
def test_provisioned_parts_of_serverless_services_are_forbidden(audit, kind, properties):
    assert "forbidden" in verdicts(audit(one(kind, properties)))


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::Nothing::Known", "{}"),
        ("Custom::Thing", "{ServiceToken: x}"),
        ("AWS::CloudFormation::CustomResource", "{}"),
        ("Our::Own::Part::MODULE", "{}"),
        ("AWS::CloudFormation::StackSet", "{}"),
        ("AWS::Serverless::Function", "{}"),
        ("AWS::CloudFormation::Stack", "{TemplateURL: https://bucket.s3.amazonaws.com/x.yaml}"),
        ("AWS::CloudFormation::Stack", "{TemplateURL: !Ref AWS::StackName}"),
        ("AWS::SageMaker::Endpoint", "{EndpointConfigName: made-elsewhere}"),
        ("AWS::SageMaker::EndpointConfig", "{ProductionVariants: !Ref AWS::StackName}"),
        ("AWS::Lambda::EventSourceMapping", "{EventSourceArn: !ImportValue stream}"),
        ("AWS::Lambda::Function", "{SnapStart: {ApplyOn: PublishedVersions}, Runtime: python3.13}"),
        ("AWS::Events::Rule", "{ScheduleExpression: rate(5 minutes), Targets: [{Arn: !ImportValue x}]}"),
        ("AWS::EC2::VPCEndpoint", "{VpcEndpointType: Interface, SubnetIds: !ImportValue x}"),
        ("AWS::EC2::VPCEndpoint", "{VpcEndpointType: !ImportValue x}"),
        ("AWS::WAFv2::WebACL", "{Scope: REGIONAL, Rules: !ImportValue x}"),
        ("AWS::S3::Bucket", "{ReplicationConfiguration: {}}"),
        ("AWS::DynamoDB::Table", "!ImportValue x"),
        ("AWS::Glue::Trigger", "{Type: SCHEDULED}"),
        ("aws::s3::bucket", "{}"),
    ],
)  # fmt: skip
def test_a_cost_that_cannot_be_known_fails(audit, kind, properties):
    assert "unknown" in verdicts(audit(one(kind, properties)))


@pytest.mark.parametrize(
    ("kind", "properties", "usd"),
    [
        ("AWS::KMS::Key", "{EnableKeyRotation: true}", 1.00),
        ("AWS::SecretsManager::Secret", "{}", 0.40),
        ("AWS::SecretsManager::Secret", "{ReplicaRegions: [{Region: a}, {Region: b}]}", 1.20),
        ("AWS::Route53::HostedZone", "{Name: x}", 0.50),
        ("AWS::EC2::VPCEndpoint", "{VpcEndpointType: Interface, SubnetIds: [a, b]}", 14.60),
        ("AWS::EC2::VPCEndpoint", "{VpcEndpointType: !If [C, Gateway, Interface], SubnetIds: [a]}", 7.30),
        ("AWS::EC2::VPCEndpoint", "{ServiceName: s3}", 0),
        ("AWS::WAFv2::WebACL", "{Scope: CLOUDFRONT, Rules: [{}, {}]}", 7.00),
        ("AWS::WAFv2::WebACL", "{Rules: [{Statement: {ManagedRuleGroupStatement: {VendorName: AWS, Name: AWSManagedRulesBotControlRuleSet}}}]}", 16.00),
        ("AWS::DynamoDB::Table", "{BillingMode: PAY_PER_REQUEST, PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}}", 0.02),
        ("AWS::ECR::Repository", "{}", 0.30),
        ("AWS::SSM::Parameter", "{Tier: Advanced}", 0.05),
        ("AWS::CloudWatch::Alarm", "{Period: 10}", 0.30),
        ("AWS::PricingPlanManager::Subscription", "{PlanTier: PRO}", 15.00),
        ("AWS::CloudTrail::Trail", "{IsLogging: true}", 0),
        ("AWS::Lambda::EventSourceMapping", "{EventSourceArn: !GetAtt Queue.Arn}", 0),
    ],
)  # fmt: skip
def test_what_costs_while_unused_has_its_price(audit, kind, properties, usd):
    bill = audit(one(kind, properties))
    assert not bill.faults
    assert bill.usd == pytest.approx(usd)
    assert bill.passes is (usd <= 0.50)


def test_standing_allowances_are_shared_by_all_resources(audit):
    alarm = "{Type: AWS::CloudWatch::Alarm, Properties: {Period: 60}}"
    poll = "{Type: AWS::Lambda::EventSourceMapping, Properties: {EventSourceArn: !GetAtt Q.Arn}}"
    rows = [f"  A{n}: {alarm}" for n in range(12)] + [f"  P{n}: {poll}" for n in range(2)]
    bill = audit("\n".join(["Resources:", "  Q: {Type: AWS::SQS::Queue}", *rows]))
    assert bill.usd == pytest.approx(2 * 0.10 + (2 * 657_000 - 1_000_000) * 4e-7)


def test_a_firewall_is_free_only_inside_a_free_plan_that_surely_covers_it(audit):
    acl = "Acl: {Type: AWS::WAFv2::WebACL, Properties: {Scope: CLOUDFRONT, Rules: [{}]}}"
    plan = "{{Type: AWS::PricingPlanManager::Subscription, {more}Properties: {{PlanTier: {tier}, ResourceArns: [!GetAtt {name}.Arn]}}}}"
    head = "Conditions: {Maybe: !Equals [!Ref AWS::Region, x]}\nResources:\n  " + acl + "\n  Plan: "
    assert audit(head + plan.format(tier="FREE", name="Acl", more="")).usd == 0
    for other in (
        plan.format(tier="FREE", name="Plan", more=""),
        plan.format(tier="PRO", name="Acl", more=""),
        plan.format(tier="FREE", name="Acl", more="Condition: Maybe, "),
    ):
        assert audit(head + other).usd >= 6


def test_nested_stacks_are_read_with_what_they_are_given(audit):
    child = """
    Parameters: {Mode: {Type: String, Default: PROVISIONED}}
    Resources:
      Table: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: !Ref Mode}}
    """
    main = "Resources:\n  Child: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./child.yaml%s}}"
    given = ", Parameters: {Mode: %s}"
    assert audit(main % given % "PAY_PER_REQUEST" % (), child=child).passes
    assert not audit(main % "", child=child).passes
    assert not audit(main % given % "!Ref AWS::StackName", child=child).passes
    assert not audit(main % ", Parameters: !ImportValue x", child=child).passes


def test_a_cost_two_stacks_deep_is_found_and_a_circle_ends(audit):
    def stack(file):
        return f"Resources:\n  Inner: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {file}.yaml}}}}\n"

    deep = audit(stack("one"), one=stack("two"), two=one("AWS::EC2::NatGateway"))
    assert verdicts(deep) == {"forbidden"}
    assert "one.yaml" in deep.faults[0].place
    assert "two.yaml" in deep.faults[0].place
    assert verdicts(audit(stack("one"), one=stack("two"), two=stack("one"))) == {"unknown"}


def test_many_nested_stacks_that_double_at_each_level_are_refused_soon(audit):
    both = "Resources:\n" + "".join(
        f"  S{i}: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: %s.yaml}}}}\n" for i in (1, 2)
    )  # fmt: skip
    chain = {f"n{i}": both % (f"n{i + 1}", f"n{i + 1}") for i in range(30)}
    assert not audit(both % ("n0", "n0"), **chain, n30=one("AWS::SNS::Topic")).passes


@pytest.mark.parametrize(
    "text",
    [
        "Transform: Unheard-Of\nResources: {}",
        "Transform: {Name: AWS::Include, Parameters: {Location: s3://x/y}}\nResources: {}",
        "Resources: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: x}}}",
        "Resources: {A: {Type: AWS::SNS::Topic, Properties: {Fn::Transform: [{Name: X}]}}}",
        "Resources: {}\nHooks: {Blue: {Type: AWS::CodeDeploy::BlueGreen}}",
        "Resources: {'Fn::ForEach::T': [N, [a], {'T${N}': {Type: AWS::SNS::Topic}}]}",
        "Transform: AWS::LanguageExtensions\nParameters: {L: {Type: CommaDelimitedList}}\n"
        "Resources: {'Fn::ForEach::T': [N, !Ref L, {'T${N}': {Type: AWS::SNS::Topic}}]}",
        "Resources: {A: {Properties: {}}}",
        "Resources: {A: [1]}",
        "Resources: {A: {Type: !Ref Kind}}",
    ],
)
def test_macros_and_shapes_that_hide_resources_are_unknown_costs(audit, text):
    assert "unknown" in verdicts(audit(text))


def test_loops_are_written_out(audit):
    text = """
    Transform: [AWS::LanguageExtensions]
    Resources:
      Fn::ForEach::Services:
        - Name
        - [ecr, sagemaker]
        - Endpoint${Name}:
            Type: AWS::EC2::VPCEndpoint
            Properties: {VpcEndpointType: Interface, SubnetIds: [a], ServiceName: !Ref Name}
    """
    assert audit(text).usd == pytest.approx(2 * 7.30)


SAM = "Transform: AWS::Serverless-2016-10-31\n"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}}}}", "forbidden"),
        ("Globals: {Function: {ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}}}\nResources: {F: {Type: AWS::Serverless::Function}}", "forbidden"),
        ("Globals: {Api: {CacheClusterEnabled: true}}\nResources: {A: {Type: AWS::Serverless::Api}}", "forbidden"),
        ("Resources: {T: {Type: AWS::Serverless::SimpleTable, Properties: {ProvisionedThroughput: {}}}}", "forbidden"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {Events: {K: {Type: Kinesis}}}}}", "unknown"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {Events: !ImportValue x}}}", "unknown"),
        ("Resources: {A: {Type: AWS::Serverless::Application, Properties: {Location: {ApplicationId: x}}}}", "unknown"),
    ],
)  # fmt: skip
def test_costs_in_sam_templates_are_found(audit, text, verdict):
    assert verdict in verdicts(audit(SAM + text))


def test_a_sam_template_without_idle_cost_passes(audit):
    text = """
    Resources:
      F:
        Type: AWS::Serverless::Function
        Properties: {Events: {Call: {Type: HttpApi}, File: {Type: S3, Properties: {}}}}
      T: {Type: AWS::Serverless::SimpleTable}
      A: {Type: AWS::Serverless::HttpApi}
    """
    assert audit(SAM + textwrap.dedent(text)).passes


def test_scheduled_functions_are_billed_at_their_time_out(audit):
    text = """
    Resources:
      F: {Type: AWS::Lambda::Function, Properties: {MemorySize: 1024, Timeout: %s}}
      R: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 minute), Targets: [{Arn: !GetAtt F.Arn}]}}
    """
    runs_a_month = 31 * 24 * 60
    bill = audit(text % 60)
    once = 60 * PRICES["lambda_gb_second_x86"] + 2e-7 + 2000 / 1e9 * 0.5  # and 2 KB of its log
    expected = 0.03 + runs_a_month * 3 * once  # a call that fails is repeated twice
    assert bill.usd == pytest.approx(expected)
    assert not audit(text % "!ImportValue x").passes
    off = text.replace("rate(1 minute)", "rate(1 minute), State: DISABLED")
    assert audit(off % 60).passes


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("rate(1 hour)", 744),
        ("rate(30 days)", 31 / 30),
        ("cron(0 12 * * ? *)", 31),
        ("cron(*/5 * * * ? *)", 12 * 24 * 31),
        ("cron(1,31 6-9 * * ? *)", 2 * 4 * 31),
        ("at(2026-11-29T10:00:00)", 0),
        ("rate(0 minutes)", None),
        ("cron(x 1 * * ? *)", None),
        ("often", None),
        (UNKNOWN, None),
    ],
)
def test_runs_of_a_schedule_are_counted(expression, count):
    assert runs(expression) == (None if count is None else pytest.approx(count))


BROKEN = {
    "not YAML": b"Resources: [",
    "no section": b"Parameters: {}",
    "a list": b"[1, 2]",
    "a field twice": b"Resources: {A: {Type: AWS::SNS::Topic}, A: {Type: AWS::EC2::Instance}}",
    "a field twice in JSON": b'{"Resources": {"A": {"Type": "AWS::SNS::Topic"}, "A": {}}}',
    "an alias inside itself": b"Resources: &a {A: *a}",
    "aliases that multiply": b"Resources: {X: &a0 [1,1,1,1,1,1,1,1,1,1],"
    + b",".join(b"Y%d: &a%d [%s]" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 9))
    + b"}",
    "two documents": b"Resources: {}\n---\nResources: {}",
    "other bytes": b"\xff\xfe\x00",
    "too large": b"#" * 1_000_001,
    "nothing": b"",
    "keys that are lists": b"Resources: {? [a] : b}",
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_template_is_an_unknown_cost(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.yaml"):
        read_template(path)
    bill = audit_templates([path], PRICES)
    assert verdicts(bill) == {"unknown"}


def test_json_and_yaml_of_one_template_have_one_bill(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SERVERLESS, encoding="utf-8")
    as_json = tmp_path / "a.json"
    as_json.write_text(json.dumps(read_template(path)), encoding="utf-8")
    one_bill, other = (audit_templates([p], PRICES) for p in (path, as_json))
    assert one_bill.usd == other.usd
    assert len(one_bill.lines) == len(other.lines)


def test_the_command_prints_the_bill_and_exits_by_its_verdict(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(SERVERLESS, encoding="utf-8")
    bad.write_text(one("AWS::KMS::Key"), encoding="utf-8")
    run = CliRunner().invoke
    assert run(cli, ["infra", "audit", str(good)]).exit_code == 0
    failed = run(cli, ["infra", "audit", str(good), str(bad)])
    assert failed.exit_code == 1
    assert "$1.1680" in failed.output
    assert run(cli, ["infra", "audit", "--limit", "2", str(good), str(bad)]).exit_code == 0
    content = json.loads(run(cli, ["infra", "audit", "--json", str(good), str(bad)]).output)
    assert content["usd"] == pytest.approx(1.168)
    assert content["passes"] is False
    assert any("It (AWS::KMS::Key)" in line["place"] for line in content["lines"])


def test_every_type_is_in_one_table():
    exact = {name for name in FORBIDDEN if not name.endswith("::")}
    assert not FREE & (exact | set(TRAPS))
    assert not [t for t in FREE if t.startswith(tuple(n for n in FORBIDDEN if n.endswith("::")))]


LEAVES = st.sampled_from(["PROVISIONED", "PAY_PER_REQUEST"])


def wrapped(inner):
    """Expressions whose value is that of one of their parts, with the parts' values known."""
    return st.one_of(
        inner.map(lambda e: ({"Fn::Join": ["", [e[0]]]}, e[1])),
        inner.map(lambda e: ({"Fn::Sub": ["${X}", {"X": e[0]}]}, e[1])),
        inner.map(lambda e: ({"Fn::Select": [1, ["x", e[0]]]}, e[1])),
        st.tuples(inner, inner).map(
            lambda pair: ({"Fn::If": ["Maybe", pair[0][0], pair[1][0]]}, pair[0][1] | pair[1][1])
        ),
    )


EXPRESSIONS = st.recursive(LEAVES.map(lambda text: (text, {text})), wrapped, max_leaves=8)


@given(EXPRESSIONS)
def test_the_values_of_an_expression_are_all_that_it_can_have(expression):
    node, expected = expression
    scope = Scope(
        parameters={},
        mappings={},
        conditions={"Maybe": {"Fn::Equals": [{"Ref": "AWS::Region"}, "x"]}},
        resources={},
    )
    assert set(scope.values(node)) == expected
    body = {"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": node}}
    table = Resource(file="f", name="T", type="AWS::DynamoDB::Table", body=body, scope=scope)
    found = {line.verdict for line in resource_lines(table, PRICES)}
    assert ("forbidden" in found) is ("PROVISIONED" in expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["Ref", "Fn::If", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::FindInMap", "Fn::GetAtt", "Fn::Split", "Type", "Properties", "A", "[]"]),
        inner,
        max_size=3,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["A", "B"]), JSON), JSON, JSON)
def test_no_template_makes_the_audit_fail_by_an_error(tmp_path_factory, resources, other, more):
    path: Path = tmp_path_factory.mktemp("any") / "any.json"
    kinds = sorted(TRAPS)[: len(resources)]
    rows = {f"R{i}": {"Type": kind, "Properties": more} for i, kind in enumerate(kinds)}
    path.write_text(
        json.dumps({"Resources": resources | rows, "Conditions": other, "Mappings": more}),
        encoding="utf-8",
    )
    bill = audit_templates([path], PRICES)
    assert bill.usd >= 0


def test_absent_values_are_not_unknown_ones():
    scope = Scope(parameters={}, mappings={}, conditions={}, resources={})
    assert scope.get({"a": {"b": 1}}, "a", "c") == (ABSENT,)
    assert scope.get({"a": {"b": 1}}, "a", "b") == (1,)
    assert scope.get({"a": "text"}, "a", "b") == (UNKNOWN,)
