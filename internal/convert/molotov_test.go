package convert

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/scenarios"
)

// drawn are the requests of many seeded iterations.
func drawn(t *testing.T, s *loadgen.Scenario, service string, iterations int, vars map[string]string) (got []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			kind := r.Header.Get("Content-Type")
			if m := boundary.FindStringSubmatch(kind); m != nil {
				kind, body = "multipart", []byte(strings.ReplaceAll(string(body), m[1], "B"))
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, r.Header.Get("User-Agent"), kind, body))
			id, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/api/customers/"))
			switch p := r.URL.Path; {
			case id >= 5000:
				w.WriteHeader(http.StatusNotFound)
			case p == "/oopsie", p == "/log-error", p == "/log-message", p == "/is-it-coffee-time", p == "/throw-error":
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		defer stop()
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
			Scenario: s, BaseURL: "http://shop.test", ServiceName: service, MaxIterations: uint64(iterations), Seed: 7, Variables: vars,
		}, loadgen.WithDialContext(dial))
		require.NoError(t, err)
		assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
	})
	return got
}

// The scenarios of the Python service, converted, are those that are built in: their tasks,
// their weights, and the requests of ten thousand draws.
func TestTheFilesOfThePythonServiceBecomeTheBuiltInScenarios(t *testing.T) {
	tools(t, "python3")
	for _, name := range []string{"molotov_scenarios", "dyno", "high_error_rates"} {
		src, err := os.ReadFile(filepath.Join("testdata", "molotov", name+".py"))
		require.NoError(t, err)
		s, err := Molotov(t.Context(), src, Options{Source: name + ".py"})
		require.NoError(t, err)
		assert.Zero(t, s.Left)
		text, made := parses(t, s)
		builtIn, err := loadgen.LoadScenario(scenarios.FS, name+".yaml")
		require.NoError(t, err)
		assert.Equal(t, builtIn.TaskNames(), made.TaskNames(), "%s", text)
		iterations := 10_000
		for _, service := range []string{"opbeans-python", "opbeans-go", "opbeans-node", "opbeans-ruby", "opbeans-java"} {
			vars := map[string]string{"ERROR_WEIGHT": "3.5", "APP_LATENCY_WEIGHT": "2.5", "APP_LATENCY_LOWER_BOUND": "20"}
			if name == "high_error_rates" {
				vars = nil
			}
			for _, v := range []map[string]string{vars, nil} {
				cfg := loadgen.JobConfig{Scenario: builtIn, BaseURL: "http://shop.test", ServiceName: service, Variables: v}
				want, err := loadgen.New().Preview(cfg)
				require.NoError(t, err)
				cfg.Scenario = made
				got, err := loadgen.New().Preview(cfg)
				require.NoError(t, err)
				assert.Equal(t, want.Weights, got.Weights, "%s of %s", name, service)
			}
			assert.Equal(t, drawn(t, builtIn, service, iterations, vars), drawn(t, made, service, iterations, vars), "%s of %s", name, service)
			iterations = 1000
		}
	}
}

