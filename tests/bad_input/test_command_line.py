"""The command line refuses what it does not know, in one line and with exit status 2."""

import pytest

from escape_ntk.__main__ import main, parse_seeds


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "no-such-experiment"], "published-figure"),
        (["run", "setup", "--scale", "huge"], "live, full"),
        (["run", "setup", "--seeds", "one"], "1,2,5-8"),
        (["run", "setup", "--seeds", "5-1"], "1,2,5-8"),
        (["run", "setup", "--workers", "0"], "workers"),
        (["run", "setup", "--checkpoint-seconds", "-1"], "checkpoint-seconds"),
        (["run", "setup", "--data", "digits"], "leave them out"),
        (["run", "setup", "--root", "somewhere"], "leave them out"),
        (["run", "setup", "--device", "cpu"], "side by side on one device: mlp"),
        (["run", "mlp", "--device", "abacus"], "--device cpu anywhere"),
        (["run", "mlp", "--device", "cpu", "--workers", "2"], "leave one out"),
        (["run", "cnn", "--data", "mnist"], "digits, cifar10"),
        (["run", "cnn", "--root", "somewhere"], "--data cifar10"),
        (["run", "cnn", "--data", "cifar10"], "University of Toronto"),
        (["run", "cnn", "--data", "cifar10", "--root", "no-folder"], "no-folder"),
        (["run", "cnn", "--data", "cifar10", "--root", "."], "cifar-10-binary.tar.gz"),
    ],
)
def test_refusals_teach(arguments, word, tmp_path, capsys):
    assert main(["--records", str(tmp_path), *arguments]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("expected", "got", "remedy", word))
    assert not list(tmp_path.iterdir())


def test_claims_without_records_name_the_command(tmp_path, capsys):
    assert main(["--records", str(tmp_path), "claims"]) == 2
    assert "escape-ntk run setup" in capsys.readouterr().err


def test_good_arguments_are_taken(tmp_path, capsys):
    """The control: the same commands with known names do their work."""
    assert main(["--records", str(tmp_path), "list"]) == 0
    assert "published-figure" in capsys.readouterr().out
    assert parse_seeds("1,2,5-8,2") == (1, 2, 5, 6, 7, 8)
