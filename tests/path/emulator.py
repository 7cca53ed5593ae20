"""ministack, an AWS emulator, in a separate environment: it pins botocore and is not a dependency."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

VERSION = "1.5.33"
PLACE = Path(os.environ.get("HEALTHVAL_EMULATOR", Path.home() / ".cache/healthval/ministack"))
PYTHON = PLACE / "bin" / "python"
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def is_installed() -> bool:
    if not PYTHON.exists():
        return False
    code = f"import boto3, sys; from importlib.metadata import version; sys.exit(version('ministack') != '{VERSION}')"
    return subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode == 0


class Emulator:
    """One running emulator on loopback that checks signatures and IAM."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "emulator.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "STATE_DIR": str(folder / "state"),
            **KEYS,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "ministack"], cwd=folder, env=environment, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 600
        while time.monotonic() < end and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=60).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(self.log.read_text(encoding="utf-8")[-2000:])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()


if __name__ == "__main__":
    if not is_installed():
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
        pip = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ministack=={VERSION}", "boto3"], check=True)
