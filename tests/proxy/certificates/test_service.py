"""Certificates from a folder and from the API, over a HAProxy that stands in and says what it was told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from types import SimpleNamespace

import pytest
import trustme

from jenkins_proxy import tls
from jenkins_proxy.certificate_dates import DAY
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import ProxyError, RegistryError, UsageError
from jenkins_proxy.proxy.certificates.certificate import parse
from jenkins_proxy.proxy.certificates.certificate_warnings import CertificateWarnings
from jenkins_proxy.proxy.certificates.own import OwnCertificate
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.certificates.sharing import SHARED, Cipher, SharedCertificates, read_key
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls
from jenkins_proxy.proxy.models import ConflictError, NotCertifiedError

AUTHORITY = trustme.CA()
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def pem(name: str = "a.example.com", days: float = 90) -> bytes:
    issued = AUTHORITY.issue_cert(
        name, not_before=NOW - datetime.timedelta(days=300), not_after=NOW + datetime.timedelta(days=days)
    )
    return issued.private_key_and_cert_chain_pem.bytes()


class World:
    """A service with its folders, and a HAProxy that does everything unless it is told otherwise."""

    def __init__(self, folder, *, tls: bool = True, **sharing: object) -> None:
        folder.mkdir(exist_ok=True)
        self.sharing = sharing
        self.run, self.store, self.given = (folder / name for name in ("run", "store", "given"))
        self.given.mkdir()
        self.now = NOW.timestamp()
        self.told: list[str] = []
        self.answers: dict[str, str] = {}
        self.reloads = 0
        self.reload_fails = False
        self.tls = tls
        self.start()

    def start(self) -> None:
        """As after a restart of the daemon."""
        haproxy = SimpleNamespace(
            options=SimpleNamespace(entry=Entry(tls=Tls(("*:443",)) if self.tls else None)),
            files=SimpleNamespace(folder=self.run),
            runtime=SimpleNamespace(ask=self.ask),
            replacing=asyncio.Lock(),
        )
        made = SharedCertificates if self.sharing else CertificateService
        self.service = made(
            haproxy,
            folder=self.given,
            store=self.store,
            events=EventBus(),
            reload=self.reload,
            clock=lambda: self.now,
            **self.sharing,
        )

    async def ask(self, *commands: str) -> list[str]:
        self.told += [command.partition(" <<")[0] for command in commands]
        good = "New empty certificate store, Transaction created, Success!, deleted in crtlist, deleted!"
        return [self.answers.get(command.split(" ")[0], good) for command in commands]

    async def reload(self) -> None:
        self.reloads += 1
        if self.reload_fails:
            raise ProxyError("HAProxy did not take it")

    def states(self) -> dict:
        return {state.name: state for state in self.service.states()}

    def live(self) -> list[str]:
        return sorted(path.name for path in (self.run / "certs").iterdir())


@pytest.fixture
async def world(tmp_path) -> World:
    return World(tmp_path)


async def test_it_starts_with_what_can_be_served_and_names_the_rest(world, caplog):
    (world.given / "a.pem").write_bytes(pem())
    (world.given / "bad.pem").write_text("rubbish")
    (world.given / "old.pem").write_bytes(pem("old.example.com", days=-1))
    world.service.prepare()
    assert world.live() == ["_default.pem", "a.pem", "old.pem"]
    assert (world.run / "certs.list").read_text() == "certs/_default.pem !*\ncerts/a.pem\ncerts/old.pem\n"
    assert world.states()["bad"].problem == "it holds no certificate in PEM"
    assert "bad.pem is refused: it holds no certificate in PEM; it is not served" in caplog.text
    assert "the certificate old (old.example.com) expired at 2026-05-31T00:00:00Z" in caplog.text


async def test_without_any_a_self_signed_one_serves(world, caplog):
    world.service.prepare()
    assert world.live() == ["_default.pem"]
    assert "there is no certificate yet" in caplog.text
    assert await world.service.put("a", pem()) == "runtime"
    assert world.states()["a"].default


@pytest.mark.parametrize("content", [b"half a fi", pem(days=-1)])
async def test_a_bad_file_leaves_the_old_one_also_over_a_restart(world, caplog, content: bytes):
    (world.given / "a.pem").write_bytes(pem())
    world.service.prepare()
    served = (world.run / "certs/a.pem").read_text()
    (world.given / "a.pem").write_bytes(content)
    await world.service.look()
    assert "refused" not in caplog.text  # it may be half written
    await world.service.look()
    await world.service.look()
    assert caplog.text.count("a.pem is refused: it ") == 1
    assert world.told == []
    world.start()
    world.service.prepare()
    assert (world.run / "certs/a.pem").read_text() == served


async def test_a_file_that_went_and_came_back_is_served_again(world):
    path, away = world.given / "a.pem", world.given / ".away"
    path.write_bytes(pem())
    world.service.prepare()
    for move in ((path, away), (away, path)):
        move[0].rename(move[1])
        await world.service.look()
    assert list(world.states()) == ["a"]
    assert [line.split(" certs")[0] for line in world.told if "_default" not in line] == [
        "del ssl crt-list", "del ssl cert", "new ssl cert", "set ssl cert", "commit ssl cert", "add ssl crt-list",
    ]  # fmt: skip


async def test_what_comes_by_the_api_is_kept_for_the_next_start(world):
    world.service.prepare()
    assert await world.service.put("a", pem()) == "runtime"
    assert await world.service.put("a", (world.store / "a.pem").read_bytes()) == "none"
    assert (world.store / "a.pem").stat().st_mode & 0o777 == 0o600
    world.start()
    world.service.prepare()
    assert list(world.states()) == ["a"]
    await world.service.remove("a")
    assert list(world.states()) == []
    assert not (world.store / "a.pem").exists()
    with pytest.raises(NotCertifiedError):
        await world.service.remove("a")


async def test_where_haproxy_cannot_change_it_while_it_serves_a_reload_does(world):
    world.service.prepare()
    world.answers["new"] = "Certificate 'certs/a.pem' already exists!"
    assert await world.service.put("a", pem()) == "reload"
    assert world.reloads == 1
    assert "certs/a.pem\n" in (world.run / "certs.list").read_text()


async def test_of_two_for_one_host_the_one_that_ends_last_serves_whichever_was_renewed_last(world):
    world.service.prepare()
    assert await world.service.put("a", pem(days=40)) == "runtime"
    assert await world.service.put("other", pem("other.example.com")) == "runtime"
    # HAProxy's Runtime API would put each change behind what is there.
    for name, days in (("b", 50), ("c", 45), ("b", 55)):
        assert await world.service.put(name, pem(days=days)) == "reload"
    listed = (world.run / "certs.list").read_text().split()[2:]
    assert listed == [f"certs/{name}.pem" for name in ("other", "b", "c", "a")]
    await world.service.remove("b")
    assert world.reloads == 4
    await world.service.remove("c")
    assert world.reloads == 5
    assert await world.service.put("a", pem(days=41)) == "runtime"


async def test_of_two_files_with_one_name_one_is_named_as_not_served(world, caplog):
    for file in ("a.crt", "a.pem", "b.pem"):
        (world.given / file).write_bytes(pem())
    world.service.prepare()
    await world.service.look()
    assert sorted(world.states()) == ["a", "b"]
    said = f"{world.given}/a.pem is not served: a.crt is the certificate a; give one of them another name"
    assert caplog.text.count(said) == 1


async def test_a_failure_leaves_all_as_it_was(world):
    world.service.prepare()
    first = pem()
    await world.service.put("a", first)
    before = {path: path.read_bytes() for path in (*world.run.rglob("*.pem"), *world.store.iterdir())}
    world.answers["set"] = "+ unable to load certificate from file 'certs/a.pem'."
    with pytest.raises(UsageError, match="cannot load it"):
        await world.service.put("a", pem())
    assert world.told[-2:] == ["abort ssl cert certs/a.pem", "abort ssl cert certs/_default.pem"]
    world.answers["set"], world.reload_fails = "The ongoing transaction is about another", True
    with pytest.raises(ProxyError, match="did not take it"):
        await world.service.put("a", pem())
    assert {path: path.read_bytes() for path in (*world.run.rglob("*.pem"), *world.store.iterdir())} == before


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a", pem(days=-1), UsageError, "the certificate a is refused: it expired at 2026-05-31T00:00:00Z"),
        ("a", b"", UsageError, "the certificate a is refused: it holds no certificate in PEM"),
        (
            "a",
            pem().partition(b"-----BEGIN CERT")[0],
            UsageError,
            "the certificate a is refused: it holds no certificate",
        ),
        ("a", bytes(range(256)), UsageError, "the certificate a is refused: it holds no certificate in PEM"),
        ("../a", pem(), UsageError, "the certificate's name '../a' is not allowed"),
        ("given", pem(), ConflictError, "the certificate given is "),
    ],
)
async def test_the_api_refuses_what_cannot_be_served(world, name: str, content: bytes, error, says: str):
    (world.given / "given.pem").write_bytes(pem())
    world.service.prepare()
    with pytest.raises(error) as caught:
        await world.service.put(name, content)
    assert caught.value.message.startswith(says)
    assert not world.store.exists()


async def test_without_tls_nothing_is_written_and_nothing_taken(tmp_path):
    world = World(tmp_path, tls=False)
    world.service.prepare()
    with pytest.raises(ConflictError, match="not served by https"):
        await world.service.put("a", pem())
    assert not world.run.exists()


def test_each_stage_before_the_end_is_warned_of_once(caplog):
    now = [0.0]
    warnings = CertificateWarnings(EventBus(), lambda: now[0])
    certificate = parse("a", [pem(days=40)])
    for days in (0, 5, 11, 12, 34, 39.5, 40.5):
        now[0] = NOW.timestamp() + days * DAY
        warnings.warn({"a": certificate})
    told = [record.getMessage().split(" ")[3:5] for record in caplog.records if " expire" in record.getMessage()]
    assert [words[1] for words in told] == ["expires", "expires", "expires", "expired"]


def test_what_clients_may_refuse_or_not_meet_is_said_once(caplog):
    leaf = AUTHORITY.create_child_ca().issue_cert("leaf.example.com", not_before=NOW + datetime.timedelta(days=1))
    early = parse("leaf", [leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()])
    authority = AUTHORITY.cert_pem.bytes()
    two = {name: parse(name, [pem("a.example.com", days=days), authority]) for name, days in (("a", 50), ("b", 60))}
    warnings = CertificateWarnings(EventBus(), NOW.timestamp)
    for _ in range(2):
        warnings.warn({"leaf": early, **two})
        warnings.warn({"leaf": early, **two, "c": parse("c", [pem("c.example.com"), authority])})
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"the certificate leaf (leaf.example.com) comes without its chain: clients that do not know '{early.issuer}', "
        "its issuer, refuse it; put the issuer's certificate behind it, as in certbot's fullchain.pem",
        "the certificate leaf (leaf.example.com) is refused by clients until 2026-06-02T00:00:00Z",
        "the certificates b, a are for the same host: clients of a.example.com meet b, the one that ends last",
    ]


def test_the_apis_own_certificate_is_renewed_and_its_end_named(tmp_path, caplog):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first, second = (AUTHORITY.issue_cert("api.example.com") for _ in range(2))
    old = AUTHORITY.issue_cert("api.example.com", not_before=NOW - datetime.timedelta(days=9), not_after=NOW)

    def write(pair, own_key=None) -> None:
        cert.write_bytes(pair.cert_chain_pems[0].bytes())
        key.write_bytes((own_key or pair).private_key_pem.bytes())

    write(old)
    context = tls.server_context(str(cert), str(key))
    own = OwnCertificate(context, str(cert), str(key), events=EventBus(), clock=NOW.timestamp)
    own.look()
    own.look()
    assert caplog.text.count(f"the certificate {cert} (api.example.com) expired at 2026-06-01T00:00:00Z") == 1
    write(first)
    own.look()
    assert met(context) == ssl.PEM_cert_to_DER_cert(first.cert_chain_pems[0].bytes().decode())
    write(second, own_key=first)
    for _ in range(3):
        own.look()
    assert caplog.text.count("the API serves on with the certificates of before: ") == 1
    assert met(context) == ssl.PEM_cert_to_DER_cert(first.cert_chain_pems[0].bytes().decode())


def test_an_authority_of_clients_that_comes_into_its_file_is_trusted_without_a_restart(tmp_path, caplog):
    cert, authorities = tmp_path / "cert.pem", tmp_path / "clients.pem"
    AUTHORITY.issue_cert("api.example.com").private_key_and_cert_chain_pem.write_to_path(str(cert))
    first, second = trustme.CA(), trustme.CA()
    first.cert_pem.write_to_path(str(authorities))
    context = tls.server_context(str(cert), "", str(authorities))
    own = OwnCertificate(context, str(cert), "", str(authorities), events=EventBus(), clock=NOW.timestamp)
    shown = {authority: ssl.create_default_context() for authority in (first, second)}
    for authority, client in shown.items():
        authority.issue_cert("ci.example.com").configure_cert(client)
    met(context, shown[first])
    with pytest.raises(ssl.SSLError, match="unable to get local issuer|self.signed"):
        met(context, shown[second])
    authorities.write_text("no authority")
    for _ in range(3):
        own.look()
    assert (
        caplog.text.count(f"serves on with the certificates of before: cannot use the clients' authority {authorities}")
        == 1
    )
    second.cert_pem.write_to_path(str(authorities))
    own.look()
    met(context, shown[second])


def met(context: ssl.SSLContext, client: ssl.SSLContext | None = None) -> bytes:
    """The certificate that a client of this server meets, who is let in."""
    client = client or ssl.create_default_context()
    AUTHORITY.configure_trust(client)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname="api.example.com")
    for _ in range(3):
        for side in (client_side, server_side):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client_side.getpeercert(binary_form=True)


class Store:
    """The registry's key-value store."""

    def __init__(self) -> None:
        self.pairs: dict[str, KvPair] = {}
        self.away = False

    async def kv_put(self, key: str, value: bytes, *, cas: int | None = None) -> bool:
        if self.away:
            raise RegistryError("the registry does not answer")
        if cas == 0 and key in self.pairs:
            return False
        self.pairs[key] = KvPair(key, value, len(self.pairs) + 1, "")
        return True


