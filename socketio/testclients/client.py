"""python-socketio on one transport, for clients_test.go; says what client.mjs says.

    python client.py polling|websocket|default URL LAST_REVISION
"""

import json
import os
import sys
import threading

import requests
import socketio

transport, url, last = sys.argv[1:]
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
session = requests.Session()
session.headers.update(headers)  # for polls; those of connect are for the first request and the WebSocket
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5, http_session=session)
wire = {"revision": 0, "connects": 0}
seen = {"revisions": set(), "connects": 0}
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


# This client handles each event on a thread of its own, in any order. The order in which
# they came is looked at where they come in.
receive_packet = client.eio._receive_packet


def receive(packet):
    text = packet.data if isinstance(packet.data, str) else ""
    if text.startswith("0"):
        wire["connects"] += 1
    if text.startswith('2["job",') and wire["connects"] == 1:
        job = json.loads(text[1:])[1]
        if job["state"] == "running":
            if wire["revision"] and job["revision"] != wire["revision"] + 1:
                say("disorder", before=wire["revision"], now=job["revision"])
            wire["revision"] = job["revision"]
    receive_packet(packet)


client.eio._receive_packet = receive


@client.on("job")
def on_job(job):
    if wire["connects"] > 1:
        say("job", job=job["job"], revision=job["revision"])
        return
    with one_at_a_time:
        seen["revisions"].add(job["revision"])
        complete = len(seen["revisions"]) == int(last)
    if complete:
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
    headers=headers,
    transports=None if transport == "default" else [transport],
    wait_timeout=30,
)
sys.stdin.read()
client.disconnect()
