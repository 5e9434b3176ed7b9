"""Docker Flow: Proxy's documented calls with their answers, and where ours differ on purpose.

Sources: its README of 2016, docs/usage.md, docs/swarm-mode-manual.md and -auto.md, server/server_test.go and
integration_tests/integration_swarm_test.go of its last version. The table of differences in docs/ is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DIFFERENCES = {
    "certs": ("`certs` lists certificates with their keys", "names and ends, and never a key"),
    "destination-ports": (
        "destinations of one port may differ in anything",
        "400: where they differ in more than paths, each has a port of its own",
    ),
    "distributed": ("`distribute=true` says that it was distributed", "every proxy converges in any case: no message"),
    "ignored": ("what means nothing is passed over", "the message names it"),
    "live": ("200 also without a live instance", "409 and the instances found; `allowEmpty=true` forces it"),
    "metrics": ("`/v1/docker-flow-proxy/metrics` is HAProxy's CSV", "404: `/metrics` has Prometheus' text"),
    "no-path": ("409 without a path and a domain, in the last version", "400, as in 2016"),
    "passwords": ("the answer repeats passwords", "`Users` is null"),
    "port": ("400 without `port`, in mode swarm", "200: the registry knows each port"),
    "raw-text": ("templates and `backendExtra` are put into the configuration", "400"),
    "reload": ("JSON, in the last version", "an empty 200, as in 2016"),
    "session-type": ("another `sessionType` means none", "400"),
    "tcp-port": (
        "`srcPort` opens a port, in the modes `tcp` and `sni`",
        "400 unless `serve --tcp-bind` has opened it",
    ),
    "test-message": (
        "`/v1/test` and `/v2/test` say `Test v1`, `Test v2`, in the last version",
        "no message, as in 2016",
    ),
    "sni-comparison": (
        "`reqMode=sni` compares names in TLS in any way that HAProxy has, by `pathType`",
        "400, unless it is `req.ssl_sni -i`, or `-m end` with names that begin with a dot",
    ),
    "tls": ("instances are spoken to by TLS, and client certificates are checked", "400"),
    "wrong-flag": ("a flag that is neither true nor false is false", "400"),
    "wrong-value": ("any text goes into the configuration", "400: every value has a grammar"),
}
"""What is there and what is here, by a name for the exchanges."""
USER_DIFFERENCES = {
    "domain": (
        "`serviceDomain` is how the host begins (`hdr_beg(host)`), in the last version",
        "the domain and all below it, unless `serviceDomainAlgo` or `SERVICE_DOMAIN_ALGO` says otherwise",
    ),
    "hdr-dom": ("`hdr_dom(host)` takes `a.org.net` for `a.org`, too", "`a.org` and what is below it"),
    "https-port": ("redirects to https keep the request's port", "they lead to the port of https"),
    "redirect": ("`redirectFromDomain` leads users of https to http", "to https"),
    "secure": (
        "a request by http with `X-Forwarded-Proto: https` is one by http",
        "it counts as https, for `httpsOnly`, `denyHttp` and `if { ssl_fc }`; with `--tls-bind` from `--trusted` alone",
    ),
    "forwarded": (
        "by https, services get `X-Forwarded-Proto: https` beside what the client says",
        "with `--tls-bind` they get one `X-Forwarded-Proto`, `-Host` and `-Port`, by http, too",
    ),
    "redirect-when": (
        "`redirectWhenHttpProto` looks at the client's `X-Forwarded-Proto`",
        "with `--tls-bind` at how the request came, unless a network of `--trusted` says it",
    ),
    "cookie": ("the cookie of `sticky-server` names the server", "it holds a hash of it"),
}
"""The same, of what users of the proxy meet: a real one was asked (``tests/benchmarks/replay.py``)."""


@dataclass(frozen=True)
class Answer:
    """A status, and some fields of the JSON."""

    status: int = 200
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """A call and its answer.

    :ivar call: the path after ``/v1/docker-flow-proxy/``, or all of it.
    :ivar there: what Docker Flow: Proxy answers.
    :ivar difference: the name of the difference where our answer is another one.
    :ivar here: our answer then.
    :ivar route: fields of the route that the call makes; None where it is not looked at.
    :ivar body: of the call.
    """

    call: str
    there: Answer = Answer()
    difference: str = ""
    here: Answer | None = None
    route: Mapping[str, Any] | None = None
    method: str = "GET"
    body: str = ""


OK, NOK, REFUSED = (
    Answer(200, {"Status": "OK", "Message": ""}),
    Answer(500, {"Status": "NOK"}),
    Answer(400, {"Status": "NOK"}),
)
NOT_FOUND = Answer(404)
DEMO = "reconfigure?serviceName=go-demo&servicePath=/demo"
MANDATORY = (
    "The following queries are mandatory: (serviceName and servicePath) or "
    "(serviceName, consulTemplateFePath, and consulTemplateBePath)"
)


def demo(more: str = "", **route: Any) -> Exchange:
    """A call that does there what the route says here."""
    return Exchange(f"{DEMO}{more}", OK, route={"paths": ("/demo",), **route})


def differs(difference: str, call: str, here: Answer = REFUSED, there: Answer = OK, **more: Any) -> Exchange:
    return Exchange(call, there, difference, here, **more)


EXCHANGES = (
    # The README of 2016, and what it says of errors.
    Exchange(
        DEMO,
        Answer(200, {"Status": "OK", "Message": "", "ServiceName": "go-demo", "PathType": "", "SkipCheck": False}),
        route={"service": "go-demo", "paths": ("/demo",), "path_type": "path_beg"},
    ),
    Exchange("reconfigure", Answer(400, {"Status": "NOK", "Message": MANDATORY})),
    Exchange("reconfigure?servicePath=/demo", Answer(400, {"Status": "NOK", "Message": MANDATORY})),
    differs("no-path", "reconfigure?serviceName=go-demo", there=Answer(409, {"Status": "NOK"})),
    demo("&serviceColor=blue", color="blue"),
    demo("&pathType=path_reg", path_type="path_reg"),
    demo("&serviceDomain=my-domain.com", domains=("my-domain.com",)),
    demo("&serviceDomain=*domain.com", domains=("domain.com",), domain_algo="hdr_end(host)"),
    demo("&skipCheck=true", skip_check=True),
    demo("&aclName=05-go-demo-acl", acl_name="05-go-demo-acl"),
    demo("&outboundHostname=ecme.com:80", outbound_hostname="ecme.com:80"),
    differs("wrong-flag", f"{DEMO}&skipCheck=yes"),
    differs("wrong-value", "reconfigure?serviceName=go-demo&servicePath=/demo%0Abackend"),
    differs("raw-text", f"{DEMO}&templateFePath=/tmpl/fe.tmpl&templateBePath=/tmpl/be.tmpl"),
    differs("raw-text", f"{DEMO}&backendExtra=acl%20x%20path%20/x"),
    differs("raw-text", "reconfigure?serviceName=go-demo&consulTemplateFePath=/fe&consulTemplateBePath=/be"),
    differs("live", "reconfigure?serviceName=dead&servicePath=/demo&wait=0", Answer(409, {"Status": "NOK"})),
    Exchange("remove?serviceName=go-demo", Answer(200, {"Status": "OK", "ServiceName": "go-demo"})),
    Exchange("remove?serviceName=absent", Answer(200, {"Status": "OK"})),
    Exchange("remove", Answer(400, {"Status": "NOK", "Message": "The serviceName query is mandatory"})),
    Exchange("/v1/test", Answer(200, {"Status": "OK"})),
    Exchange("/v2/test", Answer(200, {"Status": "OK"})),
    differs("test-message", "/v1/test", OK, Answer(200, {"Message": "Test v1"})),
    Exchange("ping", Answer(200, {"Status": "OK"})),
    Exchange("reload", Answer(200)),
    differs("reload", "reload?recreate=false&fromListener=true", Answer(200, {"": ""}), Answer(200, {"Status": "OK"})),
    Exchange("config", Answer(200)),
    Exchange("config?type=json", Answer(200, {})),
    Exchange("cert?certName=my-certificate.pem&distribute=true", OK, method="PUT", body="-----BEGIN CERTIFICATE-----"),
    Exchange("cert", REFUSED, method="PUT"),
    differs("certs", "certs", OK, Answer(200, {"Certs": [{"CertContent": "-----BEGIN CERTIFICATE-----"}]})),
    differs("metrics", "metrics", NOT_FOUND, Answer(200)),
    # docs/ of the last version: mode swarm.
    differs("ignored", f"{DEMO}&port=8080", Answer(200, {"Message": "ignored, as it means nothing here: port"})),
    differs("port", f"{DEMO}&distribute=false", OK, REFUSED),
    differs("distributed", f"{DEMO}&distribute=true", OK, Answer(200, {"Message": "Distributed to all instances"})),
    Exchange(
        "reconfigure?serviceName=go-demo&servicePath=/demo/hello,/demo/person",
        OK,
        route={"paths": ("/demo/hello", "/demo/person")},
    ),
    Exchange(
        "reconfigure?serviceName=redis&srcPort=6379&reqMode=tcp", OK, route={"req_mode": "tcp", "src_port": "6379"}
    ),
    differs("tcp-port", "reconfigure?serviceName=closed&srcPort=6380&reqMode=tcp"),
    Exchange("reconfigure?serviceName=redis&port=6379&reqMode=tcp", REFUSED),
    Exchange(
        "reconfigure?serviceName=api&servicePath=api.org&pathType=req_ssl_sni%20-i&srcPort=6379&reqMode=sni",
        OK,
        route={"req_mode": "sni", "domains": ("api.org",), "domain_algo": "req.ssl_sni", "paths": ()},
    ),
    differs(
        "sni-comparison",
        "reconfigure?serviceName=api&servicePath=test.&pathType=req_ssl_sni%20-i%20-m%20beg&srcPort=6379&reqMode=sni",
    ),
    Exchange(
        "reconfigure?serviceName=api&serviceDomain=api.org&serviceDomainAlgo=req.ssl_sni&srcPort=6379&reqMode=tcp",
        OK,
        route={"req_mode": "sni", "domains": ("api.org",), "domain_algo": "req.ssl_sni"},
    ),
    Exchange(f"{DEMO}&reqMode=http", OK),
    Exchange(f"{DEMO}&serviceCert=-----BEGIN CERTIFICATE-----", OK),
    differs("wrong-value", f"{DEMO}&serviceCert=my-cert"),
    differs("tls", f"{DEMO}&verifyClientSsl=true"),
    differs("tls", f"{DEMO}&httpsPort=443&sslVerifyNone=true"),
    differs("session-type", f"{DEMO}&sessionType=none-of-them"),
    demo("&sessionType=sticky-server", session_type="sticky-server"),
    demo("&timeoutServer=60&timeoutTunnel=3600", timeout_server=60.0, timeout_tunnel=3600.0),
    # Its integration tests.
    demo("&servicePathExclude=/demo/hello", path_exclude=("/demo/hello",)),
    demo(
        "&serviceDomain=my-domain.com&redirectFromDomain=my-other-domain.com",
        domains=("my-domain.com",),
        redirect_from_domain=("my-other-domain.com",),
    ),
    demo(
        "&compressionAlgo=gzip&compressionType=text/css%20text/html%20application/json",
        compression_algo="gzip",
        compression_type=("text/css", "text/html", "application/json"),
    ),
    demo("&serviceHeader=X-Version:3,name:Viktor", service_header=("X-Version:3", "name:Viktor")),
    demo("&addResHeader=my-res-header%20my-res-value", add_res_header=("my-res-header my-res-value",)),
    demo(
        "&setResHeader=Strict-Transport-Security%20%22max-age%3D16000000%3B%20includeSubDomains%3B%20preload%3B%22",
        set_res_header=('Strict-Transport-Security "max-age=16000000; includeSubDomains; preload;"',),
    ),
    demo("&setReqHeader=X-Forwarded-Port%20%25[dst_port],X-Forwarded-Ssl%20on%20if%20{%20ssl_fc%20}"),
    demo("&addHeader=a%20b&setHeader=c%20d", add_req_header=("a b",), set_req_header=("c d",)),
    demo("&delReqHeader=X-Forwarded-For,Cookie", del_req_header=("X-Forwarded-For", "Cookie")),
    demo("&delResHeader=X-Varnish,X-Cache", del_res_header=("X-Varnish", "X-Cache")),
    demo("&userAgent=amiga,amstrad", user_agent=("amiga", "amstrad")),
    Exchange(
        "reconfigure?serviceName=go-demo&servicePath.1=/demo&port.1=1111&userAgent.1=amiga"
        "&servicePath.2=/demo&port.2=2222&userAgent.2=amstrad&servicePath.3=/demo&port.3=8080",
        OK,
        route={"service": "go-demo-8080", "part_of": "go-demo", "user_agent": ()},
    ),
    Exchange(
        "reconfigure?serviceName=foo&servicePath.1=/&port.1=8080&srcPort.1=80&servicePath.2=/&port.2=8081&srcPort.2=443",
        OK,
        route={"service": "foo-8081", "src_port": "443"},
    ),
    differs(
        "destination-ports",
        "reconfigure?serviceName=foo&servicePath.1=/&port.1=80&userAgent.1=x&servicePath.2=/&port.2=80",
    ),
    demo("&reqPathSearch=xxx|/something/&reqPathReplace=/demo/", req_path_search="xxx|/something/"),
    demo("&reqPathSearchReplace=/else/,/demo/:/foo,/bar", req_path_search_replace="/else/,/demo/:/foo,/bar"),
    demo("&reqPathSearch=/something&reqPathReplace=", req_path_search="/something", req_path_replace=""),
    differs(
        "passwords",
        f"{DEMO}&users=admin:password",
        Answer(200, {"Users": None}),
        Answer(200, {"Users": [{"Username": "admin", "Password": "password"}]}),
    ),
    Exchange(
        "reconfigure?serviceName=go-demo&servicePath.1=/demo&ignoreAuthorization.1=true&users=admin:password",
        OK,
        route={"ignore_authorization": True},
    ),
    demo("&isDefaultBackend=true", is_default_backend=True),
    demo("&allowedMethods=DELETE", allowed_methods=("DELETE",)),
    demo("&deniedMethods=GET", denied_methods=("GET",)),
    demo("&denyHttp=true", deny_http=True),
    demo("&httpsOnly=true&httpsRedirectCode=301", https_only=True, https_redirect_code="301"),
    demo("&redirectWhenHttpProto=true", redirect_when_http_proto=True),
    demo("&serviceDomain=a.org&serviceDomainAlgo=hdr(host)", domain_algo="hdr(host)"),
    demo(
        "&serviceDomain=^v[0-9]%2B[.]a[.]org$&serviceDomainAlgo=hdr_reg(host)",
        domains=("^v[0-9]+[.]a[.]org$",),
        domain_algo="hdr_reg(host)",
    ),
    demo("&serviceDomain=a.org&serviceDomainMatchAll=true", domain_algo="hdr_dom(host)"),
)  # fmt: skip
