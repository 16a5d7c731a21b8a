#!/usr/bin/env python3
"""Drives the page of `asclepius serve` in headless Chromium: load, ask, stream, compare, stop, judge, a hostile note.

    tools/page_check.py [--binary FILE] [--chromium FILE] [--screenshots DIR] [-- ARGUMENTS OF SERVE]

Starts the server on a free port (by default with the models of the demo's run) and exits with 1 if anything is not as it
should be. Needs nothing beside Python and Chromium; without Chromium it says so and exits with 0.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

TOO_LONG = 120.0
HOSTILE = (
    "<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script>\n"
    "</textarea></div><svg onload='window.harmed=1'>{instruction}{note} $& <|eos|> javascript:window.harmed=1\n"
    "Fever of 38.9 °C for two days.\u202e"
)


class Browser:
    """Chromium behind its debugging pipe: one JSON object after the other, each ended by a zero byte."""

    def __init__(self, program, profile):
        into, self.write = os.pipe()
        self.read, out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (into, out)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            close_fds=False, preexec_fn=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (into, out, *high):
            os.close(fd)
        self.number, self.pending, self.events, self.session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def message(self):
        deadline = time.monotonic() + TOO_LONG
        while b"\0" not in self.pending:
            if not select.select([self.read], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium says nothing")
            read = os.read(self.read, 1 << 20)
            if not read:
                raise EOFError("Chromium has ended")
            self.pending += read
        one, self.pending = self.pending.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def value(self, expression):
        """What a JavaScript expression comes to; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression):
        """Waits in the page, frame by frame, until an expression is true."""
        self.value(f"new Promise((done, late) => {{ const end = performance.now() + {TOO_LONG * 500}; (function look() "
                   f"{{ if ({expression}) done(true); else if (performance.now() > end) late(new Error('too late')); "
                   f"else requestAnimationFrame(look); }})(); }})")

    def key(self, key, modifiers=0):
        codes = {"Enter": 13, "Escape": 27, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=modifiers,
                      windowsVirtualKeyCode=codes[key])

    def view(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path, whole=False):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.process.kill()
        self.process.wait()


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, what, holds, detail=""):
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'}  {what}{'' if holds else f': {detail}'}", flush=True)


def ask(browser, note=None, task="", instruction=None, max_tokens=24):
    """Fills the form and asks from the keyboard."""
    browser.value("if (!$('switch').hidden) $('switch').click()")
    if note is not None:
        browser.value(f"$('sample').value = ''; pick(); $('note').value = {json.dumps(note)}")
    browser.value(f"document.querySelector('input[name=task][value={json.dumps(task)}]').click()")
    if instruction is not None:
        browser.value(f"$('instruction').value = {json.dumps(instruction)}")
    browser.value(f"$('max-tokens').value = {max_tokens}; $('instruction').focus()")
    browser.key("Enter", modifiers=2)


