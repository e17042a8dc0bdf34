"""The environment of a process; nothing else reads it."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from services.errors import InputError

_OFFLINE: Final = {
    **{"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"},
    **{"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "DO_NOT_TRACK": "1"},
}


MOST_SECRET: Final = 64 * 1024
"""Bytes of a file that holds a secret."""


class SettingsError(InputError):
    """A variable of the environment that cannot be used; the text names it and the remedy, never its value."""


def _database(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    return url


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be a URL such as http://127.0.0.1:8400")
    return url.rstrip("/")


def _endpoint(url: str) -> str:
    _http(url)
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise ValueError("must be a URL such as https://issuer.example/token") from None
    if not url.startswith("https://") and host != "localhost" and not _is_loopback(host):
        raise ValueError(
            "must be https, for credentials are sent there; http only on this machine, as http://127.0.0.1"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _brokers(text: str) -> str:
    for address in text.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError("must be HOST:PORT, several with commas between")
    return text


def _extensions(text: str) -> str:
    for one in text.split(","):
        name, equals, value = one.strip().partition("=")
        if not (equals and name.isascii() and name.isalpha() and name != "auth" and value.isascii() and value.strip()):
            raise ValueError("must be NAME=VALUE, several with commas between, names of letters alone")
    return text


def _proxies(text: str) -> str:
    for address in text.split(","):
        try:
            ipaddress.ip_network(address.strip())
        except ValueError:
            raise ValueError(
                "must be addresses or networks of proxies, such as 10.0.0.7 or 10.1.0.0/16, with commas between"
            ) from None
    return text


DatabaseUrl = Annotated[str, AfterValidator(_database)]
HttpUrl = Annotated[str, AfterValidator(_http)]
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]
"""A whole URL to which a secret is sent, of which not even the last slash is ours to change."""
Proxies = Annotated[str, AfterValidator(_proxies)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Extensions = Annotated[str, AfterValidator(_extensions)]
Instance = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


def _home() -> Path:
    return Path("~/.local/share/keelwatch").expanduser()


class Settings(BaseSettings):
    """`KEELWATCH_*`; an empty variable counts as unset. Secrets do not show when settings are printed.

    What is secret may stand in a file instead, which `KEELWATCH_..._FILE` names: see `in_files`.

    Attributes:
        config: the monitor file. data_dir: database and the instance's id. cache_dir: what can be made again.
        instance: name of a replica, stable; None takes the one that is kept in `data_dir`.
        database_url: None is SQLite in `data_dir`. embedder: name of an adapter; None is the default one.
        api_key: what commands that call the API send. api_key_file: holds a whole key, `kw_<id>_<secret>`, which is
            written as the first one, of an admin, by whoever serves the API on a database that has none.
    """

    model_config = SettingsConfigDict(env_prefix="KEELWATCH_", env_ignore_empty=True, frozen=True, extra="ignore")

    config: Path | None = Field(default=None, description="The monitor file.")
    data_dir: Path = Field(default_factory=_home, description="Database, and the name of this process.")
    cache_dir: Path | None = Field(
        default=None,
        description="Where compiled patterns are kept for the next start; else `~/.cache/keelwatch`. It may be deleted "
        "at any time.",
    )
    instance: Instance | None = Field(
        default=None, description="Name of a replica, stable and its own; else one that is kept in the data directory."
    )
    embedder: str | None = Field(default=None, description="Name of the embedder; else the built-in one.")

    database_url: DatabaseUrl | None = Field(
        default=None,
        description="`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`; else SQLite in the data directory.",
    )

    kafka_bootstrap: Brokers | None = Field(
        default=None, description="`HOST:PORT` of the broker, several with commas between."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How the connection to the broker is protected."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None,
        description="How the broker is shown who we are: a user and password (else SCRAM-SHA-512), or a token.",
    )
    kafka_username: str | None = Field(default=None, description="User at the broker.")
    kafka_password: SecretStr | None = Field(default=None, description="Password at the broker.")
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM file of the authority that signed the broker's certificate."
    )
    kafka_certificate_file: Path | None = Field(
        default=None, description="PEM file of our own certificate, for a broker that asks for one (mTLS)."
    )
    kafka_key_file: Path | None = Field(
        default=None, description="PEM file of its private key; else that stands in the certificate's file."
    )
    kafka_key_password: SecretStr | None = Field(default=None, description="What that key is encrypted with.")
    kafka_token_file: Path | None = Field(
        default=None,
        description="File with the token of OAUTHBEARER, which somebody else keeps fresh; read at every connection.",
    )
    kafka_token_url: EndpointUrl | None = Field(
        default=None, description="Token endpoint of OAUTHBEARER, asked with client credentials."
    )
    kafka_token_client_id: str | None = Field(default=None, description="Client at the token endpoint.")
    kafka_token_client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    kafka_token_scope: str | None = Field(default=None, description="Scope that the token is asked for.")
    kafka_token_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authority that signed the token endpoint's certificate; else those of the system.",
    )
    kafka_token_extensions: Extensions | None = Field(
        default=None,
        description="What a broker wants to be told beside the token, such as `logicalCluster=lkc-1`; several with "
        "commas between.",
    )

    slack_token: SecretStr | None = Field(default=None, description="Token of the Slack bot.")
    slack_channel: str | None = Field(
        default=None, description="Where it posts when the monitor file names no receiver."
    )
    slack_webhook_url: SecretStr | None = Field(default=None, description="Incoming webhook, where there is no bot.")
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="By which presses of buttons are known to come from Slack."
    )
    slack_api_url: HttpUrl | None = Field(default=None, description="Another address than Slack's, for tests.")

    webhook_github_secret: SecretStr | None = Field(
        default=None, description="By which deliveries of GitHub's webhook are known to come from GitHub."
    )

    api_url: HttpUrl | None = Field(default=None, description="Where commands find the API.")
    public_url: HttpUrl | None = Field(
        default=None,
        description="Where people find the pages, in links of messages. With `https://` cookies are for https alone, "
        "and browsers are told to come by nothing else.",
    )
    public_bootstrap: Brokers | None = Field(
        default=None,
        description="`HOST:PORT` at which sources find the broker, on the page that waits for the first exchange; "
        "else that of `KEELWATCH_KAFKA_BOOTSTRAP`.",
    )
    trusted_proxies: Proxies | None = Field(
        default=None,
        description="Addresses or networks of the proxies whose `X-Forwarded-For` and `-Proto` are believed; else "
        "nobody's are.",
    )
    api_key: SecretStr | None = Field(default=None, description="What commands send to the API.")
    api_key_file: Path | None = Field(
        default=None,
        description="A file with the first key, of an admin, for a database that has none. Commands send it where "
        "`KEELWATCH_API_KEY` is not set.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the files that it names."""
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @property
    def caches(self) -> Path | None:
        """The folder of caches; None for a user without a home."""
        home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("HOME") and f"{os.environ['HOME']}/.cache")
        return self.cache_dir or (Path(home, "keelwatch") if home else None)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The proxies that are believed."""
        return tuple(one.strip() for one in self.trusted_proxies.split(",")) if self.trusted_proxies else ()

    @property
    def database(self) -> str:
        """The URL of the database that is used."""
        return self.database_url or f"sqlite:///{self.data_dir / 'keelwatch.db'}"

    @property
    def shows_key(self) -> bool:
        """Whether commands show the API a key."""
        return self.api_key is not None or self.api_key_file is not None

    def shown_key(self) -> tuple[str, str] | None:
        """The key that commands show the API, behind the variable that gives it; read where it is sent, by them alone.

        Raises:
            SettingsError: if the file of the key cannot be used.
        """
        if self.api_key is not None:
            return "KEELWATCH_API_KEY", self.api_key.get_secret_value().strip()
        if self.api_key_file is None:
            return None
        text = _in_file("KEELWATCH_API_KEY", str(self.api_key_file), None)
        return f"KEELWATCH_API_KEY_FILE: {self.api_key_file}", text.strip()


def in_files() -> tuple[str, ...]:
    """The settings that are secret: each may stand in a file that the variable with `_FILE` behind its name names."""
    return tuple(name for name, field in Settings.model_fields.items() if _is_secret(name, field))


def _is_secret(name: str, field: FieldInfo) -> bool:
    """The database's URL holds a password."""
    return name == "database_url" or SecretStr in (field.annotation, *get_args(field.annotation))


class _SecretFiles(EnvSettingsSource):
    """The secrets that stand in files, as orchestrators mount them; but for the API's key.

    Its file also seeds the first key, where it may be missing for most processes; who shows the key reads it.
    """

    def __call__(self) -> dict[str, Any]:
        found, wrong = {}, []
        for name in in_files():
            key = f"{self.env_prefix.lower()}{name}"
            path = self.env_vars.get(f"{key}_file")
            if path is None or name == "api_key":
                continue
            try:
                found[name] = _in_file(key.upper(), path, self.env_vars.get(key))
            except SettingsError as error:
                wrong.append(str(error))
        if wrong:
            raise SettingsError("\n".join(wrong))
        return found


def _in_file(variable: str, path: str, beside: str | None) -> str:
    """What a file holds for a variable, without the end of its line."""
    named = f"{variable}_FILE"
    if beside is not None:
        raise SettingsError(f"{named}: {variable} is set too; set one of the two")
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_SECRET + 1)
        text = raw.decode().rstrip("\r\n")
    except OSError as error:
        why = error.strerror or "cannot be opened"
        raise SettingsError(f"{named}: {path} cannot be read ({why}); let this user read it, or unset it") from None
    except ValueError:
        raise SettingsError(f"{named}: {path} is not UTF-8; write the secret alone into it") from None
    if not text or len(raw) > MOST_SECRET:
        what = "holds nothing" if not text else f"holds more than {MOST_SECRET // 1024} KiB"
        raise SettingsError(f"{named}: {path} {what}; write the secret alone into it")
    return text


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: names every variable that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            name = f"KEELWATCH_{str(item['loc'][0]).upper()}" if item["loc"] else "environment"
            lines.append(f"{name}: {_remedy(item['type'], item['msg'])}")
        raise SettingsError("\n".join(lines)) from None


