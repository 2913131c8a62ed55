"""A real sluiced is killed at system calls of its store's commits, finds its disk full and its state file broken.

After each end: every acknowledged change is there, what was in flight is there or not, the export applies to no change.
SLUICE_SEED plays the same kills again, SLUICE_KILLS=N more of them.
"""
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SLUICED, SLUICECTL = (pathlib.Path(sys.argv.pop(1)) for _ in range(2))
PREFIX = "/myaccount/api/v1"
READY_S = 60
# Of the publisher's thread. How many of each a life of the daemon comes to, about.
CALLS = {"pwrite64": 90, "fdatasync": 24, "ftruncate": 2, "unlink": 2}


class Ended(Exception):
    pass


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sluice", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Daemon:
    """On virtual ports: no root, no huge pages, no interface."""

    def __init__(self, folder, tracing=()):
        self.socket = folder / "api.sock"
        self.log = folder / "sluiced.log"
        prefix = ["strace", "-f", "-q", "-o", "/dev/null", *tracing] if tracing else []
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, SLUICED, "--no-huge", "--zone", "edge,outside=net_ring0,inside=net_ring1",
                 "--workers", "1", "--flows-max", "1024", "--state", folder / "state.db", "--api",
                 f"unix:{self.socket}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self):
        """False: it ended before."""
        for _ in range(READY_S * 50):
            if self.process.poll() is not None:
                return False
            try:
                if self.call("GET", "/readyz", prefix="")[0] == 200:
                    return True
            except Ended:
                pass
            time.sleep(0.02)
        raise AssertionError(f"sluiced is not ready after {READY_S} s")

    def call(self, method, path, body=None, prefix=PREFIX):
        connection = Connection(self.socket)
        try:
            connection.request(method, prefix + path, None if body is None else json.dumps(body))
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise Ended from error
        finally:
            connection.close()
        return reply.status, json.loads(text) if text.startswith(b"{") else {}

    def pid(self):
        """Of sluiced itself, which strace has as its child."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def end(self, traced=False):
        if self.process.poll() is None:
            os.kill(self.pid() if traced else self.process.pid, signal.SIGTERM)
        return self.process.wait(30)


def rules(port):
    return [{"rule_type": "Inbound", "protocol_name": "TCP", "port_range": str(port), "network": "any"},
            {"rule_type": "Outbound", "protocol_name": "All", "network": "any"}]


class Model:
    """The port of each group by name, and which of them the one load balancer has."""

    def __init__(self):
        self.groups = {}
        self.attached = set()

    def copy(self):
        other = Model()
        other.groups = dict(self.groups)
        other.attached = set(self.attached)
        return other

    def __eq__(self, other):
        return (self.groups, self.attached) == (other.groups, other.attached)

    def __repr__(self):
        return f"{sorted(self.groups.items())} attached {sorted(self.attached)}"


class Kill(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.daemon = None
        self.ids = {}  # of groups, by name; a name is never used twice
        self.names_used = 0
        self.addCleanup(self.end_daemon)

    def end_daemon(self):
        if self.daemon is not None and self.daemon.process.poll() is None:
            self.daemon.process.kill()
            self.daemon.process.wait()

    def start(self, tracing=()):
        self.daemon = Daemon(self.folder, tracing)
        return self.daemon.wait_until_ready()

    def started(self, tracing=()):
        self.assertTrue(self.start(tracing), self.daemon.log.read_text()[-2000:])

    def ok(self, method, path, body=None):
        status, answer = self.daemon.call(method, path, body)
        self.assertEqual(status, 200, (method, path, body, answer))
        return answer["data"]

    def found(self):
        model = Model()
        for group in self.ok("GET", "/security_group/"):
            port = group["rules"][0]["port_range"]
            model.groups[group["name"]] = port
            self.ids[group["name"]] = group["id"]
        names = {group_id: name for name, group_id in self.ids.items()}
        for lb in self.ok("GET", "/appliances/1/")["security_groups"]:
            model.attached.add(names[lb["id"]])
        return model

    def expect_export_applies_to_no_change(self):
        environment = {**os.environ, "SLUICE_API": f"unix:{self.daemon.socket}"}
        file = self.folder / "export.json"
        with open(file, "wb") as out:
            subprocess.run([SLUICECTL, "export"], stdout=out, env=environment, check=True)
        result = subprocess.run([SLUICECTL, "apply", "-f", file, "--dry-run", "--exit-code"],
                                env=environment, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def begin(self):
        self.started()
        self.ok("POST", "/appliances/load-balancers/",
                {"lb_name": "web", "status": "Running", "addresses": ["10.0.0.1"]})
        model = self.found()
        self.assertEqual(self.daemon.end(), 0)
        return model

    def one_change(self, draw, model):
        """(method, path, body) and the model after it."""
        after = model.copy()
        free = [name for name in model.groups if name not in model.attached and name.startswith("g")]
        held = [name for name in model.attached if name.startswith("g")]
        kind = draw.randrange(6)
        if kind == 0 and held:
            name = draw.choice(held)
            after.attached.discard(name)
            return ("POST", "/security_group/1/detach/",
                    {"security_group_ids": [self.ids[name]]}), after
        if kind in (1, 2) and free:
            names = draw.sample(free, min(len(free), 2))
            after.attached.update(names)
            return ("POST", "/security_group/1/attach/",
                    {"security_group_ids": [self.ids[name] for name in names]}), after
        if kind == 3 and len(free) > 4:
            del after.groups[free[0]]
            return ("DELETE", f"/security_group/{self.ids[free[0]]}/", None), after
        if kind == 4 and free:
            name = draw.choice(free)
            after.groups[name] = str(draw.randrange(1, 65536))
            return ("PUT", f"/security_group/{self.ids[name]}/",
                    {"name": name, "rules": rules(after.groups[name])}), after
        self.names_used += 1
        name = f"g{self.names_used}"
        after.groups[name] = str(draw.randrange(1, 65536))
        # Now and then one that is large, so that the log is put into its file, too.
        body = {"name": name, "rules": rules(after.groups[name])}
        if draw.randrange(12) == 0:
            body["rules"] += [dict(rule, description="x" * 900) for rule in rules(1) for _ in range(400)]
        return ("POST", "/security_group/", body), after

    def change_until_the_end(self, draw, acknowledged):
        """(acknowledged, in flight or None)"""
        for _ in range(30):
            request, after = self.one_change(draw, acknowledged)
            try:
                status, answer = self.daemon.call(*request)
            except Ended:
                return acknowledged, after
            self.assertEqual(status, 200, (request[:2], answer))
            if request[1] == "/security_group/":
                self.ids[request[2]["name"]] = answer["data"]["id"]
            acknowledged = after
        return acknowledged, None

    def check_found(self, acknowledged, in_flight, what):
        found = self.found()
        if in_flight is not None and found == in_flight:
            return in_flight
        self.assertEqual(found, acknowledged, f"{what}; in flight: {in_flight}")
        return acknowledged

    def test_nothing_acknowledged_is_lost_at_any_system_call(self):
        if shutil.which("strace") is None:
            self.skipTest("strace is not installed: scripts/install test")
        seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
        kills_wanted = int(os.environ.get("SLUICE_KILLS", 10))
        print(f"seed {seed}", flush=True)
        draw = random.Random(seed)
        acknowledged, in_flight = self.begin(), None
        kills, kept, at = 0, 0, {call: 0 for call in CALLS}
        for life in range(kills_wanted * 3):
            call = draw.choices(list(CALLS), (12, 6, 1, 1))[0]
            number = draw.randint(1, CALLS[call])
            what = f"seed {seed}, life {life}: killed at {call} {number}"
            ready = self.start(["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"])
            if ready:
                try:
                    before = acknowledged
                    acknowledged = self.check_found(acknowledged, in_flight, what)
                    kept += acknowledged is not before
                    in_flight = None
                    self.expect_export_applies_to_no_change()
                    acknowledged, in_flight = self.change_until_the_end(draw, acknowledged)
                    if in_flight is None:
                        self.daemon.end(traced=True)
                except Ended:
                    pass
            status = self.daemon.process.wait(30)
            self.assertIn(status, (0, -signal.SIGKILL), self.daemon.log.read_text()[-2000:])
            if status != 0:
                kills += 1
                at[call] += 1
            if kills == kills_wanted:
                break
        self.started()
        self.check_found(acknowledged, in_flight, "at the end")
        self.expect_export_applies_to_no_change()
        self.assertEqual(self.daemon.end(), 0)
        print(f"{kills} kills {at}, {kept} changes in flight were kept", flush=True)
        self.assertGreater(kills, kills_wanted // 2)

    def test_a_full_disk_refuses_changes_and_nothing_else(self):
        self.begin()
        self.started()
        before = self.found()
        generation = self.ok("GET", "/table/")["generation"]
        log = self.folder / "state.db-wal"
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE,
                         (log.stat().st_size + 100, resource.RLIM_INFINITY))
        change = ("POST", "/security_group/", {"name": "full", "rules": rules(1)})
        for _ in range(3):
            status, answer = self.daemon.call(*change)
            self.assertEqual(status, 507, answer)
            self.assertIn("state.db", answer["message"])
        self.assertEqual(self.found(), before)
        self.assertEqual(self.ok("GET", "/table/")["generation"], generation)
        self.assertEqual(self.daemon.call("GET", "/readyz", prefix="")[0], 200)
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertEqual(self.ok(*change)["generation"], generation + 1)
        after = self.found()
        self.assertEqual(self.daemon.end(), 0)
        self.started()
        self.assertEqual(self.found(), after)

    def test_a_broken_state_file_is_set_aside_and_the_node_stays_closed(self):
        self.begin()
        state = self.folder / "state.db"
        content = bytearray(state.read_bytes())
        content[4096:] = bytes(byte ^ 0x5a for byte in content[4096:])
        state.write_bytes(content)
        self.assertFalse(self.start())
        self.assertEqual(self.daemon.process.wait(30), 1)
        log = self.daemon.log.read_text()
        aside = list(self.folder.glob("state.db.corrupt-*"))
        self.assertEqual([file.read_bytes() for file in aside], [bytes(content)], log)
        self.assertIn(f"set aside as {aside[0]}. Nothing is forwarded.", log)
        self.assertFalse(state.exists())
        # Told once; who starts it again has read it.
        self.started()
        self.assertEqual(self.daemon.call("GET", "/appliances/")[1]["total_count"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
