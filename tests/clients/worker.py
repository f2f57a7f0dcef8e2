#!/usr/bin/env python3
"""A worker in 40 lines: takes tasks, keeps them while it works, says what came of them.

    ERGANE_URL=http://127.0.0.1:7171 ERGANE_KEY=... worker.py
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request

URL, KEY = os.environ["ERGANE_URL"], os.environ["ERGANE_KEY"]


def render(task):
    """What it does; whoever repeats it with the same `idempotencyKey` gets the same answer."""
    return {"file": f"invoice-{task['input']['number']}.pdf", "key": task["idempotencyKey"]}


ACTIVITIES = {"invoices:render": render}


def call(path, body):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def work(task):
    path, token, over = f"/v1/tasks/{task['id']}", task["token"], threading.Event()

    def keep():  # A lease holds for 60 s after each sign of life.
        while not over.wait(20) and not call(f"{path}/heartbeat", {"token": token})["cancelled"]:
            pass

    threading.Thread(target=keep, daemon=True).start()
    try:
        end, said = "complete", {"output": ACTIVITIES[task["activity"]](task)}
    except Exception as error:
        end, said = "fail", {"code": type(error).__name__, "message": str(error)}
    over.set()
    try:
        call(f"{path}/{end}", {"token": token, **said})
    except urllib.error.HTTPError as refused:
        print(f"{path}: {refused.code} {refused.read().decode()}")  # 409: it is somebody else's.


while True:
    try:
        asked = {"activities": list(ACTIVITIES), "worker": f"python-{os.getpid()}", "wait": "30s"}
        for task in call("/v1/tasks/poll", asked)["data"]:
            work(task)
    except urllib.error.URLError:
        time.sleep(1)  # The server is away; what it handed out it remembers.
