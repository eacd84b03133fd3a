"""Addresses that a user of webhooks may try in order to have us call what only we can reach: hundreds of spellings of them.

`urls(port, host)` is the corpus. Everything on it either is refused at the door, or must never be connected to.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

V4 = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "100.64.0.1", "198.18.0.1", "203.0.113.7", "224.0.0.1", "255.255.255.255",
)  # fmt: skip
V6 = (
    "::", "::1", "0:0:0:0:0:0:0:1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1", "100::1",
    "5f00::1", "2001:db8::1", "3fff::1", "2001::1", "2001:10::1", "::1%25lo", "::1%lo",
)  # fmt: skip
NAMES = (
    "localhost", "LOCALHOST", "localhost.", "foo.localhost", "ⓛocalhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain",
    "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "host.docker.internal", "gateway.docker.internal", "redis",
    "postgres", "rabbitmq", "metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal",
)  # fmt: skip
SCHEMES = ("unix", "file", "gopher", "ftp", "dict", "ldap", "jar", "tftp", "ws", "data", "javascript", "phar", "netdoc")
SERVICES = (21, 22, 23, 25, 53, 110, 445, 2375, 3306, 5432, 5672, 6379, 8500, 9200, 10250, 11211, 15672, 27017)
_CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
_WIDE = str.maketrans("0123456789.", "０１２３４５６７８９。")


def spellings(text: str) -> Iterator[str]:
    """The ways in which one IPv4 address may be written as a host."""
    number = int(IPv4Address(text))
    a, b, c, d = IPv4Address(text).packed
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    yield from (text, f"{text}.", str(number), f"0x{number:x}", f"0X{number:08X}", f"0{number:o}", f"000000{number:o}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}")
    yield from (f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a}.0x{b:x}.0{c:o}.{d}", f"0x{a:x}.{number & 0xFFFFFF}")
    yield from (text.translate(_CIRCLED), text.translate(_WIDE), text.replace(".", "。"), text.replace(".", "%2e"))
    yield from (f"[::ffff:{text}]", f"[::ffff:{high}:{low}]", f"[::{text}]", f"[::ffff:0:{text}]", f"[64:ff9b::{text}]")
    yield from (f"[64:ff9b:1::{high}:{low}]", f"[2002:{high}:{low}::]", f"[2001:0:{high}:{low}::]", f"[::{high}:{low}]")
    yield f"[2001:0:4136:e378:8000:63bf:{0xFFFF - (number >> 16):x}:{0xFFFF - (number & 0xFFFF):x}]"


def tricks(port: int) -> Iterator[str]:
    """Texts whose host depends on who reads them."""
    inner, outer = f"127.0.0.1:{port}", "example.com"
    yield from (
        f"http://{outer}@{inner}/",
        f"http://{outer}:443@{inner}/",
        f"http://{inner}\\@{outer}/",
        f"http://{outer}\\@{inner}/",
    )
    yield from (f"http://{inner}#@{outer}/", f"http://{outer}#@{inner}/", f"http://{inner}?@{outer}/", f"http://{outer}%40{inner}/")
    yield from (
        f"http://{inner}%00.{outer}/",
        f"http://{inner}%0d%0aX:%20y/",
        f"http://{inner}/\r\nHost: {outer}",
        f"http:/{inner}/",
    )
    yield from (
        f"http:\\\\{inner}\\",
        f"http:///{inner}/",
        f"http:{inner}",
        f"//{inner}/",
        f"http://\t{inner}/",
        f" http://{inner}/",
    )
    yield from (f"http://{inner}\t/", f"http://[{inner}]/", f"http://127.0.0.1:{port}:80/", f"http://127.0.0.1:80:{port}/")
    yield from (f"http://[::1]{outer}:{port}/", f"http://[::1].{outer}:{port}/", f"http://127.0.0.1 .{outer}:{port}/")
    yield from (f"HTTP://{inner}/", f"hTTps://{inner}/", f"http://%31%32%37.0.0.1:{port}/", f"http://{outer}\u2044@{inner}/")


def urls(port: int, host: str) -> list[str]:
    """The corpus: everything at `port`, and services at their own. `host` is this machine's own name."""
    hosts = [spelled for text in V4 for spelled in spellings(text)] + [f"[{text}]" for text in V6] + [*NAMES, host]
    found = [f"{scheme}://{one}:{port}/latest/meta-data/" for one in hosts for scheme in ("http", "https")]
    found += [f"{scheme}://127.0.0.1:{port}/etc/passwd" for scheme in SCHEMES] + list(tricks(port))
    found += [
        f"{scheme}://{one}:{service}/" for service in SERVICES for scheme in ("http", "https") for one in ("8.8.8.8", "127.0.0.1")
    ]
    return list(dict.fromkeys(found))
