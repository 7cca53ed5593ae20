"""A kernel reached by private sockets instead of TCP ports.

TCP ports are picked, freed and bound again by Jupyter, so that parallel runs collide, and their
traffic can be read by other users of the machine (nteract/papermill#511).
"""

import os

from jupyter_client.manager import AsyncKernelManager


class LocalKernelManager(AsyncKernelManager):
    """Kernel manager with IPC transport where the system has it."""

    def __init__(self, **settings: object) -> None:
        if os.name == "posix":
            settings.setdefault("transport", "ipc")
        super().__init__(**settings)
