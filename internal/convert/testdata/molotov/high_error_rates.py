import os
import random as r
from urllib.parse import urljoin
import molotov as m
from aiohttp import FormData

HOST = os.getenv("OPBEANS_BASE_URL") or "http://localhost:8000"
APP = os.getenv("OPBEANS_NAME", "")


@m.scenario(weight=1)
async def root(session):
    async with session.get(urljoin(HOST, "/")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def stats(session):
    async with session.get(urljoin(HOST, "/api/stats")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def products(session):
    async with session.get(urljoin(HOST, "/api/products")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def products_top(session):
    async with session.get(urljoin(HOST, "/api/products/top")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def products_id(session):
    async with session.get(urljoin(HOST, "/api/products/{}".format(r.randint(1, 6)))) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=6)
async def products_id_customers(session):
    async with session.get(urljoin(HOST, "/api/products/{}/customers".format(r.randint(1, 6)))) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def products_id_customers_limit(session):
    async with session.get(urljoin(HOST, "/api/products/" + str(r.randint(1, 6)) + "/customers?limit=" + str(r.randint(5, 11)) + "0")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def types(session):
    async with session.get(urljoin(HOST, "/api/types")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=8)
async def types_id(session):
    async with session.get(urljoin(HOST, "/api/types/{}".format(r.randint(1, 3)))) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def customers(session):
    async with session.get(urljoin(HOST, "/api/customers")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def customers_id(session):
    async with session.get(urljoin(HOST, "/api/customers/{}".format(r.randint(1, 1000)))) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=8)
async def wrong_customers_id(session):
    async with session.get(urljoin(HOST, "/api/customers/{}".format(r.randint(5000, 10000)))) as resp:
        assert resp.status == 404, "status %d" % resp.status


@m.scenario(weight=1)
async def orders(session):
    async with session.get(urljoin(HOST, "/api/orders")) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def orders_id(session):
    async with session.get(urljoin(HOST, "/api/orders/{}".format(r.randint(1, 1000)))) as resp:
        assert resp.status == 200, "status %d" % resp.status


@m.scenario(weight=1)
async def orders_post(session):
    async with session.post(urljoin(HOST, "/api/orders"), json={"customer_id": r.randint(1, 1000), "lines": [{"id": r.randint(1, 6), "amount": r.randint(1, 4)} for _ in range(r.randint(1, 5))]}) as resp:
        assert resp.status == 200, "status %d" % resp.status


if APP.startswith("opbeans-python") or APP.startswith("opbeans-go"):

    @m.scenario(weight=8)
    async def oopsie(session):
        async with session.get(urljoin(HOST, "/oopsie")) as resp:
            assert resp.status == 500, "status %d" % resp.status


    @m.scenario(weight=1)
    async def orders_post_csv(session):
        form = FormData()
        form.add_field("customer", str(r.randint(1, 1000)))
        form.add_field("file", "\n".join(str(r.randint(1, 6)) + "," + str(r.randint(1, 4)) for _ in range(r.randint(1, 5))), filename="data.csv", content_type="text/plain")
        async with session.post(urljoin(HOST, "/api/orders/csv"), data=form) as resp:
            assert resp.status == 200, "status %d" % resp.status


if APP.startswith("opbeans-node") or APP.startswith("opbeans-ruby"):

    @m.scenario(weight=8)
    async def log_error(session):
        async with session.get(urljoin(HOST, "/log-error")) as resp:
            assert resp.status == 500, "status %d" % resp.status


    @m.scenario(weight=8)
    async def log_message(session):
        async with session.get(urljoin(HOST, "/log-message")) as resp:
            assert resp.status == 500, "status %d" % resp.status


    @m.scenario(weight=8)
    async def is_it_coffee_time(session):
        async with session.get(urljoin(HOST, "/is-it-coffee-time")) as resp:
            assert resp.status == 500, "status %d" % resp.status


    @m.scenario(weight=8)
    async def throw_error(session):
        async with session.get(urljoin(HOST, "/throw-error")) as resp:
            assert resp.status == 500, "status %d" % resp.status


if APP.startswith("opbeans-node"):

    @m.scenario(weight=8)
    async def throw_error_async(session):
        async with session.get(urljoin(HOST, "/throw-async-error")) as resp:
            assert resp.status == 200, "status %d" % resp.status
