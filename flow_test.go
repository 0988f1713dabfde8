package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// load reads a scenario with the files beside it.
func load(t *testing.T, src string, files map[string]string) *loadgen.Scenario {
	t.Helper()
	s, err := loadgen.LoadScenario(folderOf(src, files), "test.yaml")
	require.NoError(t, err)
	return s
}

func folderOf(src string, files map[string]string) fstest.MapFS {
	folder := fstest.MapFS{"test.yaml": {Data: []byte(src)}}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return folder
}

// visits are the requests that a server got, as lines.
type visits struct {
	mu    sync.Mutex
	lines []string
}

func (v *visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines = append(v.lines, fmt.Sprintf("%s %s %s|%s|%s", r.Method, r.URL, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body.String()))
	if c, err := r.Cookie("n"); err == nil {
		w.Header().Set("X-Cookie", c.Value)
	} else {
		http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(len(v.lines)), Path: "/"})
	}
}

// visit runs a scenario on a server that notes what it gets.
func visit(t *testing.T, s *loadgen.Scenario, cfg loadgen.JobConfig, opts ...loadgen.Option) ([]string, *loadgen.Snapshot) {
	t.Helper()
	v := &visits{}
	server := httptest.NewServer(v)
	defer server.Close()
	cfg.Scenario, cfg.BaseURL, cfg.Seed = s, server.URL, 1
	if cfg.MaxIterations == 0 {
		cfg.MaxIterations = 1
	}
	snap, err := loadgen.Run(t.Context(), cfg, opts...)
	require.NoError(t, err)
	return v.lines, snap
}

func env(pairs ...string) loadgen.Option {
	return loadgen.WithEnv(func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	})
}

func TestCredentials(t *testing.T) {
	s := load(t, `
secrets: [TOKEN, PASSWORD]
auth: {bearer: "${TOKEN}"}
setup: [{request: GET /setup}]
tasks:
  - name: t
    steps:
      - request: GET /default
      - request: GET /none
        auth: none
      - request: GET /fixed
        auth: {user: ada, password: "${PASSWORD}"}
      - request: GET /drawn
        auth: {user: "u${vu()}", password: "${string(iteration())}:x"}
        headers: {Content-Type: "a/b", X-Last: "${vu()}"}
      - request: GET /own
        headers: {Authorization: Digest}
      - request: GET ${SERVER_URL}/elsewhere
`, nil)
	lines, snap := visit(t, s, loadgen.JobConfig{}, env("TOKEN", "s3cret", "PASSWORD", "pass:word"))
	assert.Equal(t, []string{
		"GET /setup ||", "GET /default Bearer s3cret||", "GET /none ||", "GET /fixed Basic YWRhOnBhc3M6d29yZA==||",
		"GET /drawn Basic dTA6MDp4|a/b|", "GET /own Digest||", "GET /elsewhere ||",
	}, lines)
	assert.Zero(t, snap.FailedRequests)
}

func TestFileBodies(t *testing.T) {
	s := load(t, `
tasks:
  - name: t
    steps:
      - request: POST /1
        body: {file: data/a.json}
      - request: POST /2
        body: {file: b.txt, template: true, content_type: text/x}
      - request: POST /3
        body: {file: c}
`, map[string]string{"data/a.json": `{"a": "${x}"}`, "b.txt": "vu ${vu()}\r\n$${}", "c": "\x00\xff"})
	lines, _ := visit(t, s, loadgen.JobConfig{})
	assert.Equal(t, []string{
		`POST /1 |application/json|{"a": "${x}"}`, "POST /2 |text/x|vu 0\n${}", "POST /3 |application/octet-stream|\x00\xff",
	}, lines)
}

