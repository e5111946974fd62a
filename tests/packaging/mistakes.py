"""Mistakes that an admin can make on a real host, each as shell, and what takes all of them back.

They are made on a Debian on which a real Asterisk runs, set up by `init`. `PREPARE` comes before the first of them.
"""

WORDS = """
ini=/etc/humbug-agent/agent.ini
etc=/etc/asterisk
agent() { # SECTION LINE: into agent.ini, in front of what the section has of that key
    grep -q "^\\[$1\\]" $ini || printf '\\n[%s]\\n' "$1" >>$ini
    sed -i "s/^\\[$1\\]$/&\\n$2/" $ini
}
section() { # TITLE LINES: a section of its own in agent.ini
    printf "\\n[$1]\\n$2\\n" >>$ini
}
asterisk_says() { asterisk -rx "$*" >/dev/null; }
user() { # LINE: of AMI's user
    file=$(grep -ls '^.humbug.$' $etc/manager_custom.conf $etc/manager.d/* || true)
    sed -i "/^\\[humbug\\]$/,$ { /^${1%% *} *=/d }" "$file"
    sed -i "s/^\\[humbug\\]$/&\\n$1/" "$file"
    asterisk_says manager reload
}
csv() { # LINE: into [csv]
    sed -i "s/^\\[csv\\]$/&\\n$1/" "$(csv_conf)"
}
csv_conf() { grep -ls '^.csv.$' $etc/cdr.conf $etc/cdr_non_general_custom.conf || true; }
general() { # NAME LINE: into [general] of NAME.conf, where this host has it
    if grep -qs "${1}_general_custom" $etc/$1.conf; then
        echo "$2" >>$etc/${1}_general_custom.conf
    else
        sed -i "/^${2%% *} *=/d; s/^\\[general\\]$/&\\n$2/" $etc/$1.conf
    fi
}
rotate() { # LINE: of the block that rotates Master.csv, which init makes on some hosts
    block=/etc/logrotate.d/humbug-agent
    [ -e $block ] || printf '/var/log/asterisk/cdr-csv/*.csv {\\nrotate 9\\n}\\n' >$block
    sed -i "s/^}$/$1\\n&/" $block
}
call() { # NUMBER: each is two records
    for _ in $(seq "$1"); do asterisk_says channel originate Local/1000@load/n application NoOp; done
}
freeswitch() { # MODULE PARAMETERS
    configs=/etc/freeswitch/autoload_configs
    mkdir -p $configs
    touch /etc/freeswitch/freeswitch.xml
    echo "<configuration><modules><load module=\\"mod_$1\\"/></modules></configuration>" >$configs/modules.conf.xml
    echo "<configuration><settings>$2</settings></configuration>" >$configs/$1.conf.xml
}
posted_to() { # PORT: where FreeSWITCH posts its calls, for which the agent waits on 8089
    freeswitch json_cdr "<param name='url' value='http://127.0.0.1:$1/'/><param name='timeout' value='5'/>"
    section 'source posted' 'type = freeswitch_http\\nlisten = 127.0.0.1:8089'
}
page() { # LINES: a page, with what it needs of AMI
    section status "listen = 127.0.0.1:6494\\n$1"
    user 'read = cdr,call,agent'
    user 'write = reporting'
}
"""

PREPARE = """
rm -rf /root/well && mkdir /root/well
cp -a /etc/humbug-agent /etc/logrotate.d /root/well
cp -a $etc/. /root/well/asterisk
"""

MEND = """
umount --lazy /var/log/asterisk/cdr-csv/ /run/small 2>/dev/null || true
for folder in /etc/humbug-agent /etc/logrotate.d $etc; do
    find $folder/ -mindepth 1 -delete
    cp -a "/root/well/$(basename $folder)/." $folder/
done
rm -rf /etc/freeswitch /var/log/freeswitch
chmod 0640 /var/log/asterisk/cdr-csv/Master.csv
asterisk_says manager reload
asterisk_says module load cdr_csv.so
"""

SMALL_DISK = """
mkdir -p /run/small
mount -t tmpfs -o size=8M none /run/small
cp -a /var/log/asterisk/cdr-csv/. /run/small/
mount --bind /run/small /var/log/asterisk/cdr-csv/
"""

