"""10,000 predictions with the JavaScript client beside the Python client, over one embedded hub.

It needs Node. Both clients send the same batches, in turn, one and eight at once.
"""

import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from hub import SUBJECT, Bench, line

from healthval.client.asynchronous import AsyncClient
from healthval.contracts.prediction import PredictionRequest, TableInstances
from healthval.credential import Credential

SDK = Path(__file__).parents[1] / "sdk" / "js"
SCRIPT = Path(__file__).with_name("predict.mjs")
N, ROUNDS = 10_000, 3
SIZES = (100, 1000)


def requests(size: int) -> list[PredictionRequest]:
    return [
        PredictionRequest(
            **SUBJECT,
            cases=tuple(f"case-{first + i:016x}" for i in range(size)),
            instances=TableInstances(
                columns=("size",), rows=tuple((float((first + i) % 100),) for i in range(size))
            ),
        )
        for first in range(0, N, size)
    ]


async def python(url: str, key: Path, size: int, at_once: int) -> float:
    async with AsyncClient(url, Credential.load(key), concurrency=at_once) as client:
        asked = requests(size)
        await client.predict_all(asked[:1])  # connection and code are warm
        began = time.perf_counter()
        found = await client.predict_all(asked)
        seconds = time.perf_counter() - began
    assert sum(len(answer.predictions) for answer in found.answers if answer) == N
    return seconds


def node(url: str, key: Path, size: int, at_once: int) -> float:
    command = ["node", SCRIPT, SDK / "dist" / "index.js", url, key, N // size, size, at_once]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    if shutil.which("node") is None:
        print(f"{'JavaScript client':44}  not installed: Node is missing")
        return
    for command in (["npm", "ci", "--silent"], ["npm", "run", "--silent", "build"]):
        subprocess.run(command, cwd=SDK, check=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        bench.model()
        bench.site("both")
        key = Path(folder) / "both.key"
        for size in SIZES:
            for at_once in (1, 8):
                times: list[tuple[float, float]] = []
                for _ in range(ROUNDS):  # in turn, so that a busy machine affects both
                    ours = asyncio.run(python(bench.url, key, size, at_once))
                    times.append((ours, node(bench.url, key, size, at_once)))
                ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
                name = f"batches of {size}, {at_once} at once, Node / Python"
                value = f"{ours / theirs:.3f} x ({N / theirs:.0f} / {N / ours:.0f} a second)"
                line(name, value, ">= 0.8 x", ours / theirs >= 0.8)
        bench.direct.stop()
        bench.hub.stop()


if __name__ == "__main__":
    main()
