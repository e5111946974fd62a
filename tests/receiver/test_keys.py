"""The keys file: who may send, mistakes by their lines, and no key in any text."""

from pathlib import Path

import pytest

from humbug_agent.receiver.keys import KeysError, one_key, read

OFFICE, SHOP, METRICS = "o" * 16, "s" * 200, "m" * 32


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(mode)
    return path


def test_each_key_is_of_a_pbx(tmp_path: Path) -> None:
    keys = read(
        written(tmp_path, f"# a comment\n\noffice {OFFICE}\n  shop\t{SHOP}  \noffice {OFFICE}2\nmetrics {METRICS}\n")
    )
    assert [keys.sender(key) for key in (OFFICE, f"{OFFICE}2", SHOP, "guess", "")] == [
        "office",
        "office",
        "shop",
        None,
        None,
    ]
    assert keys.sender(METRICS) is None
    assert [keys.may_look(key) for key in (METRICS, OFFICE, "guess")] == [True, False, False]


def test_one_key_is_for_everything() -> None:
    keys = one_key("short")
    assert (keys.sender("short"), keys.sender("guess")) == ("", None)
    assert (keys.may_look("short"), keys.may_look("guess")) == (True, False)


def test_every_mistake_is_named_by_its_line_and_no_key_is_shown(tmp_path: Path) -> None:
    lines = (
        f"office {OFFICE}", f"shop {OFFICE}", f"x {'x' * 15}", f"x {'x' * 201}", f"{'secret' * 20} name",
        "lonely-secret", "a b secret",
    )  # fmt: skip
    with pytest.raises(KeysError) as found:
        read(written(tmp_path, "\n".join(lines), 0o640))
    said = [mistake.removeprefix(f"keys file {tmp_path}/keys") for mistake in found.value.mistakes]
    assert said == [
        f": others than its owner have rights on it; chmod 600 {tmp_path}/keys",
        ", line 2: its key stands in an earlier line, too",
        ", line 3: the key has not 16 to 200 characters",
        ", line 4: the key has not 16 to 200 characters",
        ", line 5: the name is not up to 64 letters, digits, dots, dashes and underscores",
        ", line 6: is not NAME KEY",
        ", line 7: is not NAME KEY",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "has no keys; a line is NAME KEY"), ("# none\n", "has no keys"), ("a \udcff", "is not UTF-8 text")],
)
def test_a_file_without_keys(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(KeysError, match=expected):
        read(written(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=f"^keys file {tmp_path}/keys: No such file or directory$"):
        read(tmp_path / "keys")