// Files in the styles of Molotov's documentation: what is in the scenario, and how many
// parts are left as comments.
func TestMolotovFilesOfManyStyles(t *testing.T) {
	tools(t, "python3")
	for _, c := range []struct {
		name, src string
		left      int
		want      []string
	}{
		{"one request", `
from molotov import scenario
_API = 'http://localhost:8080'
@scenario(weight=40)
async def scenario_one(session):
    async with session.get(_API) as resp:
        res = await resp.json()
        assert res['result'] == 'OK'
        assert resp.status == 200
@scenario(weight=60)
async def scenario_two(session):
    async with session.get(_API + '/two') as resp:
        assert resp.status == 200
`, 0, []string{"# The target was http://localhost:8080;", "weight: 40", "request: GET /\n", `- json("$.result") == "OK"`, "request: GET /two", "expect: 200"}},
		{"post and text", `
import json, molotov
@molotov.scenario()
async def post(session):
    somedata = json.dumps({'OK': 1})
    async with session.post('http://h:1/p', data=somedata) as resp:
        text = await resp.text()
        assert "fine" in text
        assert resp.status in (200, 201)
`, 0, []string{"OK: 1", "Content-Type: text/plain", `- body contains "fine"`, "expect: 200, 201"}},
		{"fixtures", `
import molotov
_H = {}
@molotov.global_setup()
def init(args):
    _H['Authorization'] = 'Bearer 1234'
    molotov.set_var('tenant', 'acme')
@molotov.setup()
async def worker(worker_id, args):
    return {'headers': _H, 'timeout': 5}
@molotov.setup_session()
async def session_setup(worker_id, session):
    async with session.post('http://h/login', data={'user': 'u%d' % worker_id}) as r:
        assert r.status == 200
@molotov.teardown_session()
async def done(worker_id, session):
    await session.post('http://h/logout')
@molotov.scenario()
async def one(session):
    await session.get('http://h/' + molotov.get_var('tenant'))
`, 2, []string{"Authorization: Bearer ${AUTHORIZATION}", "vu_setup:", "request: POST /login", "user: u${vu()}", "request: GET /acme", "the fixture teardown_session", "returns besides headers", "1xx, 2xx"}},
		{"random choice and sleep", `
import asyncio
from random import choice, uniform
from molotov import scenario
PATHS = ['/a', '/b']
@scenario(2, name="pick")
async def s(session):
    await session.get('http://h/x' + choice(PATHS))
    await asyncio.sleep(1)
    await session.get('http://h/' + choice(['c', 'd']), allow_redirects=False)
    await asyncio.sleep(uniform(.1, .5))
`, 0, []string{"name: pick", `/x${choice(["/a", "/b"])}`, "think: 1s", "redirects: false", "think: 100ms..500ms"}},
		{"helpers", `
import molotov
API = "http://h"
def headers(kind="json"):
    return {"Accept": "application/" + kind, "X-Id": "7"}
async def fetch(session, path):
    async with session.get(API + path, headers=headers()) as resp:
        assert resp.status == 200
        return await resp.json()
@molotov.scenario()
async def s(session):
    items = await fetch(session, "/items")
    await fetch(session, "/items/%s" % items[0]["id"])
`, 0, []string{"request: GET /items\n", "Accept: application/json", `id: json("$[0].id")`, "request: GET /items/${id}"}},
		{"environment and conditions", `
import os, molotov
HOST = os.environ["SHOP_HOST"]
N = int(os.environ.get("N", "5"))
TOKEN = os.environ.get("API_TOKEN", "")
if os.environ.get("MODE", "full") == "full":
    @molotov.scenario(weight=N)
    async def s(session):
        await session.put(HOST + "/x", headers={"Authorization": "Bearer " + TOKEN}, data=b"raw")
else:
    @molotov.scenario()
    async def t(session):
        await session.delete(HOST + "/y", params={"q": "a b", "n": N})
`, 0, []string{"N: 5", "- API_TOKEN", "SHOP_HOST stands for the target", `when: MODE == "full"`, "weight: ${N}", "Bearer ${API_TOKEN}", "body: raw", `when: not (MODE == "full")`, "DELETE /y?q=a%20b&n=${N}"}},
		{"response headers and cookies", `
import molotov
@molotov.scenario()
async def s(session):
    resp = await session.post("http://h/a")
    assert resp.headers["X-A"] == "b" and resp.status < 300
    resp.raise_for_status()
    where = resp.headers.get("Location")
    c = resp.cookies["sid"].value
    async with session.get("http://h/b?c=" + c, auth=("me", "pw")) as r:
        assert r.ok
        assert len(await r.json()) > 0
`, 0, []string{`- header("X-A") == "b"`, "- status < 300", "expect: 2xx, 3xx", `c: cookie("sid")`, "/b?c=${c}", "user: me", "- status < 400", `- len(json("$")) > 0`}},
		{"loops", `
import random, molotov
@molotov.scenario()
async def s(session):
    for i in range(3):
        await session.get(f"http://h/p/{i}")
    for j in range(random.randint(1, 9)):
        await session.get("http://h/q")
    n = random.randint(1, 3)
    await session.get("http://h/r/%d/%d" % (n, n))
`, 1, []string{"GET /p/0", "GET /p/2", "# not converted (a loop whose number of rounds is computed), line 7:", "#     for j in range", "drawn anew", "GET /r/${randint(1, 3)}/${randint(1, 3)}"}},
		{"what Python alone can do", `
import molotov, hashlib
class Client: pass
@molotov.events()
async def on(event, **info):
    print(event)
@molotov.scenario_picker()
def pick(worker_id, step_id):
    return "s"
@molotov.scenario()
async def s(session):
    sign = hashlib.sha256(b"x").hexdigest()
    await session.get("http://h/a", headers={"X-Sign": sign})
    try:
        await session.get("http://h/b", ssl=False)
    except Exception:
        pass
@molotov.scenario()
async def nothing(session):
    print("x")
`, 8, []string{"request: GET /b", "a class", "the fixture events", "the fixture scenario_picker", "the argument ssl", "sign is not converted", "it makes no request", "an exception fails"}},
		{"dollars and quotes", `
import molotov
@molotov.scenario()
async def s(session):
    await session.post("http://h/${a}", json={"x": "${y}", "é": [1.5, None, True], "n": -3, "big": 12345678901234567890})
`, 0, []string{"/$${a}", "x: $${y}", "é:", "- 1.5", "- null", "n: -3", "big: 12345678901234567890"}},
		{"request with a method", `
import uuid
from molotov import *
@scenario(weight=0.5)
async def s(session):
    async with session.request("PATCH", "http://h/u/{}/{id}".format(uuid.uuid4(), id=5), cookies={"a": "b"}) as r:
        assert 204 == r.status
`, 0, []string{"weight: 0.5", "PATCH /u/${uuid()}/5", "Cookie: ${COOKIE}", "expect: 204"}},
		{"forms", `
import aiohttp, molotov
@molotov.scenario()
async def s(session):
    f = aiohttp.FormData()
    f.add_field("a", "1")
    f.add_field("file", "x,y", filename="x.csv", content_type="text/csv")
    await session.post("http://h/up", data=f)
    await session.post("http://h/form", data={"a": "b c"})
`, 0, []string{"filename: x.csv", "content_type: text/csv", "a: b c"}},
	} {
		s, err := Molotov(t.Context(), []byte(c.src), Options{})
		if !assert.NoError(t, err, c.name) {
			continue
		}
		text, _ := parses(t, s)
		for _, want := range c.want {
			assert.Contains(t, text, want, c.name)
		}
		assert.Equal(t, c.left, s.Left, "%s\n%s", c.name, text)
		if c.left > 0 {
			assert.Contains(t, text, fmt.Sprintf("not converted: %d;", c.left))
		}
	}
}

func TestMolotovRefused(t *testing.T) {
	tools(t, "python3")
	for src, want := range map[string]string{
		"def x(:": "this is no Python file: line 1", "": "no request in it", "import os": "no request in it", "\xff": "this is no Python file",
	} {
		_, err := Molotov(t.Context(), []byte(src), Options{})
		assert.ErrorContains(t, err, want, src)
	}
}

// Nothing of a file is run.
func TestMolotovFilesAreNotRun(t *testing.T) {
	tools(t, "python3")
	mark := filepath.Join(t.TempDir(), "mark")
	_, err := Molotov(t.Context(), fmt.Appendf(nil, "import molotov\nopen(%q, 'w').close()\n@molotov.scenario(weight=open(%q, 'w').close())\nasync def s(session):\n    await session.get('http://h/')\n", mark, mark), Options{})
	require.NoError(t, err)
	assert.NoFileExists(t, mark)
}
