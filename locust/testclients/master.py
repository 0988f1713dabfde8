"""A Locust master with its web page, both on free ports, which it prints as JSON."""

import json
import logging
import os
import signal

import gevent
from locust import User, argument_parser, task
from locust.env import Environment


class Loadgen(User):
    @task
    def nothing(self):
        pass


logging.basicConfig(level=logging.WARNING)
os.chdir(os.path.dirname(os.path.abspath(__file__)))
options = argument_parser.parse_options(["--enable-rebalancing"])
env = Environment(user_classes=[Loadgen], parsed_options=options)
runner = env.create_master_runner("127.0.0.1", 0)
page = env.create_web_ui("127.0.0.1", 0)
while page.server is None or not page.server.started:
    gevent.sleep(0.01)
ended = gevent.event.Event()
gevent.signal_handler(signal.SIGTERM, ended.set)
env.events.worker_report.add_listener(lambda client_id, data: print("report of", client_id, flush=True))
print(json.dumps({"master": runner.server.port, "web": page.server.server_port}), flush=True)
ended.wait()
env.events.quitting.fire(environment=env, reverse=True)
