"""What bytes say: UTF-8 as far as it goes, U+FFFD for what was cut, Windows-1252 for the rest, or a charset."""

import encodings
import pkgutil
import re
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humbug_agent.text import carried, keeps_ascii, mended, text

CASE = "Отдел 1: Общество с ограниченной ответственностью"

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# What names are made of, so that bytes of several charsets stand side by side.
pieces = st.sampled_from(
    [b"", b"a", b"Bob", b" ", b'" <101>', b"\\", b"\x80", b"\x81", b"\x93", b"\x94", b"\xa0", b"\xbb", b"\xc0", b"\xc3",
     b"\xd0", b"\xe2", b"\xe2\x82", b"\xe9", b"\xed\xa0\x80", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf4\x90", b"\xff",
     "ü".encode(), "Ж".encode(), "日".encode(), "😀".encode(), "�".encode()]
)  # fmt: skip
mixed = st.lists(pieces, max_size=8).map(b"".join) | st.binary(max_size=40)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", ""),
        (b"Bob", "Bob"),
        ("Zürich, 東京 😀".encode(), "Zürich, 東京 😀"),
        # Cut by a field's end, before the number, before what was joined to it.
        ("Отдел".encode()[:-1], "Отде�"),
        ("東京".encode()[:-1], "東�"),
        ("東京".encode()[:-2], "東�"),
        ("é😀".encode()[:-3], "é�"),
        ("é😀".encode()[:-1], "é�"),
        (b'"' + CASE.encode()[:76] + b'" <101>', '"Отдел 1: Общество с ограниченной ответств�" <101>'),
        ("Отдел".encode()[:-1] + b"&" + "Отдел".encode()[:-3] + b",20", "Отде�&Отд�,20"),
        ("Отдел".encode()[:-1] + b"&PJSIP/202", "Отде�&PJSIP/202"),
        ("Отдел".encode()[:-1] + "Отдел".encode(), "Отде�Отдел"),
        ("Отдел".encode()[:-1] + b"Dial", "Отде�Dial"),
        ("Отдел".encode()[:-1] + "東京".encode()[:-2] + b"!", "Отде�東�!"),
        # Two bytes or more of a character are cut whatever stands beside them.
        ("10 €".encode()[:-1], "10 �"),
        ("John 😀".encode()[:-1], "John �"),
        ("John 😀".encode()[:-2] + b'" <101>', 'John �" <101>'),
        # Latin-1 and Windows-1252.
        (b"M\xfcller Stra\xdfe", "Müller Straße"),
        (b"caf\xe9", "café"),
        (b'"Jos\xe9" <101>', '"José" <101>'),
        (b"Jos\xe9 Mar\xeda", "José María"),
        (b"\xc9tienne", "Étienne"),
        (b"S\xc3O PAULO", "SÃO PAULO"),
        (b"\x93Caf\xe9\x94", "“Café”"),
        (b"\xabcaf\xe9\xbb", "«café»"),
        (b"l\x92\xe9t\xe9\xa0!", "l’été\xa0!"),
        (b"10 \x80 \x85 \x96 \x8a\x9a", "10 € … – Šš"),
        (b"\x81\x8d\x8f\x90\x9d", "�����"),
        (b"bad \xff\xfe bytes \xc3", "bad ÿþ bytes Ã"),
        # Both in one value.
        ("Отдел ".encode() + b"\x93A\x94", "Отдел “A”"),
        ("Büro ".encode() + b"M\xfcller", "Büro Müller"),
        ("Büro ".encode() + b"Jos\xe9phine", "Büro Joséphine"),
        ("Büro ".encode() + b"\xc9tienne", "Büro Étienne"),
        ("Büro ".encode() + b"\xff\xbb\xa7", "Büro ÿ»§"),
        # A program has replaced what was no UTF-8, and says nothing about the rest by that.
        ("Jos� ".encode() + b"Andr\xe9", "Jos� André"),
        # What looks like UTF-8 and is none: too long, half a pair, beyond Unicode.
        (b"\xc0\xaf", "À¯"),
        (b"\xf5\x80", "õ€"),
    ],
)
def test_each_value_says_what_it_most_likely_means(raw: bytes, said: str) -> None:
    assert text(raw) == said
    assert mended(carried(raw)) == said


