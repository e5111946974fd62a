"""What every destination that is asked over HTTP makes of an answer, or of none."""

from collections.abc import Iterable
from pathlib import Path

from humbug_agent.destinations.contract import Answer, Later, Misconfigured, Refused
from humbug_agent.http_client.client import HttpClient, NoAnswer, Response, place
from humbug_agent.scrub import Scrubber

READ_LIMIT = 64 * 1024
"""Bytes of an answer that are looked at."""

KEPT, SCRUBBED = 500, 8 * 1024
"""Characters of an answer that are kept, and among which secrets are looked for: masking them makes it shorter."""

REFUSED = (400, 413, 422)
LATER = (408, 425, 429)


class Poster:
    """POSTs form bodies to ``url``. ``timeout`` (seconds) is for a request as a whole.

    ``secrets`` are masked wherever the receiver says them back, as those in the URLs are.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        user_agent: str,
        ca_file: Path | None = None,
        proxy: str | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.place = place(url)
        self._scrub = Scrubber(secrets, [url, proxy or ""])
        self._client = HttpClient(timeout=timeout, user_agent=user_agent, ca_file=ca_file, proxy=proxy)
        self._requests = {method: self._client.prepare(method, url) for method in ("GET", "POST")}

    def post(self, body: bytes, headers: dict[str, str]) -> Response:
        """Send one form. Raises Later or Misconfigured when no answer came."""
        return self._ask("POST", body, {"Content-Type": "application/x-www-form-urlencoded"} | headers)

    def get(self) -> Response:
        return self._ask("GET", None, {})

    def doubted(self) -> int:
        return self._client.doubted()

    def said(self, response: Response) -> str:
        """The beginning of its text, without secrets."""
        text = response.text
        return self._scrub(text[:SCRUBBED], cut=len(text) > SCRUBBED or not response.whole)

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, body: bytes | None, headers: dict[str, str]) -> Response:
        try:
            return self._client.send(self._requests[method], body, headers, READ_LIMIT)
        except NoAnswer as error:
            raise (Misconfigured if error.lasting else Later)(self._scrub(str(error))) from error


def judge(status: int, text: str, retry_after: float | None, where: str) -> Answer:
    """The answer, if it is a 2xx. Raises the DeliveryError that the status stands for."""
    answer = Answer(status, text[:KEPT])
    if 200 <= status <= 299:
        return answer
    said = f"{where}: answered {status}"
    if status in REFUSED:
        quoted = " ".join(answer.text.split())[:200]
        raise Refused(f"{said} ({quoted})" if quoted else said, answer)
    if status in LATER or status >= 500:
        raise Later(said, answer, retry_after)
    hints = {
        401: "; check api_key and encryption_key",
        403: "; check api_key and encryption_key",
        404: "; check url",
        407: "; check proxy",
    }
    hint = "; redirects are not followed, check url" if 300 <= status <= 399 else hints.get(status, "; check url")
    raise Misconfigured(said + hint, answer)
