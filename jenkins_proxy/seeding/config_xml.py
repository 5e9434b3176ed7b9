"""config.xml as Jenkins writes it: read whatever it serves, compare what matters, write without losing the rest.

We own the elements that we render. Everything else in a config.xml belongs to Jenkins and to the people who use its
screens (permissions, folder credentials, build actions, whether a job is disabled): a comparison leaves it out, and
a write carries it over untouched. That goes for what stands inside an element of ours, too, where a seed file has no
word for it: how a repository is cloned, triggers of other kinds.

Jenkins writes XML 1.1, which allows ``&#x1b;`` and its like. Python's parser reads XML 1.0 only, so control
characters travel through it as Unicode noncharacters, of which there are exactly 32.
"""

from __future__ import annotations

import copy
import difflib
import re
import xml.etree.ElementTree as ET

# Properties of a job that a spec can describe; all others are left to whoever made them.
PARAMETERS = "hudson.model.ParametersDefinitionProperty"
TRIGGERS = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
MANAGED_PROPERTIES = frozenset({PARAMETERS, TRIGGERS})

_OUR_TRIGGERS = ("hudson.triggers.TimerTrigger", "hudson.triggers.SCMTrigger")
# What is ours inside of an element of ours. The rest of it is rendered for a job that is new.
_OURS_INSIDE = {
    "definition": ("scm", "scriptPath", "lightweight", "script", "sandbox"),
    "scm": ("userRemoteConfigs", "branches"),
    "userRemoteConfigs": ("hudson.plugins.git.UserRemoteConfig",),
    "hudson.plugins.git.UserRemoteConfig": ("url", "credentialsId"),
}

_NONCHARACTER = 0xFDD0
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_RAW_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# What a parser would turn into something else when it stands there as itself.
_FRAGILE = re.compile(r"[\r\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]")


def parse(served: bytes | str) -> ET.Element:
    """Read a config.xml, in normal form: no layout whitespace, no ``plugin="name@version"``, line ends as ``\\n``.

    :param served: bytes as Jenkins sent them (UTF-8, which is all it writes), or text.
    :raises ValueError: for what is no XML, saying where.
    """
    text = served.decode("utf-8", "replace") if isinstance(served, bytes) else served
    text = _REFERENCE.sub(_smuggle_reference, text)
    text = _RAW_CONTROL.sub(lambda match: chr(_NONCHARACTER + ord(match.group())), text)
    try:
        # Not untrusted: it comes from our own template or from the Jenkins we are about to administer.
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    for element in root.iter():
        # Jenkins adds the version of the plugin when it saves, so it says nothing about the configuration.
        element.attrib.pop("plugin", None)
        element.tail = None
        if _is_layout(element):
            element.text = None
    return root


def serialise(root: ET.Element) -> str:
    """The text to send: one that parses back to the same tree, control characters included."""
    version = "1.1" if any(0xFDD0 <= ord(c) <= 0xFDEF for text in root.itertext() for c in text) else "1.0"
    body = _FRAGILE.sub(_reference, ET.tostring(root, encoding="unicode"))
    return f"<?xml version='{version}' encoding='UTF-8'?>\n{body}\n"


def pretty(root: ET.Element) -> str:
    """Indented, attributes sorted, for people and for diffs; a text of several lines stays as it is."""
    shown = copy.deepcopy(root)
    for element in shown.iter():
        element.attrib = dict(sorted(element.attrib.items()))
        element.text = element.text.replace("\r\n", "\n") if element.text else None
    ET.indent(shown)
    return _FRAGILE.sub(_reference, ET.tostring(shown, encoding="unicode")) + "\n"


def completed(current: ET.Element, desired: ET.Element) -> ET.Element:
    """The desired tree with what people have set inside of our elements: what is compared, and laid over."""
    tree = copy.deepcopy(desired)
    there, ours = current.find("definition"), tree.find("definition")
    if there is not None and ours is not None and there.get("class") == ours.get("class"):
        tree[list(tree).index(ours)] = _with_theirs(there, ours)
    properties = tree.find("properties")
    theirs = [
        trigger for trigger in current.findall(f"properties/{TRIGGERS}/triggers/*") if trigger.tag not in _OUR_TRIGGERS
    ]
    if theirs and properties is not None:
        held = properties.find(TRIGGERS)
        if held is None:
            held = ET.SubElement(properties, TRIGGERS)
            ET.SubElement(held, "triggers")
        triggers = held.find("triggers")
        if triggers is not None:
            mine = {trigger.tag: trigger for trigger in triggers}
            order = [trigger.tag for trigger in current.findall(f"properties/{TRIGGERS}/triggers/*")]
            both = [*mine.values(), *copy.deepcopy(theirs)]
            triggers[:] = sorted(both, key=lambda one: order.index(one.tag) if one.tag in order else len(order))
    return tree


