"""The connection to the package index: pages and files by HTTP, retried, credentials given to the index's host only."""

from __future__ import annotations

import functools
import threading
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urlsplit

from runner.environments.index.index_address import certificate_file, index_address, is_offline, without_addresses
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx

    from runner.environments.index.index_address import IndexAddress


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
