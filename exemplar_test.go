package loadgen_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// exemplars runs tasks once each, in order, against a handler in virtual time, and
// returns what was kept.
func exemplars(t *testing.T, n int, handler http.HandlerFunc, requests ...*loadgen.Request) (kept loadgen.Exemplars) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(handler)
		defer stop()
		m := loadgen.New(loadgen.WithDialContext(dial), loadgen.WithExemplars(n))
		defer m.Close()
		i := 0
		s := loadgen.NewScenario("s").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error {
			req := *requests[i]
			req.Expect = loadgen.ExpectSuccess
			i++
			_, err := vu.Do(ctx, &req)
			return err
		})
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "x", Scenario: s, BaseURL: "http://user:pw@shop.test/base", MaxIterations: uint64(len(requests)),
			Headers: map[string]string{"X-Api-Key": "k3y", "X-Plain": "it's"},
		})
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
		kept = j.Exemplars()
	})
	return kept
}

// sleeper takes as long as the query's took says, and answers with its status.
func sleeper(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.URL.Query().Get("took"))
	time.Sleep(d)
	if r.URL.Query().Has("fail") {
		w.WriteHeader(http.StatusTeapot)
	}
}

func TestTheSlowestRequestsAreKept(t *testing.T) {
	var requests []*loadgen.Request
	for i := range 40 {
		d := time.Duration(i*7%40) * time.Millisecond
		requests = append(requests, &loadgen.Request{URL: fmt.Sprintf("/p?took=%s&n=%d", d, i)})
	}
	requests[20].URL += "&fail"
	requests[30].URL += "&fail"
	kept := exemplars(t, 3, sleeper, requests...)
	require.Len(t, kept.Slowest, 3)
	for i, e := range kept.Slowest {
		assert.Equal(t, time.Duration(39-i)*time.Millisecond, e.Service)
		assert.Equal(t, "only", e.Task)
		assert.Contains(t, e.URL, fmt.Sprintf("http://shop.test/base/p?took=%dms&n=", 39-i))
		assert.Equal(t, 200, e.Status)
	}
	require.Len(t, kept.Failed, 1, "the first of its class")
	assert.EqualValues(t, 20, kept.Failed[0].Iteration)
	assert.Equal(t, 418, kept.Failed[0].Status)
	assert.Equal(t, loadgen.ClassCheck, kept.Failed[0].Class)
	assert.Contains(t, kept.Failed[0].Error, "418")
}

func TestNothingIsKeptUnlessAskedFor(t *testing.T) {
	kept := exemplars(t, 0, sleeper, &loadgen.Request{URL: "/"})
	assert.Equal(t, loadgen.Exemplars{Slowest: []loadgen.Exemplar{}, Failed: []loadgen.Exemplar{}}, kept)
}

func TestExemplarsKeepNoSecrets(t *testing.T) {
	kept := exemplars(t, 9, sleeper,
		&loadgen.Request{
			Method: "POST", URL: "/login?took=9ms&access_token=s3cret&author=me",
			Header: http.Header{"Cookie": {"sid=s3cret"}, "Content-Type": {"application/json"}},
			Body:   []byte(`{"user":"me","author":"x","password": "s3\"cret","nested":{"apiKey":12345},"ok":[1]}`),
		},
		&loadgen.Request{
			Method: "PUT", URL: "/form?took=8ms",
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body:   []byte("user=me&new_password=s3cret&x=1"),
		},
		&loadgen.Request{Method: "POST", URL: "/binary?took=7ms", Body: []byte{0, 1, 2}},
		&loadgen.Request{Method: "POST", URL: "/large?took=6ms", Body: make([]byte, 5000)},
		&loadgen.Request{Method: "DELETE", URL: "/it's?took=5ms"},
		&loadgen.Request{Method: "HEAD", URL: "/head?took=4ms"},
	)
	var lines []string
	for _, e := range kept.Slowest {
		lines = append(lines, e.Curl())
	}
	const common = ` --compressed -H 'Authorization: REDACTED'`
	assert.Equal(t, []string{
		`curl -sS 'http://shop.test/base/login?took=9ms&access_token=REDACTED&author=me' -H 'Accept: */*'` + common +
			` -H 'Content-Type: application/json' -H 'Cookie: REDACTED' -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s'` +
			` --data-raw '{"user":"me","author":"x","password": "REDACTED","nested":{"apiKey":"REDACTED"},"ok":[1]}'`,
		`curl -sS -X PUT 'http://shop.test/base/form?took=8ms' -H 'Accept: */*'` + common +
			` -H 'Content-Type: application/x-www-form-urlencoded' -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s'` +
			` --data-raw 'user=me&new_password=REDACTED&x=1'`,
		`curl -sS -X POST 'http://shop.test/base/binary?took=7ms' -H 'Accept: */*'` + common + ` -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s' # and a body of 3 bytes`,
		`curl -sS -X POST 'http://shop.test/base/large?took=6ms' -H 'Accept: */*'` + common + ` -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s' # and a body of 5000 bytes`,
		`curl -sS -X DELETE 'http://shop.test/base/it'\''s?took=5ms' -H 'Accept: */*'` + common + ` -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s'`,
		`curl -sS -I 'http://shop.test/base/head?took=4ms' -H 'Accept: */*'` + common + ` -H 'X-Api-Key: REDACTED' -H 'X-Plain: it'\''s'`,
	}, lines)
}

// The line does what the request did: a shell runs it.
func TestCurlSendsTheSameRequest(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	type seen struct {
		method, uri, body, contentType, plain string
	}
	var got []seen
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, seen{r.Method, r.RequestURI, string(body), r.Header.Get("Content-Type"), r.Header.Get("X-Plain")})
	}))
	defer target.Close()
	m := loadgen.New(loadgen.WithExemplars(1))
	defer m.Close()
	s := loadgen.NewScenario("s").Task("only", 1, func(ctx context.Context, vu *loadgen.VU) error {
		_, err := vu.Do(ctx, &loadgen.Request{
			Method: "PATCH", URL: "/a%20b?q=it's", Body: []byte("{\"a\": \"it's $HOME `x`\\n\"}"), Header: http.Header{"X-Plain": {`"$x" 'y'`}},
		})
		return err
	})
	j, err := m.Start(t.Context(), loadgen.JobConfig{Name: "x", Scenario: s, BaseURL: target.URL, MaxIterations: 1})
	require.NoError(t, err)
	require.NoError(t, j.Wait(t.Context()))
	line := j.Exemplars().Slowest[0].Curl()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line, "curl ", "curl --noproxy '*' ", 1)).CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
	require.Len(t, got, 2)
	assert.Equal(t, got[0], got[1], line)
}
