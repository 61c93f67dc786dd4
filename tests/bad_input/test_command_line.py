"""The command line refuses what it does not know, in one line and with exit status 2."""

import csv
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from escape_ntk.__main__ import main, parse_seeds
from escape_ntk.records.store import RecordStore


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "no-such-experiment"], "published-figure"),
        (["run", "setup", "--scale", "huge"], "live, full"),
        (["run", "setup", "--seeds", "one"], "1,2,5-8"),
        (["run", "setup", "--seeds", "5-1"], "1,2,5-8"),
        (["run", "setup", "--seeds", "1,8-5"], "1,2,5-8"),
        (["run", "setup", "--seeds", ""], "1,2,5-8"),
        (["run", "setup", "--seeds", "1,"], "1,2,5-8"),
        (["run", "setup", "--seeds", "1000000000"], "below 1 000 000 000"),
        (["run", "setup", "--seeds", "1-999999999"], "100 000 at most"),
        (["run", "setup", "--seeds", "1_0"], "1,2,5-8"),
        (["run", "setup", "--seeds", "٣"], "1,2,5-8"),
        (["records", "no-such-database"], "a folder with records"),
        (["records", "--csv", "a.csv"], "escape-ntk records NAME --csv FILE"),
        (["run", "setup", "--workers", "0"], "workers"),
        (["run", "setup", "--checkpoint-seconds", "-1"], "checkpoint-seconds"),
        (["run", "setup", "--data", "digits"], "leave them out"),
        (["run", "setup", "--root", "somewhere"], "leave them out"),
        (["run", "setup", "--device", "cpu"], "can run on a device:"),
        (["run", "mlp", "--device", "abacus"], "--device cpu anywhere"),
        (["run", "mlp", "--device", "cpu", "--workers", "2"], "leave one out"),
        (["run", "cnn", "--data", "mnist"], "digits, cifar10"),
        (["run", "cnn", "--activation", "tanh"], "relu, gelu"),
        (["run", "setup", "--activation", "relu"], "which has its own"),
        (["run", "cnn", "--data", "made"], "--root DIR"),
        (["run", "cnn", "--device", "abacus"], "--device cpu anywhere"),
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


@pytest.fixture
def one_record(tmp_path) -> list[str]:
    """The first words of a command on a folder with one record."""
    store = RecordStore(tmp_path / "records")
    config = {"seed": 1, "dims": [2, 3]}
    summary = {"a": 0.1, "outcome": "λ", "none": None}
    store.save("mine", config, summary=summary, arrays={"x": np.ones(2)}, wall_seconds=1)
    return ["--records", str(store.root)]


