#!/usr/bin/env python3
"""Every source of events by its real client, and every delivery read by a real receiver.

The other tests speak to the appliance in its own words; here the words are those of the packages
that users have: `cloudevents`, `standardwebhooks`, Slack's SDK, Python's mail client, and curl.

    senders.py --binary target/debug/ergane
"""

import argparse
import datetime
import http.client
import http.server
import json
import os
import queue
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from email.message import EmailMessage

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "campaign"))

from appliance import KEY, Api, Server, free_port  # noqa: E402
from cloudevents.conversion import to_binary, to_dict, to_structured  # noqa: E402
from cloudevents.http import CloudEvent  # noqa: E402
from slack_sdk.signature import SignatureVerifier  # noqa: E402
from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # noqa: E402

SECONDS_MAX = 20
HOOK_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def main():
    arguments = parse()
    base = tempfile.mkdtemp(prefix="ergane-clients-")
    mail_port = free_port()
    os.environ["ERGANE_MAIL__LISTEN"] = f"127.0.0.1:{mail_port}"
    os.environ["ERGANE_MAIL__DOMAIN"] = "in.example.com"
    server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "log"))
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/log")
    api = Api(server)
    try:
        for check in (cloud_events, standard_webhooks_in, slack, mail, curl, webhooks_out):
            check(api, mail_port)
            print(f"ok   {check.__doc__}", flush=True)
    finally:
        server.kill()
    shutil.rmtree(base)
    print("every client is understood")


def parse():
    parser = argparse.ArgumentParser(description="Sends as real clients do.")
    parser.add_argument("--binary", default="target/debug/ergane")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    return arguments


def cloud_events(api, _):
    """the cloudevents package: binary, structured and batch, each event once"""
    def event(number):
        attributes = {"type": "shop:order", "source": "/shop", "id": str(number), "subject": "o-1"}
        return CloudEvent(attributes, {"total": number})

    for number, convert in enumerate((to_binary, to_structured)):
        headers, body = convert(event(number))
        for is_second in (False, True):
            answer = send(api, "/v1/events", headers, body)
            expect(answer["accepted"][0]["duplicate"], is_second)
    batch = json.dumps([to_dict(event(number)) for number in (7, 8, 8)])
    answer = send(api, "/v1/events", {"content-type": "application/cloudevents-batch+json"}, batch)
    expect([event["duplicate"] for event in answer["accepted"]], [False, False, True])
    totals = [event["payload"]["total"] for event in events(api, "shop:order")]
    expect(sorted(totals), [0, 1, 7, 8])


def standard_webhooks_in(api, _):
    """the standardwebhooks package signs: believed once, and not after a changed byte"""
    connect(api, "shop", "webhook", {"signingSecret": HOOK_SECRET}, {"eventType": "shop:paid"})
    body = '{"order": "o-7", "total": 5}'
    now = datetime.datetime.now(tz=datetime.timezone.utc)
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(HOOK_SECRET).sign("msg_1", now, body),
    }
    for _ in range(2):
        send(api, "/hooks/shop", headers, body, key=None)
    refused(api, "/hooks/shop", headers, body.replace("5", "6"))
    expect([event["payload"]["total"] for event in events(api, "shop:paid")], [5])


def slack(api, _):
    """Slack's SDK signs: its address is checked, a message comes once, a forged one never"""
    connect(api, "chat", "slack", {"signingSecret": SLACK_SECRET}, {})
    signer = SignatureVerifier(SLACK_SECRET)

    def deliver(body, send=send, retry=None):
        at = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "x-slack-request-timestamp": at,
            "x-slack-signature": signer.generate_signature(timestamp=at, body=body),
            **({"x-slack-retry-num": retry} if retry else {}),
        }
        return send(api, "/hooks/slack/chat", headers, body, key=None)

    challenge = deliver('{"type": "url_verification", "challenge": "3eZbrw1a"}')
    expect(challenge["challenge"], "3eZbrw1a")
    message = {"type": "message", "channel": "C1", "user": "U1", "text": "the database is down"}
    body = json.dumps({"type": "event_callback", "event_id": "Ev1", "event": message})
    deliver(body)
    deliver(body, retry="1")
    signer.signing_secret = "another secret"
    deliver(body.replace("Ev1", "Ev2"), send=refused)
    expect([event["payload"]["text"] for event in events(api, "slack:message")], [message["text"]])