def private_folder(folder: Path) -> None:
    """Make a folder for what is of this user alone; one that is there already is closed to others.

    One that others own, or that is for everybody's files, such as /tmp, stays as it is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077 and not found.st_mode & stat.S_ISVTX:
        folder.chmod(0o700)


def keep_libraries_offline() -> None:
    """Let no library of models, imported after this, ask its maker's servers for anything or tell them of anything."""
    os.environ.update(_OFFLINE)


def isolated_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that must reach nobody's database, broker or Slack but `ours`."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    return {**rest, **ours}


def secret(name: str) -> str | None:
    """The value of a variable that the monitor file names, such as a target's key; None if it is unset or empty.

    It may stand in a file, as our own secrets may: `OPENAI_API_KEY_FILE` for `OPENAI_API_KEY`.

    Raises:
        SettingsError: if that file cannot be used.
    """
    value, path = os.environ.get(name) or None, os.environ.get(f"{name}_FILE")
    return _in_file(name, path, value) if path else value


def fail_points() -> str:
    """KEELWATCH_FAILPOINTS, for tests of crashes; apart from the settings, which people set."""
    return os.environ.get("KEELWATCH_FAILPOINTS", "")


def _remedy(kind: str, message: str) -> str:
    if kind == "string_pattern_mismatch":
        return "must be a name of up to 100 letters, digits and . _ -"
    return message.removeprefix("Value error, ").replace("Input should", "must")
