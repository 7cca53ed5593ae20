"""Prices are read from the Price List API where they are certain, and stay as they are elsewhere."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from price_service import PriceService, offer

from healthval.cli import cli
from healthval.cloud.prices import as_json, load_prices
from healthval.cloud.refresh import load_products
from healthval.errors import DeploymentError, UsageError

OLD = load_prices()
SECONDS = {"unit": "Second", "productFamily": "ML Serverless"}
ALARMS = {"unit": "Alarms", "productFamily": "Alarm"}
DURATION = {"unit": "Lambda-GB-Second", "group": "AWS-Lambda-Duration"}
OFFERS = [
    offer("AmazonSageMaker", "USE1-ServerlessInf:Mem-1GB", [("0", "0.0000210000")], **SECONDS),
    # a free first tier: the first price above zero counts, in the order of the tiers
    offer("AmazonSageMaker", "USE1-ServerlessInf:Mem-2GB", [("150000", "0.0000440000"), ("0", "0.0000000000"), ("9000000", "0.0000110000")], **SECONDS),
    # another product whose usage type begins alike
    offer("AmazonSageMaker", "USE1-ServerlessInf:Mem-2GB-Provisioned", [("0", "7")], **SECONDS),
    # a free product beside the one with a price
    offer("AWSLambda", "Lambda-GB-Second", [("0", "0.0000000000")], **DURATION),
    offer("AWSLambda", "Lambda-GB-Second", [("0", "0.0000170000"), ("6000000000", "0.0000150000")], **DURATION),
    # another region
    offer("AWSLambda", "EU-Lambda-GB-Second", [("0", "3")], **DURATION, regionCode="eu-west-1"),
    # two products with the same price, and two with different ones
    offer("AmazonSageMaker", "USE1-Hosting:Data-Bytes-In", [("0", "0.017")], unit="GB", operation="Invoke-Endpoint"),
    offer("AmazonSageMaker", "USE1-Hosting:Data-Bytes-Out", [("0", "0.0170")], unit="GB", operation="Invoke-Endpoint"),
    offer("AmazonCloudWatch", "USE1-CW:AlarmMonitorUsage", [("0", "0.10")], **ALARMS),
    offer("AmazonCloudWatch", "CW:AlarmMonitorUsage", [("0", "0.11")], **ALARMS),
    offer("AmazonCloudWatch", "CW:HighResAlarmMonitorUsage", [("0", "0.3")], **ALARMS | {"unit": "Alarm-Hours"}),
    offer("AmazonCloudWatch", "CW:CompositeAlarmMonitorUsage", [("0", "3")], **ALARMS, currency="CNY"),
    offer("awskms", "us-east-1-KMS-Requests", [("0", "0"), ("20000", "0.0000031000")], unit="Requests"),
    offer("AmazonAthena", "USE1-DataScannedInTB", [("0", "0.0")], unit="Terabytes", productFamily="Athena Queries"),
]  # fmt: skip
READ = {
    "sagemaker_serverless_second_1024_mb": 2.1e-5,
    "sagemaker_serverless_second_2048_mb": 4.4e-5,
    "lambda_gb_second_x86": 1.7e-5,
    "sagemaker_serverless_data_gb": 0.017,
    "kms_10k_requests": 0.031,
}


@pytest.fixture
def service(monkeypatch):
    running = []

    def start(offers=OFFERS, **options):
        running.append(PriceService(offers, **options))
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", running[-1].url)
        return running[-1]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield start
    for one in running:
        one.shutdown()
        one.server_close()


def run(*words):
    return CliRunner().invoke(cli, ["cost", *map(str, words)], catch_exceptions=False)


def test_certain_prices_are_read_and_the_others_are_kept_and_listed(service, tmp_path):
    service()
    file = tmp_path / "new.json"
    printed = run("--refresh", file).output
    new = load_prices(file).content
    for name, price in new.prices.items():
        old = OLD.content.prices[name]
        if name in READ:
            assert price.usd == pytest.approx(READ[name])
            assert (price.mark, price.per) == ("api", old.per)
            assert price.read == datetime.now(UTC).date().isoformat()
            assert f"{name}: kept" not in printed
        else:
            assert price == old
            assert f"{name}: kept" in printed
    assert new.compiled == datetime.now(UTC).date().isoformat()
    assert "cloudwatch_alarm_month: kept; AWS has 2 different prices" in printed
    assert "cloudwatch_fast_alarm_month: kept; AWS has its price in another unit" in printed
    assert (
        "cloudwatch_composite_alarm_month: kept; AWS has its price in another currency" in printed
    )
    assert "athena_tb_scanned: kept; AWS has no product" in printed
    assert "cloudfront_flat_pro_month: kept; no product" in printed
    assert "lambda_gb_second_x86: 1.66667e-05 is now 1.7e-05" in printed
    kept = len(new.prices) - len(READ)
    assert f"5 prices read from AWS, 5 of them changed; {kept} prices kept" in printed


def test_a_refreshed_list_is_used_by_the_bill_and_the_audit_and_can_be_refreshed_again(
    service, tmp_path
):
    service()
    file = tmp_path / "new.json"
    run("--refresh", file)
    price = re.compile(r"model \(SageMaker\) +([0-9.]+)")
    before, after = (price.search(run("--cases", 100_000, *more).output)[1] for more in ((), ("--prices", file)))  # fmt: skip
    assert float(after) == pytest.approx(float(before) * 1.1)
    day = datetime.now(UTC).date().isoformat()
    assert f"prices of {day}" in run("--prices", file).output
    template = tmp_path / "t.yaml"
    template.write_text("Resources: {K: {Type: AWS::KMS::Key}}", encoding="utf-8")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["prices"]["kms_cmk_month"]["usd"] = 0.25
    file.write_text(json.dumps(content), encoding="utf-8")
    audited = CliRunner().invoke(cli, ["infra", "audit", str(template), "--prices", str(file)])
    assert audited.exit_code == 0
    assert "$0.2500" in audited.output
    service([])
    assert "0 prices read from AWS" in run("--refresh", file).output
    again = load_prices(file)
    assert again["kms_cmk_month"] == 0.25  # the file itself is the base
    assert again.content.prices["lambda_gb_second_x86"].mark == "api"


def test_a_throttled_query_is_repeated_and_an_answer_in_pages_is_read_whole(
    service, tmp_path, monkeypatch
):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    started = service(throttled=2)
    file = tmp_path / "new.json"
    run("--refresh", file)
    assert load_prices(file)["sagemaker_serverless_second_2048_mb"] == pytest.approx(4.4e-5)
    # one call for each query and not for each price: six sizes of memory are one query
    assert started.calls < len(load_products()) + 2


@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        ("throttled", DeploymentError, "slow down"),
        ("no credentials", UsageError, "no credentials"),
        ("half of the credentials", UsageError, "not complete"),
        ("unknown profile", UsageError, "no profile of that name"),
        ("no JSON", DeploymentError, "not JSON; nothing is written"),
        ("nobody there", DeploymentError, "cannot be reached"),
    ],
)
def test_a_refresh_that_fails_writes_nothing(service, tmp_path, monkeypatch, trouble, error, words):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    service(["no JSON"] if trouble == "no JSON" else OFFERS, throttled=10**6 * (trouble == "throttled"))  # fmt: skip
    if trouble == "no credentials":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    if "credentials" in trouble:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if trouble == "unknown profile":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    if trouble == "nobody there":
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:9")
    file = tmp_path / "prices.json"
    file.write_text(as_json(OLD), encoding="utf-8")
    with pytest.raises(error, match=words):
        CliRunner().invoke(cli, ["cost", "--refresh", str(file)], standalone_mode=False, catch_exceptions=False)  # fmt: skip
    assert file.read_text(encoding="utf-8") == as_json(OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["prices.json"]


def test_a_file_that_is_no_price_list_is_not_replaced(service, tmp_path):
    started = service()
    file = tmp_path / "plan.yaml"
    file.write_text("study: mine", encoding="utf-8")
    for target, words in ((file, "not usable"), (tmp_path / "none" / "p.json", "no folder")):
        with pytest.raises(UsageError, match=words):
            CliRunner().invoke(cli, ["cost", "--refresh", str(target)], standalone_mode=False, catch_exceptions=False)  # fmt: skip
    assert file.read_text(encoding="utf-8") == "study: mine"
    assert started.calls == 0


def test_a_list_without_one_of_the_prices_is_refused_by_name(tmp_path):
    content = json.loads(as_json(OLD))
    del content["prices"]["s3_put"]
    file = tmp_path / "p.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match="lacks 1 entry, the first is 's3_put'"):
        load_prices(file)


def test_every_product_belongs_to_a_price_and_has_a_source():
    products = load_products()
    assert set(products) <= set(OLD.content.prices)
    assert {product.source for product in products.values()} == {"public", "memory"}
    for product in products.values():
        re.compile(product.usage)
