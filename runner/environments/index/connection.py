"""The connection to the package index that the user's configuration names: its address, the network, pages and files.

The settings by which the network is reached are for httpx and for uv alike. Pages and files come by HTTP, retried.
Credentials of the address are given to the index's host only and never shown: `IndexAddress.url` and its repr are free
of them.
"""

from __future__ import annotations

import configparser
import functools
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from runner.cache import in_home, passing_folder
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx


_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)=(?P<url>https?://.*)$")
_ADDRESS = re.compile(r"\b(?:https?|file)://[^\s`'\")>,]+")
_CREDENTIALS = re.compile(r"UV_INDEX_[A-Z0-9_]+_(?:USERNAME|PASSWORD)")
INDEX_NAME = "runner"
"""The name of the index in a configuration file of uv, so that its credentials need not stand in that file."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_UV_NETWORK = (
    "UV_CONCURRENT_DOWNLOADS",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexAddress:
    """The address of a simple index without its credentials, and these apart."""

    url: str
    name: str = ""
    """The name by which uv's variables give its credentials."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> IndexAddress:
        """Take an address apart; uv's `NAME=ADDRESS` form brings its credentials in the environment."""
        named = _NAMED.match(text)
        parts = urlsplit(named["url"] if named else text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                "The package index of your configuration is not an http or https address. Exact dates of upload are"
                " needed, which a folder of files does not have: name an index in UV_DEFAULT_INDEX."
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        host += f":{parts.port}" if parts.port else ""
        prefix = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', named['name'].upper())}_" if named else ""
        return cls(
            url=urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", "")),
            name=named["name"] if named else "",
            user=unquote(parts.username or "") or (os.environ.get(f"{prefix}USERNAME", "") if named else ""),
            password=unquote(parts.password or "") or (os.environ.get(f"{prefix}PASSWORD", "") if named else ""),
        )

    @property
    def host(self) -> str:
        """The host, for messages."""
        return urlsplit(self.url).netloc

    @property
    def secret_url(self) -> str:
        """The address with its credentials: for the environment of uv, never for a file or a message."""
        parts = urlsplit(self.url.rstrip("/"))
        if not self.user and not self.password:
            return urlunsplit(parts)
        secret = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return urlunsplit(parts._replace(netloc=f"{secret}@{parts.netloc}"))


def index_address() -> IndexAddress:
    """The index that the user's configuration names: uv's variables, pip's variable, pip's files, uv's own choice."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if text := os.environ.get(variable):
            return IndexAddress.parse(text)
    return IndexAddress.parse(_pip_index() or _uv_index())


def _pip_index() -> str | None:
    """`index-url` of pip's configuration files: the last one that names it counts, as for pip."""
    found = None
    for file in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not a configuration file that pip can read: {error}") from error
        for section in ("global", "install"):
            found = parser.get(section, "index-url", fallback=found)
    return found


def _pip_files() -> list[Path]:
    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    config = in_home(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    shared = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    files = [*(Path(folder, "pip", "pip.conf") for folder in shared), Path("/etc/pip.conf")]
    if not own or not Path(own).exists():  # pip's own rule: the file of the variable stands in for the user's
        files += [in_home("~/.pip/pip.conf"), config / "pip" / "pip.conf"]
    return [*files, Path(sys.prefix, "pip.conf"), *([Path(own)] if own else [])]


@functools.cache
def _uv_index() -> str:
    """The index that uv takes by default, its own configuration files included; asked of uv itself."""
    from uv import find_uv_bin  # noqa: PLC0415 - most often an address is configured or a catalog is cached

    with passing_folder() as folder:
        asked = [find_uv_bin(), "pip", "compile", "-", "--emit-index-url", "--no-header", "--quiet", "--offline"]
        asked += ["--python", sys.executable]
        done = subprocess.run(asked, input="", capture_output=True, text=True, cwd=folder, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("--index-url "):
            return line.removeprefix("--index-url ").strip()
    raise MachineError(f"uv does not say which package index it uses: {without_addresses(done.stderr)}")


def certificate_file() -> str | None:
    """The certificates that the user's configuration names, for uv, pip or requests."""
    for variable in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if text := os.environ.get(variable):
            return text
    return None


def is_offline() -> bool:
    """True where the user's configuration switches the network off."""
    return os.environ.get("UV_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def network_settings() -> dict[str, str]:
    """The environment that tells uv of index, certificates and proxies. Holds credentials: for processes only."""
    index = index_address()
    settings = {"UV_DEFAULT_INDEX": index.secret_url, "UV_NO_CONFIG": "1"}
    if index.user or index.password:
        settings |= {f"UV_INDEX_{INDEX_NAME.upper()}_USERNAME": index.user}
        settings |= {f"UV_INDEX_{INDEX_NAME.upper()}_PASSWORD": index.password}
    settings |= {name: os.environ[name] for name in _UV_NETWORK if name in os.environ}
    settings |= {name: text for name, text in os.environ.items() if _CREDENTIALS.fullmatch(name)}
    for name in _PROXIES:
        settings |= {variant: os.environ[variant] for variant in (name, name.lower()) if variant in os.environ}
    if certificates := certificate_file():
        settings["SSL_CERT_FILE"] = certificates
    if folder := os.environ.get("SSL_CERT_DIR"):
        settings["SSL_CERT_DIR"] = folder
    return settings


def without_addresses(text: str) -> str:
    """A text of uv or of the index as it may be shown and stored: no address, so no credentials either."""
    return _ADDRESS.sub("<address>", text)


UNANSWERED = ("request failed", "error sending request")
"""What uv says, in lower case, where a server did not answer."""
ATTEMPTS = 4
_AS_IT_IS = {"Accept-Encoding": "identity"}
_T = TypeVar("_T")


class IndexSilentError(MachineError):
    """The index does not answer; what is cached may still serve."""


class Connection:
    """HTTP to one index, and to the files of `others`. May be used from several threads; opened at the first use."""

    def __init__(self, address: IndexAddress | None = None, others: Sequence[IndexAddress] = ()) -> None:
        self._address = address
        self._others = others
        self._opening = threading.Lock()
        self._opened: httpx.Client | None = None

    @cached_property
    def address(self) -> IndexAddress:
        """The address of the index."""
        return self._address or index_address()

    def get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """One page; an answer that is no success is returned too, unless the server is in trouble.

        Raises IndexSilentError where there is no answer after some attempts.
        """
        return self._retried(lambda: self._get_once(url, headers), url)

    def download(self, url: str, take: Callable[[Iterator[bytes]], None]) -> None:
        """Hand the bytes of a file to `take`, anew at each attempt. Raises IndexSilentError or MachineError."""
        self._retried(lambda: self._download_once(url, take), url)

    def close(self) -> None:
        """Let go of connections."""
        if self._opened is not None:
            self._opened.close()

    def _get_once(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        response = self._client().get(url, headers=headers, auth=self._auth(url))
        if response.status_code >= 500 or response.status_code == 429:
            response.raise_for_status()
        return response

    def _download_once(self, url: str, take: Callable[[Iterator[bytes]], None]) -> None:
        with self._client().stream("GET", url, headers=_AS_IT_IS, auth=self._auth(url)) as response:
            response.raise_for_status()
            take(response.iter_bytes(chunk_size=1 << 18))

    def _client(self) -> httpx.Client:
        import httpx  # noqa: PLC0415 - heavy; a finished matrix reads no index

        with self._opening:
            if self._opened is None:
                if is_offline():
                    raise IndexSilentError("The network is switched off by UV_OFFLINE.")
                self._opened = httpx.Client(
                    follow_redirects=True,
                    timeout=httpx.Timeout(30.0, connect=10.0),
                    verify=_trust(certificate_file()),
                    headers={"User-Agent": "convergence-matrix"},
                )
            return self._opened

    def _auth(self, url: str) -> tuple[str, str] | None:
        for one in (self.address, *self._others):
            if (one.user or one.password) and urlsplit(url).netloc == one.host:
                return (one.user, one.password)
        return None

    def _retried(self, ask: Callable[[], _T], url: str) -> _T:
        import httpx  # noqa: PLC0415 - as above
        import tenacity  # noqa: PLC0415

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=3.0),
            reraise=True,
        )
        try:
            return retrying(ask)
        except httpx.HTTPError as error:
            self._give_up(error, url)

    def _give_up(self, error: httpx.HTTPError, url: str) -> NoReturn:
        import httpx  # noqa: PLC0415 - as above

        host = urlsplit(url).hostname
        if isinstance(error, httpx.HTTPStatusError) and not _may_pass(error):
            raise MachineError(
                f"{host} refused a file that its index lists (HTTP {error.response.status_code}). Try again later;"
                " where the index needs credentials, put them into UV_DEFAULT_INDEX."
            ) from None
        reason = without_addresses(str(error)) or type(error).__name__
        if isinstance(error, httpx.HTTPStatusError):
            reason = f"HTTP {error.response.status_code}"
        raise IndexSilentError(
            f"The package index at {host} does not answer ({reason}). Check the network and the proxy (HTTPS_PROXY),"
            " the certificates (SSL_CERT_FILE) and the address (UV_DEFAULT_INDEX or pip's index-url), then run again."
        ) from None


def _may_pass(error: BaseException) -> bool:
    """True where the same question may be answered a moment later."""
    import httpx  # noqa: PLC0415 - as above

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


@functools.cache
def _trust(file: str | None) -> ssl.SSLContext:
    """The certificates of a file that the user's configuration names, else those of httpx."""
    import ssl  # noqa: PLC0415 - as above

    import httpx  # noqa: PLC0415

    if file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{file}, which SSL_CERT_FILE or PIP_CERT names, holds no certificates: {error}") from error