def drive(browser, url, feedback, check, screenshots):
    browser.view(1440, 900)
    browser.call("Page.navigate", url=url)
    browser.wait("document.readyState === 'complete' && page && !$('work').hidden")
    browser.wait("performance.getEntriesByType('paint').length > 0")
    paint = browser.value("performance.getEntriesByType('paint')[0].startTime")
    # The figure is for a quiet machine; on a busy one it tells of the others.
    check(f"first paint after {paint:.0f} ms", paint < (200 if os.getloadavg()[0] < os.cpu_count() else 2000), paint)
    check("notes, tasks and models are offered",
          browser.value("page.samples.length > 0 && page.tasks.length === 8 && page.models.length > 0"))
    check("eight tasks and free asking", browser.value("document.querySelectorAll('input[name=task]').length") == 9)

    browser.value("$('note').focus()")
    order = []
    for _ in range(5):
        browser.key("Tab")
        order.append(browser.value("document.activeElement.id || document.activeElement.name"))
    check("Tab goes from the note to the task, the instruction and Ask",
          [place for place in order if place in ("task", "instruction", "ask")] == ["task", "instruction", "ask"], order)
    unnamed = browser.value(
        "[...document.querySelectorAll('main input, main select, main textarea, main button')].filter(one => "
        "!one.labels?.length && !one.getAttribute('aria-label') && !one.textContent.trim()).map(one => one.id)")
    check("every control has a name", unnamed == [], unnamed)

    browser.value("window.grown = []; new MutationObserver(() => { const text = [...document.querySelectorAll("
                  "'.answer .text')].map(one => one.textContent.length); grown.push(text.join()); })"
                  ".observe($('answers'), { childList: true, subtree: true, characterData: true })")
    ask(browser, task="qa", max_tokens=48)
    check("a task fills in an instruction", browser.value("$('instruction').value.length > 5"))
    browser.wait("$('status').textContent === 'Done.'")
    texts = browser.value("panes.map(pane => pane.part('.text').textContent)")
    models = browser.value("panes.map(pane => pane.part('h2').textContent)")
    check(f"{' and '.join(models)} answer side by side", len(texts) == 2 and all(texts) and len(set(models)) == 2, texts)
    check("answers come piece by piece", browser.value("new Set(grown).size") > 4, browser.value("grown.length"))
    check("the note with its evidence is the note", browser.value("$('marked').textContent === $('note').value"))
    marked = browser.value("[...document.querySelectorAll('.answer mark')].every(mark => "
                           "$('note').value.toLowerCase().replace(/\\W+/g, ' ').includes("
                           "mark.textContent.toLowerCase().replace(/\\W+/g, ' ')))")
    check("what is marked in an answer stands in the note", marked)
    fixed = browser.value("(() => { const note = 'BP 120/80, T 38.9. Fever for two days.'; const found = evidence("
                          "'The fever lasted for two days; it was 38.9', note); return found.spans.map(span => "
                          "note.slice(...span.note)); })()")
    check("evidence is the longest common run of words", fixed == ["Fever", "for two days", "38.9"], fixed)

    if browser.value("page.feedback"):
        browser.value("panes[1].part('.up').click()")
        browser.wait("panes[1].part('.up').getAttribute('aria-pressed') === 'true'")
        line = json.loads(feedback.read_text().splitlines()[-1])
        check("a verdict is kept", line["verdict"] == "up" and line["model"] == models[1] and line["answer"] == texts[1], line)

    if screenshots:
        browser.value("scrollTo(0, 0)")
        browser.picture(screenshots / "page-light.png")
        browser.view(1440, 900, dark=True)
        browser.picture(screenshots / "page-dark.png")
    browser.view(390, 844, phone=True)
    wide = browser.value("document.documentElement.scrollWidth")
    check("nothing is wider than a phone", wide <= 390, wide)
    if screenshots:
        browser.picture(screenshots / "page-phone.png", whole=True)
    browser.view(1440, 900)

    ask(browser, note=HOSTILE, instruction="<b>List</b> <img src=x onerror='window.harmed=1'>", max_tokens=8)
    browser.wait("$('status').textContent !== 'Answering …'")
    check("a hostile note stays text", browser.value(
        "window.harmed === undefined && $('marked').textContent === $('note').value && "
        "document.querySelectorAll('main img, main script, #marked svg, .text svg').length === 0"))
    sent = browser.value("page.prompt.split(/(\\{note\\}|\\{instruction\\})/).length")
    check("the prompt has a place for note and instruction", sent == 5, sent)

    ask(browser, note="Fever. " * 20, instruction="Say much.", max_tokens=800)
    browser.value("$('temperature').value = 2")
    browser.wait("panes.some(pane => pane.text.length > 0) || $('status').textContent !== 'Answering …'")
    browser.key("Escape")
    browser.wait("$('status').textContent !== 'Answering …'")
    status = browser.value("$('status').textContent")
    check("Esc stops", status in ("Stopped.", "Done."), status)

    ask(browser, note="", instruction="x", max_tokens=0)
    browser.wait("$('status').textContent === 'Not every model answered.'")
    check("a refusal is said in the answer's place", "max_tokens" in browser.value("$('answers').textContent"))

    browser.value("1")
    asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    elsewhere = [one for one in asked if not one.startswith((url, "data:"))]
    check(f"{len(asked)} requests, none to anybody else", not elsewhere, elsewhere)
    thrown = [event["params"] for event in browser.events if event.get("method") == "Runtime.exceptionThrown"]
    check("no script error", not thrown, thrown)
    logged = [event["params"]["entry"]["text"] for event in browser.events if event.get("method") == "Log.entryAdded"]
    blocked = [text for text in logged if "Content Security Policy" in text]
    check("nothing was blocked by the page's own policy", not blocked, blocked)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/asclepius")
    parser.add_argument("--chromium", default=None)
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("serve", nargs="*", help="arguments of `asclepius serve`, after --")
    options = parser.parse_args()
    program = options.chromium or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        print("skipped: there is no Chromium here")
        return 0
    check = Checks()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        feedback = pathlib.Path(scratch) / "feedback.jsonl"
        command = [options.binary, "serve", *options.serve, "--port", "0", "--feedback", str(feedback)]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said, url = [], None
        for line in server.stderr:
            said.append(line)
            if found := re.search(r"the page: (http://\S+)", line):
                url = found[1]
                break
        if not url:
            print("the server did not start:", *said)
            return 1
        browser = None
        try:
            if options.screenshots:
                options.screenshots.mkdir(parents=True, exist_ok=True)
            browser = Browser(program, pathlib.Path(scratch) / "profile")
            drive(browser, url, feedback, check, options.screenshots)
        finally:
            if browser:
                browser.close()
            server.terminate()
            server.stderr.close()
            server.wait()
    print(f"{check.failed} checks failed" if check.failed else "the page is as it should be")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
