"""A daemon in the environment of a Docker Flow: Proxy's container."""

from __future__ import annotations

import http.client
import ssl


def test_its_services_and_its_ports_are_there(make_daemon, backends, free_port, wait_for) -> None:
    (backend,) = backends(1)
    tls = free_port()
    made = make_daemon(
        DEFAULT_PORTS=f"80,{tls}:ssl",
        DFP_SERVICE_1_SERVICE_NAME="go-demo",
        DFP_SERVICE_1_SERVICE_PATH="/demo",
        DFP_SERVICE_1_PORT=str(backend.port),
        DFP_SERVICE_1_OUTBOUND_HOSTNAME="127.0.0.1",
        DFP_SERVICE_2_SERVICE_NAME="taken",
        DFP_SERVICE_2_SERVICE_PATH="/demo",
        DFP_SERVICE_2_COLOUR="blue",
    )
    made.start()
    wait_for(lambda: made.get("/demo") == (200, str(backend.port)), "the service of the environment")
    assert "DFP_SERVICE_2_COLOUR is passed over" in made.said
    wait_for(lambda: "taken of the environment is refused: /demo of taken belongs to" in made.said, "the conflict")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", tls, context=context, timeout=10)
    connection.request("GET", "/demo")
    assert connection.getresponse().status == 200
    connection.close()
    made.curl("/v1/docker-flow-proxy/remove?serviceName=go-demo")
    made.end()
    made.start()
    wait_for(lambda: made.get("/demo") == (200, str(backend.port)), "what is declared to be back")
