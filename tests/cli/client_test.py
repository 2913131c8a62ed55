"""The online verbs of the real binary, against a server that answers as a test tells it."""
import http.server
import json
import os
import pathlib
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

SLUICECTL = sys.argv.pop(1)
PREFIX = "/myaccount/api/v1"
GROUPS = [{"id": 1, "name": "default", "is_default": True, "rules": []},
          {"id": 3, "name": "office\x1b[2J", "description": "", "rules": [
              {"rule_type": "Inbound", "protocol_name": "Custom_TCP", "port_range": "22",
               "network": "manual", "network_cidr": "10.0.0.0", "network_size": 256}]},
          {"id": 4, "name": "web", "rules": []}]
LBS = [{"id": 7, "appliance_name": "front", "status": "Running", "zone": "edge",
        "addresses": ["10.0.0.1"], "security_groups": [{"id": 1, "name": "default"}]}]
APPLIED = {"generation": 12, "compile_us": 3, "store_us": 400, "swap_us": 2}


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    replies = {}
    requests = []


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size).decode()
        path = self.path.removeprefix(PREFIX)
        self.server.requests.append((self.command, path, json.loads(body) if body else None))
        status, data, message, errors = self.server.replies.get(
            (self.command, path.split("?")[0]), (404, None, "There is nothing.", {}))
        reply = json.dumps({"code": status, "data": data, "errors": errors, "message": message,
                            "total_page_number": 1, "total_count": len(data or [])}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


class Client(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = Server(str(self.folder / "s"), Handler)
        self.server.requests = []
        self.server.replies = {
            ("GET", "/security_group/"): (200, GROUPS, "Success", {}),
            ("GET", "/appliances/"): (200, LBS, "Success", {}),
            ("POST", "/security_group/7/attach/"):
                (200, APPLIED, "Security Group attached successfully", {}),
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def run_ctl(self, *arguments, stdin="", api=None):
        environment = {**os.environ, "SLUICE_API": api or f"unix:{self.folder}/s"}
        return subprocess.run([SLUICECTL, *arguments], input=stdin, capture_output=True, text=True,
                              timeout=60, env=environment)

    def test_no_daemon_is_exit_5_and_says_what_to_do(self):
        result = self.run_ctl("lb", "list", api=f"unix:{self.folder}/nobody")
        self.assertEqual(result.returncode, 5)
        self.assertIn("Error: sluiced does not answer", result.stderr)
        self.assertIn("Next step: start sluiced", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_an_api_address_that_is_none_is_exit_4(self):
        self.assertEqual(self.run_ctl("lb", "list", api="gopher://x").returncode, 4)

    def test_statuses_become_exit_codes(self):
        for status, code in ((400, 2), (401, 3), (403, 3), (404, 10), (409, 11), (412, 11),
                             (413, 2), (422, 12), (500, 1), (503, 5), (507, 5)):
            self.server.replies["POST", "/security_group/7/attach/"] = (
                status, None, "It is so.", {"security_group_ids": ["because"]})
            result = self.run_ctl("attach", "front", "web")
            self.assertEqual(result.returncode, code, status)
            self.assertIn("Error: It is so.", result.stderr)
            self.assertIn("Details: security_group_ids: because", result.stderr)

    def test_attach_passes_the_fate_of_flows_on_and_tells_it(self):
        applied = dict(APPLIED, flows={"cut": 0, "kept": 3, "draining": 2, "complete": False})
        self.server.replies["POST", "/security_group/7/attach/"] = (
            200, applied, "Security Group attached successfully", {})
        result = self.run_ctl("attach", "front", "web", "--flows", "keep")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Live connections: 3 kept, 2 draining so far, still counting.", result.stderr)
        changes = [request for request in self.server.requests if request[0] == "POST"]
        self.assertEqual(changes[0][2]["flows"], "keep")

    def test_attach_resolves_names_and_sends_one_request(self):
        result = self.run_ctl("attach", "front", "web", "--security-group-id", "3")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Security Group attached successfully, enforced by generation 12", result.stderr)
        self.assertEqual(result.stdout, "")
        changes = [r for r in self.server.requests if r[0] == "POST"]
        self.assertEqual(changes, [("POST", "/security_group/7/attach/",
                                    {"security_group_ids": [4, 3]})])

    def test_refused_rules_are_shown_in_their_file(self):
        self.server.replies["POST", "/security_group/"] = (
            400, None, "1 problem", {"rules[1].port_range": ["\"9-1\": first port is greater"]})
        rule = '{"port_range": "9-1"}'
        for text, place, where in (
                (f'[\n {{}},\n {rule}]', "3:17", "[1].port_range"),
                (f'{{"rules": [{{}},\n  {rule}]}}', "2:18", "rules[1].port_range")):
            path = self.folder / "rules.json"
            path.write_text(text)
            result = self.run_ctl("security-group", "create", "--name", "x", "--rules-file", path)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f"{path}:{place}: error: {where}: \"9-1\"", result.stderr)
            self.assertIn(f"Error: {path}: 1 problem; nothing was changed", result.stderr)
        path.write_text('[{"port_range" 9}]')
        result = self.run_ctl("security-group", "create", "--name", "x", "--rules-file", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{path}:1:", result.stderr)

    def test_a_refused_name_is_not_blamed_on_the_file(self):
        self.server.replies["POST", "/security_group/"] = (
            409, None, "The name is taken.", {"name": ["in use"]})
        path = self.folder / "rules.json"
        path.write_text("[]")
        result = self.run_ctl("security-group", "create", "--name", "x", "--rules-file", path)
        self.assertEqual(result.returncode, 11)
        self.assertIn("Details: name: in use", result.stderr)
        self.assertNotIn("rules.json:1", result.stderr)

    def test_an_unknown_name_is_exit_10_and_changes_nothing(self):
        self.assertEqual(self.run_ctl("attach", "front", "nosuch").returncode, 10)
        self.assertEqual(self.run_ctl("attach", "nosuch", "web").returncode, 10)
        self.assertFalse([r for r in self.server.requests if r[0] == "POST"])

    def test_destructive_verbs_need_force_where_nobody_can_be_asked(self):
        for arguments in (["detach", "front", "web"], ["security-group", "delete", "--name", "web"],
                          ["lb", "remove", "front"]):
            result = self.run_ctl(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn("--force", result.stderr)
        self.assertFalse([r for r in self.server.requests if r[0] != "GET"])

    def test_json_is_one_stable_object(self):
        result = self.run_ctl("security-group", "list", "--json")
        self.assertEqual(json.loads(result.stdout), {"action": "list", "items": GROUPS})
        self.assertEqual(result.stderr, "")
        result = self.run_ctl("--json", "security-group", "get", "--id", "4")
        self.assertEqual(json.loads(result.stdout), {"action": "get", "security_group": GROUPS[2]})
        result = self.run_ctl("attach", "front", "web", "--json")
        self.assertEqual(json.loads(result.stdout), {"action": "attach", "load_balancer": APPLIED})

    def test_json_errors_are_one_object_on_stderr(self):
        result = self.run_ctl("attach", "front", "nosuch", "--json")
        self.assertEqual(json.loads(result.stderr)["exit_code"], 10)
        self.assertEqual(result.stdout, "")

    def test_control_characters_of_others_are_shown_not_obeyed(self):
        result = self.run_ctl("security-group", "list")
        self.assertNotIn("\x1b", result.stdout)
        self.assertIn("\\x1b", result.stdout)

    def test_rules_stand_in_the_portals_columns(self):
        self.server.replies["GET", "/security_group/7/attach/"] = (200, GROUPS[1:2], "Success", {})
        lines = self.run_ctl("rules", "front").stdout.splitlines()
        self.assertEqual(lines[1], "Inbound rules")
        self.assertEqual(lines[2].split("  ")[1:2], ["Protocol"])
        self.assertEqual(lines[3].split(), ["Custom_TCP", "22", "manual", "10.0.0.0", "256"])
        for column in ("Protocol", "Port Range", "Network Type", "First IP", "Size"):
            self.assertIn(column, lines[2])

    def test_create_reads_rules_from_standard_input(self):
        self.server.replies["POST", "/security_group/"] = (200, {"id": 9, **APPLIED}, "Created.", {})
        result = self.run_ctl("security-group", "create", "--name", "n", "--rules-file", "-",
                              "--default", stdin='[{"rule_type": "Inbound"}]')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "9\n")
        self.assertEqual(self.server.requests[-1][2],
                         {"name": "n", "rules": [{"rule_type": "Inbound"}], "default": True})

    def test_status_takes_words_as_they_are_spoken(self):
        self.server.replies["PUT", "/appliances/7/status/"] = (200, APPLIED, "Recorded.", {})
        self.assertEqual(self.run_ctl("lb", "status", "front", "Powered", "off").returncode, 0)
        self.assertEqual(self.server.requests[-1][2], {"status": "Powered off"})

    def test_vpc_update_keeps_what_is_not_given_and_finds_the_id_before_a_name(self):
        vpcs = [{"vpc_id": 1, "vpc_name": "2", "cidrs": ["10.8.0.0/16"]},
                {"vpc_id": 2, "vpc_name": "prod", "cidrs": ["10.9.0.0/16", "fd00::/48"]}]
        self.server.replies["GET", "/vpc/list/"] = (200, vpcs, "Success", {})
        self.server.replies["PUT", "/vpc/2/"] = (200, {**vpcs[1], **APPLIED}, "VPC updated.", {})
        for arguments, body in (
                (["2", "--name", "inner"], {"vpc_name": "inner", "cidrs": vpcs[1]["cidrs"]}),
                (["prod", "--cidr", "10.7.0.0/16"], {"vpc_name": "prod", "cidrs": ["10.7.0.0/16"]})):
            result = self.run_ctl("vpc", "update", *arguments)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.server.requests[-1], ("PUT", "/vpc/2/", body))
        self.assertEqual(self.run_ctl("vpc", "update", "nosuch", "--name", "x").returncode, 10)
        self.assertEqual(self.run_ctl("vpc", "update", "prod").returncode, 2)

    def test_wrong_usage_is_exit_2(self):
        for arguments in ([], ["nosuch"], ["lb"], ["lb", "show"], ["lb", "list", "x"],
                          ["attach", "front"], ["lb", "list", "--nosuch"], ["lb", "add"],
                          ["security-group", "get"], ["security-group", "create", "--name", "x"]):
            self.assertEqual(self.run_ctl(*arguments).returncode, 2, arguments)

    def test_every_verb_has_help_with_an_example(self):
        overview = self.run_ctl("--help").stdout
        verbs = [line.split("  ")[1].split(" ") for line in overview.splitlines()
                 if line.startswith("  ") and "--" not in line and line[2] != " "]
        self.assertGreater(len(verbs), 15)
        for words in verbs:
            name = [word for word in words if word.islower() and "[" not in word]
            result = self.run_ctl(*name, "--help")
            self.assertEqual(result.returncode, 0, name)
            self.assertIn("For example:", result.stdout)
        self.assertRegex(self.run_ctl("--version").stdout, r"^sluicectl \d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