func TestSessions(t *testing.T) {
	const src = "%stasks: [{name: t, request: GET /, check: 'header(\"X-Cookie\") == nil'}]"
	_, snap := visit(t, load(t, fmt.Sprintf(src, "session: iteration\n"), nil), loadgen.JobConfig{MaxIterations: 5})
	assert.Zero(t, snap.FailedRequests, "a new visitor each time")
	_, snap = visit(t, load(t, fmt.Sprintf(src, ""), nil), loadgen.JobConfig{MaxIterations: 5})
	assert.EqualValues(t, 4, snap.FailedRequests, "the same visitor")
	_, snap = visit(t, loadgen.NewScenario("go").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if vu.Iteration() == 3 {
			vu.NewSession()
		}
		if vu.Iteration()%2 == 0 {
			if err := vu.Check((vu.Iteration() == 0) == (vu.Cookie("/x", "n") == ""), "cookie %q", vu.Cookie("/x", "n")); err != nil {
				return err
			}
		}
		resp, err := vu.Do(ctx, &loadgen.Request{URL: "/"})
		if err != nil {
			return err
		}
		got := resp.Header.Get("X-Cookie") == ""
		return vu.Check(got == (vu.Iteration() == 0 || vu.Iteration() == 3), "iteration %d", vu.Iteration())
	}), loadgen.JobConfig{MaxIterations: 5})
	assert.Empty(t, snap.Errors)
}

// A new session has connections of its own, in every version of the protocol.
func TestNewSessionConnects(t *testing.T) {
	for _, c := range []struct {
		http, reuse string
		conns       int64
	}{{"1.1", "", 4}, {"2", "", 4}, {"1.1", "shared", 1}} {
		var conns atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie("n"); err == nil {
				w.WriteHeader(http.StatusConflict)
			}
			http.SetCookie(w, &http.Cookie{Name: "n", Value: "1"})
		}))
		server.EnableHTTP2 = true
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		server.StartTLS()
		s := load(t, "session: iteration\ntasks: [{name: t, request: GET /}]", nil)
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
			Scenario: s, BaseURL: server.URL, MaxIterations: 4, Client: loadgen.ClientConfig{HTTP: loadgen.HTTPVersion(c.http), Reuse: loadgen.Reuse(c.reuse), Insecure: true},
		})
		require.NoError(t, err)
		assert.Empty(t, snap.Errors)
		assert.Equal(t, c.conns, conns.Load(), "HTTP/%s %s", c.http, c.reuse)
		server.Close()
	}
}

// A cookie that is set on the way of a redirect is known to the capture.
func TestCookieCapture(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/in" {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "a b", Path: "/", HttpOnly: true, Quoted: true})
			http.Redirect(w, r, "/home", http.StatusFound)
			return
		}
		fmt.Fprint(w, r.URL.RawQuery)
	}))
	defer server.Close()
	s := load(t, `
tasks:
  - name: t
    steps:
      - request: POST /in
        capture: {sid: cookie("sid"), other: cookie("none") ?? "nothing"}
      - request: GET /home?sid=${sid}&other=${other}
        check: body == "sid=%22a%20b%22&other=nothing"
`, nil)
	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: server.URL, MaxIterations: 2})
	require.NoError(t, err)
	assert.Empty(t, snap.Errors)
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) })
		mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		dial, stop := memnet.Serve(mux)
		defer stop()
		s := load(t, `
tasks:
  - name: t
    think: 1s
    steps:
      - request: GET /slow
      - group: browse
        think: 2s +/- 0%
        steps:
          - request: GET /slow
          - request: GET /slow
      - group: buy
        steps:
          - request: GET /slow
            think: 3s
          - request: GET /bad
      - request: GET /never
`, nil)
		cfg := loadgen.JobConfig{Name: "j", Scenario: s, BaseURL: target, MaxIterations: 3}
		m := loadgen.New(loadgen.WithDialContext(dial))
		defer m.Close()
		j := start(t, m, cfg)
		time.Sleep(10 * time.Second)
		first := j.Snapshot()
		require.NoError(t, j.Wait(t.Context()))
		snap := j.Snapshot()
		require.Len(t, snap.Groups, 2)
		browse, buy := snap.Groups[0], snap.Groups[1]
		assert.Equal(t, "browse", browse.Group)
		assert.EqualValues(t, 3, browse.Count)
		assert.Zero(t, browse.Failed)
		assert.Equal(t, 200*time.Millisecond, browse.Time.Max().Round(time.Millisecond), "think time is left out")
		assert.EqualValues(t, 3, buy.Count)
		assert.EqualValues(t, 3, buy.Failed)
		assert.Equal(t, 100*time.Millisecond, buy.Time.Max().Round(time.Millisecond))
		assert.Equal(t, 7400*time.Millisecond, snap.Response.Max().Round(time.Millisecond), "three pauses of the task, one of each group")
		later := snap.Since(first)
		assert.EqualValues(t, 3, first.Groups[0].Count+later.Groups[0].Count)
		assert.NotZero(t, later.Groups[0].Count)
	})
}

