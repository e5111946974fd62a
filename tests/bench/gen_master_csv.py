#!/usr/bin/env python3
"""Write made-up Asterisk Master.csv lines, the same ones for the same seed.

    gen_master_csv.py -n 20000 > Master.csv              20,000 lines at once
    gen_master_csv.py -n 500 --rate 10 -o Master.csv     appended, 10 a second, each stamped when it is written

The eighteen columns are those that cdr_csv writes with loguniqueid=yes and loguserfield=yes: text in double quotes
with "" for a quote, numbers bare.  With --stamp (always on with --rate) userfield is "ts" and the CLOCK_REALTIME
nanosecond at which the line was written, from which a receiver can tell the time to delivery.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator

DISPOSITIONS = ("ANSWERED",) * 62 + ("NO ANSWER",) * 21 + ("BUSY",) * 10 + ("FAILED",) * 6 + ("CONGESTION",)
NAMES = ("Front Desk", "Dana Levi", 'Bob "Buzz" Ray', "O'Neil, Pat", "Zoë Müller", "ACME, Inc.", "", "יעל כהן", "Fax")
CONTEXTS = ("from-internal", "from-trunk", "ext-queues", "default")
FIRST_EPOCH = 1_700_000_000


def text(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def stamp(epoch: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(epoch))


def lines(seed: int, start: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (line without its userfield and newline, userfield) without end."""
    rng = random.Random(seed)
    epoch = FIRST_EPOCH
    number = 0
    while True:
        number += 1
        epoch += rng.randrange(4)
        disposition = rng.choice(DISPOSITIONS)
        ring = rng.randrange(2, 30)
        talk = int(rng.expovariate(1 / 150)) + 1 if disposition == "ANSWERED" else 0
        src = str(rng.randrange(100, 900))
        dst = "0" + str(rng.randrange(20_000_000, 599_999_999)) if rng.random() < 0.7 else str(rng.randrange(100, 900))
        if rng.random() < 0.4:
            src, dst = dst, src
        name = rng.choice(NAMES)
        tech = rng.choice(("PJSIP", "SIP", "DAHDI"))
        channel = f"{tech}/{src}-{number:08x}"
        dstchannel = f"PJSIP/trunk{rng.randrange(4)}-{number + 1:08x}" if rng.random() < 0.9 else ""
        fields = (
            text(rng.choice(("", "", "sales", "support"))),
            text(src),
            text(dst),
            text(rng.choice(CONTEXTS)),
            text(f'"{name}" <{src}>' if name else src),
            text(channel),
            text(dstchannel),
            text("Dial"),
            text(f"PJSIP/{dst}@trunk{rng.randrange(4)},60,tTwW"),
            text(stamp(epoch)),
            text(stamp(epoch + ring)) if talk else "",
            text(stamp(epoch + ring + talk)),
            str(ring + talk),
            str(talk),
            text(disposition),
            text("DOCUMENTATION"),
            text(f"{epoch}.{number}"),
        )
        userfield = rng.choice(("", "", "campaign=7", "note, with comma"))
        if number > start:
            yield ",".join(fields), userfield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--lines", type=int, default=1000, help="how many lines (1000)")
    parser.add_argument("-s", "--seed", type=int, default=1, help="the same seed gives the same lines (1)")
    parser.add_argument("--start", type=int, default=0, help="skip that many lines of the seed's series first")
    parser.add_argument("-r", "--rate", type=float, help="lines a second; without it, all at once")
    parser.add_argument("--stamp", action="store_true", help="put the time of writing into userfield")
    parser.add_argument("-o", "--output", help="append to this file, opened anew for each write as Asterisk does")
    args = parser.parse_args()
    source = lines(args.seed, args.start)

    def write(data: bytes) -> None:
        if not args.output:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        out = os.open(args.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(out, data)
        finally:
            os.close(out)

    def line() -> bytes:
        head, userfield = next(source)
        if args.stamp or args.rate:
            userfield = f"ts{time.time_ns()}"
        return f"{head},{text(userfield)}\n".encode()

    if args.rate:
        began = time.monotonic()
        for i in range(args.lines):
            wait = began + i / args.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            write(line())
        return
    for i in range(0, args.lines, 1000):
        write(b"".join(line() for _ in range(min(1000, args.lines - i))))


if __name__ == "__main__":
    main()
