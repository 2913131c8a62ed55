#!/usr/bin/python3
"""scripts/bench on canned results: pairs, ratios, what falls short, what a peer refuses, and its refusals."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "scripts/bench"


def entry(name, **more):
    return {"name": name, "run_name": name, "run_type": "iteration", "real_time": 1.0, "time_unit": "ns", **more}


def bench(entries, *arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as results:
        json.dump({"benchmarks": entries}, results)
        results.flush()
        return subprocess.run([BENCH, "--from", results.name, *arguments], capture_output=True, text=True, check=False)


OURS = "BM_TableMatch_Ipv4/rules:10"
PEER = "BM_TableMatch_Ipv4_RteAcl/rules:10/burst:"


class Report(unittest.TestCase):
    def row(self, entries, name):
        done = bench(entries, "--filter", f"^{name}$", "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["seed"], 20260101)
        self.assertIn("cpu", document["machine"])
        return document["rows"][0]

    def test_takes_the_best_of_the_repetitions_and_of_the_peers_variants(self):
        row = self.row([entry(OURS, per_lookup=4e-9), entry(OURS, per_lookup=3e-9),
                        entry(PEER + "64", per_lookup=14e-9), entry(PEER + "512", per_lookup=13.5e-9)],
                       "table_match/ipv4/rules:10")
        self.assertEqual(row["ours"], 3.0)
        self.assertEqual(row["theirs"], 13.5)
        self.assertEqual(row["ratio"], 4.5)
        self.assertEqual((row["unit"], row["peer"], row["reach"], row["ok"]), ("ns/lookup", "rte_acl", 4.0, True))

    def test_says_what_falls_short_and_goes_on(self):
        done = bench([entry(OURS, per_lookup=4e-9), entry(PEER + "64", per_lookup=14e-9)],
                     "--filter", "^table_match/ipv4/rules:10$")
        self.assertEqual(done.returncode, 0)
        self.assertIn("SHORT", done.stdout)
        self.assertIn("0 of 1 reached: short are table_match/ipv4/rules:10", done.stdout)

    def test_names_a_peer_that_refuses(self):
        row = self.row([entry("BM_TableMatch_Ipv4ArbitraryPorts/rules:100000", per_lookup=8e-9)] +
                       [entry(f"BM_TableMatch_Ipv4ArbitraryPorts_RteAcl/rules:100000/burst:{burst}",
                              error_occurred=True, error_message="refused by rte_acl") for burst in (64, 512)],
                       "table_match/ipv4_arbitrary_ports/rules:100000")
        self.assertEqual((row["theirs"], row["ratio"], row["ok"]), ("refused", None, True))

    def test_counts_no_refusal_where_the_peer_should_have_built(self):
        row = self.row([entry(OURS, per_lookup=5e-6)] +
                       [entry(PEER + burst, error_occurred=True, error_message="refused by rte_acl")
                        for burst in ("64", "512")], "table_match/ipv4/rules:10")
        self.assertEqual((row["theirs"], row["ratio"], row["ok"]), ("refused", None, False))

    def test_reads_times_in_the_rows_unit(self):
        row = self.row([entry("BM_Compile_AttachKnownSet", real_time=0.031, time_unit="ms")],
                       "compile/attach_known_set/lbs:1000")
        self.assertEqual((row["ours"], row["ok"]), (31.0, True))

    def test_takes_the_median_where_luck_goes_both_ways(self):
        row = self.row([entry("BM_EndToEnd_SwapUnderLoad/flows:1000/iterations:1/manual_time", percent=percent)
                        for percent in (0.0, 3.0, 0.7)], "end_to_end/swap_under_load/flows:1000")
        self.assertEqual((row["ours"], row["ok"]), (0.7, True))

    def test_says_what_did_not_run_and_counts_it_as_short_where_something_is_to_be_reached(self):
        name = "BM_Pipeline_StrictTcp/flows:"
        for flows, ok in ((1000, False), (16000000, None)):
            row = self.row([entry(f"{name}{flows}", error_occurred=True, error_message="too little memory")],
                           f"pipeline/strict_tcp/flows:{flows}")
            self.assertEqual((row["ours"], row["ok"]), ("not run", ok))

    def test_writes_a_report_with_the_curve_over_connections(self):
        with tempfile.TemporaryDirectory() as folder:
            done = bench([entry(f"BM_Pipeline_StrictTcp/flows:{flows}", per_packet=cost * 1e-9)
                          for flows, cost in ((1000, 18), (100000, 25), (1000000, 42))] +
                         [entry(f"BM_Pipeline_StrictTcp/flows:{flows}", error_occurred=True)
                          for flows in (10000, 4000000, 16000000)],
                         "--filter", "^pipeline/strict_tcp", "--report", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            text = (pathlib.Path(folder) / "report.md").read_text()
            self.assertIn("| 1,000,000 | 42.00 |", text)
            self.assertIn("(flows.svg)", text)
            svg = xml.etree.ElementTree.parse(pathlib.Path(folder) / "flows.svg").getroot()
            names = [node.tag.split("}")[1] for node in svg.iter()]
            self.assertEqual((names.count("polyline"), names.count("circle")), (1, 3))

    def test_fails_where_a_benchmark_gave_no_figure(self):
        done = bench([], "--filter", "^table_match/ipv4/rules:10$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("gave no figure", done.stderr)

    def test_refuses_a_filter_that_matches_nothing(self):
        done = bench([], "--filter", "nothing_of_this_name")
        self.assertEqual(done.returncode, 2)
        self.assertIn("bench/rows.json", done.stderr)

    def test_refuses_a_filter_that_is_no_regular_expression(self):
        done = bench([], "--filter", "(")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--filter: '(' is no regular expression", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_every_row_is_whole(self):
        names = set()
        for row in json.loads((ROOT / "bench/rows.json").read_text()):
            self.assertNotIn(row["name"], names)
            names.add(row["name"])
            self.assertIn(row["reach_is"], ("ratio_at_least", "at_least", "at_most", "reported"))
            self.assertEqual(row["reach"] is None, row["reach_is"] == "reported", row["name"])
            self.assertEqual("peer" in row, "peers" in row, row["name"])
            self.assertTrue(row["ours"].startswith("BM_"), row["name"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
