"""The packed API: small, equal bytes for equal inputs, and free of the scientific stack."""

import io
import json
import subprocess
import sys
import zipfile

import pytest

from healthval.cloud.package import MAX_BYTES, pack_api

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda runs Linux")
SCIENTIFIC = {"numpy", "scipy", "pandas", "matplotlib", "sklearn", "papermill"}


@pytest.fixture(scope="module")
def package():
    return pack_api()


def test_the_zip_is_small_and_has_no_scientific_stack(package):
    with zipfile.ZipFile(io.BytesIO(package.data)) as archive:
        names = archive.namelist()
    assert len(package.data) <= MAX_BYTES
    assert not SCIENTIFIC & {name.split("/")[0] for name in names}
    assert "healthval/hub/backends/lambda_api.pyc" in names
    assert not [name for name in names if name.startswith(("/", "..")) or name.endswith(".py")]


def test_the_same_packages_give_the_same_bytes(package):
    assert pack_api().key == package.key


CODE = """
import json, sys, time
sys.path[:0] = [sys.argv[1]]
begin = time.process_time()
import healthval.hub.backends.lambda_api as api
event = {"version": "2.0", "rawPath": "/v1/none", "rawQueryString": "", "headers": {},
         "requestContext": {"http": {"method": "GET", "path": "/v1/none", "sourceIp": "127.0.0.1"}}}
answer = api.handler(event, None)
print(json.dumps([api.__file__, answer["statusCode"], sorted(m for m in sys.modules if "." not in m)]))
"""


def test_the_packed_handler_answers_without_the_scientific_stack(package, tmp_path):
    with zipfile.ZipFile(io.BytesIO(package.data)) as archive:
        archive.extractall(tmp_path)
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": "api",
        "HEALTHVAL_OPERATOR": "A" * 43,
        "HEALTHVAL_REPORTER": "",
        "HEALTHVAL_SIGNING_KEY": "",
        "HEALTHVAL_ORIGINS": "https://hub.example.org",
    } | {f"HEALTHVAL_{name}": name.lower() for name in ("BUCKET", "INPUTS", "TABLE", "WORKER")}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    place, status, modules = json.loads(done.stdout)
    assert place.startswith(str(tmp_path))
    assert status == 404
    assert not SCIENTIFIC & set(modules)
