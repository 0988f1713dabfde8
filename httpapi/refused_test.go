package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
)

// threeJobs makes a job that runs, one that is prepared, and one that has ended.
func threeJobs(s *service) {
	s.t.Helper()
	s.ok(s.start(`{"job":"python","port":8000,"workers":2}`))
	s.ok(s.updateJob(`{"job":"ruby","error_weight":7}`))
	s.ok(s.start(`{"job":"node","port":"3000"}`))
	s.ended("node")
	s.log.Reset()
}

func refused() []struct{ what, method, path, body string } {
	const start, update = "/api/start", "/api/update"
	return []struct{ what, method, path, body string }{
		{"not an object", "POST", start, `["python"]`},
		{"null", "POST", start, `null`},
		{"text after the object", "POST", start, `{"job":"python"} {}`},
		{"a key twice", "POST", start, `{"job":"python","workers":1,"workers":2}`},
		{"single quotes", "POST", start, `{'job':'python'}`},
		{"a comma at the end", "POST", start, "{\n  \"job\": \"python\",\n}"},
		{"cut off within a text", "POST", start, `{"job":"pyth`},
		{"a key twice, further in", "POST", update, `{"job":"python","variables":{"A":{"B":1,"B":2}}}`},
		{"not UTF-8", "POST", start, "{\"job\":\"\xff\"}"},
		{"job is no text", "POST", start, `{"job":5,"port":8000}`},
		{"job is empty", "POST", start, `{"job":"","port":8000}`},
		{"job is only the prefix", "POST", start, `{"job":"opbeans-","port":8000}`},
		{"job is null", "POST", update, `{"job":null}`},
		{"job with a slash", "POST", start, `{"job":"../x","port":8000}`},
		{"job with a line break", "POST", update, `{"job":"a\nb"}`},
		{"no port", "POST", start, `{"job":"new"}`},
		{"no port of a prepared job", "POST", start, `{"job":"ruby"}`},
		{"port 0", "POST", start, `{"job":"new","port":0}`},
		{"port too high", "POST", start, `{"job":"new","port":"65536"}`},
		{"port with a fraction", "POST", start, `{"job":"new","port":80.5}`},
		{"port is a path", "POST", start, `{"job":"new","port":"80/../x"}`},
		{"url is no URL", "POST", start, `{"job":"new","url":"localhost:8000"}`},
		{"url of another scheme", "POST", update, `{"job":"python","url":"file:///etc/passwd"}`},
		{"url with a host that is no name", "POST", start, `{"job":"new","url":"http://xn--aÿ/"}`},
		{"url is empty", "POST", update, `{"job":"python","url":""}`},
		{"a key that there is not", "POST", update, `{"job":"python","worker":4}`},
		{"a key unlike any", "POST", update, `{"job":"python","colour":"red"}`},
		{"an unknown scenario", "POST", start, `{"job":"new","port":8000,"scenario":"dino"}`},
		{"an unknown scenario for a running job", "POST", update, `{"job":"python","scenario":"dino"}`},
		{"an unknown scenario for an ended job", "POST", update, `{"job":"node","scenario":"dino"}`},
		{"a path as scenario", "POST", update, `{"job":"ruby","scenario":"../x"}`},
		{"a path in the listed form", "POST", start, `{"job":"new","port":8000,"scenario":"scenarios/../x.py"}`},
		{"a scenario that does not parse", "POST", start, `{"job":"new","port":8000,"scenario":"broken"}`},
		{"the same for a running job", "POST", update, `{"job":"python","scenario":"broken"}`},
		{"an empty scenario", "POST", update, `{"job":"python","scenario":""}`},
		{"workers below zero", "POST", update, `{"job":"python","workers":-1}`},
		{"absurd workers", "POST", update, `{"job":"python","workers":1e309}`},
		{"too many workers", "POST", update, `{"job":"python","workers":"1000001"}`},
		{"workers is a word", "POST", update, `{"job":"python","workers":"many"}`},
		{"workers is NaN", "POST", update, `{"job":"python","workers":"NaN"}`},
		{"workers is infinite", "POST", update, `{"job":"python","workers":"Infinity"}`},
		{"workers is hexadecimal", "POST", update, `{"job":"python","workers":"0x10"}`},
		{"workers is empty", "POST", update, `{"job":"python","workers":""}`},
		{"workers is true", "POST", update, `{"job":"python","workers":true}`},
		{"workers is an object", "POST", update, `{"job":"python","workers":{"n":4}}`},
		{"delay below zero", "POST", update, `{"job":"python","delay":-0.1}`},
		{"delay of an ended job below zero", "POST", update, `{"job":"node","delay":-0.1}`},
		{"delay of a prepared job below zero", "POST", update, `{"job":"ruby","delay":-0.1}`},
		{"absurd delay", "POST", update, `{"job":"python","delay":1e300}`},
		{"delay is a word", "POST", update, `{"job":"python","delay":"soon"}`},
		{"absurd duration", "POST", start, `{"job":"new","port":8000,"duration":"9999999999"}`},
		{"error_weight below zero", "POST", update, `{"job":"python","error_weight":-1}`},
		{"absurd error_weight", "POST", update, `{"job":"ruby","error_weight":1e10}`},
		{"app_latency_weight is a word", "POST", update, `{"job":"python","app_latency_weight":"x"}`},
		{"an older name with a bad value", "POST", update, `{"job":"python","label_weight":-2,"label_name":[]}`},
		{"a label with a line break", "POST", update, `{"job":"python","app_latency_label":"a\r\nb"}`},
		{"a bound below zero", "POST", update, `{"job":"ruby","app_latency_lower_bound":-1}`},
		{"rate below zero", "POST", update, `{"job":"python","rate":"-1/s"}`},
		{"absurd rate", "POST", update, `{"job":"python","rate":"1e9"}`},
		{"max_iterations below zero", "POST", update, `{"job":"python","max_iterations":-1}`},
		{"seed is a fraction", "POST", update, `{"job":"ruby","seed":1.5}`},
		{"an unknown variable", "POST", update, `{"job":"python","variables":{"EROR_WEIGHT":1}}`},
		{"variables of wrong kinds", "POST", update, `{"job":"python","variables":{"A":[],"B":{}}}`},
		{"variables is a list", "POST", update, `{"job":"python","variables":["A"]}`},
		{"a weight of an unknown task", "POST", update, `{"job":"python","weights":{"rot":1}}`},
		{"all weights zero", "POST", start, `{"job":"new","port":8000,"scenario":"tiny","weights":{"root":0}}`},
		{"several faults", "POST", start, `{"job":"","workers":-1,"port":"x","delay":"soon"}`},
		{"several faults of the whole", "POST", start, `{"job":"a/b","delay":-1,"url":"x"}`},
		{"a good value beside a bad one", "POST", update, `{"job":"python","workers":9,"delay":-1}`},
		{"stop of two jobs", "GET", "/api/stop?job=python&job=ruby", ``},
		{"stop with a bad query", "GET", "/api/stop?job=%zz", ``},
		{"stop of the prefix", "GET", "/api/stop?job=opbeans-", ``},
		{"stop with bad JSON", "POST", "/api/stop", `{"job"`},
		{"stop without job", "POST", "/api/stop", `{}`},
		{"stop with more", "POST", "/api/stop", `{"job":"python","workers":1}`},
		{"stop with nothing", "POST", "/api/stop", ``},
		{"removal of a running job", "DELETE", "/api/jobs/python", ``},
		{"removal of no job", "DELETE", "/api/jobs/nosuch", ``},
		{"removal of a path", "DELETE", "/api/jobs/..%2Fpython", ``},
		{"no such job", "GET", "/api/jobs/nosuch", ``},
		{"no such path", "GET", "/api/lists", ``},
		{"no such path below a job", "GET", "/api/jobs/python/histroy", ``},
		{"a path without its first part", "POST", "/start", `{}`},
		{"a path unlike any", "GET", "/favicon.ico", ``},
		{"a slash at the end", "GET", "/api/list/", ``},
		{"the root", "GET", "/", ``},
		{"a double slash", "POST", "//api/start", `{"job":"new","port":8000}`},
		{"a wrong method", "PUT", "/api/start", `{"job":"new","port":8000}`},
		{"a method that there is not", "BREW", "/api/list", ``},
	}
}

