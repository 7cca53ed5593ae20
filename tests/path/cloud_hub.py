"""The hub as the templates deploy it, on the emulator: change set, zip in Lambda, HTTP API, IAM."""

import io
import json
import os
import site
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import httpx
from botocore.config import Config
from emulator import KEYS, Emulator

from healthval.cloud.deploy import Account, core_parameters
from healthval.cloud.own_keys import create_keys

STACK = "healthval-test"
ROOT = Path(__file__).parents[2]


class Front(ThreadingHTTPServer):
    """Stand-in for the distribution: one address on loopback in front of the HTTP API."""

    daemon_threads = True

    def __init__(self, emulator: Emulator, host: str) -> None:
        front = httpx.Client(base_url=emulator.url, timeout=300, trust_env=False)

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {
                    k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}
                }
                answer = front.request(
                    self.command, self.path, content=body, headers={**headers, "Host": host}
                )
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in {
                        "content-length",
                        "transfer-encoding",
                        "connection",
                        "content-encoding",
                    }:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Keep the tests quiet."""

        super().__init__(("127.0.0.1", 0), Forward)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Control(ThreadingHTTPServer):
    """Answers DescribeEndpoint, which the emulator lacks: endpoints of healthval are in service."""

    daemon_threads = True

    def __init__(self) -> None:
        class Describe(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(
                    {"EndpointName": sent["EndpointName"], "EndpointStatus": "InService"}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the tests quiet."""

        super().__init__(("127.0.0.1", 0), Describe)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class CloudHub:
    """A deployed hub; `url` is the address for clients."""

    def __init__(self, emulator: Emulator, operator: Path, model_port: int) -> None:
        self.emulator, self.stack = emulator, STACK
        self.session = boto3.Session(
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_REGION"],
        )
        self.account = Account(EmulatorSession(self.session, emulator.url), is_emulator=True)
        self.parameters = core_parameters(self.account, operator, STACK)
        create_keys(self.account, STACK)
        planned = self.account.plan(STACK, "core", self.parameters)
        assert planned is not None
        self.planned, self.outputs = planned, self.account.execute(planned)
        self._deploy_worker()
        self.control = Control()
        self.front = Front(emulator, self.outputs["ApiEndpoint"].partition("//")[2])
        self.url = self.front.url
        self.model_port = model_port
        self._configure(model_port)

    def client(self, service: str):
        config = Config(retries={"total_max_attempts": 1}, read_timeout=300)
        return self.session.client(service, endpoint_url=self.emulator.url, config=config)

    def role(self, name: str) -> str:
        described = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=name
        )
        physical = described["StackResourceDetail"]["PhysicalResourceId"]
        return self.client("iam").get_role(RoleName=physical)["Role"]["Arn"]

    def _deploy_worker(self) -> None:
        """The worker is an image on AWS; here its handler runs from this environment."""
        code = (
            f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"sys.path.extend({site.getsitepackages()!r})\n"
            "from healthval.hub.backends.lambda_worker import handler\n"
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("worker.py", code)
        client = self.client("lambda")
        client.create_function(
            FunctionName=f"{STACK}-worker",
            Runtime=self.parameters["Runtime"],
            Handler="worker.handler",
            Role=self.role("WorkerRole"),
            Timeout=300,
            MemorySize=2048,
            Code={"ZipFile": packed.getvalue()},
            Environment={
                "Variables": {
                    "HEALTHVAL_BUCKET": self.outputs["Bucket"],
                    "HEALTHVAL_TABLE": self.outputs["Table"],
                    "HEALTHVAL_OPERATOR": self.parameters["OperatorKey"],
                    "HEALTHVAL_REPORTER": f"/healthval/{STACK}/reporter.key",
                    # The image has all of it in one environment, the emulator's is another.
                    "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",
                    "PYTHONPATH": os.pathsep.join([str(ROOT), *site.getsitepackages()]),
                }
            },
        )
        table = self.client("dynamodb").describe_table(TableName=self.outputs["Table"])["Table"]
        client.create_event_source_mapping(
            EventSourceArn=table["LatestStreamArn"],
            FunctionName=f"{STACK}-worker",
            StartingPosition="TRIM_HORIZON",
            BatchSize=10,
        )

    def _configure(self, model_port: int) -> None:
        """Point the function to the model server, and let tokens name the loopback address."""
        client, name = self.client("lambda"), f"{STACK}-api"
        known = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        more = {
            "HEALTHVAL_ORIGINS": f"{known['HEALTHVAL_ORIGINS']},{self.url}",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://127.0.0.1:{model_port}",
            "AWS_ENDPOINT_URL_SAGEMAKER": self.control.url,
        }
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**known, **more}}
        )

    @contextmanager
    def other_model(self, port: int) -> Iterator[None]:
        """Let another model server answer for the endpoints for a while."""
        self._configure(port)
        try:
            yield
        finally:
            self._configure(self.model_port)

    def stop(self) -> None:
        with suppress(Exception):
            self.front.shutdown()
            self.control.shutdown()


class EmulatorSession:
    """A boto3 session whose clients call the emulator."""

    def __init__(self, session: boto3.Session, url: str) -> None:
        self._session, self._url, self.region_name = session, url, session.region_name

    def client(self, service: str, **options: object):
        return self._session.client(service, endpoint_url=self._url, **options)

    def get_available_regions(self, service: str):
        return self._session.get_available_regions(service)
