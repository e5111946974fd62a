"""The stable codes of what `doctor` finds. What each means, and what to do, stands in doctor/table.py.

A code is never given to something else, and the code of what is not looked for any more is not used again.
"""

import errno
import os
from enum import StrEnum


class Code(StrEnum):
    """One kind of finding."""

    CSV_OFF = "HA-0001"
    CSV_EMPTY = "HA-0002"
    NO_UNIQUEID = "HA-0003"
    UTC = "HA-0004"
    ZONE = "HA-0005"
    CLOCK = "HA-0006"
    COPYTRUNCATE = "HA-0007"
    ROTATION = "HA-0008"
    AMI_BLIND = "HA-0009"
    AMI_MIGHTY = "HA-0010"
    EVENTFILTER = "HA-0011"
    AMI_OFF = "HA-0012"
    CDR_OFF = "HA-0013"
    EVENTS_OFF = "HA-0014"
    WRITETIMEOUT = "HA-0015"
    BATCH = "HA-0016"
    DOUBLES = "HA-0017"
    OPEN_TO_ALL = "HA-0018"
    CLOSED_TO_DAEMON = "HA-0019"
    DISK = "HA-0020"
    RECEIVER = "HA-0021"
    CERTIFICATE = "HA-0022"
    PORT = "HA-0023"
    DISGUISE = "HA-0024"
    FUSIONPBX_IMPORT = "HA-0025"
    NO_TIMEOUT = "HA-0026"
    DEAF = "HA-0027"
    DISAGREE = "HA-0028"
    AGENT_INI = "HA-0029"
    SOURCE = "HA-0030"
    OUTBOX = "HA-0031"
    REFUSED_CONF = "HA-0032"
    PAGE = "HA-0033"
    NOT_POSTED = "HA-0034"
    POSTED_ELSEWHERE = "HA-0035"
    POSTED_ROUND = "HA-0036"
    UNSENT = "HA-0037"
    REFUSED_XML = "HA-0038"


BY_ERRNO = {errno.EACCES: Code.CLOSED_TO_DAEMON, errno.EADDRINUSE: Code.PORT}
"""What the system says of a part that does not work -> the finding that this is."""


def said_by(text: str, usual: Code) -> Code:
    """The same, where no more is left of it than a text; ``usual`` where the system says something else."""
    return next((code for number, code in BY_ERRNO.items() if os.strerror(number) in text), usual)
