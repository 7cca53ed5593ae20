import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest


@pytest.fixture
def serving():
    """Serve a request handler on loopback, and yield its address."""

    @contextmanager
    def serve(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve
