"""Mistakes, one function each, that make of a host that is well one that is not."""

import os
import pwd
import re
import shutil
import socket
from collections.abc import Callable
from datetime import timedelta

from humbug_agent.receiver import Background, Receiver, Store
from tests.doctor.sick_host import SickHost
from tests.kit.host import API_KEY, KEY
from tests.kit.ports import free_port

Plant = Callable[[SickHost], None]


def _cdr(host: SickHost, section: str, name: str, value: str | None) -> None:
    """A setting of cdr.conf: None leaves it out."""
    file = host.etc / "cdr.conf"
    text = re.sub(rf"(?m)^{name} *=.*\n", "", file.read_text())
    line = "" if value is None else f"{name} = {value}\n"
    file.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{line}", 1))


def _user(host: SickHost, name: str, value: str) -> None:
    """A setting of AMI's user."""
    file = host.etc / host.users
    text = re.sub(rf"(?m)^{name} *=.*\n", "", file.read_text())
    file.write_text(f"{text}{name} = {value}\n")


def csv_off(host: SickHost) -> None:
    host.write("modules.conf", "[modules](+)\nnoload => cdr_csv.so\n")


def csv_gone(host: SickHost) -> None:
    (host.etc / "cdr.conf").write_text("[general]\n")


def csv_misspelt(host: SickHost) -> None:
    host.more("source master-csv", f"path = {host.master.with_name('master.csv')}")


def csv_moved(host: SickHost) -> None:
    """Asterisk's logs are elsewhere by now, where it has had no call yet, and what it wrote is still there."""
    os.utime(host.master, (0, 0))
    (host.etc / "asterisk.conf").write_text("[directories]\nastlogdir => /srv/log\n")


def csv_empty(host: SickHost) -> None:
    text = (host.etc / "cdr.conf").read_text()
    (host.etc / "cdr.conf").write_text(text.partition("\n[csv]")[0] + "\n[csv]\n; loguniqueid = yes\n")


def no_uniqueid(host: SickHost) -> None:
    _cdr(host, "csv", "loguniqueid", None)


def utc(host: SickHost) -> None:
    _cdr(host, "csv", "usegmtime", "yes")
    host.more("source master-csv", "utc = no")


def not_utc(host: SickHost) -> None:
    _cdr(host, "csv", "usegmtime", "no")
    host.more("source master-csv", "utc = yes")


def zone(host: SickHost) -> None:
    host.more("agent", "timezone = Asia/Tokyo")


def zone_of_the_calls(host: SickHost) -> None:
    """The host's is as wrong as agent.ini's, and the uniqueids tell."""
    shutil.copy("/usr/share/zoneinfo/Asia/Tokyo", host.root / "etc/localtime")
    _cdr(host, "csv", "usegmtime", "no")
    host.more("agent", "timezone = Asia/Tokyo")
    host.more("source master-csv", "utc = no")


def clock(host: SickHost) -> None:
    url = host.receiver_with(timedelta(minutes=-3))
    host.more("destination late", "type = humbug", f"url = {url}", "api_key = another-key")


def copytruncate(host: SickHost) -> None:
    host.logrotate("rotate 12", "copytruncate")


def copytruncate_behind_a_link(host: SickHost) -> None:
    """The logs were moved to a larger disk, and logrotate goes on to have them by the name that they had."""
    copytruncate(host)
    logs = host.root / "var/log/asterisk"
    logs.rename(host.root / "srv-logs")
    logs.symlink_to(host.root / "srv-logs")


def olddir(host: SickHost) -> None:
    host.logrotate("rotate 12", "olddir /var/log/archive")


def extension(host: SickHost) -> None:
    host.logrotate("rotate 12", "extension .csv")


def rotate_nothing(host: SickHost) -> None:
    host.logrotate("weekly")


def both_rotations(host: SickHost) -> None:
    host.logrotate("copytruncate", "rotate 0")


def ami_blind(host: SickHost) -> None:
    _user(host, "read", "call")


def ami_nobody(host: SickHost) -> None:
    (host.etc / host.users).write_text("[other]\nsecret = x\npermit = 127.0.0.1\nread = cdr\n")


def ami_blind_live(host: SickHost) -> None:
    """The file is right by now, and Asterisk has not read it."""
    host.ami.console = {**host.ami.console, "manager show user humbug": "read perm: call\nwrite perm: <none>\n"}


def ami_mighty(host: SickHost) -> None:
    _user(host, "write", "system,call,originate")