@given(words)
def test_utf_8_comes_back(said: str) -> None:
    assert text(said.encode()) == mended(carried(said.encode())) == said


@given(words, st.integers(0))
@example("a\0ü", 3)
def test_a_cut_at_any_byte_costs_one_character(said: str, at: int) -> None:
    raw = said.encode()
    kept = raw[: at % (len(raw) + 1)]
    whole = kept.decode("utf-8", "ignore")
    rest = kept[len(whole.encode()) :]
    found = text(kept)
    if len(rest) == 1 and not re.search("[^\0-\x7f\ufffd]", whole):
        # Nobody can tell: so it may be a letter of Latin-1, and is.
        assert found == whole + rest.decode("latin-1")
    else:
        assert found == whole + "�" * bool(rest)


@given(words.filter(lambda said: not said.isascii() and "�" not in said), words, words)
def test_pieces_that_were_cut_and_joined_lose_a_character_each(one: str, other: str, more: str) -> None:
    cut = "東".encode()[:-1]
    raw = one.encode() + cut + b", " + other.encode() + cut + b'" <' + more.encode()
    assert text(raw) == f'{one}�, {other}�" <{more}'


@given(mixed)
def test_any_bytes_are_text_and_no_ascii_is_lost(raw: bytes) -> None:
    said = text(raw)
    said.encode()
    assert [char for char in said if char.isascii()] == [chr(byte) for byte in raw if byte < 128]
    assert mended(carried(raw)) == said
    # What is UTF-8 in it stays, in order.
    utf8 = [char for char in raw.decode("utf-8", "ignore") if not char.isascii()]
    rest = iter(said)
    if any(char != "�" for char in utf8):
        assert all(char in rest for char in utf8)


@given(mixed, st.sampled_from(["cp1251", "koi8-r", "gbk", "big5", "shift_jis", "euc_kr", "gb18030", "cp1252", "ascii"]))
def test_no_charset_fails(raw: bytes, charset: str) -> None:
    said = text(raw, charset)
    said.encode()
    assert mended(carried(raw, charset), charset) == said
    assert raw.decode("ascii", "ignore") == said or not raw.isascii()


SAID = {
    "cp1251": ("Отдел продаж", "Пётр «Ромашка»", "№ 5"),
    "koi8-r": ("Отдел продаж", "ёлка"),
    "cp866": ("Отдел продаж",),
    "iso8859-5": ("Отдел продаж",),
    "iso8859-2": ("Łódź", "Čapek"),
    "cp1255": ("שלום",),
    "cp1253": ("Καλημέρα",),
    "gbk": ("张三", "客服中心", "小", "小李", "谢谢", "a小b", "镕"),
    "gb18030": ("㐀张", "客服"),
    "big5": ("許功蓋", "客服中心"),
    "shift_jis": ("ソ表示", "山田", "ﾔﾏﾀﾞ"),
    "euc_jp": ("山田", "ソ"),
    "euc_kr": ("김철수",),
}


@pytest.mark.parametrize(("charset", "said"), [(one, said) for one, many in SAID.items() for said in many])
def test_a_charset_reads_its_own(charset: str, said: str) -> None:
    for around in ("{}", '"{}" <101>', "Dial({},20)"):
        assert text(around.format(said).encode(charset), charset) == around.format(said)
    # Some texts of such a PBX are UTF-8 all the same, and these are cut, too.
    longer = f"{said} 東京 {said}"
    assert text(longer.encode(), charset) == longer
    assert text(longer.encode() + "東".encode()[:-1], charset) == longer + "�"


@given(st.text("абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ 1a-", max_size=20))
def test_russian_comes_back(said: str) -> None:
    for charset in ("cp1251", "koi8-r"):
        assert text(said.encode(charset), charset) == said
        assert text(said.encode(), charset) == said


RUSSIAN = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
# A small vowel before the end is two bytes that make no word in any of these charsets.
russian_words = st.builds(
    "{}{}{}".format, st.text(RUSSIAN, min_size=1), st.sampled_from("аеиоу"), st.text(RUSSIAN, min_size=1)
)
cases = st.sampled_from([str.lower, str.capitalize, str.upper])
names = st.builds(lambda word, case: case(word), st.text(f"{RUSSIAN}ёіїєґ", min_size=1, max_size=8), cases).flatmap(
    lambda word: st.sampled_from([word, f"«{word}»", f"{word}№", f"{word} — {word}", f"{word}’{word}"])
)


