"""agent.ini's [api] and its [api NAME]: where stored calls may be asked for, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.http_server.settings import Listening, read_listening
from humbug_agent.ini import Secret, Section

DEFAULT_LISTEN = "127.0.0.1:6496"
ALL = "*"
MOST_TENANTS = 200
"""Of one [api NAME]: each is looked for by itself."""

KEYS = {"cdr": ("token", "api_key"), "getcdr": ("username", "user_key"), "call_range": ("email", "password")}
"""Each API's switch in [api], and what its programs have to give of an [api NAME]."""


@dataclass(frozen=True)
class ApiAccount:
    """A section [api NAME]: somebody who may ask.

    ``tenants`` are the names by which tenants are asked for, and the accountcodes and domains in the calls of each;
    calls of these are shown and no others. None: all calls. Of an API that it may not ask it has no secrets.
    """

    name: str
    tenants: Mapping[str, tuple[str, ...]] | None
    token: Secret | None = None
    api_key: Secret | None = None
    username: str = ""
    user_key: Secret | None = None
    email: str = ""
    password: Secret | None = None

    @property
    def seen(self) -> tuple[str, ...] | None:
        """The accountcodes and domains of all calls that it may see; None: it may see all."""
        if self.tenants is None:
            return None
        return tuple(dict.fromkeys(one for carried in self.tenants.values() for one in carried))

    def of(self, tenant: str) -> tuple[str, ...]:
        """The accountcodes and domains of this tenant; none of one that it may not see, or that is not named."""
        if self.tenants is None:
            return (tenant,) if tenant else ()
        return self.tenants.get(tenant, ())

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        account = cls(
            name=name,
            tenants=_tenants(section),
            token=section.secret("token"),
            api_key=section.secret("api_key"),
            username=section.text("username"),
            user_key=section.secret("user_key"),
            email=section.text("email"),
            password=section.secret("password"),
        )
        for keys in KEYS.values():
            given = [key for key in keys if getattr(account, key)]
            if len(given) == 1:
                (lacking,) = {*keys} - {*given}
                section.wrong(lacking, f"is missing; {given[0]} is of no use alone")
        return account


@dataclass(frozen=True, kw_only=True)
class ServedApiSettings(Listening):
    """The section [api]: where calls may be asked for, by which APIs. ``accounts`` are by their names.

    ``register``: whoever of them registers, in the way of call_range, is taken for logged in.
    Nobody is answered without keys, wherever it listens.
    """

    label: ClassVar[str] = "[api]"
    cdr: bool
    getcdr: bool
    call_range: bool
    register: bool
    accounts: Mapping[str, ApiAccount]

    @property
    def by_tenant(self) -> bool:
        """Whether calls are looked for by their tenants."""
        return self.getcdr or any(one.tenants is not None for one in self.accounts.values())

    def asking(self, api: str) -> list[ApiAccount]:
        """Those who may ask by this API, in the order of agent.ini."""
        return [one for one in self.accounts.values() if all(getattr(one, key) for key in KEYS[api])]

    @classmethod
    def read(cls, section: Section, accounts: Sequence[ApiAccount]) -> Self:
        settings = cls(
            **vars(read_listening(section, DEFAULT_LISTEN)),
            cdr=section.flag("cdr", False),
            getcdr=section.flag("getcdr", False),
            call_range=section.flag("call_range", False),
            register=section.flag("register", False),
            accounts={one.name: one for one in accounts},
        )
        for api, keys in KEYS.items():
            if getattr(settings, api) and not settings.asking(api):
                section.wrong(api, f"is on, and nobody may ask: at least one [api NAME] has {_and(keys)}")
        for one in accounts:
            if not any(getattr(one, key) for keys in KEYS.values() for key in keys):
                each = ", or ".join(map(_and, KEYS.values()))
                section.wrong(", ".join(KEYS), f"[api {one.name}] has the keys of none of them; give it {each}")
        for key, said in (("username", "getcdr"), ("email", "call_range")):
            for both in _twice([getattr(account, key) for account in settings.asking(said)]):
                section.wrong(said, f"can't tell who asks: two of the [api NAME] have {key} = {both}")
        return settings


def _tenants(section: Section) -> Mapping[str, tuple[str, ...]] | None:
    listed = section.listed("tenants", required=True)
    if ALL in listed:
        if len(listed) > 1:
            section.wrong("tenants", f"has {ALL}, which is all calls, beside others; keep one of them")
        return None
    if len(listed) > MOST_TENANTS:
        section.wrong("tenants", f"has more than {MOST_TENANTS}; part them among several [api NAME], or give {ALL}")
    found: dict[str, tuple[str, ...]] = {}
    for one in listed:
        name, equals, carried = (part.strip() for part in one.partition("="))
        if not name or (equals and not carried):
            section.wrong("tenants", f"{one!r} is neither a tenant nor NAME=TENANT")
        found[name] = (*found.get(name, ()), carried or name)
    return found


def _and(keys: Sequence[str]) -> str:
    return " and ".join(keys)


def _twice(values: Sequence[str]) -> list[str]:
    return sorted({one for one in values if values.count(one) > 1})