// Names of groups are data of others: what a record keeps of them is what it gives back.
func TestNamesOfGroupsAreText(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("ü", loadgen.MaxNameLen): strings.Repeat("ü", loadgen.MaxNameLen/2),
		"x" + strings.Repeat("ü", 150):          "x" + strings.Repeat("ü", 99),
		"a\xffb":                                "ab",
	} {
		s := loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Group(ctx, name, func(context.Context) error { return nil })
		})
		snap := run(t, loadgen.JobConfig{Scenario: s, BaseURL: target, MaxIterations: 2})
		require.Len(t, snap.Groups, 1)
		assert.Equal(t, want, snap.Groups[0].Group)
	}
}

// There is room for a hundred names.
func TestGroupsAreBounded(t *testing.T) {
	s := loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
		for i := range 300 {
			if err := vu.Group(ctx, fmt.Sprint("group ", i), func(context.Context) error { return nil }); err != nil {
				return err
			}
		}
		return vu.Group(ctx, "panics", func(context.Context) error { panic("oh") })
	})
	snap := run(t, loadgen.JobConfig{Scenario: s, BaseURL: target, MaxIterations: 2})
	require.Len(t, snap.Groups, 101)
	last := snap.Groups[100]
	assert.Equal(t, "(other)", last.Group)
	assert.EqualValues(t, 2*201, last.Count)
	assert.EqualValues(t, 2, last.Failed)
}

func TestThink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var least, most time.Duration = time.Hour, 0
		s := loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
			begin := time.Now()
			err := vu.Think(ctx, 800*time.Millisecond, 1200*time.Millisecond)
			least, most = min(least, time.Since(begin)), max(most, time.Since(begin))
			return err
		})
		run(t, loadgen.JobConfig{Scenario: s, BaseURL: target, MaxIterations: 500, Seed: 1})
		assert.InDelta(t, 800, least.Milliseconds(), 5)
		assert.InDelta(t, 1200, most.Milliseconds(), 5)
	})
}

