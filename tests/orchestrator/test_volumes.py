"""Which volumes nobody has named: by the files, the image, and what runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jenkins_proxy.orchestrator.volumes import anonymous, unnamed

HEX = "c0ffee" * 10 + "beef"


def container(*mounts, binds=(), told=()):
    return {"HostConfig": {"Binds": list(binds), "Mounts": list(told)}, "Mounts": list(mounts)}


def volume(name: str, path: str):
    return {"Type": "volume", "Name": name, "Destination": path}


def engine(*volumes: str):
    """One whose image ``books`` has these volumes; it has no other."""
    books = {"Config": {"Volumes": dict.fromkeys(volumes, {}) or None}}
    return SimpleNamespace(image={"books": books}.get)


@pytest.mark.parametrize(
    "app, image, paths",
    [
        pytest.param({}, (), (), id="none"),
        pytest.param({}, ("/data", "/log/"), ("/data", "/log"), id="the image's"),
        pytest.param({"volumes": ["/data"]}, (), ("/data",), id="a path alone"),
        pytest.param({"volumes": [{"type": "volume", "target": "/data"}]}, (), ("/data",), id="the long form"),
        pytest.param({"volumes": ["db:/data:rw", "./log:/log/"]}, ("/data", "/log"), (), id="something is named"),
        pytest.param({"volumes": [{"type": "bind", "source": "/a", "target": "/data"}]}, ("/data",), (), id="bound"),
        pytest.param({"volumes": [{"type": "tmpfs", "target": "/data"}]}, ("/data",), (), id="of memory"),
        pytest.param({"tmpfs": ["/data:size=1m"]}, ("/data",), (), id="tmpfs"),
        pytest.param({"tmpfs": "/data"}, ("/data",), (), id="tmpfs in short"),
        pytest.param({"volumes_from": ["files:ro"]}, ("/data", "/log"), ("/log",), id="another service's"),
        pytest.param({"volumes_from": ["service:files:ro"]}, ("/data", "/log"), ("/log",), id="as v1 prints it"),
        pytest.param({"volumes_from": ["app"], "volumes": ["/data"]}, (), ("/data",), id="that ends"),
    ],
)
def test_unnamed(app, image, paths):
    services = {"app": {"image": "books", **app}, "files": {"volumes": ["/data"]}}
    assert unnamed(services, "app", engine(*image), []) == paths


def test_what_a_container_has_counts_while_its_image_is_not_there():
    assert unnamed({"app": {"image": "gone"}}, "app", engine(), [container(volume(HEX, "/data"))]) == ("/data",)
    assert unnamed({"app": {"volumes": ["db:/data"]}}, "app", engine(), [container(volume(HEX, "/data"))]) == ()


@pytest.mark.parametrize(
    "found, names",
    [
        pytest.param(container(volume(HEX, "/data")), [HEX], id="made by the engine"),
        pytest.param(container(volume(HEX, "/data"), binds=[f"{HEX}:/data:rw"]), [HEX], id="taken over by v1"),
        pytest.param(
            container(volume(HEX, "/data"), told=[{"Type": "volume", "Source": HEX, "Target": "/data"}]),
            [HEX],
            id="taken over by v2",
        ),
        pytest.param(container(volume("books_db", "/data"), binds=["books_db:/data"]), [], id="named"),
        pytest.param(container({"Type": "bind", "Source": "/a", "Destination": "/data"}), [], id="no volume"),
    ],
)
def test_anonymous(found, names):
    assert [mount["Name"] for mount in anonymous(found)] == names
