"""All that `doctor` knows to find: for each code its severity, a title, why it matters, and what to do.

docs/doctor.md is made of it: `python -m humbug_agent.doctor.table > docs/doctor.md`.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from humbug_agent.host.codes import Code

DOCS = "docs/doctor.md"
WIDTH = 120

RUNNING = (
    "`humbug-agent status`, `status --nagios` and the page show these, with their codes, too, when they come up later: "
    "the clock, disks, certificates, the receiver, ports, and sources that fail, are deaf, disagree or have wrong "
    "times. What may come and go has its code once it has stayed for five minutes. Disks and the agent's own "
    "certificate are looked at once a minute. Once an hour each receiver is asked with a GET, which has no call in it, "
    "for its clock and its certificate, and the calls of the last day are counted by source."
)


class Severity(IntEnum):
    """How bad it is, which is also `doctor`'s exit code. An error: calls are, or will be, missing, late or wrong."""

    warning = 1
    error = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding. ``todo`` is what to do wherever it is found; a finding says more exactly what to change."""

    severity: Severity
    title: str
    why: str
    todo: str


E, W = Severity.error, Severity.warning

KINDS: Mapping[Code, Kind] = {
    Code.CSV_OFF: Kind(
        E,
        "Asterisk writes no Master.csv",
        "agent.ini has a source that reads Master.csv, and Asterisk does not write it, or not there: no call comes "
        "from there, and what ends while AMI is not connected is lost.",
        "Give cdr.conf a [csv] section with at least one line in it (on FreePBX 16 and later in "
        "cdr_non_general_custom.conf), let modules.conf load cdr_csv.so, and restart Asterisk or "
        "`asterisk -rx 'module load cdr_csv.so'`. `asterisk -rx 'cdr show status'` lists csv then. Where it writes "
        "another file than agent.ini's `path`, correct that, and reload humbug-agent.",
    ),
    Code.CSV_EMPTY: Kind(
        E,
        "The [csv] section of cdr.conf is empty",
        "Asterisk takes an empty section for none: cdr_csv does not load, and there is no Master.csv.",
        "Put a line into it, at best `loguniqueid = yes`, then `asterisk -rx 'module load cdr_csv.so'`.",
    ),
    Code.NO_UNIQUEID: Kind(
        W,
        "Master.csv has no uniqueids",
        "The uniqueid begins with the second of the call in UTC. Without it nothing in Master.csv says whether its "
        "times are UTC or local, a wrong time zone is noticed late, and a call can't be looked up by the PBX's name "
        "for it.",
        "In cdr.conf, section [csv], write `loguniqueid = yes`, then `asterisk -rx 'module reload cdr_csv.so'`. Calls "
        "that are in the file already stay as they are.",
    ),
    Code.UTC: Kind(
        E,
        "agent.ini and cdr.conf disagree whether the times in Master.csv are UTC",
        "All times are wrong by the hours between UTC and the PBX's zone, and a call that AMI tells, too, is sent "
        "twice: with other times it is another call.",
        "Write `utc = auto` into the source's section of agent.ini, or leave the line out, and reload humbug-agent.",
    ),
    Code.ZONE: Kind(
        E,
        "The times of the calls are not those of the zone in agent.ini",
        "Calls are told hours early or late: what happens at night looks like business hours, which is what an "
        "analysis for fraud looks at.",
        "Set `[agent] timezone` to the PBX's zone, or leave it out: then it is the host's (/etc/localtime), which is "
        "Asterisk's, too. Then reload humbug-agent.",
    ),
    Code.CLOCK: Kind(
        W,
        "The clock of this host is not that of the receiver",
        "The times of calls are those of this clock. A receiver that looks for bursts of calls compares them with "
        "those of other PBXs; and TLS certificates seem outdated, or not valid yet.",
        "Let this host keep its clock: `timedatectl set-ntp true`, or chrony. Look at `timedatectl`. If this clock is "
        "right, it is the receiver's that is wrong.",
    ),
    Code.COPYTRUNCATE: Kind(
        W,
        "Master.csv is rotated with copytruncate",
        "Calls that Asterisk writes between the copy and the truncation are in neither file, and no reader can "
        "prevent that.",
        "Replace `copytruncate` by `nocreate` in logrotate's configuration. Asterisk opens the file anew for every "
        "record, so that renaming needs no signal.",
    ),
    Code.ROTATION: Kind(
        W,
        "Master.csv is rotated to where it is not found",
        "Rotated files are looked for beside the log, by names that begin with the log's. What is moved or named "
        "otherwise, or deleted at once, is missing where the agent had not read it to its end, such as after a stop.",
        "In logrotate's configuration for Master.csv leave out `olddir`, and `extension` or `addextension` .csv, and "
        "keep at least one file (`rotate 24`).",
    ),
    Code.AMI_BLIND: Kind(
        E,
        "The AMI user may not see what it should",
        "AMI gives a user without the right to see an event neither the event nor an error: it seems connected, and is "
        "told nothing.",
        "In manager.conf (on FreePBX manager_custom.conf) give the user `read = cdr`; with the live board "
        "`read = cdr,call,agent` and `write = reporting`. Then `asterisk -rx 'manager reload'`.",
    ),
    Code.AMI_MIGHTY: Kind(
        W,
        "The AMI user may do more than it needs",
        "Whoever reads its secret in agent.ini, or on the network, may then place calls, run commands or change "
        "the PBX, which is what fraud needs.",
        "Give the agent a user of its own with `read = cdr`, an empty `write` (with the live board `read = "
        "cdr,call,agent`, `write = reporting`), `deny = 0.0.0.0/0.0.0.0` and `permit = 127.0.0.1/255.255.255.255`.",
    ),
    Code.EVENTFILTER: Kind(
        E,
        "A filter keeps calls from the AMI user",
        "Asterisk does not send what eventfilter or disabledevents leave out, and says nothing of it: calls are "
        "missing.",
        "Remove the `eventfilter` lines from the user's section of manager.conf, or `Cdr` from `disabledevents`; then "
        "`asterisk -rx 'manager reload'`.",
    ),
    Code.AMI_OFF: Kind(
        E,
        "AMI is switched off",
        "agent.ini has a source that listens to AMI, and Asterisk does not open it.",
        "In manager.conf, section [general], write `enabled = yes` and `bindaddr = 127.0.0.1`; then "
        "`asterisk -rx 'manager reload'`.",
    ),
    Code.CDR_OFF: Kind(
        E,
        "Asterisk makes no call records at all",
        "With `enable = no` in cdr.conf there is nothing to read, and nothing that AMI could tell.",
        "In cdr.conf, section [general], write `enable = yes`, then restart Asterisk.",
    ),
    Code.EVENTS_OFF: Kind(
        E,
        "AMI tells no calls",
        "cdr_manager makes the events of which AMI tells the calls, and it is off (as in Asterisk's own sample).",
        "In cdr_manager.conf, section [general] (on FreePBX cdr_manager_general_custom.conf), write `enabled = yes`, "
        "then `asterisk -rx 'module reload cdr_manager.so'` or `module load`.",
    ),
    Code.WRITETIMEOUT: Kind(
        W,
        "Asterisk does not take the AMI user's writetimeout",
        "Below 100 milliseconds Asterisk says so in its log, and goes on with 100: whoever set it wanted something "
        "else. An AMI client that does not read for so long is cut off, and calls that end meanwhile are not told "
        "again.",
        "Leave `writetimeout` out of the user's section in manager.conf, or give it milliseconds: "
        "`writetimeout = 5000`.",
    ),
    Code.BATCH: Kind(
        W,
        "Asterisk keeps call records back (batch mode)",
        "With `batch = yes` calls are written and told minutes late, all together, and those that are kept back are "
        "lost when Asterisk or the host ends without ceremony.",
        "In cdr.conf, section [general], write `batch = no`, then `asterisk -rx 'module reload'`.",
    ),
    Code.DOUBLES: Kind(
        E,
        "Calls arrive twice",
        "Two that look alike to the byte are two calls, as with forked ones; so each call that is written or sent by "
        "two ways at once counts twice.",
        "Let one of the two write or send it: remove cdr_custom's line for the file that cdr_csv writes, or one of "
        "the two destinations of agent.ini.",
    ),
    Code.OPEN_TO_ALL: Kind(
        W,
        "Everybody on this host can read secrets or calls",
        "The keys let anybody send calls in your name, the AMI secret lets anybody listen to the PBX.",
        "`chmod 0640` the file, and give it to root and the daemon's group: `chown root:humbug-agent`; the outbox is "
        "the daemon's alone, 0600.",
    ),
    Code.CLOSED_TO_DAEMON: Kind(
        E,
        "The daemon may not read or write what it must",
        "It runs without root, as a user of its own. What that user may not read is not read, and at the next start or "
        "reload it does not come up.",
        "Add the user to the file's group (`usermod -aG asterisk humbug-agent`), or change the file's group or mode "
        "as the finding says, and restart humbug-agent.",
    ),
    Code.DISK: Kind(
        W,
        "A disk is nearly full",
        "On a full disk Asterisk writes cut records and loses others without a word, and the outbox takes no more "
        "calls.",
        "Make room, above all in the folder that the finding names: `du -xh / | sort -h | tail -30`.",
    ),
    Code.RECEIVER: Kind(
        E,
        "The receiver can't be reached, or takes no calls",
        "Calls wait in the outbox, and are sent once it can be. An analysis for fraud does not see them until then.",
        "Do what the finding says: look at the URL, the keys, the proxy, DNS and the firewall; "
        "`curl -v URL` from this host shows the same.",
    ),
    Code.CERTIFICATE: Kind(
        W,
        "A certificate ends soon, or has ended",
        "Once it has ended nobody connects: no call is sent, or AMI is not heard, or browsers refuse the page.",
        "Renew it (`certbot renew`), and reload the program whose it is: humbug-agent, Asterisk, or the receiver.",
    ),
    Code.PORT: Kind(
        E,
        "Another program has the port",
        "The page, or the address that FreeSWITCH posts its calls to, can't be opened. 8088 is Asterisk's own, for its "
        "HTTP server, and 8089 its HTTPS.",
        "Set another `listen` in agent.ini, such as 127.0.0.1:6494; `ss -ltnp` shows whose the port is.",
    ),
    Code.DISGUISE: Kind(
        W,
        "Calls are disguised, not encrypted",
        "encryption_key XORs each call with a key that repeats. Part of the text is known, so whoever reads one "
        "request on its way can compute the key, and read all others: only HTTPS keeps calls secret.",
        "Use an https:// URL where the receiver offers one. encryption_key may stay, where the receiver wants it.",
    ),
    Code.FUSIONPBX_IMPORT: Kind(
        E,
        "The source reads the directory that FusionPBX imports from",
        "FusionPBX's service reads each document there and deletes it: the two take each other's calls.",
        "Load mod_json_cdr with a `log-dir` of its own and read that, or use freeswitch_http.",
    ),
    Code.NO_TIMEOUT: Kind(
        E,
        "FreeSWITCH posts calls without a time-out",
        "It posts in the call's own thread, and waits for ever for an answer that does not come: hung calls pile up "
        "until FreeSWITCH takes no more.",
        "In json_cdr.conf.xml or xml_cdr.conf.xml write `<param name=\"timeout\" value=\"5\"/>`, then "
        "`fs_cli -x 'reload mod_json_cdr'` (or mod_xml_cdr).",
    ),
    Code.DEAF: Kind(
        E,
        "AMI is connected, and tells no calls",
        "Master.csv has calls that AMI did not tell. Its user may lack the right to see them, or cdr_manager is off; "
        "calls of over 1,024 bytes, which only AMI tells, are lost meanwhile.",
        "As root, `humbug-agent check` tells why. Look at read = cdr in manager.conf and enabled = yes in "
        "cdr_manager.conf.",
    ),
    Code.DISAGREE: Kind(
        W,
        "Sources disagree about the number of calls",
        "Master.csv and AMI of one PBX should tell the same calls. One of them misses some, or they are told with "
        "different times, and each is sent twice.",
        "See `humbug-agent status` for who saw what. If Master.csv misses them: is `path` the file of this Asterisk, "
        "is its disk full, are records longer than 1,024 bytes? If both miss what the other has: is `utc` right?",
    ),
    Code.AGENT_INI: Kind(
        E,
        "agent.ini has mistakes",
        "The daemon does not start with it; one that runs goes on with what it read before.",
        "Correct what the finding names; `humbug-agent check` reads it again.",
    ),
    Code.SOURCE: Kind(
        E,
        "A source can't be read, or does not answer",
        "Its calls are not seen. What a file has is read later; what AMI or an event socket would have told is not "
        "told again.",
        "Do what the finding says: is the PBX running, is the path or the address right, are name and secret "
        "those of its configuration?",
    ),
    Code.OUTBOX: Kind(
        E,
        "The outbox can't be used",
        "All calls go through this one file: none is read, and none is sent, without it.",
        "Do what the finding says. A damaged one is moved aside by the daemon, which begins anew with what can be "
        "read of it.",
    ),
    Code.REFUSED_CONF: Kind(
        E,
        "Asterisk refuses a configuration file",
        "With a mistake in it Asterisk takes the file as a whole for missing, at its next start or reload.",
        "Correct the line that the finding names, then `asterisk -rx 'module reload'`.",
    ),
    Code.PAGE: Kind(
        W,
        "[status] or [api] can't be served",
        "Calls are delivered all the same; nobody sees the page, IPPS or the metrics, or can ask [api] for calls.",
        "Do what the finding says: its address, its certificate and its key stand in that section of agent.ini.",
    ),
    Code.NOT_POSTED: Kind(
        E,
        "FreeSWITCH posts no calls once it is started anew",
        "The agent waits for FreeSWITCH to post each call, and no module that is loaded at its start does. One that "
        "was loaded by hand is gone then, and calls are told no more without anybody noticing.",
        "In modules.conf.xml write `<load module=\"mod_json_cdr\"/>`; on FusionPBX have it enabled, and loaded at "
        "start, in the menu *Advanced*, *Modules*. `humbug-agent init` shows what json_cdr.conf.xml needs.",
    ),
    Code.POSTED_ELSEWHERE: Kind(
        E,
        "FreeSWITCH's posts do not reach the agent",
        "They go to another host or port than the agent listens on, or with a name and password that it refuses: no "
        "call comes that way, and the agent sees nothing of it.",
        "In the file that the finding names let `url` lead to the source's `listen`, with http://, and `cred` have its "
        "`username:password`; then `fs_cli -x 'reload mod_json_cdr'` (or mod_xml_cdr). Where another program needs "
        "these posts, let the other module post to the agent.",
    ),
    Code.POSTED_ROUND: Kind(
        W,
        "FreeSWITCH's posts reach the agent by another way, or perhaps not at all",
        "Another program has the port that they go to, which may hand them on to the agent, or take them; or each post "
        "fails, and only what FreeSWITCH keeps on disk, or tells by another way, arrives.",
        "Where a proxy hands them on all is well. Else let `url` lead to the source's `listen` itself, with http://, "
        "and `cred` have its `username:password`; then `fs_cli -x 'reload mod_json_cdr'` (or mod_xml_cdr).",
    ),
    Code.UNSENT: Kind(
        W,
        "What FreeSWITCH could not post is not read",
        "While the agent is stopped, or too slow to answer, FreeSWITCH tries once more and then leaves the document in "
        "`err-log-dir`, or throws it away. It never sends it again.",
        "Let a source of type freeswitch_json, with `after = delete`, read `err-log-dir`, and leave "
        "`log-errors-to-disk` at true; then `fs_cli -x 'reload mod_json_cdr'` (or mod_xml_cdr).",
    ),
    Code.REFUSED_XML: Kind(
        E,
        "A configuration file of FreeSWITCH is no XML",
        "With a mistake in it FreeSWITCH goes on with what it read before, and does not start anew; and nothing in it "
        "could be looked at.",
        "Correct the line that the finding names, then `fs_cli -x reloadxml` and `fs_cli -x 'reload mod_json_cdr'` (or "
        "the module whose file it is).",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    ``part``: what of the agent it is about ("source NAME", "destination NAME", "status"), or blank. ``said``: what
    was found, and where. ``change``: the line as it should be, and where; blank where the kind's ``todo`` says all.
    """

    code: Code
    said: str
    change: str = ""
    part: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]

    @property
    def docs(self) -> str:
        return f"{DOCS}#{self.code.lower()}"

    def as_json(self) -> dict[str, object]:
        return {
            "code": self.code.value,
            "severity": self.kind.severity.name,
            "title": self.kind.title,
            "part": self.part,
            "message": self.said,
            "why": self.kind.why,
            "change": self.change or self.kind.todo,
            "docs": self.docs,
        }


def page() -> str:
    """docs/doctor.md."""
    said = (
        "Each finding has a code that stays the same from version to version. An *error* says that calls are, or will "
        "be, missing, late or wrong (exit code 2), a *warning* that somebody should look after it (exit code 1); exit "
        "code 0 is that nothing was found. Run it as root on the PBX: else it says what it could not look at."
    )
    parts = ["# What `humbug-agent doctor` finds\n" + _wrapped(said)]
    rows = [f"| [{code}](#{code.lower()}) | {kind.severity.name} | {kind.title} |" for code, kind in KINDS.items()]
    parts.append("\n".join(["| code | severity | what |", "| --- | --- | --- |", *rows]))
    parts += ["## While the daemon runs", _wrapped(RUNNING)]
    for code, kind in KINDS.items():
        parts.append(f"## {code}\n**{kind.title}** ({kind.severity.name}).")
        parts += [_wrapped(f"*Why it matters.* {kind.why}"), _wrapped(f"*What to do.* {kind.todo}")]
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(page(), end="")