@pytest.mark.parametrize("charset", ["cp1251", "koi8-r", "iso8859-5"])
@given(russian_words, russian_words, st.booleans())
@example("ты", "ты", True)
@example("отдел", "продаж", False)
def test_a_word_in_the_charset_and_one_in_utf_8_are_each_read_as_they_are(
    charset: str, one: str, other: str, first: bool
) -> None:
    pieces = [one.encode(charset), other.encode()]
    said = [one, other]
    if not first:
        pieces, said = pieces[::-1], said[::-1]
    assert text(b" ".join(pieces), charset) == " ".join(said)


@given(names, names)
@example("КІЛІЯ", "ЛІСІ")
@example("В»", "Г№")
@example("В", "ЕЁ ЛЁСЁ")
def test_what_may_be_the_charset_is_never_taken_for_utf_8(one: str, other: str) -> None:
    for said in (f"«Отдел» {one} {other}", f"{one}-«отдел» {other}"):
        assert text(said.encode("cp1251"), "cp1251") == said


def test_of_cp_866_the_same() -> None:
    """Some words of it are UTF-8, too, of which nobody can tell."""
    assert text("продаж ".encode() + "отдел".encode("cp866"), "cp866") == "продаж отдел"
    assert text("продаж ".encode("cp866") + "отдел".encode(), "cp866") == "продаж отдел"


def test_a_character_cut_at_the_end_of_a_run_is_one() -> None:
    assert text("Отдел ".encode("cp1251") + "продаж".encode()[:-1], "cp1251") == "Отдел прода�"


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=12))
@example("髝丁")
def test_chinese_in_gbk_and_utf_8_comes_back(said: str) -> None:
    assert text(said.encode("gbk"), "gbk") == said
    assert text(said.encode(), "gbk") == said


@pytest.mark.parametrize("charset", ["auto", "cp1251", "gbk", "shift_jis"])
def test_what_asterisk_has_replaced_stays_replaced(charset: str) -> None:
    for said in ("�", "����� 5", '"���" <101>'):
        assert text(said.encode(), charset) == said


def test_a_charset_cut_in_a_character_loses_that_one() -> None:
    assert text("客服中心".encode("gbk")[:-1], "gbk") == "客服中�"
    assert text(b'"' + "客服".encode("gbk")[:-1] + b'" <101>', "gbk") == '"客�" <101>'


@pytest.mark.parametrize("name", ["cp1251", "CP1251", "windows-1251", "gbk", "shift_jis", "big5", "koi8-r", "utf-8"])
def test_charsets_of_text_keep_ascii(name: str) -> None:
    assert keeps_ascii(name)


@pytest.mark.parametrize(
    "name",
    ["utf-16", "utf-32-le", "utf-7", "rot13", "base64", "hex", "idna", "punycode", "zlib", "uu", "quopri", "undefined",
     "unicode_escape", "raw_unicode_escape", "hz", "iso2022_jp", "iso2022_kr", "cp037", "cp500", "cp864"],
)  # fmt: skip
def test_what_is_no_charset_beside_ascii_is_told(name: str) -> None:
    assert not keeps_ascii(name)


@pytest.mark.parametrize("name", ["", "cp1351", "кои8", "a\0b", "../x", "os.path", "x" * 5000, "aliases"])
def test_unknown_charsets_are_told(name: str) -> None:
    with pytest.raises(LookupError):
        keeps_ascii(name)


def test_whatever_keeps_ascii_decodes_all_bytes() -> None:
    everything = bytes(range(256)) * 2 + b'"\xff" <\xfe>'
    usable = []
    with warnings.catch_warnings(action="error"):
        for name in sorted(module.name for module in pkgutil.iter_modules([str(Path(encodings.__file__).parent)])):
            try:
                if keeps_ascii(name):
                    usable.append(name)
            except LookupError:
                continue
    assert len(usable) > 60
    for name in usable:
        text(everything, name).encode()