@pytest.fixture
async def pair_of_proxies(tmp_path):
    """Two that share, and their store."""
    store = Store()
    made = [World(tmp_path / name, registry=store, cipher=Cipher(b"k" * 32)) for name in ("one", "two")]
    for world in made:
        world.service.prepare()
    return (*made, store)


async def test_what_is_put_into_one_proxy_is_in_the_other_and_nothing_is_readable_in_between(pair_of_proxies):
    one, two, store = pair_of_proxies
    secret = pem()
    await one.service.put("a", secret)
    await two.service.take(list(store.pairs.values()))
    assert two.states()["a"].certificate.fingerprint == one.states()["a"].certificate.fingerprint
    (stored,) = store.pairs.values()
    assert stored.key == SHARED + "a"
    assert b"PRIVATE" not in stored.value and secret.splitlines()[1] not in stored.value
    told = len(two.told)
    await two.service.take(list(store.pairs.values()))
    assert len(two.told) == told
    await two.service.remove("a")
    await one.service.take(list(store.pairs.values()))
    assert one.states() == {}
    # Gone for good: who comes back later does not bring it again.
    assert store.pairs[SHARED + "a"].value == b""


async def test_what_was_there_before_it_is_shared_is_shared(pair_of_proxies):
    one, two, store = pair_of_proxies
    store.away = True
    with pytest.raises(ProxyError, match="a is as told in this proxy, but not in the others"):
        await one.service.put("a", pem())
    store.away = False
    await one.service.take([])
    await two.service.take(list(store.pairs.values()))
    assert list(two.states()) == ["a"]


