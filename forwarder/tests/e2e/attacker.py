#!/usr/bin/env python3
"""Who listens on the untrusted path, and who watches a LAN. Standard library only; IPv4.

On the path (namespace `path` of the lab) it hears every datagram between the two ends and sends what it likes, from
any source address:

    attacker.py replay N     N datagrams of each direction once more: from their sender's address and from a third one
    attacker.py tamper       holds one datagram of each direction back, sends it with every single bit flipped, cut and
                             extended, and in the end as it was, three times
    attacker.py noise END    random bytes of many lengths at all ports of `site` or `cloud`
    attacker.py quic N       what looks like QUIC, made of what it hears, N rounds, at the QUIC ports of both ends

The last line is JSON: how many datagrams went to which port ("cloud", "worker" and "quic" of the site), and more. Where
the traffic has to wait for it, or it for the traffic, it says so in a line before ("holding", "injecting").

On a LAN (a host's namespace), until SIGINT:

    attacker.py watch        what arrives: frames from whom nobody knows, frames that came twice, test frames (Ethertype
                             0x88B5) by number, IPv4 frames by length
"""
import collections
import json
import os
import random
import signal
import socket
import struct
import sys
import time

CLOUD, CLOUD_PORT = "203.0.113.2", 24500
THIRD = ("192.0.2.66", 4500)
MIN_ESP, ICMP_ESP = 36, 100
FORWARDING = "/proc/sys/net/ipv4/ip_forward"
# The lab's hosts and the site's lan port; causeway itself says nothing on a LAN.
HOSTS = {bytes.fromhex(m) for m in ("027700000001", "027700000002", "027700000003", "005056000050", "005056000051")}

Heard = collections.namedtuple("Heard", "source target payload")


# --- hearing -------------------------------------------------------------------------------------------------------

class Path:
    """Both interfaces of the router, each heard inwards."""

    def __init__(self):
        self.sockets = {}
        for end in ("site", "cloud"):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            sock.bind((end, 0x0800))
            sock.settimeout(5)
            self.sockets[end] = sock

    def hear(self, end, wanted):
        """The next UDP datagram that `end` sends and that is wanted."""
        while True:
            packet, address = self.sockets[end].recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP:
                continue
            at = 4 * (packet[0] & 15)
            ports = struct.unpack("!HHH", packet[at:at + 6])
            heard = Heard((socket.inet_ntoa(packet[12:16]), ports[0]), (socket.inet_ntoa(packet[16:20]), ports[1]),
                          packet[at + 8:at + ports[2]])
            if heard.payload and wanted(heard.payload):
                return heard


def is_esp(payload):
    return not payload[0] & 0x40


def is_quic(payload):
    return not is_esp(payload)


def listen(path):
    """Addresses of the site's two sockets."""
    worker, quic = path.hear("site", is_esp), path.hear("site", is_quic)
    return worker.source, quic.source


# --- sending -------------------------------------------------------------------------------------------------------

