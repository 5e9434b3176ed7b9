"""What a revert says."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.failure import revert


@pytest.mark.parametrize(
    ("names", "images", "text"),
    [
        (["books-ms-app-1"], ["books-ms"], "1 container(s) of image books-ms: books-ms-app-1"),
        (["b", "a"], ["x:1", "x:1"], "2 container(s) of image x:1: a, b"),
        (["b", "a"], ["x:2", "x:1"], "2 container(s) of image x:1, x:2: a, b"),
    ],
)
def test_what_serves_again_is_named_by_containers_and_image(a_container, names, images, text):
    containers = [a_container(name, image=image) for name, image in zip(names, images)]
    assert revert.named(containers) == text
