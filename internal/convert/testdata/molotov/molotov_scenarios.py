"""The usual traffic of the shop."""
import os
import random
from urllib.parse import urljoin

from aiohttp import FormData
from molotov import scenario

SERVER_URL = os.environ.get("OPBEANS_BASE_URL", "http://localhost:8000")
SERVICE_NAME = os.environ.get("OPBEANS_NAME", "")


@scenario(weight=2)
async def root(session):
    async with session.get(urljoin(SERVER_URL, "/")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def stats(session):
    async with session.get(urljoin(SERVER_URL, "/api/stats")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=7)
async def products(session):
    async with session.get(urljoin(SERVER_URL, "/api/products")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def products_top(session):
    async with session.get(urljoin(SERVER_URL, "/api/products/top")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=6)
async def products_id(session):
    async with session.get(urljoin(SERVER_URL, f"/api/products/{random.randint(1, 6)}")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=6)
async def products_id_customers(session):
    async with session.get(urljoin(SERVER_URL, f"/api/products/{random.randint(1, 6)}/customers")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=6)
async def products_id_customers_limit(session):
    async with session.get(urljoin(SERVER_URL, f"/api/products/{random.randint(1, 6)}/customers?limit={random.randint(5, 11) * 10}")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def types(session):
    async with session.get(urljoin(SERVER_URL, "/api/types")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def types_id(session):
    async with session.get(urljoin(SERVER_URL, f"/api/types/{random.randint(1, 3)}")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def customers(session):
    async with session.get(urljoin(SERVER_URL, "/api/customers")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def customers_id(session):
    async with session.get(urljoin(SERVER_URL, f"/api/customers/{random.randint(1, 1000)}")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=2)
async def wrong_customers_id(session):
    async with session.get(urljoin(SERVER_URL, f"/api/customers/{random.randint(5000, 10000)}")) as resp:
        assert resp.status == 404, resp.status


@scenario(weight=8)
async def orders(session):
    async with session.get(urljoin(SERVER_URL, "/api/orders")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=8)
async def orders_id(session):
    async with session.get(urljoin(SERVER_URL, f"/api/orders/{random.randint(1, 1000)}")) as resp:
        assert resp.status == 200, resp.status


@scenario(weight=1)
async def orders_post(session):
    async with session.post(urljoin(SERVER_URL, "/api/orders"), json={"customer_id": random.randint(1, 1000), "lines": [{"id": random.randint(1, 6), "amount": random.randint(1, 4)} for _ in range(random.randint(1, 5))]}) as resp:
        assert resp.status == 200, resp.status


ERROR_WEIGHT = float(os.environ.get("ERROR_WEIGHT", 0))
LATENCY_WEIGHT = float(os.environ.get("APP_LATENCY_WEIGHT", "0"))
LABEL = os.environ.get("APP_LATENCY_LABEL", "dyno_latency")
LOWER = int(os.environ.get("APP_LATENCY_LOWER_BOUND", 1))
UPPER = int(os.environ.get("APP_LATENCY_UPPER_BOUND", 1000))
AGENT = os.environ.get("APP_LATENCY_USER_AGENT", "Safari/531.21.10")


if SERVICE_NAME.startswith("opbeans-python"):

    @scenario(weight=LATENCY_WEIGHT)
    async def browser_latency(session):
        async with session.get(urljoin(SERVER_URL, f"/labeldelay?delay={random.randint(LOWER, UPPER)}&label={LABEL}"), headers={"User-Agent": AGENT}) as resp:
            assert resp.status == 200, resp.status


if SERVICE_NAME.startswith("opbeans-python") or SERVICE_NAME.startswith("opbeans-go"):

    @scenario(weight=ERROR_WEIGHT)
    async def oopsie(session):
        async with session.get(urljoin(SERVER_URL, "/oopsie")) as resp:
            assert resp.status == 500, resp.status


    @scenario(weight=1)
    async def orders_post_csv(session):
        form = FormData()
        form.add_field("customer", str(random.randint(1, 1000)))
        form.add_field("file", "\n".join(str(random.randint(1, 6)) + "," + str(random.randint(1, 4)) for _ in range(random.randint(1, 5))), filename="data.csv", content_type="text/plain")
        async with session.post(urljoin(SERVER_URL, "/api/orders/csv"), data=form) as resp:
            assert resp.status == 200, resp.status


if SERVICE_NAME.startswith("opbeans-node") or SERVICE_NAME.startswith("opbeans-ruby"):

    @scenario(weight=ERROR_WEIGHT)
    async def log_error(session):
        async with session.get(urljoin(SERVER_URL, "/log-error")) as resp:
            assert resp.status == 500, resp.status


    @scenario(weight=ERROR_WEIGHT)
    async def log_message(session):
        async with session.get(urljoin(SERVER_URL, "/log-message")) as resp:
            assert resp.status == 500, resp.status


    @scenario(weight=ERROR_WEIGHT)
    async def is_it_coffee_time(session):
        async with session.get(urljoin(SERVER_URL, "/is-it-coffee-time")) as resp:
            assert resp.status == 500, resp.status


    @scenario(weight=ERROR_WEIGHT)
    async def throw_error(session):
        async with session.get(urljoin(SERVER_URL, "/throw-error")) as resp:
            assert resp.status == 500, resp.status


if SERVICE_NAME.startswith("opbeans-node"):

    @scenario(weight=1)
    async def throw_error_async(session):
        async with session.get(urljoin(SERVER_URL, "/throw-async-error")) as resp:
            assert resp.status == 200, resp.status