class Sender:
    """Sends UDP with any source address, slowly enough that receivers lose nothing for want of buffer."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.sent = collections.Counter()

    def send(self, name, source, target, payload):
        udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, socket.IPPROTO_UDP, 0,
                         socket.inet_aton(source[0]), socket.inet_aton(target[0]))
        self.socket.sendto(ip + udp + payload, (target[0], 0))
        self.sent[name] += 1
        if self.sent.total() % 8 == 0:
            time.sleep(0.003)

    def report(self, **more):
        print(json.dumps({"sent": self.sent, **more}), flush=True)


# --- attacks -------------------------------------------------------------------------------------------------------

def replay(count):
    path, sender = Path(), Sender()
    heard = [(name, path.hear(end, lambda p: is_esp(p) and len(p) >= ICMP_ESP))
             for end, name in (("site", "cloud"), ("cloud", "worker")) for _ in range(int(count))]
    time.sleep(0.3)  # the originals have arrived
    for name, datagram in heard:
        for source in (datagram.source, THIRD):
            sender.send(name, source, datagram.target, datagram.payload)
    sender.report()


def set_forwarding(value):
    with open(FORWARDING, "w") as file:
        file.write(value)


def tamper():
    path, sender = Path(), Sender()
    set_forwarding("0")
    try:
        print("holding", flush=True)
        held = [(name, path.hear(end, lambda p: is_esp(p) and len(p) >= ICMP_ESP))
                for end, name in (("site", "cloud"), ("cloud", "worker"))]
    finally:
        set_forwarding("1")
    print("injecting", flush=True)
    for name, datagram in held:
        for variant in flipped(datagram.payload):
            for source in (datagram.source, THIRD):
                sender.send(name, source, datagram.target, variant)
        for variant in cut(datagram.payload):
            sender.send(name, datagram.source, datagram.target, variant)
    # They were genuine, and nothing of the above has spent their sequence number.
    for name, datagram in held:
        for source in (datagram.source, datagram.source, THIRD):
            sender.send(name, source, datagram.target, datagram.payload)
    sender.report(length={name: len(datagram.payload) for name, datagram in held})


def flipped(payload):
    for bit in range(8 * len(payload)):
        variant = bytearray(payload)
        variant[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(variant)


def cut(payload):
    yield from (payload[:length] for length in range(len(payload)))
    yield from (payload + bytes(more) for more in range(1, 9))


def noise(end):
    """Forged senders are such as do not answer to the end's answers (QUIC's stateless resets)."""
    sender, dice = Sender(), random.Random(2)
    worker, quic = listen(Path())
    cloud = (CLOUD, CLOUD_PORT)
    ways = {"cloud": (("cloud", cloud, worker), ("cloud", cloud, THIRD)),
            "site": (("worker", worker, cloud), ("worker", worker, THIRD), ("quic", quic, THIRD))}[end]
    for length in [*range(70), *(dice.randrange(70, 1473) for _ in range(150))]:
        for name, target, source in ways:
            sender.send(name, source, target, dice.randbytes(length))
    sender.report()


def quic(rounds):
    """Per round: an Initial that is heard with bits flipped and cut, replayed from many ports; then inventions."""
    path, sender, dice = Path(), Sender(), random.Random(3)
    site, cloud = path.hear("site", is_quic).source, (CLOUD, CLOUD_PORT)
    shown = collections.Counter()
    for _ in range(int(rounds)):
        initial = path.hear("site", lambda p: p[0] & 0xF0 == 0xC0 and p[1:5] == b"\0\0\0\1").payload
        for _ in range(60):
            variant = bytearray(initial)
            bit = dice.randrange(8 * len(variant))
            variant[bit // 8] ^= 0x80 >> bit % 8
            sender.send("cloud", site, cloud, bytes(variant))
        for _ in range(40):
            sender.send("cloud", (THIRD[0], dice.randrange(1024, 65536)), cloud, initial)
        for name, target, spoofed in (("cloud", cloud, site), ("cloud", cloud, THIRD),
                                      ("quic", site, cloud), ("quic", site, THIRD)):
            for kind, payload in invented(dice):
                sender.send(name, spoofed, target, payload)
                shown[f"{name} {kind}"] += 1
    sender.report(shown=shown)


def invented(dice):
    """(what it is, by the counter that should say so; the datagram)"""
    def long(first, version, destination, length):
        header = bytes([first]) + version + bytes([len(destination)]) + destination + b"\x04abcd"
        return header + dice.randbytes(length - len(header))

    one, cid = b"\0\0\0\1", dice.randbytes(8)
    yield "quic_other_version", long(0xC3, dice.randbytes(3) + b"\x7f", cid, 1200)
    yield "quic_other_version", long(0xC3, b"\0\0\0\0", cid, 60)
    yield "quic_short_initial", long(0xC3, one, cid, dice.randrange(40, 1200))
    yield "quic_zero_rtt", long(0xD3, one, cid, 1200)
    yield "quic_bad_header", long(0xC3, one, dice.randbytes(21), 1200)
    yield "quic_runt", b"\x40" + dice.randbytes(dice.randrange(20))
    yield "quic_stray", long(0xE3, one, cid, 1200)
    yield "quic_stray", long(0xF3, one, cid, 100)
    yield "quic_stray", b"\x43" + dice.randbytes(dice.randrange(40, 1200))


# --- watching ------------------------------------------------------------------------------------------------------

APPLIANCES = [bytes.fromhex("027700000002"), bytes.fromhex("0277000000fe")]


def is_announcement(frame, at):
    """What the appliances themselves say: where a station lives, in its name, and asking one that lives here."""
    kind, source, packet = frame[at:at + 2], frame[6:12], frame[at + 2:]
    if kind == b"\x80\x35":
        return frame[:6] == b"\xff" * 6 and source in HOSTS and len(frame) == 60 and packet[8:14] == source
    if source not in APPLIANCES:
        return False
    asks_arp = kind == b"\x08\x06" and packet[6:8] == b"\0\1"
    return asks_arp or (kind == b"\x86\xdd" and packet[6:7] == b"\x3a" and packet[40:41] == b"\x87")


def watch():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    sock.bind(("eth0", 3))
    strange, twice, numbers, lengths, seen = [], 0, [], collections.Counter(), set()
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    sock.settimeout(0.1)
    print("watching", flush=True)
    while True:
        try:
            frame, address = sock.recvfrom(65536)
        except socket.timeout:
            if stop:  # and everything that had arrived is read
                break
            continue
        if address[2] == socket.PACKET_OUTGOING:
            continue
        at = 12
        while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
        kind = frame[at:at + 2]
        if kind == b"\x88\xb5":
            numbers.append(struct.unpack("!I", frame[at + 2:at + 6])[0])
        elif is_announcement(frame, at):
            continue
        elif frame[6:12] not in HOSTS or kind not in (b"\x08\x00", b"\x08\x06", b"\x86\xdd"):
            strange.append(frame[:40].hex())
        elif kind == b"\x08\x00":
            lengths[len(frame)] += 1
            twice += frame in seen
            seen.add(frame)
    print(json.dumps({"strange": strange, "twice": twice, "numbers": numbers, "lengths": lengths}), flush=True)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    {"replay": replay, "tamper": tamper, "noise": noise, "quic": quic, "watch": watch}[verb](*arguments)
    os._exit(0)
