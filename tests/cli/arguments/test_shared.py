"""How the words of a command are told from its options."""

from __future__ import annotations

import argparse

from jenkins_proxy.cli import scale


def test_the_dash_of_a_smaller_scale_is_no_option():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    scale.add_arguments(parser)

    assert parser.parse_args(["books-ms", "-1"]).amount == "-1"