MISTAKES = [
    ("HA-0022", "page 'certificate = /etc/humbug-agent/old.pem'"),
    ("HA-0001", "sed -i 's/^.modules.$/&\\nnoload = cdr_csv.so/' $etc/modules.conf"),
    ("HA-0002 HA-0003", "sed -i '/^.csv.$/,$ { /=/d }' $(csv_conf)"),
    ("HA-0003", "sed -i '/^loguniqueid/d' $(csv_conf)"),
    ("HA-0004", "agent 'source master-csv' \"utc = $(grep -q '^usegmtime=yes' $(csv_conf) && echo no || echo yes)\""),
    ("HA-0005", "agent agent 'timezone = Asia\\/Tokyo'"),
    ("HA-0006", "section 'destination late' 'type = humbug\\nurl = http://127.0.0.1:8091/\\napi_key = another'"),
    ("HA-0007", "rotate copytruncate"),
    ("HA-0008", "rotate 'olddir \\/var\\/log\\/archive'"),
    ("HA-0009", "user 'read = call'"),
    ("HA-0010", "user 'write = system,call,originate'"),
    ("HA-0011", "user 'eventfilter = Event: Hangup'"),
    ("HA-0012", "sed -i 's/^enabled = yes/enabled = no/' $etc/manager.conf; asterisk_says manager reload"),
    ("HA-0013", "general cdr 'enable = no'"),
    ("HA-0014", "general cdr_manager 'enabled = no'"),
    ("HA-0015", "user 'writetimeout = 50'"),
    ("HA-0016", "general cdr 'batch = yes'"),
    ("HA-0017", "printf '[mappings]\\n../cdr-csv/Master.csv => ${CSV_QUOTE(${CDR(clid)})}\\n' >$etc/cdr_custom.conf"),
    (
        "HA-0017",
        "section 'destination again' \"type = humbug\\n$(grep -m1 '^url = ' $ini)\\n$(grep -m1 '^api_key = ' $ini)\"",
    ),
    ("HA-0018", "chmod 0644 /etc/humbug-agent/ami-secret"),
    ("HA-0019", "chmod 0600 /var/log/asterisk/cdr-csv/Master.csv"),
    ("HA-0020", SMALL_DISK),
    ("HA-0021", "section 'destination gone' 'type = humbug\\nurl = http://127.0.0.1:1/\\napi_key = its-own'"),
    ("HA-0023", "section 'source posted' 'type = freeswitch_http\\nlisten = 127.0.0.1:8090'"),
    (
        "HA-0024 HA-0021",
        "section 'destination masked' 'type = humbug\\nurl = http://receiver.invalid/\\napi_key = k\\n"
        "encryption_key = a-key-to-disguise'",
    ),
    (
        "HA-0025",
        "install -d -o humbug-agent /var/log/freeswitch/xml_cdr/failed/xml; "
        "section 'source imported' 'type = freeswitch_json\\npath = /var/log/freeswitch/xml_cdr'",
    ),
    ("HA-0026", 'freeswitch json_cdr \'<param name="url" value="http://127.0.0.1:8089/"/>\''),
    ("HA-0029", "agent 'source ami' 'nonsense = 1'"),
    ("HA-0030", "sed -i 's/^type = asterisk_ami$/&\\nport = 5039/' $ini"),
    (
        "HA-0031",
        "echo 'something else, and long enough to be no header' >/var/lib/humbug-agent/other.db; "
        "chown humbug-agent /var/lib/humbug-agent/other.db; chmod 0600 /var/lib/humbug-agent/other.db; "
        "agent agent 'outbox = \\/var\\/lib\\/humbug-agent\\/other.db'",
    ),
    ("HA-0032", "echo '[csv' >>$etc/cdr.conf"),
    ("HA-0033", "page 'certificate = /etc/humbug-agent/others.pem\\nprivate_key = /etc/humbug-agent/old.pem'"),
    (
        "HA-0034",
        'freeswitch xml_cdr \'<param name="log-dir" value=""/>\'; '
        "section 'source posted' 'type = freeswitch_http\\nlisten = 127.0.0.1:8089'",
    ),
    ("HA-0035", "posted_to 1"),
    ("HA-0036", "posted_to 8091"),
    ("HA-0037", "posted_to 8089"),
    ("HA-0038", "freeswitch json_cdr '<param>'"),
]
"""What doctor finds, and nothing else; and the mistake. One can be made on the other, in this order."""

ALONE = {"HA-0029", "HA-0030", "HA-0031", "HA-0032", "HA-0033", "HA-0034", "HA-0035", "HA-0036", "HA-0037", "HA-0038"}
"""Beside these others would not be found, or they would not, beside what explains them."""

ENDS_READING = {"HA-0012", "HA-0019"}
"""With these a source fails, and of one that fails no calls are counted."""

LATE = """
import http.server, time

class Late(http.server.BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() - 600)

    def do_GET(self):
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", 8091), Late).serve_forever()
"""
"""A receiver whose clock is ten minutes behind."""

LIVE = [
    # AMI alone tells these calls, and then Master.csv alone has those.
    ("asterisk_says module unload cdr_csv.so; call 6; asterisk_says module load cdr_csv.so", "HA-0028"),
    (
        "asterisk_says module unload cdr_manager.so; call 12; asterisk_says module load cdr_manager.so",
        "HA-0027 HA-0028",
    ),
]
"""What only calls show, one after the other, and what doctor finds then after a while."""
