"""check and simulate of the real binary: no daemon, no root, no DPDK."""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

SLUICECTL = sys.argv.pop(1)


def run(*arguments, stdin=""):
    return subprocess.run([SLUICECTL, *map(str, arguments)], input=stdin, capture_output=True,
                          text=True, timeout=60)


def rule(direction="Inbound", **fields):
    return {"rule_type": direction, "protocol_name": "TCP", "network": "any", **fields}


NODE = {
    "security_groups": [{"name": "front", "rules": [rule(port_range="80"), rule("Outbound")]}],
    "load_balancers": [{"name": "web", "addresses": ["10.0.0.10"], "security_groups": ["front"]}],
}


def ipv4(source, destination, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, 6, 0,
                       bytes(map(int, source.split("."))), bytes(map(int, destination.split("."))))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    checksum = ~((total & 0xffff) + (total >> 16)) & 0xffff
    return head[:10] + struct.pack("!H", checksum) + head[12:] + payload


def tcp(source, source_port, destination, port, flags):
    segment = struct.pack("!HHIIBBHHH", source_port, port, 1, 1, 0x50, flags, 1000, 0, 0)
    return b"\x02" * 12 + b"\x08\x00" + ipv4(source, destination, segment)


def pcap(path, packets):
    """packets: (nanoseconds, frame)"""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for time, frame in packets:
            file.write(struct.pack("<IIII", time // 10**9, time % 10**9, len(frame), len(frame)))
            file.write(frame)


class Offline(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def file(self, name, text):
        (self.path / name).write_text(text if isinstance(text, str) else json.dumps(text))
        return self.path / name

    def test_check_accepts_each_kind_of_file(self):
        for name, content in (("list", NODE["security_groups"][0]["rules"]),
                              ("group", NODE["security_groups"][0]), ("node", NODE)):
            result = run("check", self.file(name, content))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("in order", result.stdout)

    def test_check_shows_line_column_and_caret_of_every_problem(self):
        path = self.file("rules.json", '[\n  {"rule_type": "Inbound", "protocol_name": "TCP",\n'
                         '   "port_range": "443-80", "network": "any"},\n'
                         '  {"rule_type": "Outbound", "protocol_name": "Nope", "network": "any"}\n]\n')
        result = run("check", path)
        self.assertEqual(result.returncode, 2)
        lines = result.stderr.splitlines()
        self.assertEqual(lines[0], f"{path}:3:18: error: [0].port_range: \"443-80\": "
                                   "first port is greater than last")
        self.assertEqual(lines[1], '     "port_range": "443-80", "network": "any"},')
        self.assertEqual(lines[2], " " * 19 + "^")
        self.assertIn(f"{path}:4:46: error: [1].protocol_name", result.stderr)
        self.assertIn("2 problems", result.stderr)

    def check(self, content):
        """What `check` prints for a file that it must refuse, without the path."""
        path = self.path / "rules.json"
        path.write_bytes(content)
        result = run("check", path)
        self.assertEqual(result.returncode, 2, result.stderr)
        return result.stderr.replace(f"{path}", "rules.json").splitlines()

    def test_check_places_syntax_errors_and_duplicate_keys(self):
        lines = self.check(b'{"name": "a",\n "name": "b"}')
        self.assertEqual(lines[0], 'rules.json:2:2: error: the key "name" stands twice in one object')
        self.assertEqual(lines[1:3], ['   "name": "b"}', "   ^"])
        lines = self.check(b'[\n  {"rule_type": Inbound}\n]\n')
        self.assertRegex(lines[0], r"^rules\.json:2:17: error: not valid JSON: ")
        self.assertEqual(lines[1:3], ['    {"rule_type": Inbound}', " " * 18 + "^"])
        self.assertEqual(self.check(b"")[0], "Error: rules.json cannot be read, or is empty")
        self.assertRegex(self.check(b'[{"a": 1}')[0], r"^rules\.json:1:10: error: not valid JSON")
        self.assertRegex(self.check(b'["\xff"]')[0], r"^rules\.json:1:3: error: .*UTF-8")
        self.assertEqual(run("check", self.path / "missing").returncode, 2)

    RULES = (b'[{"rule_type": "Outbound", "protocol_name": "All", "network": "any"},\n'
             b'%s{"rule_type": "Inbound", "protocol_name": "TCP", %s"port_range": "443-80"%s'
             b'"network": "any"}]\n')

    def test_check_points_at_the_value_whatever_stands_before_it(self):
        reason = ': error: [1].port_range: "443-80": first port is greater than last'
        for before, between, place, wide in (
                # A tab is one column of the number, and is shown as one.
                (b"\t", b"", "2:65", 0),
                # The number counts bytes; the caret stands under the character, and two of
                # those before it are as wide as two.
                (b"", '"description": "é日本", '.encode(), "2:91", 2)):
            lines = self.check(self.RULES % (before, between, b", "))
            self.assertEqual(lines[0], "rules.json:" + place + reason)
            self.assertEqual(lines[2].index("^"), lines[1].index('"443-80"') + wide)
            self.assertEqual(len(lines), 4, lines)

    def test_check_reads_files_of_windows(self):
        content = (self.RULES % (b"", b"", b",\n")).replace(b"\n", b"\r\n")
        for mark in (b"", b"\xef\xbb\xbf"):
            lines = self.check(mark + content)
            self.assertRegex(lines[0], r"^rules\.json:2:64: error: \[1\]\.port_range")
            self.assertTrue(lines[1].endswith('"443-80",'), lines[1])

    def test_check_shows_the_part_of_a_long_line_that_matters(self):
        lines = self.check(self.RULES % (b" " * 1_000_000, b"", b"," + b" " * 1_000_000))
        self.assertRegex(lines[0], r"^rules\.json:2:1000064: error")
        self.assertLess(len(lines[1]), 110)
        self.assertIn('"port_range": "443-80",', lines[1])
        self.assertEqual(lines[1][lines[2].index("^"):][:8], '"443-80"')

    def test_check_tells_problems_in_the_order_of_the_file(self):
        lines = self.check(b'[{"network": "x",\n "port_range": "9-8",\n "protocol_name": "TCP",\n'
                           b' "typo": 1,\n "rule_type": "Sideways"},\n {}]')
        places = [line.split(": ")[0] for line in lines if line.startswith("rules.json:")]
        self.assertEqual(places, [f"rules.json:{place}" for place in
                                  ("1:14", "2:16", "4:10", "5:15", "6:2", "6:2", "6:2")])
        self.assertIn("7 problems", lines[-1])

    def test_check_prints_nothing_that_a_terminal_obeys(self):
        lines = self.check(b'[{"rule_type": "\\u001b[2J", "\\u0007": 1}]')
        self.assertNotRegex("\n".join(lines), "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertIn(r'"\x1b[2J" is neither Inbound nor Outbound', "\n".join(lines))

    def test_check_of_a_hundred_thousand_problems_ends(self):
        rules = [{"rule_type": "Inbound", "protocol_name": "TCP", "network": "any", "port_range": "x"}]
        lines = self.check(json.dumps(rules * 100_000).encode())
        self.assertIn("100001 problems", lines[-1])

    def test_check_json_lists_the_problems(self):
        result = run("check", self.file("a.json", [rule(port_range="x")]), "--json")
        body = json.loads(result.stdout)
        self.assertEqual((body["action"], body["ok"]), ("check", False))
        self.assertEqual([(item["line"], item["column"], item["field"]) for item in body["items"]],
                         [(1, 1, ""), (1, 83, "[0].port_range")])
        self.assertIn("Outbound", body["items"][0]["message"])

    def simulate(self, outside, inside=(), *more, node=NODE):
        pcap(self.path / "out.pcap", outside)
        pcap(self.path / "in.pcap", inside)
        return run("simulate", "--node", self.file("node.json", node), "--outside",
                   self.path / "out.pcap", "--inside", self.path / "in.pcap", *more)

    def test_simulate_judges_a_connection_in_the_order_of_time(self):
        client, lb = "10.1.0.1", "10.0.0.10"
        result = self.simulate(
            [(1_000_000_001, tcp(client, 4000, lb, 80, 2)), (3_000_000_000, tcp(client, 4000, lb, 80, 16)),
             (4_000_000_000, tcp(client, 4000, lb, 81, 2))],
            [(2_000_000_000, tcp(lb, 80, client, 4000, 18))])
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(x["from"], x["verdict"], x["flow"], x["reason"]) for x in lines],
                         [("outside", "pass", "new", None), ("inside", "pass", "established", None),
                          ("outside", "pass", "established", None),
                          ("outside", "drop", "none", "no_rule")])
        self.assertTrue(result.stdout.startswith('{"n":1,"ts":1.000000001,"from":"outside","verdict":'
                                                 '"pass","reason":null,"flow":"new","lb":"web",'
                                                 '"group":"front","rule":'), result.stdout)
        self.assertEqual(lines[3]["group"], None)
        self.assertEqual(lines[3]["generation"], 1)
        self.assertEqual([x["nearest_miss"] is None for x in lines], [True, True, True, False])
        self.assertRegex(lines[3]["nearest_miss"], r"^rule \d+ of group front \(Inbound Custom_TCP 80 "
                                                   r"from any\): port 81 is not in 80$")
        self.assertIn("4 packets: 3 passed, 1 dropped", result.stderr)

    def test_simulate_writes_what_passed_by_the_side_it_left(self):
        result = self.simulate([(1, tcp("10.1.0.1", 1, "10.0.0.10", 80, 2)),
                                (2, tcp("10.1.0.1", 1, "10.0.0.10", 81, 2))], (),
                               "--verdicts", self.path / "v.jsonl", "--write-passed", self.path / "d")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(len((self.path / "v.jsonl").read_text().splitlines()), 2)
        self.assertEqual((self.path / "d/inside.pcap").stat().st_size, 24 + 16 + 54)
        self.assertEqual((self.path / "d/outside.pcap").stat().st_size, 24)

    def test_simulate_refuses_what_it_cannot_do(self):
        node = self.file("node.json", NODE)
        for arguments, part in ((["--node", node], "nothing to judge"), ([], "--node"),
                                (["--node", node, "--outside", node], "node.json"),
                                (["--node", self.path / "no", "--outside", node], "cannot be read")):
            result = run("simulate", *arguments)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(part, result.stderr)

    def test_simulate_names_an_unknown_setting(self):
        result = self.simulate([], node={**NODE, "settings": {"flows_maximum": 1}})
        self.assertEqual(result.returncode, 2)
        self.assertIn("settings.flows_maximum", result.stderr)


if __name__ == "__main__":
    unittest.main()
