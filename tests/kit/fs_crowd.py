"""A thousand calls that end at once: each call's thread posts its document and waits. PORT COUNT SECONDS.

Prints as JSON how often which answer came, "reset" among them, and how long the slowest took.
"""

import asyncio
import json
import resource
import sys
import time
from collections import Counter

from tests.kit.fs_folder import numbered

HEAD = (
    b"POST /?uuid=%b HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


async def post(port: int, number: int) -> tuple[str, float]:
    began = time.monotonic()
    uuid, document = numbered(number)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (uuid.encode(), len(document)) + document)
        status = (await reader.readline()).split()
        writer.close()
    except OSError as error:
        return type(error).__name__, time.monotonic() - began
    return status[1].decode() if status else "closed", time.monotonic() - began


async def crowd(port: int, count: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        found = await asyncio.gather(*(post(port, number) for number in range(count)))
    answers = Counter(answer for answer, _ in found)
    print(json.dumps({"answers": answers, "slowest": max(took for _, took in found)}))


def main() -> None:
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(crowd(port, count, seconds))


if __name__ == "__main__":
    main()
