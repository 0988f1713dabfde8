# Traffic with a slow endpoint that a slider steers.
from os import environ
import molotov
from random import randint
import aiohttp

BASE = environ.get("OPBEANS_BASE_URL", "http://localhost:8000").rstrip("/")
SERVICE = environ.get("OPBEANS_NAME", "")


def at(path):
    return BASE + path


@molotov.scenario(1)
async def root(session):
    async with session.get(at("/")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def stats(session):
    async with session.get(at("/api/stats")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def products(session):
    async with session.get(at("/api/products")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def products_top(session):
    async with session.get(at("/api/products/top")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def products_id(session):
    async with session.get(at("/api/products/%d" % randint(1, 6))) as resp:
        assert resp.status == 200


@molotov.scenario(6)
async def products_id_customers(session):
    async with session.get(at("/api/products/%d/customers" % randint(1, 6))) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def products_id_customers_limit(session):
    async with session.get(at("/api/products/%s/customers?limit=%s" % (randint(1, 6), 10 * randint(5, 11)))) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def types(session):
    async with session.get(at("/api/types")) as resp:
        assert resp.status == 200


@molotov.scenario(8)
async def types_id(session):
    async with session.get(at("/api/types/%d" % randint(1, 3))) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def customers(session):
    async with session.get(at("/api/customers")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def customers_id(session):
    async with session.get(at("/api/customers/%d" % randint(1, 1000))) as resp:
        assert resp.status == 200


@molotov.scenario(8)
async def wrong_customers_id(session):
    async with session.get(at("/api/customers/%d" % randint(5000, 10000))) as resp:
        assert resp.status == 404


@molotov.scenario(1)
async def orders(session):
    async with session.get(at("/api/orders")) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def orders_id(session):
    async with session.get(at("/api/orders/%d" % randint(1, 1000))) as resp:
        assert resp.status == 200


@molotov.scenario(1)
async def orders_post(session):
    lines = []
    for _ in range(randint(1, 5)):
        lines.append({"id": randint(1, 6), "amount": randint(1, 4)})
    async with session.post(at("/api/orders"), json={"customer_id": randint(1, 1000), "lines": lines}) as resp:
        assert resp.status == 200


ERROR_WEIGHT = float(environ.get("ERROR_WEIGHT", "0"))
LATENCY_WEIGHT = float(environ.get("APP_LATENCY_WEIGHT", "0"))
LABEL = environ.get("APP_LATENCY_LABEL", "dyno_latency")
LOWER = int(environ.get("APP_LATENCY_LOWER_BOUND", 1))
UPPER = int(environ.get("APP_LATENCY_UPPER_BOUND", 1000))
AGENT = environ.get("APP_LATENCY_USER_AGENT", "Safari/531.21.10")


if SERVICE.startswith("opbeans-python"):

    @molotov.scenario(LATENCY_WEIGHT)
    async def browser_latency(session):
        async with session.get(at("/labeldelay"), headers={"User-Agent": AGENT}, params={"delay": randint(LOWER, UPPER), "label": LABEL}) as resp:
            assert resp.status == 200


if SERVICE.startswith(("opbeans-python", "opbeans-go")):

    @molotov.scenario(ERROR_WEIGHT)
    async def oopsie(session):
        async with session.get(at("/oopsie")) as resp:
            assert resp.status == 500


    @molotov.scenario(1)
    async def orders_post_csv(session):
        form = aiohttp.FormData()
        form.add_field("customer", str(randint(1, 1000)))
        form.add_field("file", "\n".join(str(randint(1, 6)) + "," + str(randint(1, 4)) for _ in range(randint(1, 5))), filename="data.csv", content_type="text/plain")
        async with session.post(at("/api/orders/csv"), data=form) as resp:
            assert resp.status == 200


if SERVICE.startswith("opbeans-node") or SERVICE.startswith("opbeans-ruby"):

    @molotov.scenario(ERROR_WEIGHT)
    async def log_error(session):
        async with session.get(at("/log-error")) as resp:
            assert resp.status == 500


    @molotov.scenario(ERROR_WEIGHT)
    async def log_message(session):
        async with session.get(at("/log-message")) as resp:
            assert resp.status == 500


    @molotov.scenario(ERROR_WEIGHT)
    async def is_it_coffee_time(session):
        async with session.get(at("/is-it-coffee-time")) as resp:
            assert resp.status == 500


    @molotov.scenario(ERROR_WEIGHT)
    async def throw_error(session):
        async with session.get(at("/throw-error")) as resp:
            assert resp.status == 500


if SERVICE.startswith("opbeans-node"):

    @molotov.scenario(ERROR_WEIGHT)
    async def throw_error_async(session):
        async with session.get(at("/throw-async-error")) as resp:
            assert resp.status == 200
