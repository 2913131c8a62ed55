"""apply and export of the real binary, against a server that answers as a test tells it."""
import json
import os
import pty
import subprocess
import unittest

import client_test

PLAN = [{"op": "update", "kind": "security_group", "id": 3, "name": "office", "details": [
            {"op": "delete", "what": "rule", "text": "rule Inbound Custom_TCP 22 from any"},
            {"op": "create", "what": "rule", "text": "rule Inbound ICMP from any \x1b[2J"}]},
        {"op": "create", "kind": "load_balancer", "id": 8, "name": "new", "details": []}]
DIFF = ("~ security group office\n"
        "−     rule Inbound Custom_TCP 22 from any\n"
        "+     rule Inbound ICMP from any \\x1b[2J\n"
        "+ load balancer new\n")
DOCUMENT = {"security_groups": [], "default_group": "default"}


class Apply(unittest.TestCase):
    setUp_server = client_test.Client.setUp
    run_ctl = client_test.Client.run_ctl

    def setUp(self):
        self.setUp_server()
        self.file = self.folder / "node.json"
        self.file.write_text(json.dumps(DOCUMENT))

    def answers(self, plan=PLAN, dry_run=False, ignored=()):
        self.server.replies["POST", "/apply/"] = (200, {
            **client_test.APPLIED, "plan": plan, "dry_run": dry_run, "ignored": list(ignored),
        }, "Success", {})

    def refuses(self, status, errors, message="refused"):
        self.server.replies["POST", "/apply/"] = (status, None, message, errors)

    def sent(self):
        return self.server.requests[-1]

    def test_prints_the_plan_as_a_diff(self):
        self.answers()
        result = self.run_ctl("apply", "-f", self.file, "--flows", "drain:30")
        self.assertEqual((result.returncode, result.stdout), (0, DIFF))
        self.assertIn("generation 12", result.stderr)
        self.assertEqual(self.sent(), ("POST", "/apply/", {
            **DOCUMENT, "flows": "drain:30"}))

    def test_a_dry_run_says_so_and_tells_by_its_exit_code_when_asked(self):
        self.answers(dry_run=True)
        result = self.run_ctl("apply", "-f", self.file, "--dry-run")
        self.assertEqual((result.returncode, result.stdout), (0, DIFF))
        self.assertIn("dry run", result.stderr)
        self.assertTrue(self.sent()[2]["dry_run"])
        self.assertEqual(
            self.run_ctl("apply", "-f", self.file, "--dry-run", "--exit-code").returncode, 1)
        self.answers(plan=[], dry_run=True)
        result = self.run_ctl("apply", "-f", self.file, "--dry-run", "--exit-code")
        self.assertEqual((result.returncode, result.stdout), (0, "Nothing to change.\n"))
        self.assertEqual(self.run_ctl("apply", "-f", self.file, "--exit-code").returncode, 2)

    def test_reads_standard_input(self):
        self.answers(ignored=["settings"])
        result = self.run_ctl("apply", "-f", "-", stdin='{"settings":{},"vpcs":[]}')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.sent()[2]["vpcs"], [])
        self.assertIn('"settings" is for offline use', result.stderr)

    def test_json_is_one_object(self):
        self.answers()
        result = self.run_ctl("--json", "apply", "-f", self.file)
        self.assertEqual(json.loads(result.stdout)["apply"]["plan"], PLAN)
        self.assertEqual(result.stderr, "")

    def test_shows_what_is_refused_in_the_file(self):
        self.file.write_text('{\n "security_groups": [\n  {"name": "a b"}\n ]\n}\n')
        self.refuses(400, {"security_groups[0].name": ["only letters"],
                           "security_groups[0].rules": ["missing"]})
        result = self.run_ctl("apply", "-f", self.file)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{self.file}:3:12: error: security_groups[0].name: only letters\n"
                      '    {"name": "a b"}\n             ^', result.stderr)
        self.assertIn("2 problems; nothing was changed", result.stderr)
        self.refuses(409, {"security_groups": ["attached"]})
        result = self.run_ctl("apply", "-f", self.file)
        self.assertEqual(result.returncode, 11)
        self.assertIn(":2:21: error: security_groups: attached", result.stderr)

    def test_a_refusal_of_the_whole_is_told_as_it_is(self):
        self.refuses(412, {}, "The node is at generation 13 by now; read again.")
        result = self.run_ctl("apply", "-f", self.file, "--generation", "12")
        self.assertEqual(result.returncode, 11)
        self.assertIn("generation 13", result.stderr)

    def test_what_is_no_document_is_not_sent(self):
        for text, place in (('{"vpcs": [}', ":1:11:"), ("[]", ":1:1:"),
                            ('{"vpcs": [], "dry_run": true}', ":1:25:"), ("", "cannot be read")):
            self.file.write_text(text)
            result = self.run_ctl("apply", "-f", self.file)
            self.assertEqual(result.returncode, 2, text)
            self.assertIn(place, result.stderr)
        self.assertEqual(self.run_ctl("apply", "-f", self.folder / "nosuch").returncode, 2)
        self.assertEqual(self.run_ctl("apply").returncode, 2)
        self.assertEqual(self.server.requests, [])

    def on_a_terminal(self, **environment):
        mine, theirs = pty.openpty()
        subprocess.run([client_test.SLUICECTL, "apply", "-f", self.file], stdout=theirs,
                       stderr=subprocess.DEVNULL, check=True, timeout=60,
                       env={**os.environ, "SLUICE_API": f"unix:{self.folder}/s", **environment})
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(mine, 4096):
                text += chunk
        except OSError:  # the other end is closed
            pass
        os.close(mine)
        return text.decode()

    def test_colours_are_for_terminals_that_want_them(self):
        self.answers()
        os.environ.pop("NO_COLOR", None)
        self.assertIn("\x1b[32m+ load balancer new\x1b[0m", self.on_a_terminal())
        self.assertNotIn("\x1b", self.on_a_terminal(NO_COLOR="1"))

    def test_export_writes_what_apply_takes(self):
        self.server.replies["GET", "/export/"] = (200, DOCUMENT, "Success", {})
        result = self.run_ctl("export")
        self.assertEqual(json.loads(result.stdout), DOCUMENT)
        out = self.folder / "out.json"
        self.assertEqual(self.run_ctl("export", "-o", out).returncode, 0)
        self.assertEqual(out.read_text(), result.stdout)
        result = self.run_ctl("export", "-o", self.folder / "no" / "out.json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot be written", result.stderr)


if __name__ == "__main__":
    unittest.main()