def mail(api, port):
    """Python's smtplib delivers a mail: an event with its text and attachment, once"""
    letter = EmailMessage()
    letter["From"] = "Ada <ada@example.org>"
    letter["To"] = "help@default.in.example.com"
    letter["Subject"] = "Grüße: the printer"
    letter["Message-ID"] = "<one@example.org>"
    letter.set_content("It does not answer.\n.\nA line that is a dot stands above.\n")
    letter.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")
    for _ in range(2):
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS_MAX) as client:
            client.send_message(letter)
    received = events(api, "email:received")
    expect(len(received), 1)
    payload = received[0]["payload"]
    expect(payload["subject"], "Grüße: the printer")
    expect(".\nA line" in payload["text"].replace("\r\n", "\n"), True)
    expect([part["name"] for part in payload["attachments"]], ["a.bin"])


def curl(api, _):
    """curl posts a bare payload, as the README shows it"""
    url = f"http://127.0.0.1:{api.server.port}/v1/events/ticket:escalated"
    payload = '{"ticket": {"id": "SUP-1", "title": "Down", "priorityName": "high"}}'
    command = ["curl", "-sS", "--fail-with-body", "-X", "POST", url]
    command += ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    answer = subprocess.run([*command, "-d", payload], capture_output=True, check=True, text=True)
    expect(json.loads(answer.stdout)["accepted"][0]["duplicate"], False)


def webhooks_out(api, _):
    """the standardwebhooks package verifies what is delivered, also through a rotation"""
    api.call("POST", "/v1/event-types", {"type": "rotated:one"})
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/in"
        hook = api.call("POST", "/v1/webhooks", {"url": url, "types": ["rotated:*"]})
        for number in range(2):
            api.call("POST", "/v1/events/rotated:one", {"number": number})
        first, second = receiver.next(), receiver.next()
        for headers, body in (first, second):
            Webhook(hook["secret"]).verify(body, headers)
        expect([json.loads(body)["data"]["payload"]["number"] for _, body in (first, second)], [0, 1])
        rotated = api.call("POST", f"/v1/webhooks/{hook['id']}/rotate-secret", {})
        api.call("POST", "/v1/events/rotated:one", {"number": 2})
        headers, body = receiver.next()
        for secret in (hook["secret"], rotated["secret"]):
            Webhook(secret).verify(body, headers)
        try:
            Webhook(HOOK_SECRET).verify(body, headers)
        except WebhookVerificationError:
            return
        raise AssertionError("a foreign secret verified the delivery")


class Receiver:
    """A server that takes deliveries."""

    def __enter__(self):
        self.taken = queue.Queue()
        taken = self.taken

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                taken.put((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def next(self):
        headers, body = self.taken.get(timeout=SECONDS_MAX)
        return {name.lower(): value for name, value in headers.items()}, body

    def __exit__(self, *_):
        self.server.shutdown()


def connect(api, name, app, secrets, settings):
    api.call(
        "POST",
        "/v1/connections",
        {"name": name, "app": app, "secrets": secrets, "settings": settings},
    )


def events(api, kind):
    return list(api.pages(f"/v1/events?type={kind}"))


def send(api, path, headers, body, key=KEY):
    status, text = posted(api, path, headers, body, key)
    if status >= 300:
        raise AssertionError(f"POST {path}: {status} {text}")
    return json.loads(text) if text else None


def refused(api, path, headers, body, key=None):
    status, text = posted(api, path, headers, body, key)
    if status != 401:
        raise AssertionError(f"POST {path}: {status} {text}, and not 401")


def posted(api, path, headers, body, key):
    connection = http.client.HTTPConnection("127.0.0.1", api.server.port, timeout=SECONDS_MAX)
    own = {"Authorization": f"Bearer {key}"} if key else {}
    connection.request("POST", path, body, {**headers, **own})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


if __name__ == "__main__":
    main()
