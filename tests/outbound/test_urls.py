"""Which URLs may be called, and that it is the checked address that is called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from services.outbound import Outbound, UrlRefused, checked_url, is_public

PUBLIC = ("8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808")
PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_as_hosts_and_as_what_a_name_means(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(UrlRefused, match="list it under allow_hosts"):
        checked_url(f"https://{host}/v1")
    with pytest.raises(UrlRefused, match="has the address"):
        post("https://model.example/v1", addresses=["8.8.8.8", address])


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "134744072", "1.2.3.08"])
def test_a_number_in_another_form_is_no_host_even_if_it_is_listed(host: str) -> None:
    for allowed in ((), (host,), ("127.0.0.1",)):
        with pytest.raises(UrlRefused, match=r"usual form of an address|cannot be read"):
            checked_url(f"https://{host}/v1", allowed)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "write https://HOST/PATH"),
        ("model", "write https://HOST/PATH"),
        ("https://", "write https://HOST/PATH"),
        ("https://[::1", "write https://HOST/PATH"),
        ("https://host:port/", "write https://HOST/PATH"),
        ("file:///etc/passwd", "write https://HOST/PATH"),
        ("gopher://model.example/", "write https://HOST/PATH"),
        ("https://user:secret@model.example/", "environment variable"),
        ("http://model.example/", "use https, or list model.example"),
        ("https://model.example:22/", "443 and 8443"),
        ("https://model.example:0/", "443 and 8443"),
    ],
)
def test_what_is_refused_names_the_remedy_and_no_secret(url: str, remedy: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        checked_url(url)
    assert remedy in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_listed_host_may_be_private_in_any_scheme_and_port() -> None:
    for url in ("http://localhost:8000/v1", "http://LOCALHOST./v1", "https://localhost:22"):
        assert checked_url(url, ["localhost"]).host
    for listed in ("::1", "[::1]"):
        assert checked_url("http://[::1]:8000", [listed]).host == "::1"
    with pytest.raises(UrlRefused):
        checked_url("http://sub.localhost/", ["localhost"])


def test_a_listed_name_that_means_cloud_metadata_is_refused_all_the_same() -> None:
    for address in ("169.254.169.254", "168.63.129.16", "fe80::1", "64:ff9b::a9fe:a9fe"):
        with pytest.raises(UrlRefused, match="has the address"):
            post("http://inside.example/", ["inside.example"], [address])
    assert checked_url("http://169.254.169.254/", ["169.254.169.254"])


def test_a_real_name_that_means_loopback_is_refused() -> None:
    with pytest.raises(UrlRefused, match="https://localhost: has the address"):
        asyncio.run(_post(Outbound("https://localhost/hooks/SECRET")))


def post(url: str, allowed: Sequence[str] = (), addresses: Sequence[str] = ()) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    asyncio.run(_post(Outbound(url, allowed, resolve=resolve)))


async def _post(outbound: Outbound) -> None:
    async with outbound:
        await outbound.post("", b"{}", {}, seconds=5)
