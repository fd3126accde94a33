"""What the tests of the exercise checks share: what a check says of an answer, and that it refuses one by name."""

from helpers import checks


def said(capsys, name, candidate):
    """What the check ``name`` prints about the function ``candidate``."""
    getattr(checks, name)(candidate)
    return capsys.readouterr().out


def assert_caught(capsys, name, candidate, message):
    """The check ``name`` must refuse ``candidate``, and ``message`` stand in what it says."""
    out = said(capsys, name, candidate)
    assert out.startswith(f"{name}: not yet") and message in out, out
