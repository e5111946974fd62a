"""What stands above the settings of agent.ini as a whole, and above those of each section."""

from collections.abc import Mapping

INTRO = """\
`/etc/humbug-agent/agent.ini` needs one source and one destination with your key; all else has a default that suits
most. [agent.ini.example](../agent.ini.example) has the same as a file to copy from, `humbug-agent check` tries what you
wrote, and `humbug-agent reload` has the running daemon take it.

A `;` or `#` inside a value belongs to the value; comments have lines of their own. Sections and settings that are not
known are mistakes, and all mistakes are listed at once."""

KINDS: Mapping[str, str] = {
    "agent": "The daemon itself.",
    "asterisk_csv": "`[source NAME]` with `type = asterisk_csv`: Asterisk's Master.csv ([how](sources/asterisk.md)).",
    "asterisk_ami": "`[source NAME]` with `type = asterisk_ami`: Asterisk's manager interface "
    "([how](sources/asterisk.md#ami-beside-it)).",
    "freeswitch_csv": "`[source NAME]` with `type = freeswitch_csv`: mod_cdr_csv's file "
    "([how](sources/freeswitch.md#freeswitch_csv)).",
    "freeswitch_json": "`[source NAME]` with `type = freeswitch_json`: a directory of documents "
    "([how](sources/freeswitch.md#freeswitch_json)).",
    "freeswitch_http": "`[source NAME]` with `type = freeswitch_http`: documents that FreeSWITCH posts "
    "([how](sources/freeswitch.md#freeswitch_http)).",
    "freeswitch_esl": "`[source NAME]` with `type = freeswitch_esl`: FreeSWITCH's event socket "
    "([how](sources/freeswitch.md#freeswitch_esl)).",
    "while1": "`[source NAME]` with `type = while1`: a hosted PBX ([how](sources/hosted.md)). From `project_id` on "
    "these are "
    "the API's own filters, by its names: whoever sets none gets every call.",
    "boxis": "`[source NAME]` with `type = boxis`: a hosted PBX ([how](sources/hosted.md)).",
    "fusionpbx": "`[source NAME]` with `type = fusionpbx`: FusionPBX's billing API ([how](sources/hosted.md)).",
    "mysql": "`[source NAME]` with `type = mysql`: Asterisk's own database, as FreePBX has it "
    "([how](sources/mysql.md)).",
    "source postgresql": "`[source NAME]` with `type = postgresql`: FusionPBX's own database "
    "([how](sources/postgresql.md)). What is not said of the login is taken from `/etc/fusionpbx/config.conf`, where "
    "the daemon may read it.",
    "humbug": "`[destination NAME]` with `type = humbug`: Humbug's receiver, or one that speaks like it "
    "([how](destinations.md)).",
    "webhook": "`[destination NAME]` with `type = webhook`: JSON by POST, signed ([how](destinations/webhook.md)).",
    "destination postgresql": "`[destination NAME]` with `type = postgresql`: a table of PostgreSQL "
    "([how](destinations/postgresql.md)).",
    "nats": "`[destination NAME]` with `type = nats`: a stream of NATS JetStream ([how](destinations/nats.md)).",
    "numbers": "How telephone numbers are written that leave the agent.",
    "status": "The [live board](board.md), IPPS, `/metrics` and `/healthz`. Without this section there is no HTTP "
    "at all.",
    "queues": "When a queue needs somebody: the page marks the figure ([how](wall.md#thresholds)), may ring, and "
    "`humbug_queue_alarm` of `/metrics` tells it. Of all queues that have no section of their own.",
    "queue support": "The same for one queue: any number of `[queue NAME]`, by the PBX's name for it.",
    "api": "The [stored calls](api.md), for programs that ask for them. Without this section nobody can.",
    "api billing": "Who may ask: any number of `[api NAME]`, each with keys of its own.",
}
"""What stands above each table."""