def ami_open(host: SickHost) -> None:
    host.change("manager.conf", "bindaddr = 127.0.0.1", "bindaddr = 0.0.0.0")
    text = (host.etc / host.users).read_text()
    (host.etc / host.users).write_text(re.sub(r"(?m)^(deny|permit) .*\n", "", text))


def eventfilter(host: SickHost) -> None:
    _user(host, "eventfilter", "!Event: C.*")


def eventfilter_for_others(host: SickHost) -> None:
    _user(host, "eventfilter", "Event: Hangup")


def eventfilter_by_name(host: SickHost) -> None:
    _user(host, "eventfilter(action(exclude),name(Cdr))", "")


def disabledevents(host: SickHost) -> None:
    host.change("manager.conf", "port = 5038", "port = 5038\ndisabledevents = VarSet,Cdr")


def ami_off(host: SickHost) -> None:
    host.change("manager.conf", "enabled = yes", "enabled = no")


def cdr_off(host: SickHost) -> None:
    _cdr(host, "general", "enable", "no")


def events_off(host: SickHost) -> None:
    host.change("cdr_manager.conf", "enabled = yes", "enabled = no")


def events_unloaded(host: SickHost) -> None:
    host.write("modules.conf", "[modules](+)\nnoload => cdr_manager.so\n")


def writetimeout(host: SickHost) -> None:
    _user(host, "writetimeout", "50")


def batch(host: SickHost) -> None:
    _cdr(host, "general", "batch", "yes")


def two_writers(host: SickHost) -> None:
    host.write("cdr_custom.conf", "[mappings]\n../cdr-csv/Master.csv => ${CSV_QUOTE(${CDR(clid)})}\n")


def linked_writers(host: SickHost) -> None:
    host.write("cdr_custom.conf", "[mappings]\nMaster.csv => ${CSV_QUOTE(${CDR(clid)})}\n")
    custom = host.master.parent.with_name("cdr-custom")
    custom.mkdir()
    (custom / "Master.csv").symlink_to("../cdr-csv/Master.csv")


def two_destinations(host: SickHost) -> None:
    host.more("destination again", *host.sections["destination humbug"])


def ini_open(host: SickHost) -> None:
    host.configure()
    host.ini.chmod(0o644)


def secret_open(host: SickHost) -> None:
    host.secret.chmod(0o644)


def key_open(host: SickHost) -> None:
    """The certificate's file has the key in it."""
    _, pem, _ = host.certificate(days=200)
    pem.chmod(0o644)
    host.more("status", f"listen = 127.0.0.1:{free_port()}", f"certificate = {pem}")
    _board(host)


def outbox_open(host: SickHost) -> None:
    host.outbox.touch(0o644)
    host.outbox.chmod(0o644)


def closed(host: SickHost) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(host.outbox.parent, nobody.pw_uid, nobody.pw_gid)
    host.configure()
    host.ini.chmod(0o600)


def disk(host: SickHost) -> None:
    host.small_disk()


