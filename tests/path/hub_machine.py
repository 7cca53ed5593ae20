"""A hub over one store for state machines: its clock is moved, its process is killed at any operation."""

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from healthval.hub.access import DAY
from healthval.hub.audit_chain import chain_head, check_chain, entries
from healthval.hub.backends.local import FolderObjects, SqliteIndex
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.ports import Backend

NOW = 1_700_000_000
QUICK = settings(
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class Memory:
    def __init__(self, clock):
        self.objects, self.index = MemoryObjects(), MemoryIndex(clock)

    def close(self):
        pass


class Local:
    def __init__(self, clock):
        self._folder = Path(tempfile.mkdtemp())
        self.objects = FolderObjects(self._folder / "objects")
        self.index = SqliteIndex(self._folder / "index.sqlite", clock)

    def close(self):
        self.index.close()
        shutil.rmtree(self._folder)


class HubMachine(RuleBasedStateMachine):
    """A hub over one store, with a clock that the machine moves."""

    store = Memory
    examples = 15

    def __init__(self):
        super().__init__()
        self.clock = SimpleNamespace(now=NOW)
        self.kept = self.store(lambda: self.clock.now)
        self.backend = Backend(
            self.kept.objects, self.kept.index, NoModels(), lambda: self.clock.now
        )

    def teardown(self):
        check_chain(entries(self.backend), chain_head(self.backend))
        self.kept.close()

    @rule(days=st.sampled_from([0.5, 1, 2]))
    def wait(self, days):
        self.clock.now += int(days * DAY)


class Killed(BaseException):
    """The process was killed; no handler of an error sees it."""


class Life:
    """Operations that a process has left before it is killed; None: it is not killed."""

    def __init__(self, left=None):
        self.left = left

    def spend(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class Mortal:
    """A store as one process uses it: every operation is done or, from the kill on, not done."""

    def __init__(self, store, life):
        self._store, self._life = store, life

    def __getattr__(self, name):
        operation = getattr(self._store, name)

        def done(*args, **more):
            self._life.spend()
            return operation(*args, **more)

        return done
