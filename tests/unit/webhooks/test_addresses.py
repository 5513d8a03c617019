"""The address policy: forbidden networks, and the setting that allows some of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.http.addresses import (
    AddressPolicy,
    AddressRefused,
    check_literal,
    parse_networks,
    translated,
)
from webhooks.http.urls import check_url

CLOSED = AddressPolicy()
# All networks that can be allowed.
OPEN = AddressPolicy((ip_network("0.0.0.0/0"), ip_network("::/0")))

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "ff02::1",
    "ff05::2",
    # The same addresses within IPv6 addresses.
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:224.0.0.1",
    "::ffff:255.255.255.255",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b::255.255.255.255",
    # Behind a translator's prefix of 96, 64, 56 and 48 bits.
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:fffe::169.254.169.254",
    "64:ff9b:1:2:a9:fea9:fe00:0",
    "64:ff9b:1:2a9:fe:a9fe::",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1:a9fe:ffa9:feff:ffff:ffff",
    "64:ff9b:1:6464:64:c800::",
    "64:ff9b:1::",
    "2002:a9fe:a9fe::",
    "2002:a9fe:a9fe::1",
    "2002:e000:1::",
    # Teredo, by its server and by its client (inverted).
    "2001:0:a9fe:a9fe::",
    "2001:0:808:808:0:0:5601:5601",
]

UNLESS_ALLOWED = [
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "240.0.0.1",
    "255.255.255.254",
    "::1",
    "::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:0:8:808:800:0",
    "64:ff9b:1:8:8:808::",
    "64:ff9b:1:808:8:800::",
    "64:ff9b:1:a00:0:100::",
    "100::1",
    "100:0:0:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fdff::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
]

FREE = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


def refusal(policy: AddressPolicy, address: str, host: str = "handler.example") -> str:
    with pytest.raises(AddressRefused) as caught:
        policy.check(host, address)
    return str(caught.value)


def test_some_addresses_are_always_forbidden() -> None:
    for address in NEVER:
        for policy in (CLOSED, OPEN):
            sentence = refusal(policy, address)
            assert "handler.example" in sentence
            assert "No setting allows that." in sentence


def test_special_addresses_are_forbidden_unless_allowed() -> None:
    for address in UNLESS_ALLOWED:
        sentence = refusal(CLOSED, address)
        assert "handler.example" in sentence
        assert "SIM_ALLOW_NETWORKS" in sentence
        OPEN.check("handler.example", address)


def test_public_addresses_need_no_setting() -> None:
    for address in FREE:
        CLOSED.check("handler.example", address)


@pytest.mark.parametrize(
    ("policy", "host", "address", "sentence"),
    [
        (CLOSED, "handler.example", "10.1.2.3",
         "handler.example cannot be called: 10.1.2.3 is a private address (10.0.0.0/8). "
         'To allow it, add 10.0.0.0/8 (or the keyword "private") to SIM_ALLOW_NETWORKS.'),
        # Python 3.13 writes the last part of a mapped address in decimal.
        (OPEN, "handler.example", "::ffff:169.254.169.254",
         f"handler.example cannot be called: {IPv6Address('::ffff:169.254.169.254')} contains "
         "169.254.169.254, which is a link-local address, where cloud metadata services answer "
         "(169.254.0.0/16). No setting allows that."),
        (CLOSED, "127.0.0.1", "127.0.0.1",
         "127.0.0.1 cannot be called: it is a loopback address (127.0.0.0/8). "
         'To allow it, add 127.0.0.0/8 (or the keyword "loopback") to SIM_ALLOW_NETWORKS.'),
    ],
    ids=["name", "contained IPv4 address", "IP literal"],
)  # fmt: skip
def test_error_names_host_address_rule_and_setting(
    policy: AddressPolicy, host: str, address: str, sentence: str
) -> None:
    assert refusal(policy, address, host) == sentence


@pytest.mark.parametrize("address", ["", "127.1", "0x7f.0.0.1", "2130706433", "name", "1.2.3.4.5"])
def test_invalid_address_is_refused(address: str) -> None:
    assert "is not an IP address" in refusal(OPEN, address)


@pytest.mark.parametrize(
    ("setting", "allowed", "refused"),
    [
        ("10.1.0.0/16", ["10.1.255.255", "::ffff:10.1.0.1"], ["10.2.0.0", "127.0.0.1", "fc00::1"]),
        ("loopback", ["127.0.0.1", "::1", "::ffff:127.0.0.1"],
         ["10.0.0.1", "fc00::1", "169.254.169.254"]),
        ("private", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "fd12::1"],
         ["127.0.0.1", "100.64.0.1", "fd00:ec2::254"]),
        # A translator of this network, for public addresses only.
        ("64:ff9b:1::/48", ["64:ff9b:1::8.8.8.8", "64:ff9b:1:808:8:800::"],
         ["64:ff9b:1:a00:0:100::", "64:ff9b:1::127.0.0.1"]),
    ],
)  # fmt: skip
def test_setting_allows_its_networks_only(
    setting: str, allowed: list[str], refused: list[str]
) -> None:
    policy = AddressPolicy(parse_networks(setting))
    for address in allowed:
        policy.check("h", address)
    for address in refused:
        refusal(policy, address)


def test_setting_accepts_keywords_networks_and_addresses() -> None:
    assert parse_networks("") == ()
    assert parse_networks(" , ") == ()
    networks = parse_networks("Loopback, 10.1.0.0/16,10.2.3.4 fd12::/16")
    assert [str(n) for n in networks] == [
        "127.0.0.0/8",
        "::1/128",
        "10.1.0.0/16",
        "10.2.3.4/32",
        "fd12::/16",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, f"SIM_ALLOW_NETWORKS contains .*{text}")
          for text in ("intranet", "10.1.0.0/33", "10.1", "nonsense", "::/129")),
        ("loopback,nonsense", "SIM_ALLOW_NETWORKS contains .*nonsense"),
        ("10.1.2.3/16", r"write 10\.1\.0\.0/16 for the whole"),
        *((text, "no setting allows that")
          for text in ("169.254.169.254", "169.254.0.0/16", "fe80::/10", "224.0.0.0/8")),
    ],
)  # fmt: skip
def test_invalid_entry_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_networks(text)


def _verdict(address: str) -> bool:
    try:
        CLOSED.check("h", address)
    except AddressRefused:
        return False
    return True


@given(st.integers(0, 2**32 - 1))
def test_contained_ipv4_address_is_checked(number: int) -> None:
    plain = _verdict(str(IPv4Address(number)))
    for base, shift in (("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80)):
        carrier = IPv6Address(int(IPv6Address(base)) | number << shift)
        assert _verdict(str(carrier)) == plain, carrier


# RFC 6052, 2.4.
@pytest.mark.parametrize(
    ("address", "length"),
    [
        ("2001:db8:c000:221::", 32),
        ("2001:db8:1c0:2:21::", 40),
        ("2001:db8:122:c000:2:2100::", 48),
        ("2001:db8:122:3c0:0:221::", 56),
        ("2001:db8:122:344:c0:2:2100::", 64),
        ("2001:db8:122:344::192.0.2.33", 96),
    ],
)
def test_translated_address_follows_prefix_of_each_length(address: str, length: int) -> None:
    assert str(translated(IPv6Address(address), length)) == "192.0.2.33"


@given(st.ip_addresses())
def test_table_is_at_least_as_strict_as_ipaddress(address: IPv4Address | IPv6Address) -> None:
    if address.is_multicast or address.is_link_local or address.is_loopback:
        assert not _verdict(str(address))


# The same address in every notation that browsers and resolvers accept.
SPELLINGS = [
    "http://169.254.169.254/latest/meta-data/",
    "HTTPS://169.254.169.254:8443/?a=b",
    "http://169.254.169.254./",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://2852039166/",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://\uff11\uff16\uff19.254.169.254/",
    "http://169\u3002254\u3002169\u3002254/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]:80/",
    "http://[0:0:0:0:0:FFFF:A9FE:A9FE]/",
    "http://[::169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
]


def test_saving_refuses_metadata_address_in_every_notation() -> None:
    for url in SPELLINGS:
        with pytest.raises(ValueError, match=r"link-local address.*\(169\.254\.0\.0/16\)"):
            check_literal(check_url(url))


def test_validation_refuses_addresses_that_no_setting_allows() -> None:
    for address in (each for each in NEVER if "%" not in each):
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(ValueError, match=r"cannot be called: .* No setting allows that"):
            check_literal(check_url(f"http://{host}/"))


def test_saving_accepts_names_and_addresses_a_setting_may_allow() -> None:
    names = ("example.com", "localhost", "169.254.169.254.example.com", "metadata.google.internal")
    for host in (*UNLESS_ALLOWED, "93.184.216.34", *names):
        check_literal(check_url(f"http://[{host}]/" if ":" in host else f"http://{host}/"))
