"""A real sluiced behind TLS: certificates exchanged while it runs, tokens by role, and clients that never finish.

No root, no huge pages, no interface: virtual ports.
"""
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import warnings

SLUICED, SLUICECTL = (pathlib.Path(sys.argv.pop(1)) for _ in range(2))
PREFIX = "/myaccount/api/v1"
READY_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out",
                    folder / f"{name}.pem"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (folder / f"{name}.pem").read_text(), (folder / f"{name}.key").read_text()


def make_token(name, role):
    done = subprocess.run([SLUICECTL, "token", "create", name, "--role", role, "--json"], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)["token"]


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.TemporaryDirectory(prefix="sluice-tls-")
        cls.folder = pathlib.Path(cls.room.name)
        cls.pairs = {name: make_certificate(cls.folder, name) for name in ("first", "second")}
        cls.tokens = {role: make_token(role, role) for role in ("read", "operate")}
        (cls.folder / "tokens").write_text("".join(token["line"] + "\n" for token in cls.tokens.values()))
        os.chmod(cls.folder / "tokens", 0o600)
        cls.install("first")
        cls.port = free_port()
        cls.log = cls.folder / "sluiced.log"
        with open(cls.log, "ab") as log:
            cls.process = subprocess.Popen(
                [SLUICED, "--no-huge", "--zone", "edge,outside=net_ring0,inside=net_ring1", "--workers", "1",
                 "--flows-max", "1024", "--state", cls.folder / "state.db", "--api", f"https://127.0.0.1:{cls.port}",
                 "--api-cert", cls.folder / "api.pem", "--api-key", cls.folder / "api.key", "--api-tokens",
                 cls.folder / "tokens"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                if cls.call("GET", "/readyz", prefix="")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        cls.tearDownClass()
        raise AssertionError("sluiced is not ready: " + cls.log.read_text())

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(30)
        cls.room.cleanup()

    @classmethod
    def install(cls, name):
        """As tools that renew do: each file whole, under its name."""
        for text, file in zip(cls.pairs[name], ("api.pem", "api.key")):
            part = cls.folder / (file + ".new")
            part.write_text(text)
            os.chmod(part, 0o600)
            os.replace(part, cls.folder / file)

    @classmethod
    def connect(cls, version=None):
        """A connection, and the name on the certificate that was shown."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", cls.port, context=context, timeout=10)
        connection.connect()
        shown = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
        name = next((name for name, (text, _) in cls.pairs.items() if text.split() == shown.split()), None)
        return connection, name

    @classmethod
    def name_shown(cls):
        connection, name = cls.connect()
        connection.close()
        return name

    @staticmethod
    def ask(connection, method, path, token=None, body=None):
        headers = {"Authorization": "Bearer " + token["secret"]} if token else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, reply.read()

    @classmethod
    def call(cls, method, path, token=None, body=None, prefix=PREFIX):
        connection, _ = cls.connect()
        try:
            return cls.ask(connection, method, prefix + path, token, body)
        finally:
            connection.close()

    def test_tokens_open_what_their_role_may(self):
        group = {"name": "tls", "rules": [
            {"rule_type": "Inbound", "protocol_name": "TCP", "port_range": "80", "network": "any"},
            {"rule_type": "Outbound", "protocol_name": "All", "network": "any"}]}
        self.assertEqual(self.call("GET", "/security_group/")[0], 401)
        self.assertEqual(self.call("GET", "/security_group/", self.tokens["read"])[0], 200)
        self.assertEqual(self.call("POST", "/security_group/", self.tokens["read"], group)[0], 403)
        self.assertEqual(self.call("POST", "/security_group/", self.tokens["operate"], group)[0], 200)
        self.assertEqual(self.call("GET", "/backup/", self.tokens["operate"])[0], 403)
        strange = {"secret": "sluice_" + "0" * 64}
        self.assertEqual(self.call("GET", "/security_group/", strange)[0], 401)

    def test_shows_a_new_certificate_to_whoever_comes_and_keeps_who_is_there(self):
        self.install("first")
        old, name = self.connect()
        self.assertEqual(name, "first")
        self.assertEqual(self.ask(old, "GET", "/readyz")[0], 200)
        self.install("second")
        new, name = self.connect()
        self.assertEqual(name, "second")
        for connection in (old, new):
            self.assertEqual(self.ask(connection, "GET", "/readyz")[0], 200)
            connection.close()

    def test_goes_on_with_the_last_pair_that_was_whole(self):
        self.install("first")
        self.assertEqual(self.name_shown(), "first")
        (self.folder / "api.key").write_text(self.pairs["second"][1])  # of the other certificate
        self.assertEqual(self.name_shown(), "first")
        (self.folder / "api.pem").write_text("no certificate\n")
        self.assertEqual(self.name_shown(), "first")
        self.assertIn("the one before goes on", self.log.read_text())
        self.install("second")
        self.assertEqual(self.name_shown(), "second")

    def test_speaks_no_old_versions_and_nothing_in_the_clear(self):
        self.connect(ssl.TLSVersion.TLSv1_2)[0].close()
        self.connect(ssl.TLSVersion.TLSv1_3)[0].close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            with self.assertRaises((ssl.SSLError, OSError)):
                self.connect(ssl.TLSVersion.TLSv1_1)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            plain.settimeout(15)
            try:
                said = plain.recv(4096)
            except ConnectionError:
                said = b""
            self.assertNotIn(b"HTTP/1.1 200", said)

    def test_serves_others_beside_clients_that_never_finish(self):
        idle = [socket.create_connection(("127.0.0.1", self.port), timeout=10) for _ in range(100)]
        half = []
        for _ in range(50):
            connection, _ = self.connect()
            connection.sock.sendall(b"GET /readyz HTTP/1.1\r\nHost:")
            half.append(connection)
        begin = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.call("GET", "/readyz", prefix="")[0], 200)
        self.assertLess(time.monotonic() - begin, 10)
        for connection in idle + half:
            connection.close()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
