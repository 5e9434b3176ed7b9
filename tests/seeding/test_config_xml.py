from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from jenkins_proxy.seeding import config_xml

JOB = """<flow-definition>
  <description>ours</description>
  <properties/>
  <definition class="Cps"><script>echo 'hi'</script><sandbox>true</sandbox></definition>
</flow-definition>"""
MANAGED = config_xml.MANAGED_PROPERTIES


def difference(current: str | bytes, desired: str = JOB, managed: frozenset = MANAGED) -> list[str]:
    return config_xml.difference(config_xml.parse(current), config_xml.parse(desired), managed)


@pytest.mark.parametrize(
    "current",
    [
        pytest.param(JOB.encode(), id="the same"),
        pytest.param("<?xml version='1.1' encoding='UTF-8'?>\n" + JOB, id="XML 1.1 declaration in text"),
        pytest.param(("<?xml version='1.1' encoding='UTF-8'?>\n" + JOB).encode(), id="XML 1.1 declaration in bytes"),
        pytest.param(b"\xef\xbb\xbf" + JOB.encode(), id="byte order mark"),
        pytest.param(
            JOB.replace("<flow-definition>", '<flow-definition plugin="workflow-job@1308">').replace(
                'class="Cps"', 'class="Cps" plugin="workflow-cps@3691"'
            ),
            id="plugin versions",
        ),
        pytest.param(JOB.replace("\n", "").replace("  ", ""), id="other layout"),
        pytest.param(JOB.replace("<properties/>", "<properties>\n  </properties>"), id="empty, laid out"),
        pytest.param(JOB.replace("<properties/>", ""), id="empty, left out"),
        pytest.param(
            JOB.replace("<properties/>", "<actions/><properties/><disabled>true</disabled>"), id="elements of others"
        ),
        pytest.param(
            JOB.replace("<properties/>", "<properties><a.Matrix><user>x</user></a.Matrix></properties>"),
            id="properties of others",
        ),
    ],
)
def test_what_says_nothing_is_no_difference(current: str | bytes) -> None:
    assert difference(current) == []


@pytest.mark.parametrize(
    "current",
    [
        pytest.param(JOB.replace("echo 'hi'", " echo 'hi'"), id="a space in the script"),
        pytest.param(JOB.replace("echo 'hi'", "echo 'hi'\n"), id="a line end in the script"),
        pytest.param(JOB.replace("ours", "theirs"), id="description"),
        pytest.param(JOB.replace("<sandbox>true</sandbox>", ""), id="an element is missing"),
        pytest.param(JOB.replace('class="Cps"', 'class="Scm"'), id="class"),
        pytest.param(
            JOB.replace("<properties/>", f"<properties><{config_xml.PARAMETERS}/></properties>"),
            id="parameters that should not be there",
        ),
    ],
)
def test_what_matters_is_a_difference(current: str) -> None:
    assert difference(current)


def test_the_order_of_attributes_is_no_difference() -> None:
    assert difference("<a><b x='1' y='2'/></a>", "<a><b y='2' x='1'/></a>") == []


def test_line_ends_of_a_browser_are_no_difference() -> None:
    desired = JOB.replace("ours", "one\ntwo")
    assert difference(JOB.replace("ours", "one&#xd;\ntwo"), desired) == []


def test_a_text_of_spaces_is_a_value() -> None:
    assert difference("<a><b> </b></a>", "<a><b>  </b></a>")
    assert difference("<a><b>  </b></a>", "<a><b>  </b></a>") == []


def test_an_element_that_should_be_empty_may_be_missing_but_not_full() -> None:
    assert difference("<a/>", "<a><regex/></a>") == []
    assert difference("<a><regex>x</regex></a>", "<a><regex/></a>")


def test_the_difference_is_a_unified_diff_of_our_part_only() -> None:
    current = JOB.replace("hi", "ho").replace("<properties/>", "<authToken>s3cret</authToken><properties/>")
    lines = difference(current)
    assert "-    <script>echo 'ho'</script>" in lines
    assert "+    <script>echo 'hi'</script>" in lines
    assert not any("s3cret" in line for line in lines)


def test_properties_are_compared_in_any_order() -> None:
    one, other = f"<{config_xml.PARAMETERS}/>", f"<{config_xml.TRIGGERS}/>"
    current = JOB.replace("<properties/>", f"<properties>{other}{one}</properties>")
    assert difference(current, JOB.replace("<properties/>", f"<properties>{one}{other}</properties>")) == []


def test_parameters_that_a_jenkinsfile_declares_are_left_alone() -> None:
    current = JOB.replace("<properties/>", f"<properties><{config_xml.PARAMETERS}/></properties>")
    assert difference(current, managed=frozenset()) == []


CONTROL = (
    "<?xml version='1.1' encoding='UTF-8'?>\n"
    "<a><log>esc &#x1b;[0m &#27; cr&#xd;\n c1 &#x85; ls \u2028</log><b>x</b></a>"
)


def test_control_characters_that_xml_1_0_refuses_travel_unharmed() -> None:
    with pytest.raises(ET.ParseError):
        ET.fromstring(CONTROL.partition("\n")[2])
    merged = config_xml.overlay(config_xml.parse(CONTROL), config_xml.parse("<a><b>y</b></a>"), frozenset())
    text = config_xml.serialise(merged)
    assert text.startswith("<?xml version='1.1' encoding='UTF-8'?>\n")
    assert "<log>esc &#x1b;[0m &#x1b; cr&#xd;\n c1 &#x85; ls &#x2028;</log><b>y</b>" in text
    assert config_xml.pretty(config_xml.parse(text)) == config_xml.pretty(merged)


def test_raw_control_characters_are_read_too() -> None:
    assert config_xml.serialise(config_xml.parse(b"<a>\x1b</a>")).endswith("<a>&#x1b;</a>\n")


def test_without_control_characters_it_is_xml_1_0() -> None:
    assert config_xml.serialise(config_xml.parse(JOB)).startswith("<?xml version='1.0' encoding='UTF-8'?>\n")


def test_what_is_no_xml_says_where() -> None:
    with pytest.raises(ValueError, match="line 1, column 3"):
        config_xml.parse("<a><")


def test_a_write_keeps_what_is_not_ours() -> None:
    current = config_xml.parse(f"""<folder plugin="f@1"><actions><x/></actions><description>old</description>
        <properties><credentials>keep</credentials><{config_xml.PARAMETERS}><old/></{config_xml.PARAMETERS}></properties>
        <folderViews><views><v/></views></folderViews><disabled>true</disabled></folder>""")
    desired = config_xml.parse(f"""<folder><description>new</description><regex/>
        <properties><{config_xml.PARAMETERS}><new/></{config_xml.PARAMETERS}></properties></folder>""")
    merged = config_xml.overlay(current, desired, MANAGED)
    assert ET.tostring(merged, encoding="unicode") == (
        "<folder><actions><x /></actions><description>new</description><properties><credentials>keep</credentials>"
        f"<{config_xml.PARAMETERS}><new /></{config_xml.PARAMETERS}></properties>"
        "<folderViews><views><v /></views></folderViews><disabled>true</disabled><regex /></folder>"
    )
    assert config_xml.difference(merged, desired, MANAGED) == []
    assert current.findtext("description") == "old"
