"""python-socketio on one transport, for clients_test.go; says what client.mjs says.

    python client.py polling|websocket|default URL LAST_REVISION
"""

import json
import os
import sys
import threading

import socketio

transport, url, last = sys.argv[1:]
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
seen = {"revision": 0, "connects": 0}


one_at_a_time = threading.Lock()


def say(what, **more):
    with one_at_a_time:
        print(json.dumps({"what": what, **more}, ensure_ascii=False, separators=(",", ":")), flush=True)


@client.event
def connect():
    seen["connects"] += 1
    say("connect", connects=seen["connects"], id=client.get_sid())
    if seen["connects"] == 1:
        client.start_background_task(ask)


def ask():
    form = {"id": 7, "text": "hello 😀", "body": {}}
    say(
        "answers",
        answers=[client.call("list"), client.call("start", {}), client.call("list", form), client.call("dance", 1)],
    )


@client.on("job")
def on_job(job):
    if seen["connects"] > 1:
        say("job", job=job["job"], revision=job["revision"])
        return
    if job["state"] != "running":
        return  # the end of the first server
    if seen["revision"] and job["revision"] != seen["revision"] + 1:
        say("disorder", before=seen["revision"], now=job["revision"])
    seen["revision"] = job["revision"]
    if job["revision"] == int(last):
        say("ordered", job=job["job"], transport=client.transport())


@client.on("stats")
def on_stats(stats):
    say("stats", job=stats["job"], requests=stats["total"]["requests"])


@client.on("service_state")
def on_service_state(state):
    if "update" not in state["data"].values():
        say("service_state", **state)


@client.event
def disconnect(*reason):
    say("disconnect", reason=" ".join(map(str, reason)))


client.connect(
    url,
    headers={"Authorization": "Bearer " + os.environ["TOKEN"]},
    transports=None if transport == "default" else [transport],
    wait_timeout=30,
)
sys.stdin.read()
client.disconnect()