func TestRefused(t *testing.T) {
	s := serve(t)
	s.folder["broken.yaml"] = &fstest.MapFile{Data: []byte("tasks:\n  - name: root\n    reqest: GET /\n")}
	s.folder["tiny.yaml"] = &fstest.MapFile{Data: []byte("tasks:\n  - name: root\n    request: GET /\n")}
	threeJobs(s)
	var all strings.Builder
	for _, r := range refused() {
		t.Run(r.what, func(t *testing.T) {
			before, revision := s.get("/api/list").body, s.job("python").Status().Revision
			s.log.Reset()
			a := s.do(r.method, r.path, r.body)
			all.WriteString("# " + r.what + "\n" + strings.ToValidUTF8(s.log.String(), "?") + "\n")
			assert.GreaterOrEqual(t, a.status, 400)
			assert.Less(t, a.status, 500)
			assert.NotEmpty(t, refusal(t, a).Message)
			assert.Equal(t, before, s.get("/api/list").body, "nothing is altered")
			assert.Equal(t, revision, s.job("python").Status().Revision, "nothing is altered")
		})
	}
	golden(t, "refused.txt", all.String())
}

// blanks is a body without end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestLargeBody(t *testing.T) {
	s := serve(t)
	const body = `{"job":"python","error_weight":7}`
	padded := func(n int64) io.Reader {
		return io.MultiReader(io.LimitReader(blanks{}, n-int64(len(body))), strings.NewReader(body))
	}

	a := s.send("POST", "/api/update", padded(httpapi.MaxBody+1), "")
	assert.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	assert.Equal(t, httpapi.CodeTooLarge, refusal(t, a).Code)
	assert.Equal(t, `{}`, s.get("/api/list").body)

	s.ok(s.send("POST", "/api/update", padded(httpapi.MaxBody), ""))
}

func TestTooManyJobs(t *testing.T) {
	s := serve(t)
	for i := range httpapi.MaxJobs {
		_, err := s.manager.Prepare(loadgen.JobConfig{Name: fmt.Sprint("job", i), ScenarioName: "dyno"})
		require.NoError(t, err)
	}
	for _, path := range []string{"/api/start", "/api/update"} {
		a := s.post(path, `{"job":"more","port":8000}`)
		assert.Equal(t, http.StatusConflict, a.status)
		assert.Equal(t, httpapi.CodeTooManyJobs, refusal(t, a).Code)
	}
	s.ok(s.start(`{"job":"job7","port":8000}`))
	s.ok(s.do("DELETE", "/api/jobs/job8", ""))
	s.ok(s.start(`{"job":"more","port":8000}`))
}
