"""What a value may be to stand in HAProxy's configuration."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.haproxy.config.template import argument, quoted, word


@pytest.mark.parametrize("value", ["a'b", "a\nb", "a\x00b", "\u00e9"])
def test_quotes_hold_or_the_value_is_refused(value):
    with pytest.raises(UsageError, match="cannot stand in HAProxy's configuration"):
        quoted(value)


@pytest.mark.parametrize("value", ["a'b", 'a"b', "a\\b", "a\nb"])
def test_an_argument_cannot_end_early(value):
    with pytest.raises(UsageError, match="cannot stand in HAProxy's configuration"):
        argument(value)


@pytest.mark.parametrize("value", ["", "a b", "a#b", "a'b", "a\nb", "$HOME", "a\\b", "%[src]", "{", "\u00e9"])
def test_a_word_has_no_sign_with_a_meaning(value):
    with pytest.raises(UsageError, match="not a name or an address"):
        word(value)
