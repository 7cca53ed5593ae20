import pytest
from loopback import serve


@pytest.fixture
def serving():
    """Serve a request handler on loopback, and yield its address."""
    return serve
