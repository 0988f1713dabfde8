package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded are the rows of the compatibility record by their number; 19 is not of
// this API.
func recorded() []struct {
	row  int
	what string
	do   func(s *service)
} {
	start := func(s *service) { s.start(`{"job":"opbeans-python","port":"8000"}`) }
	list := func(s *service) { s.get("/api/list") }
	return []struct {
		row  int
		what string
		do   func(s *service)
	}{
		{1, "list on a new server", list},
		{2, "start", start},
		{3, "list after start", func(s *service) { start(s); list(s) }},
		{4, "a fraction of a worker from a slider", func(s *service) {
			start(s)
			s.updateJob(`{"job":"python","workers":3.3}`)
			list(s)
		}},
		{5, "stop", func(s *service) {
			start(s)
			s.get("/api/stop?job=opbeans-python")
			list(s)
		}},
		{6, "stop of a job that nobody knows", func(s *service) { s.get("/api/stop?job=nosuch") }},
		{7, "stop of no job (the original: 500)", func(s *service) { s.get("/api/stop") }},
		{8, "stop of a stopped job (the original: 500)", func(s *service) {
			start(s)
			s.ended("python")
			s.get("/api/stop?job=opbeans-python")
		}},
		{9, "update before any start (the original: without name, port and running)", func(s *service) {
			s.updateJob(`{"job":"ruby","error_weight":7}`)
			list(s)
		}},
		{10, "update without body or job", func(s *service) {
			s.updateJob(``)
			s.updateJob(`{"workers":4}`)
			list(s)
		}},
		{11, "start without body, or with bad JSON", func(s *service) {
			s.start(``)
			s.start(`{"job":"python",`)
			list(s)
		}},
		{12, "start without job (the original: 500)", func(s *service) { s.start(`{"port":"8000"}`) }},
		{13, "increase the load on a running job (the original: the port is lost)", func(s *service) {
			start(s)
			s.start(`{"job":"python","workers":4}`)
			list(s)
		}},
		{14, "start with GET", func(s *service) { s.get("/api/start") }},
		{15, "scenarios", func(s *service) { s.get("/api/scenarios") }},
		{16, "splays", func(s *service) { s.get("/api/splays") }},
		{17, "list for a page", func(s *service) {
			s.do("GET", "/api/list", "", "Origin: http://localhost:9000")
		}},
		{18, "a browser asks whether a page may post JSON", func(s *service) {
			s.do("OPTIONS", "/api/start", "", "Origin: http://localhost:9000",
				"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
		}},
	}
}

func TestRecorded(t *testing.T) {
	var all strings.Builder
	for _, r := range recorded() {
		t.Run(fmt.Sprintf("%02d", r.row), func(t *testing.T) {
			s := serve(t)
			r.do(s)
			fmt.Fprintf(&all, "# %d: %s\n%s\n", r.row, r.what, s.log.String())
		})
	}
	golden(t, "recorded.txt", all.String())
}

// TestRecordedListing holds the listing against the bytes of the original, to which
// only the older names are added.
func TestRecordedListing(t *testing.T) {
	const original = `{"python":{"app_latency_label":"dyno_latency","app_latency_lower_bound":1,"app_latency_upper_bound":1000,` +
		`"app_latency_weight":"0","delay":"0.600","duration":"31536000","error_weight":"0","name":"python","port":"8000",` +
		`"running":true,"scenario":"scenarios/molotov_scenarios.py","workers":"3"}}`
	s := serve(t)
	s.ok(s.start(`{"job":"opbeans-python","port":"8000"}`))
	a := s.get("/api/list")
	assert.Equal(t, original, strings.Replace(a.body, `"label_name":"dyno_latency","label_weight":"0",`, "", 1))
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
}

// TestReadmeCommands sends what the original's README tells people to type, and
// looks at the job itself.
func TestReadmeCommands(t *testing.T) {
	s := serve(t)
	s.ok(s.do("POST", "/api/start", `{"job":"opbeans-python","port":"8000"}`, "Content-Type: application/json"))
	cfg := s.config("python")
	assert.Equal(t, "http://localhost:8000", cfg.BaseURL)
	assert.Equal(t, "opbeans-python", cfg.ServiceName)
	assert.Equal(t, 3, cfg.Workers)

	s.ok(s.do("POST", "/api/start", `{"job":"python","workers":4}`, "Content-Type: application/json"))
	cfg.Workers = 4
	assert.Equal(t, cfg, s.config("python"), "all else stays")
	assert.EqualValues(t, 2, s.job("python").Status().Revision, "in place")

	s.ok(s.get("/api/stop?job=opbeans-python"))
	require.NoError(t, s.job("python").Wait(t.Context()))
	assert.NotZero(t, s.job("python").Snapshot().Requests, "there was load")
}

// TestAnyContentType: curl --data without a header says that it is a form.
func TestAnyContentType(t *testing.T) {
	s := serve(t)
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "nonsense", ""} {
		s.ok(s.do("POST", "/api/update", `{"job":"python","workers":4}`, "Content-Type: "+contentType))
	}
}