async def test_what_another_key_has_encrypted_or_for_another_name_is_not_served(pair_of_proxies, caplog):
    _, two, store = pair_of_proxies
    (two.given / "file.pem").write_bytes(pem())
    await two.service.look()
    own, other = Cipher(b"k" * 32), Cipher(b"o" * 32)
    for name, value in {
        "foreign": other.encrypt("foreign", pem()),
        "plain": pem(),
        "moved": own.encrypt("else", pem()),
        "file": own.encrypt("file", pem()),
        "../up": own.encrypt("../up", pem()),
    }.items():
        await store.kv_put(SHARED + name, value)
    for _ in range(2):
        await two.service.take(list(store.pairs.values()))
    assert list(two.states()) == ["file"]
    for said in (
        "'foreign' is not served: it is not encrypted by the key of --share-certs",
        "'plain' is not served: it is not encrypted by the key",
        "'moved' is not served: it is that of 'else'",
        "'file' is not served: the certificate file is ",
        "'../up' is not served: its name '../up' is not allowed",
    ):
        assert caplog.text.count(said) == 1, said


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n", 0o600, ""),
        ("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", 0o640, "can be read by others than its owner"),
        ("a2tr", 0o600, "holds no key: 32 bytes in Base64"),
        ("not base64!", 0o600, "holds no key: 32 bytes in Base64"),
        (None, 0, "cannot be read: "),
    ],
)
def test_the_key_to_share_by(tmp_path, content, mode: int, says: str):
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    if not says:
        assert read_key(str(file)) == b"k" * 32
        return
    with pytest.raises(UsageError, match=says):
        read_key(str(file))