func TestFeedersInJobs(t *testing.T) {
	files := map[string]string{"u.csv": "name\na\nb\nc\nd & e\n", "u.jsonl": "{\"id\": 1, \"tags\": [\"x\", 2]}\n"}
	lines, snap := visit(t, load(t, `
feeders:
  users: {file: u.csv, at_end: stop}
  carts: u.jsonl
tasks:
  - name: t
    steps:
      - request: GET /${users.name}?n=${users.name}
      - request: POST /${upper(users.name)}
        json: {user: "${users.name}", cart: "${carts}", "n": "${users[\"name\"]}!"}
`, files), loadgen.JobConfig{Duration: time.Hour, MaxIterations: 100})
	assert.Equal(t, []string{
		"GET /a?n=a ||", `POST /A |application/json|{"user":"a","cart":{"id":1,"tags":["x",2]},"n":"a!"}`,
		"GET /b?n=b ||", `POST /B |application/json|{"user":"b","cart":{"id":1,"tags":["x",2]},"n":"b!"}`,
		"GET /c?n=c ||", `POST /C |application/json|{"user":"c","cart":{"id":1,"tags":["x",2]},"n":"c!"}`,
		"GET /d%20&%20e?n=d%20%26%20e ||", `POST /D%20&%20E |application/json|{"user":"d & e","cart":{"id":1,"tags":["x",2]},"n":"d & e!"}`,
	}, lines)
	assert.Equal(t, loadgen.StateFinished, snap.State)
	assert.Equal(t, `feeder "users" has given out all its 4 rows`, snap.Reason)
	assert.EqualValues(t, 4, snap.Iterations)
	assert.EqualValues(t, 1, snap.Interrupted)
	assert.Empty(t, snap.Errors)

	unique := load(t, "feeders: {users: {file: u.csv, order: unique}}\ntasks: [{name: t, request: 'GET /${users.name}'}]", files)
	_, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: unique, BaseURL: target, Workers: 5})
	assert.ErrorContains(t, err, `workers: must be at most 4, not 5: feeder "users" has a row for so many VUs`)
	_, err = loadgen.Run(t.Context(), loadgen.JobConfig{
		Scenario: unique, BaseURL: target, Stages: []loadgen.Stage{{Duration: time.Second, Workers: 6}},
	})
	assert.ErrorContains(t, err, "stages[0].workers: must be at most 4, not 6")
	lines, _ = visit(t, unique, loadgen.JobConfig{Workers: 4, Delay: time.Millisecond, MaxIterations: 40})
	for _, l := range lines {
		assert.Contains(t, []string{"GET /a ||", "GET /b ||", "GET /c ||", "GET /d%20&%20e ||"}, l)
	}
}

// However far the rate is beyond what the VUs can do, each has its own row.
func TestUniqueRowsBoundTheVUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rows sync.Map
		s := loadgen.NewScenario("s").Feeder("u", loadgen.Feeder{FS: folderOf("", map[string]string{"u.csv": "n\na\nb\nc\n"}), File: "u.csv", Order: loadgen.FeedUnique}).
			Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
				row, err := vu.Row("u")
				rows.Store(row.Get("n"), vu.ID())
				return errors.Join(err, vu.Sleep(ctx, time.Second))
			})
		m := loadgen.New()
		defer m.Close()
		j := start(t, m, loadgen.JobConfig{Name: "j", Scenario: s, BaseURL: target, Rate: loadgen.PerSecond(100), Duration: 10 * time.Second})
		time.Sleep(5 * time.Second)
		assert.ErrorContains(t, j.Update(func(c *loadgen.JobConfig) { c.Rate, c.Workers = loadgen.Rate{}, 4 }), "workers: must be at most 3, not 4")
		require.NoError(t, j.Update(func(c *loadgen.JobConfig) { c.Rate, c.Workers = loadgen.Rate{}, 3 }))
		require.NoError(t, j.Wait(t.Context()))
		for id, name := range []string{"a", "b", "c"} {
			got, _ := rows.Load(name)
			assert.Equal(t, id, got)
		}
		snap := j.Snapshot()
		assert.Zero(t, snap.FailedIterations)
		assert.Equal(t, 3, snap.Workers)
	})
}

// The Go side of the same.
func TestFeederInGo(t *testing.T) {
	folder := folderOf("", map[string]string{"u.csv": "name\nada\nbruno\n"})
	var seen []string
	s := loadgen.NewScenario("s").Feeder("users", loadgen.Feeder{FS: folder, File: "u.csv", AtEnd: loadgen.FeedStop}).
		Task("t", 1, func(_ context.Context, vu *loadgen.VU) error {
			row, err := vu.Row("users")
			if err != nil {
				return err
			}
			again, err := vu.Row("users")
			seen = append(seen, row.Get("name")+again.Get("name"))
			_, none := vu.Row("nobody")
			return errors.Join(err, vu.Check(none != nil, "no such feeder"))
		})
	snap := run(t, loadgen.JobConfig{Scenario: s, BaseURL: target})
	assert.Equal(t, []string{"adaada", "brunobruno"}, seen)
	assert.Empty(t, snap.Errors)
	_, err := loadgen.Run(t.Context(), loadgen.JobConfig{BaseURL: target, Scenario: loadgen.NewScenario("s").
		Feeder("users", loadgen.Feeder{File: "u.csv"}).Task("t", 1, func(context.Context, *loadgen.VU) error { return nil })})
	assert.ErrorContains(t, err, `feeder "users": u.csv: this scenario was not read from a folder`)
}