def test_a_record_is_looked_into(one_record, capsys):
    assert main([*one_record, "records"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main([*one_record, "records", "mine"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 record\n")
    assert all(word in out for word in ("config.seed", "summary.a", "array x", "float64 (2,)"))
    assert main([*one_record, "records", "other"]) == 2
    assert "database of records to be one of mine" in capsys.readouterr().err


def test_where_nothing_is_recorded_that_is_said(tmp_path, capsys):
    assert main(["--records", str(tmp_path / "none"), "records"]) == 0
    assert capsys.readouterr().out == f"nothing is recorded below {tmp_path / 'none'}\n"


@pytest.mark.parametrize("command", ["list", "records"])
def test_records_are_below_a_folder(tmp_path, capsys, command):
    (tmp_path / "file").touch()
    assert main(["--records", str(tmp_path / "file"), command]) == 2
    assert "ENOTDIR" in (said := capsys.readouterr().err) and "--records" in said


def test_a_table_reads_back_as_it_was(one_record, tmp_path, capsys):
    path = tmp_path / "a.csv"
    assert main([*one_record, "records", "mine", "--csv", str(path)]) == 0
    (row,) = csv.DictReader(path.read_text("utf-8").splitlines())
    assert float(row["summary.a"]) == 0.1 and row["summary.outcome"] == "λ"
    assert row["summary.none"] == "" and row["config.dims"] == "[2, 3]"
    capsys.readouterr()
    assert main([*one_record, "records", "mine", "--csv", "-"]) == 0
    assert capsys.readouterr().out.splitlines() == path.read_text("utf-8").splitlines()


def test_a_parquet_file_reads_back_as_it_was(one_record, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra 'parquet' is not installed")
    path = tmp_path / "a.parquet"
    assert main([*one_record, "records", "mine", "--parquet", str(path)]) == 0
    (row,) = parquet.read_table(path).to_pylist()
    assert row["summary.a"] == 0.1 and row["config.seed"] == 1 and row["summary.none"] is None


def test_without_pyarrow_the_remedy_is_told(one_record, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([*one_record, "records", "mine", "--parquet", str(tmp_path / "a")]) == 2
    assert "escape-ntk[parquet]" in capsys.readouterr().err and not (tmp_path / "a").exists()


@pytest.mark.parametrize("where", ["folder", "file", "nowhere/a.csv", "file/a.csv"])
def test_a_table_goes_to_a_new_file_or_nowhere(one_record, tmp_path, capsys, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main([*one_record, "records", "mine", "--csv", str(tmp_path / where)]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("expected", "got", "remedy"))
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["-", "x" * 300, "link"])
def test_a_table_that_cannot_be_written_is_refused(one_record, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nothing")
    kind = "--parquet" if name == "-" else "--csv"
    if name == "-":
        pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    before = sorted(tmp_path.rglob("*"))
    assert main([*one_record, "records", "mine", kind, name]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("expected", "got", "remedy"))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_damaged_is_said_in_one_line_each_and_in_the_exit_status(
    one_record, tmp_path, capsys
):
    store = RecordStore(tmp_path / "records")
    store.save("mine", {"seed": 2}, summary={"a": 1.0}, arrays={}, wall_seconds=1)
    for change in ("UPDATE records SET summary = '{}' WHERE config LIKE '%:2%'", "VACUUM"):
        with closing(sqlite3.connect(store.path("mine"), isolation_level=None)) as there:
            there.execute(change)
    assert main([*one_record, "records", "mine", "--csv", "-"]) == 1
    out, said = capsys.readouterr()
    assert len(out.splitlines()) == 2 and said.count("\n") == 1
    assert said.startswith("escape-ntk: warning: expected mine.sqlite, record")
    with closing(sqlite3.connect(store.path("mine"), isolation_level=None)) as there:
        there.execute("DELETE FROM records")
    assert main([*one_record, "records", "mine", "--csv", "-"]) == 2
    assert "records to make a table of" in capsys.readouterr().err


def test_databases_that_cannot_be_looked_into_hide_no_other(one_record, tmp_path, capsys):
    folder = tmp_path / "records"
    (folder / "gone.sqlite").symlink_to("nothing")
    RecordStore(folder).save("odd", {}, summary={}, arrays={}, wall_seconds=1)
    with closing(sqlite3.connect(folder / "odd.sqlite", isolation_level=None)) as there:
        there.execute("UPDATE records SET key = CAST(key AS BLOB)")
    assert main([*one_record, "records"]) == 1
    out, said = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["gone", "0"], ["mine", "1"], ["odd", "0"]
    ]  # fmt: skip
    assert "1 keys that are no text" in said
    assert main([*one_record, "list"]) == 0


def test_a_table_on_the_screen_has_the_bytes_of_the_file(one_record, tmp_path):
    store = RecordStore(tmp_path / "records")
    store.save("greek", {"λ": 1}, summary={}, arrays={}, wall_seconds=1)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = (*one_record, "records", "greek", "--csv")
    assert main([*words, str(tmp_path / "a.csv")]) == 0
    done = command(*words, "-", env=environment)
    assert done.stdout == (tmp_path / "a.csv").read_bytes() and "λ".encode() in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("words", [["records"], ["records", "mine", "--csv", "-"]])
def test_output_that_cannot_be_written_is_said(one_record, words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "escape_ntk", *one_record, *words],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2 and "expected to read and write" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_without_a_screen_nothing_fails(one_record, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main([*one_record, "records"]) == 0
    assert main([*one_record, "records", "mine", "--csv", "-"]) == 2


def command(*arguments: str, **options) -> subprocess.CompletedProcess:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "escape_ntk", *arguments], capture_output=True, **options
    )


def test_help_does_not_wait_for_torch():
    code = "import sys, escape_ntk.__main__ as m; m.parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
    assert b"records" in command("--help").stdout


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_letters_that_a_terminal_lacks_are_spelt(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = command("--records", str(tmp_path), "list", env=environment)
    assert (done.returncode, done.stderr) == (0, b"") and b"\\u03bb" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    pipe = subprocess.Popen(
        [sys.executable, "-m", "escape_ntk", "--records", str(tmp_path), "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    pipe.stdout.close()  # before the first line is printed
    assert pipe.stderr.read() == b"" and pipe.wait() == 0


def test_the_folder_of_records_may_be_named_before_or_after(tmp_path, capsys):
    for words in (["--records", str(tmp_path), "list"], ["list", "--records", str(tmp_path)]):
        assert main(words) == 0
        assert " 0/60 " in capsys.readouterr().out


OPTIONS = [
    *(
        ["run", "mlp", flag]
        for flag in ("--device", "--scheduler", "--data", "--root", "--scale", "--activation")
    ),
    ["records", "curves", "--csv"],
    ["records", "curves", "--parquet"],
    *([command, "--records"] for command in ("list", "claims", "records")),
]


@pytest.mark.parametrize("empty", ["", " ", "\t"])
@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_an_option_left_empty_is_refused(words, empty, capsys, monkeypatch, tmp_path):
    """As by ``--root $FOLDER`` where the variable is not set: never the folder one stands in."""
    monkeypatch.chdir(tmp_path)
    assert main([*words, empty]) == 2
    assert f"expected a value for {words[-1]}; got {empty!r}; remedy" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_name_left_empty_is_refused(capsys, tmp_path):
    for words in (["run", ""], ["records", " "], ["--records", "", "list"]):
        assert main(words) == 2
        assert "expected a value for " in capsys.readouterr().err


def test_claims_without_records_name_the_command(tmp_path, capsys):
    assert main(["--records", str(tmp_path), "claims"]) == 2
    assert "escape-ntk run setup" in capsys.readouterr().err


def test_good_arguments_are_taken(tmp_path, capsys):
    """The control: the same commands with known names do their work."""
    assert main(["--records", str(tmp_path), "list"]) == 0
    assert "published-figure" in capsys.readouterr().out
    assert parse_seeds("1,2,5-8,2") == (1, 2, 5, 6, 7, 8)