def receiver(host: SickHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    host.more("destination gone", "type = humbug", f"url = {url}", "api_key = a-key-of-its-own")


def receivers_certificate(host: SickHost) -> None:
    ca, pem, key = host.certificate(days=5)
    store = Store(host.folder / "tls.db")
    host.stack.callback(store.close)
    served = host.stack.enter_context(Background(Receiver(store, API_KEY, KEY), certificate=pem, private_key=key))
    host.more("destination secure", "type = humbug", f"url = {served.url}", "api_key = third-key", f"ca_file = {ca}")


def pages_certificate(host: SickHost) -> None:
    _, pem, key = host.certificate(days=-1)
    key.chmod(0o640)
    host.more("status", f"listen = 127.0.0.1:{free_port()}", f"certificate = {pem}", f"private_key = {key}")
    _board(host)


def _board(host: SickHost) -> None:
    """What the board needs of AMI, so that nothing else is wrong."""
    _user(host, "read", "cdr,call,agent")
    _user(host, "write", "reporting")
    shown = "read perm: cdr,call,agent\nwrite perm: reporting\n"
    host.ami.console = {**host.ami.console, "manager show user humbug": shown}


def port(host: SickHost) -> None:
    other = host.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    host.more("status", f"listen = 127.0.0.1:{other.getsockname()[1]}")
    _board(host)


def asterisks_port(host: SickHost) -> None:
    host.write("http.conf", "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n")
    host.more("source posted", "type = freeswitch_http", "listen = 127.0.0.1:8088")


def disguise(host: SickHost) -> None:
    host.more(
        "destination masked", "type = humbug", "url = http://receiver.invalid/", "api_key = k", "encryption_key = e"
    )


def fusionpbx_import(host: SickHost) -> None:
    directory = host.root / "var/log/freeswitch/xml_cdr"
    (directory / "failed/xml").mkdir(parents=True)
    host.more("source imported", "type = freeswitch_json", f"path = {directory}")


def _freeswitch(host: SickHost, name: str, params: str) -> None:
    """One beside the host's own PBX, which has one module loaded."""
    configs = host.root / "etc/freeswitch/autoload_configs"
    configs.mkdir(parents=True, exist_ok=True)
    (configs.parent / "freeswitch.xml").touch()
    (configs / "modules.conf.xml").write_text(
        f'<configuration><modules><load module="mod_{name}"/></modules></configuration>'
    )
    (configs / f"{name}.conf.xml").write_text(f"<configuration><settings>{params}</settings></configuration>")


def no_timeout(host: SickHost) -> None:
    url = '<param name="url" value="http://fs:fs-password@127.0.0.1:8089/"/>'
    _freeswitch(host, "json_cdr", f'{url}\n<!-- <param name="timeout" value="5"/> -->')


def not_posted(host: SickHost) -> None:
    """As FusionPBX has it: mod_xml_cdr writes files, and mod_json_cdr is not loaded."""
    _freeswitch(host, "xml_cdr", '<param name="log-dir" value=""/>')
    host.more("source posted", "type = freeswitch_http", f"listen = 127.0.0.1:{free_port()}")


def _posted_to(host: SickHost, port: int, listen: int) -> None:
    _freeswitch(
        host, "json_cdr", f'<param name="url" value="http://127.0.0.1:{port}/"/><param name="timeout" value="5"/>'
    )
    host.more("source posted", "type = freeswitch_http", f"listen = 127.0.0.1:{listen}")


def posted_elsewhere(host: SickHost) -> None:
    _posted_to(host, free_port(), free_port())


def posted_to_another_program(host: SickHost) -> None:
    other = host.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    _posted_to(host, other.getsockname()[1], free_port())


def unsent(host: SickHost) -> None:
    port = free_port()
    _posted_to(host, port, port)


def broken_xml(host: SickHost) -> None:
    _freeswitch(host, "json_cdr", "<param>")


def deaf(host: SickHost) -> None:
    host.daemon()
    host.told_by("master-csv", range(5))


def disagree(host: SickHost) -> None:
    host.daemon()
    host.told_by("ami", range(100, 106))


ALONE: dict[str, list[Plant]] = {
    "HA-0001": [csv_off, csv_gone, csv_misspelt, csv_moved],
    "HA-0002": [csv_empty],
    "HA-0003": [no_uniqueid],
    "HA-0004": [utc, not_utc],
    "HA-0005": [zone, zone_of_the_calls],
    "HA-0006": [clock],
    "HA-0007": [copytruncate, copytruncate_behind_a_link],
    "HA-0008": [olddir, extension, rotate_nothing],
    "HA-0009": [ami_blind, ami_nobody, ami_blind_live],
    "HA-0010": [ami_mighty, ami_open],
    "HA-0011": [eventfilter, eventfilter_for_others, eventfilter_by_name, disabledevents],
    "HA-0012": [ami_off],
    "HA-0013": [cdr_off],
    "HA-0014": [events_off, events_unloaded],
    "HA-0015": [writetimeout],
    "HA-0016": [batch],
    "HA-0017": [two_writers, linked_writers, two_destinations],
    "HA-0018": [ini_open, secret_open, key_open, outbox_open],
    "HA-0019": [closed],
    "HA-0020": [disk],
    "HA-0021": [receiver],
    "HA-0022": [receivers_certificate, pages_certificate],
    "HA-0023": [port, asterisks_port],
    "HA-0024": [disguise],
    "HA-0025": [fusionpbx_import],
    "HA-0026": [no_timeout],
    "HA-0027": [deaf],
    "HA-0028": [disagree],
    "HA-0034": [not_posted],
    "HA-0035": [posted_elsewhere],
    "HA-0036": [posted_to_another_program],
    "HA-0037": [unsent],
    "HA-0038": [broken_xml],
}
"""Code -> the mistakes that have it, each of which is found alone."""
