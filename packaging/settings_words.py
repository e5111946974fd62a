"""What each setting of agent.ini is, and when one would change it: words for settings.py."""

from collections.abc import Mapping

from settings_common import Words

FILTER = "Only calls that the API finds by this filter."

WORDS: Mapping[str, Mapping[str, Words]] = {
    "agent": {
        "outbox": Words(
            "/srv/humbug/outbox.db",
            "The file in which calls wait until they are delivered, and are kept after that. Change it to have it on "
            "another disk ([how](outbox.md#move-it)).",
            may="a path from / on",
        ),
        "timezone": Words(
            "Europe/Zurich",
            "The PBX's time zone. Change it where this host, or the container that the agent runs in, has another one.",
            default="the system's",
        ),
        "log_level": Words(
            "debug",
            "What is logged. `debug` while you look for something, `warning` where the log should be still.",
        ),
        "keep_days": Words(
            "30",
            "How long delivered calls are kept, for replay and export ([how](outbox.md#how-long-calls-are-kept)).",
            "days",
        ),
        "max_size_mb": Words(
            "8192",
            "When the outbox holds that much, delivered calls go early, and when calls that wait fill it, reading "
            "pauses. More lets a long outage of the receiver pass.",
            "MB",
        ),
    },
    "asterisk_csv": {
        "path": Words(
            "/var/log/asterisk/cdr-custom/Master.csv",
            "The log. Change it where `astlogdir` of asterisk.conf does, or where cdr_custom writes it.",
            may="a path from / on",
        ),
        "utc": Words(
            "yes",
            "Whether its times are UTC (`usegmtime=yes` of cdr.conf). `auto` finds out by the uniqueids; change it "
            "where `check` says that it can't.",
            may="`auto`, `yes`, `no`",
        ),
    },
    "asterisk_ami": {
        "host": Words("10.0.0.5", "Where Asterisk's AMI is. Off this host use `tls = yes`.", may="a host"),
        "port": Words("5039", "AMI's port, as in manager.conf. With `tls = yes` the default is 5039."),
        "username": Words("humbug", "The AMI user, a section of manager.conf."),
        "secret": Words("a-long-random-word", "That user's secret."),
        "tls": Words(
            "yes", "`yes` for the port of manager.conf's `tlsbindaddr`. Change it where Asterisk is on another host."
        ),
        "events": Words(
            "cdr, reload, shutdown",
            "What is forwarded: calls, and these events of Asterisk; for others than `cdr` the AMI user needs "
            "`read = cdr,system`.",
        ),
    },
    "freeswitch_csv": {
        "path": Words(
            "/usr/local/freeswitch/log/cdr-csv/Master.csv",
            "The log, or the directory that Master.csv is in. Change it where FreeSWITCH logs elsewhere.",
            may="a path from / on",
        ),
        "template": Words(
            "safe",
            "Which columns it has: a stock template of mod_cdr_csv, or the text of one of your own as it stands in "
            "cdr_csv.conf.xml. Change it where `check` says that it can't be told.",
            may="`auto`, a template's name, or its text",
        ),
    },
    "freeswitch_json": {
        "path": Words(
            "/usr/local/freeswitch/log/json_cdr",
            "The modules' `log-dir` or `err-log-dir`. Never the one that FusionPBX imports from.",
            may="a path from / on",
        ),
        "after": Words(
            "delete",
            "What becomes of a document once its call is safe; `move` puts it into done/ in there. Change it so "
            "that the directory does not grow; the daemon must be allowed to write there then.",
        ),
    },
    "freeswitch_http": {
        "listen": Words("127.0.0.1:8189", "Where FreeSWITCH posts to. Off this host only with a password."),
        "username": Words(
            "freeswitch", "The first part of the module's `cred`, before the colon.", may="a text without a colon"
        ),
        "password": Words(
            "a-long-random-word", "The second part of it. Change it where others than this host may post."
        ),
    },
    "freeswitch_esl": {
        "host": Words(
            "10.0.0.5", "Where the event socket is. It speaks no TLS: stay on this host where you can.", may="a host"
        ),
        "port": Words("8022", "Its port, `listen-port` of event_socket.conf.xml."),
        "password": Words(
            "a-long-random-word", "Its password, which lets everybody do anything on the PBX: change ClueCon."
        ),
    },
    "while1": {
        "url": Words("https://pbx.example.org/api/cdr", "The API's address."),
        "token": Words("YOUR-TOKEN", "The token of the API, which goes as a Bearer."),
        "api_key": Words("YOUR-KEY", "The key that requests are signed with."),
        "format": Words("json", "How requests are written. Change it where the API asks for JSON."),
        "project_id": Words("17", FILTER),
        "user_id": Words("4, 5", FILTER),
        "inbound_route_id": Words("2", FILTER),
        "direction": Words("OUT", FILTER),
        "call_status": Words("ANSWERED", FILTER),
        "telephone_like": Words("0744", FILTER),
        "telephone": Words("0744123456", FILTER),
        "source": Words("1001", FILTER),
        "destination": Words("0744123456", FILTER),
        "hour_between": Words("8, 18", FILTER),
        "uniqueid": Words("1700000000.42", FILTER),
        "linkedid": Words("1700000000.42", FILTER),
        "external_id": Words("order-7", FILTER),
        "has_transcription": Words("yes", FILTER),
        "has_monitor_file": Words("yes", FILTER),
        "has_recording_file": Words("yes", FILTER),
    },
    "boxis": {
        "url": Words(
            "https://api.example.org/", "The API's address. Change it where your provider has one of its own."
        ),
        "username": Words("YOUR-USER", "The API's user."),
        "user_key": Words("YOUR-KEY", "The key that requests are signed with."),
        "tenants": Words("VOICE-12001-1, VOICE-12001-2", "Whose calls are asked for, as many as you like."),
    },
    "fusionpbx": {
        "url": Words("https://pbx.example.org", "The program's address, without /api."),
        "email": Words("billing@example.org", "Who logs in."),
        "password": Words("YOUR-PASSWORD", "That user's password."),
        "domains": Words("pbx.example.org, office.example.org", "Whose calls are asked for, as many as you like."),
    },
    "mysql": {
        "host": Words(
            "10.0.0.5",
            "Where the database is. It is asked without TLS: let the agent run on that host where you can.",
            may="a host",
            default="the PBX's files say it, else this host",
        ),
        "port": Words("3307", "Its port, where `host` is given or no file says it."),
        "socket": Words(
            "/run/mysqld/mysqld.sock",
            "Its Unix socket, over which it can know the daemon's user without a password.",
            may="a path",
            default="the PBX's files say it, else the usual one",
        ),
        "user": Words(
            "humbug-agent", "Who logs in; SELECT suffices.", default="the PBX's files say it, else the daemon's user"
        ),
        "password": Words("a-long-random-word", "That user's password. None where the socket suffices."),
        "database": Words(
            "asteriskcdrdb",
            "Its name. Blank, the PBX's own files say where it is and whom to log in as.",
            default="the PBX's files say it",
        ),
        "table": Words("calls", "The table of calls.", default="the PBX's files say it, else `cdr`"),
        "utc": Words(
            "yes",
            "Whether its times are UTC, as with FreePBX's CDRUSEGMT. `auto` finds out by the uniqueids.",
            may="`auto`, `yes`, `no`",
        ),
        "backfill_rows": Words("100", "How many of the older calls a second at most.", "rows a second"),
        "poll_seconds": Words(
            "30",
            "From one question to the next. More of them spares the database, fewer bring calls sooner.",
            "seconds",
        ),
        "timeout": Words("30", "How long one question may take.", "seconds"),
    },
    "source postgresql": {
        "host": Words(
            "/var/run/postgresql",
            "Where PostgreSQL is: a host, or the directory of its Unix socket.",
            default="FusionPBX's, else `/var/run/postgresql`",
        ),
        "port": Words(
            "5433", "Its port, which is in the name of a Unix socket, too.", default="FusionPBX's, else 5432"
        ),
        "database": Words("pbx", "FusionPBX's database.", default="FusionPBX's, else `fusionpbx`"),
        "username": Words(
            "humbug",
            "Who logs in, and may read `v_xml_cdr` and `v_xml_cdr_json`; nothing else is needed.",
            default="FusionPBX's, else the daemon's user",
        ),
        "password": Words("YOUR-PASSWORD", "That user's password. Over a Unix socket a user of the host needs none."),
        "rows_per_second": Words(
            "200",
            "How fast years are read in at most; the database works for it at most a fifth of the time besides. Fewer "
            "spare a PBX that is busy.",
            "rows",
        ),
    },
    "webhook": {
        "url": Words("https://hooks.example.org/cdr", "Where the JSON goes. `https://` where it offers that."),
        "secret": Words(
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            "Each request is signed with it, as Standard Webhooks says, so that the receiver knows whom it is from.",
            may="`whsec_` and base64",
        ),
        "headers": Words(
            "X-Tenant: zurich-1",
            "Headers of your own, such as a token; more of them on the lines below, indented. None is shown anywhere.",
            may="NAME: VALUE",
        ),
        "fields": Words(
            "src, dst, start, billsec",
            "What is said of a call. Fewer where the receiver need not know all.",
            default="all there is",
        ),
        "batch": Words("100", "How many calls go in one request: from 2 on, the body is an array."),
        "connections": Words("8", "How many requests are sent side by side."),
        "client_cert": Words("/etc/humbug-agent/client.pem", "A client certificate, where the receiver asks for one."),
        "client_key": Words("/etc/humbug-agent/client.key", "Its key, where the certificate's file does not hold it."),
    },
    "destination postgresql": {
        "host": Words("db.example.org", "A host, or the folder of the server's Unix socket."),
        "port": Words("5433", "The server's port."),
        "database": Words("calls", "The database."),
        "user": Words("pbx", "The user that the agent logs in as."),
        "password": Words("a-long-word", "That user's password. Not needed where the server trusts the user's name."),
        "sslmode": Words("verify-ca", "How TLS is used. Of another host the certificate is checked by default."),
        "table": Words("billing.cdr", "TABLE or SCHEMA.TABLE."),
        "create": Words("no", "Whether the agent makes the table, and adds the columns that it lacks."),
        "pbx": Words("zurich-1", "What stands in the column `pbx`.", default="the name of this host"),
        "batch": Words("1000", "Calls that are inserted at once, as one transaction."),
        "timeout": Words("5", "For connecting, and for each insert.", unit="seconds"),
    },
    "nats": {
        "url": Words(
            "tls://nats.example.org:4222",
            "`nats://HOST:PORT` or `tls://…`, parted by commas.",
            default="this host's port 4222",
        ),
        "user": Words("pbx", "The user that the agent logs in as."),
        "password": Words("a-long-word", "That user's password."),
        "token": Words("a-long-word", "A token, instead of user and password."),
        "stream": Words("CALLS", "The stream."),
        "create": Words("no", "Whether the agent makes the stream where it is not there."),
        "replicas": Words("3", "How many servers of a cluster keep a stream that the agent makes."),
        "subject": Words("cdr.{pbx}.{id}", "Of each message. By `{id}` the server refuses what it has already."),
        "pbx": Words("zurich-1", "What stands for `{pbx}`.", default="the name of this host"),
        "timeout": Words("5", "For connecting, and for each acknowledgement.", unit="seconds"),
    },
    "humbug": {
        "url": Words("https://receiver.example.org/receiver.php", "The receiver. `https://` where it offers that."),
        "api_key": Words("0123456789abcdef", "The key of your account at Humbug."),
        "api_keys_file": Words("/etc/humbug-agent/api-keys", "[Several accounts](destinations.md#several-accounts)."),
        "api_keys_by": Words("domain", "Of what in a call these values are."),
        "encryption_key": Words(
            "fedcba9876543210",
            "Set it and calls go encoded, if your account at Humbug is so. That is a disguise and no encryption.",
        ),
        "connections": Words(
            "16",
            "How many calls are sent side by side. At 50 ms to the receiver, 4 make 76 calls a second; more of them "
            "where that is too slow.",
        ),
        "accept_pattern": Words("^OK", "What an answer must contain, beside a good status, to count as accepted."),
        "reject_pattern": Words(
            "INVALID", "What in an answer makes a call a dead letter although the status was good."
        ),
        "value_escaping": Words(
            "none",
            "With `encryption_key`: `reserved` percent-encodes what would break the text apart, `& % + =`; `none` "
            "sends values as they are, like the vendor's sample. Change it where the receiver shows `%26` in names.",
        ),
    },
    "numbers": {
        "country": Words(
            "CH", "The country of the PBX: its national numbers go as E.164. Without it only the + of +4144… is gone."
        ),
        "domestic_max_length": Words(
            "10",
            "For IPPS' queues: numbers of up to so many digits are domestic.",
            "digits",
        ),
        "default_country": Words("Switzerland", "For IPPS' queues: the country that is shown for these."),
    },
    "status": {
        "listen": Words("0.0.0.0:6494", "Where the page is. Beyond this host only with a password."),
        "username": Words(
            "admin", "Who may ask; without it and a password everybody on this host may.", may="a text without a colon"
        ),
        "password": Words("a-long-random-word", "That user's password."),
        "certificate": Words(
            "/etc/humbug-agent/page.pem", "A PEM file. With it the port speaks HTTPS as well as plain HTTP."
        ),
        "private_key": Words(
            "/etc/humbug-agent/page.key", "A PEM file with its key, where that is not in the certificate's."
        ),
        "require_tls": Words("yes", "`yes` refuses plain HTTP, with `ERROR: SSL QUERY REQUIRED`. Needs a certificate."),
        "sip_is_pjsip": Words(
            "yes",
            "For clients of IPPS that know SIP alone: `yes` has `SIP/4003` be `PJSIP/4003`, too, and calls agents at "
            "PJSIP phones SIP's.",
        ),
    },
    "queues": {},
    "queue support": {},
    "api": {
        "listen": Words("0.0.0.0:6496", "Where calls may be asked for, always with keys."),
        "cdr": Words("yes", "`yes` answers `/api/cdr`, as While1 Voice's cloud PBX does."),
        "getcdr": Words("yes", "`yes` answers getCDR at `/`, as BOXIS does."),
        "call_range": Words(
            "yes", "`yes` answers `/api/login`, `/api/calls` and `/api/call_range`, as FusionPBX's billing API does."
        ),
        "register": Words(
            "yes",
            "With `call_range`: `yes` answers `/api/register` as a login, for who has the email and the password of an "
            "`[api NAME]`. Nobody makes himself a user by it.",
        ),
        "certificate": Words(
            "/etc/humbug-agent/api.pem", "A PEM file. With it the port speaks HTTPS as well as plain HTTP."
        ),
        "private_key": Words(
            "/etc/humbug-agent/api.key", "A PEM file with its key, where that is not in the certificate's."
        ),
        "require_tls": Words("yes", "`yes` refuses plain HTTP. Needs a certificate."),
    },
    "api billing": {
        "tenants": Words(
            "ACME, VOICE-29001-1=acme.example.org",
            "Accountcodes, and domains of FreeSWITCH and FusionPBX: their calls are shown and no others. `*` is all. "
            "`NAME=TENANT` is one that is asked for by another name.",
        ),
        "token": Words("a-long-random-word", "For `cdr`: what this program sends as a Bearer."),
        "api_key": Words("another-long-random-word", "For `cdr`: what this program signs its requests with."),
        "username": Words("billing@example.org", "For `getcdr`: who this program says it is."),
        "user_key": Words("a-long-random-word", "For `getcdr`: what goes into its authcode."),
        "email": Words("billing@example.org", "For `call_range`: who logs in."),
        "password": Words("a-long-random-word", "For `call_range`: that user's password."),
    },
}
"""Section or type -> setting -> words."""
