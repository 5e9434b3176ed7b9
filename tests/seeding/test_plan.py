from __future__ import annotations

import pytest

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding import config_xml
from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW, Item, Present
from jenkins_proxy.seeding.plan import CHANGE, CREATE, DELETE, Action, only, overtaken, plan, prune

JOB_XML = "<flow-definition><description>d</description></flow-definition>"
FOLDER_XML = JOB_XML.replace("flow-definition", "com.cloudbees.hudson.plugins.folder.Folder")


def item(path: str, kind: str = JOB, xml: str = JOB_XML, **more) -> Item:
    return Item(kind, path, config_xml.parse(FOLDER_XML if kind == FOLDER else xml), **more)


def lines(items: list[Item], present: list[Present], configs: dict | None = None) -> list[str]:
    served = {one.key: JOB_XML.encode() for one in present}
    return [str(action) for action in plan(items, present, {**served, **(configs or {})}, "me")]


JOB_KEY = ("item", "j")
BROWSERS = JOB_XML.replace(">d<", ">changed&#xd;\nby hand<").encode()

FOLDERS = FOLDER_XML.replace(">d<", ">theirs<").encode()
BY_HAND = "made by hand: --adopt takes it over and keeps its config.xml, or rename one of the two"


@pytest.mark.parametrize(
    ("wanted", "there", "config", "line"),
    [
        pytest.param(item("j"), [], None, "+ j", id="new"),
        pytest.param(item("j"), [Present(JOB, "j", "me")], None, "= j", id="the same"),
        pytest.param(item("j"), [Present(JOB, "j")], None, "= j", id="made by people, but the same"),
        pytest.param(item("j"), [Present(JOB, "j", "me")], BROWSERS, "~ j (3 lines)", id="changed by hand"),
        pytest.param(
            item("j"),
            [Present(JOB, "j")],
            BROWSERS,
            f"! j ({BY_HAND})",
            id="made by people",
        ),
        pytest.param(item("j", FOLDER), [Present(FOLDER, "j")], FOLDERS, f"! j/ ({BY_HAND})", id="their folder"),
        pytest.param(item("j", VIEW), [Present(VIEW, "j")], BROWSERS, f"! view j ({BY_HAND})", id="their view"),
        pytest.param(item("j"), [Present(JOB, "j")], b"<flow", f"! j ({BY_HAND})", id="their broken XML"),
        pytest.param(
            item("j"), [Present(JOB, "j", "other")], None, "! j (it belongs to the seed other)", id="of another seed"
        ),
        pytest.param(
            item("j"),
            [Present(JOB, "J", "me")],
            None,
            "! j (Jenkins has it as J, and does not tell upper from lower case)",
            id="other case",
        ),
        pytest.param(
            item("a/j"),
            [Present(FOLDER, "A"), Present(JOB, "A/j")],
            None,
            "! a/j (Jenkins has it as A/j, and does not tell upper from lower case)",
            id="folder of other case",
        ),
        pytest.param(item("j"), [Present(VIEW, "J")], None, "+ j", id="a view's name is no job's"),
        pytest.param(item("j", VIEW), [Present(VIEW, "J")], None, "+ view j", id="views tell upper from lower case"),
        pytest.param(
            item("j"),
            [Present(FOLDER, "j")],
            None,
            "! j (Jenkins has a folder of that name: rename or delete it)",
            id="a folder in the way",
        ),
        pytest.param(
            item("j", FOLDER),
            [Present(JOB, "j")],
            None,
            "! j/ (Jenkins has a job of that name: rename or delete it)",
            id="a job in a folder's way",
        ),
        pytest.param(
            item("j"),
            [Present(JOB, "j")],
            b"<project/>",
            "! j (Jenkins has a project of that name, not a flow-definition: rename or delete it)",
            id="freestyle",
        ),
        pytest.param(
            item("j"),
            [Present(JOB, "j", "me")],
            JenkinsServerError("cannot read it"),
            "! j (cannot read it)",
            id="unreadable",
        ),
        pytest.param(
            item("j"),
            [Present(JOB, "j", "me")],
            b"<flow",
            "~ j (written anew, as what is there is no XML: unclosed token: line 1, column 0)",
            id="broken XML",
        ),
        pytest.param(
            item("j", FOLDER, only_present=True),
            [Present(FOLDER, "j", "other")],
            None,
            "= j/",
            id="a folder that only has to be there",
        ),
    ],
)
def test_each_item_gets_its_line(wanted: Item, there: list[Present], config: object, line: str) -> None:
    assert lines([wanted], there, {wanted.key: config} if config is not None else None) == [line]


@pytest.mark.parametrize(
    ("wanted", "config", "line"),
    [
        (item("j"), BROWSERS, "~ j (3 lines; made by hand, taken over)"),
        (item("j", FOLDER), FOLDERS, "~ j/ (2 lines; made by hand, taken over)"),
        (item("j", VIEW), BROWSERS, "~ view j (3 lines; made by hand, taken over)"),
        (
            item("j"),
            b"<flow",
            "~ j (written anew, as what is there is no XML: unclosed token: line 1, column 0; "
            "made by hand, taken over)",
        ),
    ],
)
def test_what_people_made_is_adopted_when_that_is_asked_for(wanted: Item, config: bytes, line: str) -> None:
    (action,) = plan([wanted], [Present(wanted.kind, "j")], {wanted.key: config}, "me", adopt=True)
    assert (str(action), action.before) == (line, config)
    (action,) = plan([wanted], [Present(wanted.kind, "j", "other")], {wanted.key: config}, "me", adopt=True)
    assert (action.symbol, action.before) == ("!", b""), "what another seed owns is not made by hand"
    (action,) = plan([wanted], [Present(wanted.kind, "j", "me")], {wanted.key: config}, "me", adopt=True)
    assert (action.symbol, action.before) == ("~", b""), "what is ours needs no adoption"


