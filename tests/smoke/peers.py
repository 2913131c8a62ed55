#!/usr/bin/env python3
"""The two ends of what the gate must not disturb, and the hand that changes its tables.

peers.py serve                       echo on TCP and UDP port 7; on TCP port 9 a MiB, then the end
peers.py type HOST                   byte by byte over one TCP connection until it is ended
peers.py change SOCKET LB GROUP N    N times attach or detach, over one connection to the API
peers.py fetch HOST                  what port 9 gives, within 10 s
peers.py datagrams HOST SIZE COUNT   UDP echo of datagrams of SIZE bytes; how many came back
peers.py trace HOST                  the hops of UDP probes, as traceroute shows them
peers.py connect HOST PORT COUNT     new connections one after the other; how many got an answer

Each prints one JSON object.
"""
import http.client
import json
import selectors
import signal
import socket
import struct
import sys
import time


class Ended(Exception):
    pass


def end(*_):
    raise Ended


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def retransmits(connection):
    # struct tcp_info, include/uapi/linux/tcp.h: 8 bytes, then 32-bit words; the 24th is
    # tcpi_total_retrans.
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return struct.unpack_from("=I", info, 8 + 23 * 4)[0]


def serve():
    selector = selectors.DefaultSelector()

    def accept(listener, handle):
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handle(connection)

    def echo(connection):
        try:
            data = connection.recv(4096)
            if data:
                return connection.send(data)
        except OSError:
            pass
        selector.unregister(connection)
        connection.close()

    def give(connection):
        connection.settimeout(10)
        try:
            connection.sendall(bytes(1 << 20))
        except OSError:
            pass
        connection.close()

    def answer(datagrams):
        data, peer = datagrams.recvfrom(65536)
        datagrams.sendto(data, peer)

    for family in (socket.AF_INET, socket.AF_INET6):
        for port, handle in ((7, lambda c: selector.register(c, selectors.EVENT_READ, echo)),
                             (9, give)):
            listener = socket.create_server(("", port), family=family, backlog=128)
            selector.register(listener, selectors.EVENT_READ,
                              lambda l, handle=handle: accept(l, handle))
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        datagrams.bind(("", 7))
        selector.register(datagrams, selectors.EVENT_READ, answer)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


def type_by_byte(host):
    connection = socket.create_connection((host, 7), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(5)
    typed, worst, ended = 0, 0.0, []
    # Ends between two bytes: an echo that crosses the FIN is answered with a RST of an earlier
    # number than the FIN's, which is outside the window, and rightly dropped.
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        byte, begun = bytes([typed & 255]), time.monotonic()
        connection.sendall(byte)
        if connection.recv(1) != byte:
            raise SystemExit("another byte came back")
        typed, worst = typed + 1, max(worst, time.monotonic() - begun)
        time.sleep(0.001)
    return {"typed": typed, "worst_ms": round(worst * 1000, 1),
            "retransmits": retransmits(connection)}


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sluice")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def change(path, lb, group, count):
    api, begun = Unix(path), time.monotonic()
    body = json.dumps({"security_group_ids": [int(group)]})
    for i in range(int(count)):
        verb = ("attach", "detach")[i % 2]
        api.request("POST", f"/myaccount/api/v1/security_group/{lb}/{verb}/", body,
                    {"Content-Type": "application/json"})
        answer = api.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{verb} {i}: {answer.status} {text.decode()}")
    return {"changes": int(count), "generation": json.loads(text)["data"]["generation"],
            "seconds": round(time.monotonic() - begun, 1)}


def fetch(host):
    size, begun = 0, time.monotonic()
    with socket.create_connection((host, 9), 5) as connection:
        connection.settimeout(10)
        while data := connection.recv(65536):
            size += len(data)
    return {"bytes": size, "seconds": round(time.monotonic() - begun, 1)}


def datagrams(host, size, count):
    ends = socket.socket(family_of(host), socket.SOCK_DGRAM)
    ends.settimeout(1)
    back = 0
    for i in range(int(count)):
        data = bytes([i & 255]) * int(size)
        ends.sendto(data, (host, 7))
        try:
            back += ends.recv(65536) == data
        except TimeoutError:
            pass
    return {"sent": int(count), "back": back}


def trace(host):
    v6 = ":" in host
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    probe = socket.socket(family_of(host), socket.SOCK_DGRAM)
    probe.setsockopt(level, 25 if v6 else 11, 1)  # IPV6_RECVERR, IP_RECVERR
    hops = []
    for limit in range(1, 6):
        probe.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, limit)
        probe.sendto(b"probe", (host, 33434 + limit))
        hop, deadline = None, time.monotonic() + 1
        while hop is None and time.monotonic() < deadline:
            try:
                _, extra, _, _ = probe.recvmsg(512, 512, socket.MSG_ERRQUEUE)
                # struct sock_extended_err, 16 bytes, then the address of who sent the error.
                offender = extra[0][2][16:]
                hop = socket.inet_ntop(family_of(host), offender[8:24] if v6 else offender[4:8])
            except BlockingIOError:
                time.sleep(0.005)
        hops.append(hop or "*")
        if hop == host:
            break
    return {"hops": hops}


def connect(host, port, count):
    answered = 0
    for _ in range(int(count)):
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                connection.settimeout(1)
                connection.sendall(b"!")
                answered += connection.recv(1) == b"!"
        except OSError:
            pass
    return {"tried": int(count), "answered": answered}


def main():
    signal.signal(signal.SIGTERM, end)
    verbs = {"serve": serve, "type": type_by_byte, "change": change, "fetch": fetch,
             "datagrams": datagrams, "trace": trace, "connect": connect}
    try:
        print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])), flush=True)
    except Ended:
        pass


if __name__ == "__main__":
    main()
