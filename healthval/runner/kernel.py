"""A kernel reached by private sockets instead of TCP ports.

TCP ports are picked, freed and bound again by Jupyter, so that parallel runs collide, and their
traffic can be read by other users of the machine (nteract/papermill#511).
"""

import os
import uuid
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir


class LocalKernelManager(AsyncKernelManager):
    """Kernel manager with IPC transport where the system has it.

    Sockets and connection file get names of their own in the runtime folder; Jupyter would number
    the sockets in the current folder, where two runs take each other's.
    """

    def __init__(self, **settings: object) -> None:
        own = Path(jupyter_runtime_dir()) / uuid.uuid4().hex[:12]
        if os.name == "posix":
            settings |= {"transport": "ipc", "ip": str(own)}
        super().__init__(**settings, connection_file=f"{own}.json")