def test_a_change_writes_what_others_made_too() -> None:
    served = JOB_XML.replace("<description>d", "<disabled>true</disabled><description>x").encode()
    (action,) = plan([item("j")], [Present(JOB, "j", "me")], {JOB_KEY: served}, "me")
    assert "<disabled>true</disabled><description>d</description>" in action.xml
    assert "+  <description>d</description>" in action.diff


def test_only_takes_the_folders_of_what_it_chose() -> None:
    items = [item("a", FOLDER), item("b", FOLDER), item("a/c", FOLDER), item("a/c/j"), item("b/j"), item("a/v", VIEW)]
    assert [one.path for one in only(items, "a/c/*")] == ["a", "a/c", "a/c/j"]
    assert only(items, "*") == items


def test_only_that_chooses_nothing_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"--only x/\*: nothing in the seed file matches"):
        only([item("j")], "x/*")


def pruned(items: list[Item], present: list[Present], glob: str = "*", most: float = 100) -> list[str]:
    return [str(action) for action in prune(items, present, "me", glob, most)]


def test_prune_deletes_only_what_this_seed_owns() -> None:
    present = [
        Present(JOB, "mine", "me"),
        Present(JOB, "kept", "me"),
        Present(JOB, "theirs", "other"),
        Present(JOB, "hand"),
    ]
    assert pruned([item("kept")], present) == ["- mine (no longer seeded)"]


def test_prune_takes_children_before_folders_and_folders_only_when_empty() -> None:
    present = [
        Present(FOLDER, "a", "me"),
        Present(FOLDER, "a/b", "me"),
        Present(JOB, "a/b/j", "me"),
        Present(VIEW, "a/All"),
        Present(VIEW, "a/v", "me"),
        Present(FOLDER, "c", "me"),
        Present(JOB, "c/by-hand"),
        Present(FOLDER, "d", "me"),
        Present(FOLDER, "d/e", "me"),
        Present(VIEW, "d/e/by-hand"),
        Present(JOB, "kept", "me"),
    ]
    assert pruned([item("kept")], present) == [
        "- a/b/j (no longer seeded)",
        "- view a/v (no longer seeded)",
        "- a/b/ (no longer seeded)",
        "= d/e/ (no longer seeded, but holds what others made)",
        "- a/ (no longer seeded)",
        "= c/ (no longer seeded, but holds what others made)",
        "= d/ (no longer seeded, but holds what others made)",
    ]


def test_a_folder_that_stays_does_not_count_as_deleted() -> None:
    present = [Present(FOLDER, "c", "me"), Present(JOB, "c/by-hand"), Present(JOB, "kept", "me")]
    assert len(pruned([item("kept")], present, most=0)) == 1


def test_prune_keeps_to_only() -> None:
    present = [Present(JOB, "a/1", "me"), Present(JOB, "b/1", "me")]
    assert pruned([item("x")], present, "a/*") == ["- a/1 (no longer seeded)"]


def test_prune_refuses_too_much() -> None:
    present = [Present(JOB, name, "me") for name in "abc"]
    assert len(pruned([item("a"), item("b")], present, most=34)) == 1
    with pytest.raises(UsageError, match="would delete 1 of the 3 items of seed me, more than 33 %") as caught:
        pruned([item("a"), item("b")], present, most=33)
    assert caught.value.hint == "if that is meant: --max-prune 34"


def test_prune_refuses_an_empty_file_whatever_may_go() -> None:
    with pytest.raises(UsageError, match="with a seed file that has no jobs would delete 1 items of seed me"):
        pruned([item("f", FOLDER)], [Present(JOB, "a", "me")], most=100)
    assert pruned([], [Present(JOB, "a", "other")]) == []


@pytest.mark.parametrize(
    ("tried", "there", "left"),
    [
        pytest.param(CREATE, [Present(JOB, "j", "me")], ["= j"], id="made by another run of ours"),
        pytest.param(CREATE, [Present(JOB, "j", "other")], ["! j (it belongs to the seed other)"], id="by other seed"),
        pytest.param(CREATE, [Present(FOLDER, "j")], ["! j (Jenkins has a folder of that name: rename or delete it)"],
                     id="another thing"),
        pytest.param(CREATE, [], [], id="not there: Jenkins refuses it"),
        pytest.param(CHANGE, [], ["+ j"], id="deleted"),
        pytest.param(CHANGE, [Present(JOB, "j", "me")], ["= j"], id="changed to the same"),
        pytest.param(DELETE, [], ["= j (is gone already)"], id="deleted by another run"),
        pytest.param(DELETE, [Present(JOB, "j", "me")], [], id="still there: Jenkins refuses that"),
    ],
)  # fmt: skip
def test_what_is_left_where_others_wrote_at_the_same_moment(tried, there, left):
    items = [] if tried == DELETE else [item("j")]
    now = plan(items, there, {one.key: JOB_XML.encode() for one in there}, "me")
    assert [str(action) for action in overtaken([Action(tried, JOB, "j")], now, there)] == left