// A job keeps its place in a file over updates and reloads, and sees a new file then.
func TestFeederOverUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &visits{}
		dial, stop := memnet.Serve(v)
		defer stop()
		folder := folderOf("feeders: {u: u.csv}\ntasks: [{name: t, request: 'GET /${u.n}'}]", map[string]string{"u.csv": "n\n0\n1\n2\n3\n4\n5\n"})
		m := loadgen.New(loadgen.WithDialContext(dial), loadgen.WithScenarios(folder))
		defer m.Close()
		j := start(t, m, loadgen.JobConfig{Name: "j", ScenarioName: "test", BaseURL: target, Delay: time.Second})
		step := func(change func(*loadgen.JobConfig)) {
			time.Sleep(time.Second)
			synctest.Wait()
			require.NoError(t, j.Update(change))
		}
		reload := func() {
			time.Sleep(time.Second)
			synctest.Wait()
			require.NoError(t, j.Reload(nil))
		}
		step(func(c *loadgen.JobConfig) { c.Weights = map[string]float64{"t": 2} })
		reload()
		folder["u.csv"] = &fstest.MapFile{Data: []byte("n\nA\nB\nC\nD\n"), ModTime: time.Now()}
		step(func(c *loadgen.JobConfig) { c.Workers = 1 })
		reload()
		time.Sleep(time.Second)
		synctest.Wait()
		folder["u.csv"] = &fstest.MapFile{Data: []byte("n\nA,B\n"), ModTime: time.Now()}
		err := j.Reload(nil)
		assert.ErrorContains(t, err, `feeder "u": u.csv:2:1: expected 1 column, as in the first line, found 2`)
		time.Sleep(time.Second)
		synctest.Wait()
		j.Stop()
		require.NoError(t, j.Wait(t.Context()))
		assert.Equal(t, []string{"GET /0 ||", "GET /1 ||", "GET /2 ||", "GET /3 ||", "GET /4 ||", "GET /B ||", "GET /C ||"}, v.lines)
	})
}