def _with_theirs(current: ET.Element, desired: ET.Element) -> ET.Element:
    """An element of ours, in the order of what is there, with the parts of that which are not ours."""
    merged = ET.Element(desired.tag, desired.attrib)
    merged.text = desired.text
    ours, left = _OURS_INSIDE[desired.tag], {part.tag: part for part in desired}
    wanted = frozenset(left)
    for part in current:
        mine = left.pop(part.tag, None)
        if part.tag not in ours or (mine is None and part.tag in wanted):  # the second of several is not ours
            merged.append(copy.deepcopy(part))
        elif mine is not None:
            inside = part.tag in _OURS_INSIDE and part.get("class") == mine.get("class")
            merged.append(_with_theirs(part, mine) if inside else copy.deepcopy(mine))
    merged.extend(copy.deepcopy(part) for part in left.values())
    return merged


def difference(current: ET.Element, desired: ET.Element, managed: frozenset[str]) -> list[str]:
    """A unified diff, from what is there of our elements to what should be; empty when they are equal.

    :param managed: the properties that are ours even when the desired tree has none of them.
    """
    before, after = pretty(_owned(current, desired, managed)), pretty(_ordered(desired, desired))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "in Jenkins", "in the seed file", lineterm="")
    return list(lines)


def overlay(current: ET.Element, desired: ET.Element, managed: frozenset[str]) -> ET.Element:
    """The current tree with our elements put in: what to write over an item that exists."""
    merged = copy.deepcopy(current)
    for element in desired:
        if element.tag == "properties":
            _replace_properties(merged, element, managed)
        else:
            _replace(merged, element)
    return merged


def _owned(current: ET.Element, desired: ET.Element, managed: frozenset[str]) -> ET.Element:
    """The current tree without what is not ours, in the desired tree's order."""
    owned = ET.Element(current.tag, current.attrib)
    for element in desired:
        existing = current.find(element.tag)
        if element.tag == "properties":
            ours = managed | {prop.tag for prop in element}
            kept = ET.SubElement(owned, "properties", element.attrib)
            kept.extend(prop for prop in (existing if existing is not None else ()) if prop.tag in ours)
        elif existing is not None:
            owned.append(existing)
        elif not len(element) and not element.text and not element.attrib:
            # Jenkins leaves out what is empty.
            ET.SubElement(owned, element.tag)
    return _ordered(owned, desired)


def _ordered(tree: ET.Element, like: ET.Element) -> ET.Element:
    """A copy whose properties stand in one order: Jenkins' own order says nothing."""
    ordered = copy.deepcopy(tree)
    properties = ordered.find("properties")
    if properties is not None and like.find("properties") is not None:
        properties[:] = sorted(properties, key=lambda prop: prop.tag)
    return ordered


def _replace_properties(merged: ET.Element, desired: ET.Element, managed: frozenset[str]) -> None:
    properties = merged.find("properties")
    if properties is None:
        properties = ET.SubElement(merged, "properties")
    ours = managed | {prop.tag for prop in desired}
    properties[:] = [prop for prop in properties if prop.tag not in ours] + [copy.deepcopy(prop) for prop in desired]


def _replace(merged: ET.Element, element: ET.Element) -> None:
    existing: ET.Element | None = merged.find(element.tag)
    if existing is None:
        merged.append(copy.deepcopy(element))
    else:
        merged[list(merged).index(existing)] = copy.deepcopy(element)


def _is_layout(element: ET.Element) -> bool:
    if element.text is None or element.text.strip():
        return False
    # `<script>  </script>` is a value; a line end with nothing else in a leaf is an empty element laid out.
    return len(element) > 0 or "\n" in element.text


def _smuggle_reference(match: re.Match[str]) -> str:
    code = int(match.group(1), 16) if match.group(1) else int(match.group(2))
    return chr(_NONCHARACTER + code) if code < 0x20 and code not in (0x9, 0xA, 0xD) else match.group()


def _reference(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"&#x{code - _NONCHARACTER if 0xFDD0 <= code <= 0xFDEF else code:x};"
