"""Silence around the drivers of databases, whose output, log lines and warnings quote rows."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from threading import Lock

_ONE_AT_A_TIME = Lock()  # the descriptors and the log are those of the whole process


@contextmanager
def silent() -> Iterator[None]:
    """Discard what Python code and native libraries print, log and warn of.

    Output of other threads during this time is discarded as well; a second thread waits.
    """
    with (
        _ONE_AT_A_TIME,
        _no_descriptors(),
        warnings.catch_warnings(),
        redirect_stderr(StringIO()),
        redirect_stdout(StringIO()),
    ):
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def _no_descriptors() -> Iterator[None]:
    """Point the process's own stdout and stderr, to which native drivers write, to nowhere."""
    with ExitStack() as restored:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                with suppress(OSError, ValueError):  # closed
                    stream.flush()
        for number in (1, 2):
            with suppress(OSError):  # a service may have closed it
                kept = os.dup(number)
                restored.callback(os.close, kept)
                restored.callback(os.dup2, kept, number)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
        yield
