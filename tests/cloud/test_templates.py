"""The templates: valid, small, least privilege, and an idle bill that an independent sum confirms."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from healthval.cloud.audit.audit import audit_templates
from healthval.cloud.audit.template import read_template
from healthval.cloud.prices import load_prices
from healthval.hub.backends.lambda_api import IAM_PATH, IAM_ROUTE
from healthval.hub.report_orders import DUE

INFRA = Path(__file__).parents[2] / "infra"
CORE, MODEL, HARDENED = (INFRA / f"{name}.yaml" for name in ("core", "model", "hardened"))
TEMPLATES = (CORE, MODEL, HARDENED)
PRICES = load_prices()


def resources(path, kind=None):
    found = read_template(path)["Resources"]
    return {name: body for name, body in found.items() if kind in {None, body["Type"]}}


def properties(path, kind):
    return {name: body.get("Properties", {}) for name, body in resources(path, kind).items()}


def test_cfn_lint_has_nothing_to_report():
    command = [str(Path(sys.executable).parent / "cfn-lint"), *map(str, TEMPLATES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_a_template_fits_into_one_call_and_uses_no_alias(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 51_200
    assert not [
        line for line in text.splitlines() if line.rstrip().endswith(": &") or ": *" in line
    ]


# By hand, from the price list of the reference: GB of images, objects, versions, logs; recovery.
IDLE = 3 * 0.10 + 5 * 0.023 + 1 * 0.023 + 1 * 0.03
RECOVERY = 0.1 * 0.20


def test_the_base_costs_at_most_half_a_dollar_while_idle():
    bill = audit_templates([CORE, MODEL], PRICES)
    assert bill.passes
    assert bill.usd == pytest.approx(IDLE + RECOVERY)
    assert IDLE + RECOVERY <= 0.50


def test_the_hardened_profile_is_itemised():
    bill = audit_templates([CORE, MODEL, HARDENED], PRICES, limit_usd=60)
    keys, firewall, endpoints, events = 3 * 1.00, 5.00 + 3 * 1.00, 3 * 2 * 730 * 0.01, 1.00
    assert bill.passes
    assert bill.usd == pytest.approx(IDLE + RECOVERY + keys + firewall + endpoints + events)
    assert not audit_templates([HARDENED], PRICES).passes


def test_the_worker_deletes_entries_of_reports_that_were_made_only():
    policies = properties(CORE, "AWS::IAM::Role")["WorkerRole"]["Policies"]
    statements = policies[0]["PolicyDocument"]["Statement"]
    deleting = [s for s in statements if "dynamodb:DeleteItem" in str(s["Action"])]
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [DUE]}}
    assert [s.get("Condition") for s in deleting] == [condition]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_no_bucket_is_public_or_reachable_without_tls(path):
    policies = properties(path, "AWS::S3::BucketPolicy").values()
    for name, bucket in properties(path, "AWS::S3::Bucket").items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert "BucketEncryption" in bucket
        assert bucket["LifecycleConfiguration"]["Rules"]
        (policy,) = [p for p in policies if p["Bucket"] == {"Ref": name}]
        denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [s["Condition"] for s in denied]
        assert all(s["Principal"] == "*" and s["Action"] == "s3:*" for s in denied)


def test_inputs_have_no_versions_and_end_after_a_day():
    bucket = properties(CORE, "AWS::S3::Bucket")["Inputs"]
    assert "VersioningConfiguration" not in bucket
    assert {"Id": "one-day", "Status": "Enabled", "ExpirationInDays": 1} in bucket[
        "LifecycleConfiguration"
    ]["Rules"]
    assert properties(CORE, "AWS::S3::Bucket")["Data"]["VersioningConfiguration"] == {
        "Status": "Enabled"
    }


def test_the_table_is_on_demand_with_an_expiry():
    (table,) = properties(CORE, "AWS::DynamoDB::Table").values()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def statements(path):
    for name, role in properties(path, "AWS::IAM::Role").items():
        for policy in role["Policies"]:
            document = policy.get("PolicyDocument") or policy["Fn::If"][1]["PolicyDocument"]
            for statement in document["Statement"]:
                yield name, statement


# Calls that IAM cannot limit to a resource.
ANYWHERE = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DeleteNetworkInterface",
    "ecr:GetAuthorizationToken",
}


@pytest.mark.parametrize("path", [CORE, MODEL], ids=lambda p: p.stem)
def test_no_role_has_a_wildcard(path):
    for _, statement in statements(path):
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]  # fmt: skip
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert set(actions) <= ANYWHERE


def test_a_model_reads_uploads_and_nothing_else():
    reads = [s for _, s in statements(MODEL) if "s3:GetObject" in s["Action"]]
    assert [s["Resource"]["Fn::Sub"].rpartition("$")[2] for s in reads] == [
        "{InputsBucket}/uploads/*"
    ]
    actions = {a for _, s in statements(MODEL) for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}  # fmt: skip
    assert not [a for a in actions if a.startswith(("dynamodb:", "lambda:", "s3:Put"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_logs_end_and_access_logs_have_no_body(path):
    for group in properties(path, "AWS::Logs::LogGroup").values():
        assert 1 <= group["RetentionInDays"] <= 90
    for stage in properties(path, "AWS::ApiGatewayV2::Stage").values():
        fields = json.loads(stage["AccessLogSettings"]["Format"])
        assert not [v for v in fields.values() if "body" in v.lower() or "query" in v.lower()]


def test_every_function_has_a_log_group_of_its_name():
    named = {str(g["LogGroupName"]) for g in properties(CORE, "AWS::Logs::LogGroup").values()}
    for function in properties(CORE, "AWS::Lambda::Function").values():
        name = function["FunctionName"]["Fn::Sub"]
        assert str({"Fn::Sub": f"/aws/lambda/{name}"}) in named


def test_alarms_are_within_the_free_ten():
    assert 1 <= sum(len(resources(path, "AWS::CloudWatch::Alarm")) for path in TEMPLATES) <= 10


def test_queries_have_a_limit_of_bytes():
    (group,) = properties(CORE, "AWS::Athena::WorkGroup").values()
    configuration = group["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"]
    assert configuration["BytesScannedCutoffPerQuery"] <= 10 * 2**30
    for table in properties(CORE, "AWS::Glue::Table").values():
        assert table["TableInput"]["Parameters"]["projection.enabled"] == "true"


def test_the_firewall_is_in_the_free_plan_and_origins_need_tls_12():
    (plan,) = properties(CORE, "AWS::PricingPlanManager::Subscription").values()
    assert plan["PlanTier"] == "FREE"
    (distribution,) = properties(CORE, "AWS::CloudFront::Distribution").values()
    configuration = distribution["DistributionConfig"]
    behaviours = [configuration["DefaultCacheBehavior"], *configuration["CacheBehaviors"]]
    assert all("CachePolicyId" in b and "ForwardedValues" not in b for b in behaviours)
    assert {b["ViewerProtocolPolicy"] for b in behaviours} <= {"https-only", "redirect-to-https"}
    api = next(o for o in configuration["Origins"] if o["Id"] == "api")
    assert api["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


def test_only_iam_admits_calls_that_a_role_signs():
    routes = properties(CORE, "AWS::ApiGatewayV2::Route")
    assert routes["ApiRoleRoute"]["RouteKey"] == IAM_ROUTE
    assert routes["ApiRoleRoute"]["AuthorizationType"] == "AWS_IAM"
    assert [r["RouteKey"] for r in routes.values()] == ["$default", IAM_ROUTE]
    assert IAM_ROUTE.partition(" ")[2].startswith(f"{IAM_PATH}/")
    (policy,) = properties(CORE, "AWS::IAM::ManagedPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"]["Fn::Sub"].endswith(f":${{Api}}/$default/*{IAM_PATH}/*")
    (distribution,) = properties(CORE, "AWS::CloudFront::Distribution").values()
    behaviours = distribution["DistributionConfig"]["CacheBehaviors"]
    assert not [b for b in behaviours if b["PathPattern"].startswith(IAM_PATH)]


def test_the_hardened_network_has_no_way_to_the_internet():
    kinds = {body["Type"] for body in resources(HARDENED).values()}
    assert not [k for k in kinds if "Gateway" in k and k.startswith("AWS::EC2")]
    assert "AWS::EC2::Route" not in kinds


def test_keys_are_rotated_and_kept():
    for body in resources(HARDENED, "AWS::KMS::Key").values():
        assert body["Properties"]["EnableKeyRotation"] is True
        assert body["DeletionPolicy"] == "Retain"


def test_the_model_is_serverless_within_the_limits_of_aws():
    template = read_template(MODEL)
    assert template["Parameters"]["MemoryMB"]["AllowedValues"] == [1024 * gb for gb in range(1, 7)]
    (config,) = properties(MODEL, "AWS::SageMaker::EndpointConfig").values()
    for variant in config["ProductionVariants"]:
        assert set(variant) == {"VariantName", "ModelName", "ServerlessConfig"}
        assert set(variant["ServerlessConfig"]) == {"MemorySizeInMB", "MaxConcurrency"}
