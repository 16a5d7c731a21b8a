#!/usr/bin/env python3
"""How soon `serve` answers, whether anybody waits too long, and whether it grows.

    bench/serve.py MODEL [--words 400] [--clients 64] [--requests 3000 | --minutes 30]

MODEL is a Hugging Face directory. Prints one JSON object: seconds to the first token of a stream beside those of the bare
forward of as many tokens (`examples/generate`, in turn with the requests), what each of many clients waited that asked at
once, and the server's resident memory before and after thousands of requests, or before and after each tenth of so many
minutes of them; clients that leave early are among them.
"""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import threading
import time

SENTENCE = "On day {} the patient was afebrile, the drain was removed and metformin was resumed at the usual dose. "


def prompt(words, number):
    text = "".join(SENTENCE.format(number + index) for index in range(words // 18 + 1))
    return f"Note of patient {number}. " + text


class Server:
    def __init__(self, binary, model):
        command = [binary, "serve", "--model", model, "--port", "0", "--device", "cpu"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"serving (\S+) on http://([^/]+)/", line):
                self.name, self.address = found[1].rstrip(","), found[2]
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        raise SystemExit("the server did not start")

    def stream(self, text, max_tokens, leave=False):
        """Seconds to the first piece and to the end, and what was used."""
        connection = http.client.HTTPConnection(self.address, timeout=3600)
        body = {"model": self.name, "prompt": text, "max_tokens": max_tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}
        began = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        first, usage = None, None
        if response.status != 200:
            raise SystemExit(response.read())
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            first = first or time.perf_counter() - began
            if leave:
                break
            usage = json.loads(line[6:]).get("usage") or usage
        connection.close()
        return first, time.perf_counter() - began, usage

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default="target/release/asclepius")
    parser.add_argument("--bare", default="target/release/examples/generate")
    options = parser.parse_args()
    server = Server(options.binary, options.model)
    result = {}
    try:
        _, _, usage = server.stream(prompt(options.words, 0), 1)
        tokens = usage["prompt_tokens"]
        served, bare = [], []
        for round_ in range(options.rounds):
            served.append(server.stream(prompt(options.words, 1), 1)[0])
            command = [options.bare, options.model, "--rows", "1", "--prompt", str(tokens), "--new", "1", "--rounds", "1"]
            bare += json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["seconds"]
        served_s, bare_s = statistics.median(served), statistics.median(bare)
        result["first_token"] = {"prompt_tokens": tokens, "served_s": round(served_s, 4), "bare_s": round(bare_s, 4),
                                 "ratio": round(served_s / bare_s, 3), "all_served_s": served, "all_bare_s": bare}

        waits = [None] * options.clients

        def client(number):
            waits[number] = server.stream(prompt(40, number), 16)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(options.clients)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        firsts = sorted(wait[0] for wait in waits)
        result["at_once"] = {"clients": options.clients, "answered": sum(wait[2] is not None for wait in waits),
                             "first_token_s": {"least": round(firsts[0], 3), "median": round(statistics.median(firsts), 3),
                                               "most": round(firsts[-1], 3)},
                             "all_done_s": round(time.perf_counter() - began, 3)}

        memory, answered = [round(server.resident_mb(), 1)], [0] * 8
        parts = 10 if options.minutes else 4
        began = time.perf_counter()
        for part in range(parts):
            ends = began + options.minutes * 60 * (part + 1) / parts

            def more(done):
                return time.perf_counter() < ends if options.minutes else done < options.requests // 32

            def work(thread):
                number = 0
                while more(number):
                    server.stream(prompt(20 + 20 * (number % 3), number), 1 + number % 4, leave=number % 5 == 0)
                    number += 1
                answered[thread] += number

            threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            memory.append(round(server.resident_mb(), 1))
        result["resident_mb"] = {"minutes": round((time.perf_counter() - began) / 60, 1), "requests": sum(answered),
                                 "before_and_after_each_part": memory}
    finally:
        server.process.terminate()
        server.process.wait()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
