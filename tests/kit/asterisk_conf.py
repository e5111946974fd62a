"""Configuration files of every form, and what a real Asterisk reads in them."""

Read = list[tuple[str, list[tuple[str, str]]]]
"""Sections by name, but templates: name and value of each setting."""

BESIDE = {
    "sub.inc": b"x=1\n[subsec]\ny=1\n",
    "sub2.inc": b"s=1\n",
    "nosection.inc": b"n=1\n",
    "d/a.conf": b"[da]\nq=1\n",
    "d/b.conf": b"r=1\n",
    "d/c.txt": b"[no]\n",
    "o/b.inc": b"v=b\n",
    "o/B.inc": b"v=B\n",
    "o/_.inc": b"v=_\n",
    "o/.h.inc": b"v=h\n",
    "o/a.inc": b"v=a\n",
}
"""Files that those below include."""

CASES: dict[str, tuple[bytes, Read | None]] = {
    "plain": (
        b"[general]\na=1\nA => 2 ; x\nb\\;c = d\\;e ; f\n[two]\nx=1\n[TWO]\nx=2\n",
        [("general", [("a", "1"), ("A", "2"), ("b;c", "d;e")]), ("two", [("x", "1")]), ("TWO", [("x", "2")])],
    ),
    "tmpl": (
        b"[t](!)\na=1\nb=2\n[s](t)\nb=3\nb+=4\n[u](t,s)\nc=1\n[s](+)\nz=9\n[u](+)\nq += 1\n c += 7\n",
        [
            ("s", [("a", "1"), ("b", "2"), ("b", "34"), ("z", "9")]),
            ("u", [("a", "1"), ("b", "2"), ("a", "1"), ("b", "2"), ("b", "34"), ("c", "1 7"), ("q", "1")]),
        ],
    ),
    "inc": (
        b'[one]\na=1\n#include sub.inc\nb=2\n#tryinclude nope.inc\n#include "d/*.conf"\nc=3\n#include <sub.inc>\n',
        [
            ("one", [("a", "1"), ("x", "1"), ("b", "2"), ("c", "3")]),
            ("subsec", [("y", "1")]),
            ("da", [("q", "1"), ("r", "1"), ("x", "1")]),
            ("subsec", [("y", "1")]),
        ],
    ),
    "inc2": (b"[one]\n#include nosection.inc\nb=2\n", [("one", [("n", "1"), ("b", "2")])]),
    "missing": (b"[one]\na=1\n#include nope.inc\n", None),
    "missingglob": (b"[one]\na=1\n#include nope/*.inc\nb=2\n", None),
    "comment": (
        b"[one]\na=1 ;-- x\ny=2\n--; b=3\n;--- c\nd=4\n;-- n1 ;-- n2 --; still --; e=5\n"
        b";---- x\nf=6;g\n ;--;\ng=7\n--;\nh=8\n",
        [("one", [("a", "1"), ("b", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("h", "8")])],
    ),
    "comment2": (
        b"[one]\na=1 ;-- x --; tail=2\nb=2\nc=3 ;--\n--;\n;--\n\\;--;\nd=4\n--;\ne=5\n",
        [("one", [("a", "1  tail=2"), ("b", "2"), ("c", "3"), ("d", "4")])],
    ),
    "odd": (
        b"[one]x\na=1\n[two] (t)\nb=1\n= 5\nnothing\nc =\nd = a=b\n[three](!,)\nx=1\n",
        [("one", [("a", "1")]), ("two", [("b", "1"), ("c", ""), ("d", "a=b")])],
    ),
    "odd2": (b"[ one ]\na=1\n[one]\nb=2\n", [(" one ", [("a", "1")]), ("one", [("b", "2")])]),
    "plusnew": (b"[one](+)\na=1\n", None),
    "nobase": (b"[one](nope)\na=1\n", None),
    "nul": (b"[one]\na=1\0b\n#include sub\0.inc\nc=2\n", None),
    "nul2": (b"[one]\na=1\0b ;-- x\nc\0=2\n\0\nd=3\n", [("one", [("a", "1"), ("d", "3")])]),
    "basenosec": (b"a=1\n[one]\nb=1\n", None),
    "unclosed": (b"[one\nb=1\n", None),
    "plusmix": (b"[t](!)\na=1\n[one]\nb=1\n[one](+,t)\nc=1\n[t](+)\nd=1\n[x](t)\n", None),
    "plustwice": (
        b"[one]\na=1\n[one]\nb=1\n[one](+)\nc=1\n",
        [("one", [("a", "1"), ("c", "1")]), ("one", [("b", "1")])],
    ),
    "dirtab": (
        b"[one]\n#include\tsub2.inc\n#INCLUDE sub2.inc\n#exec foo\n#other\n#include\nz=1\n",
        [("one", [("s", "1"), ("s", "1"), ("z", "1")])],
    ),
    "loop": (
        b"[one]\na=1\n#include loop.conf\nb=1\n",
        [
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1"), ("b", "1")]),
            ("one", [("a", "1")]),
        ],
    ),
    "brace": (b"[one]\n#include d/{a,b}.conf\n", [("one", []), ("da", [("q", "1"), ("r", "1")])]),
    "utf": (b"\xef\xbb\xbf[one]\na=1\n", [("one", [("a", "1")])]),
    "crlf": (b"[one]\r\na=1\r\nb=2\r\n", [("one", [("a", "1"), ("b", "2")])]),
    "latin": (b"[one]\r\na=\xe4\xf6\n", [("one", [("a", "\udce4\udcf6")])]),
    "space": (b"[one]\n   a   =>   1  2  \n\tb\t=\t3\n", [("one", [("a", "1  2"), ("b", "3")])]),
    "plusspace": (b"[t](!)\na=1\n[one](t)\na + = 2\na +=> 3\na+=4\n", [("one", [("a", "1> 34"), ("a +", "2")])]),
    "pluscase": (
        b"[t](!)\na=1\n[one](t)\nA+=2\nB=1\nb += 2\n",
        [("one", [("a", "1"), ("A", "2"), ("B", "1"), ("b", "2")])],
    ),
    "incplus": (
        b"[one]\na=1\n[two]\nb=1\n[one](+)\n#include nosection.inc\nc=1\n",
        [("one", [("a", "1"), ("n", "1"), ("c", "1")]), ("two", [("b", "1")])],
    ),
    "tplus": (b"[t](!)\na=1\n[t](+)\nd=1\n[x](t)\n", None),
    "plusmix2": (b"[t](!)\na=1\n[one]\nb=1\n[one](+,t)\nc=1\n", [("one", [("b", "1"), ("a", "1"), ("c", "1")])]),
    "plusmix3": (
        b"[t](!)\na=1\n[one]\nb=1\n[one](t,+)\nc=1\n[two](t,!)\n[three](two)\n",
        [("one", [("b", "1"), ("a", "1"), ("c", "1")]), ("three", [("a", "1")])],
    ),
    "endmany": (b"[one]\na=1 --; b=2 ; c\nd=4\n;-- x\ne=5\n", [("one", [("a", "1 --; b=2 ; c"), ("e", "5")])]),
    "endmany2": (b"[one]\na=1 --; b=2 ;-- c ; f\nd=4\n", [("one", [("a", "1 --; b=2"), ("d", "4")])]),
    "order": (b"[one]\n#include o/*.inc\n", [("one", [("v", "B"), ("v", "_"), ("v", "a"), ("v", "b")])]),
    "braces2": (
        b"[one]\n#tryinclude {d,o}/{a,b,B}.{conf,inc}\n",
        [("one", []), ("da", [("q", "1"), ("r", "1"), ("v", "a"), ("v", "b"), ("v", "B")])],
    ),
    "missbrace": (b"[one]\n#include d/{a,x}.conf\n", [("one", []), ("da", [("q", "1")])]),
    "dir": (b"[one]\n#include d\nb=1\n", None),
    "trydir": (b"[one]\n#tryinclude d\nb=1\n", [("one", [("b", "1")])]),
    "slash": (
        b"[one]\na=1\\;2\nb=\\\\;3\nc=;\nd=\\;\\;x;y\n",
        [("one", [("a", "1;2"), ("b", "\\;3"), ("c", ""), ("d", ";;x")])],
    ),
    "dupbase": (
        b"[one]\na=1\n[one]\na=2\n[b](one)\n",
        [("one", [("a", "1")]), ("one", [("a", "2")]), ("b", [("a", "1")])],
    ),
    "emptysec": (b"[]\na=1\n[x]()\nb=1\n", [("", [("a", "1")]), ("x", [("a", "1"), ("b", "1")])]),
    "afterblock": (b"[one]\n;-- c --;a=1\nb=2;-- c --;3;-- d --;4 ; e\n", [("one", [("a", "1"), ("b", "234")])]),
    "eqgt": (b"[one]\na = > 1\nb => > 1\nc =>\n", [("one", [("a", "> 1"), ("b", "> 1"), ("c", "")])]),
}
"""Name -> the file, and what is read in it; None: it is refused as a whole."""
