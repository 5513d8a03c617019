import socket
import threading

import pytest
import uvicorn

from sandbox import Cloud
from webhooks import orders, resellers, validator

CLOUD = Cloud()


@pytest.fixture(autouse=True)
def cloud():
    """Our cloud, without environments."""
    CLOUD.clear()
    return CLOUD


@pytest.fixture(scope="session")
def secret():
    """What the webhooks sign with, and the handlers verify."""
    return "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"


@pytest.fixture(scope="session")
def api_key(connect_sim_server):
    return f"ApiKey {connect_sim_server.vendor_key}"


@pytest.fixture(scope="session")
def orders_url(api_key, secret, connect_sim_serve):
    """The URL of the Flask handler."""
    return connect_sim_serve(orders.create_app(api_key, secret, CLOUD))


@pytest.fixture(scope="session")
def validator_url(api_key, secret, connect_sim_serve):
    return connect_sim_serve(validator.create_app(api_key, secret))


@pytest.fixture(scope="session")
def resellers_url(api_key, secret):
    """The URL of the FastAPI handler, which uvicorn serves in a thread."""
    app = resellers.create_app(api_key, secret, CLOUD)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()
