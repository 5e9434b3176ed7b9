"""A field of a route with all of its names: what a row of the table in :mod:`.table` is. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route

LABEL_PREFIX = "com.jenkins-proxy."
DOCKER_FLOW_LABEL_PREFIX = "com.df."
"""Of the labels that Docker Flow: Swarm Listener reads: behind it stands Docker Flow: Proxy's parameter."""
MAX_VALUES = 100
"""How many paths, and how many domains, a route may have."""
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")

Check = Callable[[Any, str], object]
"""Takes a value and what its giver calls it; raises UsageError when the value is not allowed."""


class Kind(StrEnum):
    """What a field holds: text, texts, true or false, or a number of seconds."""

    TEXT = "text"
    LIST = "list"
    FLAG = "flag"
    SECONDS = "seconds"


DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(Route) if field.default is not dataclasses.MISSING
}
"""What a route has that does not say, by field."""


@dataclass(frozen=True)
class RouteOption:
    """A field of a route, and all of its names.

    :ivar name: the field of :class:`~jenkins_proxy.model.Route`, which is also the key in JSON.
    :ivar meaning: in words, for the help of the command line, the Jenkins steps and the documentation.
    :ivar check: the grammar of one value; paths, whose grammar depends on ``path_type``, are checked elsewhere.
    :ivar cli: the option of the command line; empty where there is none. The key of the Jenkins steps and the label
        are made from it.
    :ivar metavar: what the command line's help calls the value.
    :ivar docker_flow: the parameter of Docker Flow: Proxy; empty where it has none.
    :ivar docker_flow_old: an older name of that parameter.
    :ivar docker_flow_answer: the field of Docker Flow: Proxy's answer that repeats the parameter.
    :ivar labelled: whether a label of the target in the compose file can give it. What leads to a service is said by
        whoever deploys it, and has no label.
    :ivar choices: the only values allowed, for the help.
    :ivar docker_flow_separators: what stands between the items of a list in that parameter.
    """

    name: str
    kind: Kind
    meaning: str
    check: Check
    cli: str = ""
    metavar: str = ""
    docker_flow: str = ""
    docker_flow_old: str = ""
    docker_flow_answer: str = ""
    labelled: bool = False
    choices: tuple[str, ...] = ()
    docker_flow_separators: str = ","

    @property
    def default(self) -> Any:
        """The value of a route that does not say; empty for the service, which every route says."""
        return DEFAULTS.get(self.name, "")

    @property
    def default_text(self) -> str:
        """The default as a person would type it; empty where it is nothing."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else "".join(self.default)

    @property
    def groovy(self) -> str:
        """The key of the Jenkins steps: ``slowStart``; empty where there is none."""
        if self.name == "service":
            return self.name
        return re.sub(r"-(\w)", lambda match: match.group(1).upper(), self.cli.lstrip("-"))

    @property
    def label(self) -> str:
        """The compose label: ``com.jenkins-proxy.slow-start``; empty where there is none."""
        return LABEL_PREFIX + self.cli.lstrip("-") if self.labelled else ""

    def items(self, text: str, separators: str = ",") -> tuple[str, ...]:
        """The items of a list in a text, empty ones included; ``\\,`` is a comma within an item.

        :param separators: each of these signs stands between two items.
        """
        parts = re.split(rf"(?<!\\)[{re.escape(separators)}]", text)
        return tuple(re.sub(rf"\\([{re.escape(separators)}])", r"\1", part).strip(" ") for part in parts)

    def parse(self, text: str) -> Any:
        """The value that a text stands for. Where it stands for none, the text itself, which :attr:`check` refuses."""
        if self.kind is Kind.LIST:
            return tuple(item for item in self.items(text) if item)
        if self.kind is Kind.FLAG:
            return {"true": True, "false": False}.get(text, text)
        if self.kind is Kind.SECONDS:
            return float(text) if _NUMBER.fullmatch(text) else text
        return text


def optional(rule: validation.Rule) -> Check:
    """A text that may be empty."""
    return lambda value, parameter: value == "" or validation.check(rule, parameter, value)


def one_of(choices: Collection[str]) -> Check:
    """One of a few words."""

    def check_choice(value: Any, parameter: str) -> None:
        if value not in choices:
            raise validation.not_allowed(parameter, value, ", ".join(choice for choice in choices if choice))

    return check_choice


def list_of(check: Check | None = None) -> Check:
    """A list of what a check allows; of anything where there is none."""

    def check_list(values: Any, parameter: str) -> None:
        if not isinstance(values, tuple):
            raise validation.not_allowed(parameter, values, "a list")
        if len(values) > MAX_VALUES:
            raise UsageError(f"{parameter}: {len(values)} values: {MAX_VALUES} at the most are allowed")
        if check:
            for value in values:
                check(value, parameter)

    return check_list