// No output has a secret, whatever fails and however it is written.
func TestSecretsStayHidden(t *testing.T) {
	const secret = `p@ss "word"/with&much=more than eighty bytes, which messages cut off in the middle of it, and a tail`
	var log bytes.Buffer
	var seen []string
	v := &visits{}
	server := httptest.NewServer(v)
	defer server.Close()
	src := `
secrets: [KEY]
tasks:
  - name: query
    request: GET /a/${KEY}?k=${KEY}
    expect: 404
  - name: computed
    request: GET /${10 % int(KEY)}
  - name: shown
    request: GET /${randint(vu(), choice([KEY]))}
  - name: target
    request: GET ${choice([KEY])}
  - name: json
    request: POST /
    headers: {X-Innocent: "${KEY}"}
    json: {k: "${KEY}"}
    check: header(KEY) == KEY
`
	var outputs []string
	for _, task := range []string{"query", "computed", "shown", "target", "json"} {
		m := loadgen.New(env("KEY", secret), loadgen.WithExemplars(3), loadgen.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))),
			loadgen.WithObserver(loadgen.ObserverFunc(func(s loadgen.Sample) { seen = append(seen, s.URL.String()) })))
		events := m.Subscribe(t.Context())
		s, err := loadgen.ParseScenario("s", []byte(src))
		require.NoError(t, err)
		weights := map[string]float64{"query": 0, "computed": 0, "shown": 0, "target": 0, "json": 0}
		weights[task] = 1
		_, err = m.Start(t.Context(), loadgen.JobConfig{Name: "j", Scenario: s, BaseURL: server.URL, Weights: weights, MaxIterations: 2})
		if err != nil { // found at the start, with its value
			outputs = append(outputs, err.Error())
			m.Close()
			continue
		}
		j, err := m.Get("j")
		require.NoError(t, err)
		require.NoError(t, j.Wait(context.Background()))
		snap, err := json.Marshal(j.Snapshot())
		require.NoError(t, err)
		config, err := json.Marshal(j.Config())
		require.NoError(t, err)
		for _, e := range slices.Concat(j.Exemplars().Slowest, j.Exemplars().Failed) {
			outputs = append(outputs, fmt.Sprintf("%+v %s", e, e.Curl()))
		}
		m.Close()
		outputs = append(outputs, string(snap), string(config), fmt.Sprintf("%+v", j.Status()), fmt.Sprintf("%+v", j.Scenario().Variables()))
		for e := range events {
			text, err := json.Marshal(e)
			require.NoError(t, err)
			outputs = append(outputs, string(text))
		}
	}
	require.Contains(t, fmt.Sprint(v.lines), "/a/p@ss%20%22word", "the server gets it")
	outputs = append(outputs, log.String(), fmt.Sprint(seen))
	all := fmt.Sprint(outputs)
	assert.Contains(t, all, "REDACTED")
	for _, part := range []string{"p@ss", "p%40ss", "word", "eighty"} {
		assert.NotContains(t, all, part)
	}
}

func TestSecretsComeFromTheEnvironment(t *testing.T) {
	s := loadgen.NewScenario("s").Secret("KEY").Task("t", 1, func(_ context.Context, vu *loadgen.VU) error {
		return fmt.Errorf("%w: with %s and %q", loadgen.ErrAbort, vu.Secret("KEY"), vu.Var("KEY"))
	})
	_, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: target}, env("OTHER", "x", "KEY", ""))
	assert.ErrorContains(t, err, "secrets.KEY: is a secret of this scenario, and the environment does not have it")
	_, err = loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: target, Variables: map[string]string{"KEY": "x"}}, env("KEY", "hush"))
	assert.ErrorContains(t, err, "variables.KEY: is a secret, which only the environment can set")
	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: target}, env("KEY", "hush"))
	assert.ErrorContains(t, err, `with REDACTED and ""`)
	assert.NotContains(t, snap.Reason, "hush")
	_, err = loadgen.New().Preview(loadgen.JobConfig{Scenario: s})
	assert.NoError(t, err, "listings need no secret")
}

func TestRequestBodies(t *testing.T) {
	lines, _ := visit(t, loadgen.NewScenario("s").Task("t", 1, func(ctx context.Context, vu *loadgen.VU) error {
		form := &loadgen.Request{Method: http.MethodPost, URL: "/form"}
		form.SetForm(map[string][]string{"b": {"1", "2"}, "a": {"x y"}})
		form.SetBasicAuth("ada", "secret")
		data := &loadgen.Request{Method: http.MethodPost, URL: "/json"}
		if err := data.SetJSON(map[string]int{"a": 1}); err != nil {
			return err
		}
		data.SetBearer("tok")
		_, err1 := vu.Do(ctx, form)
		_, err2 := vu.Do(ctx, data)
		return errors.Join(err1, err2, vu.Check(data.SetJSON(func() {}) != nil, "a func is no JSON"))
	}), loadgen.JobConfig{})
	assert.Equal(t, []string{
		"POST /form Basic YWRhOnNlY3JldA==|application/x-www-form-urlencoded|a=x+y&b=1&b=2",
		`POST /json Bearer tok|application/json|{"a":1}`,
	}, lines)
}
