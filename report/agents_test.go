package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

func TestTracesAndAgentsInReports(t *testing.T) {
	snap := &loadgen.Snapshot{Job: "shop", State: loadgen.StateFinished, Started: time.Unix(1000, 0), Valid: true, Tasks: []loadgen.TaskSnapshot{}}
	snap.Status, snap.Errors = map[int]uint64{}, map[loadgen.ErrorClass]loadgen.ErrorStat{}
	r := report.New(loadgen.JobConfig{Name: "shop", BaseURL: "http://shop.test"}, snap)
	r.Agents = json.RawMessage(`{"ok":false,"settled":true,"sent":1000,"found":997,"missing":3,"late":0,"broken":2,` +
		`"doubts":[{"fields":["missing"],"why":"it is <late>"}],"examples":[{"fault":"missing","task":"home","why":"no <b>transaction</b>"}]}`)
	for i, p := range []string{"p50", "p99", "max"} {
		r.Traces = append(r.Traces, loadgen.TraceExemplar{
			Percentile: p, Task: "home", Time: time.Unix(1001, 0).UTC(), Service: time.Duration(i+1) * time.Second, Status: 200,
			TraceID: loadgen.TraceID{byte(i + 1)}, SpanID: loadgen.SpanID{1}, URL: "http://kibana/" + p,
		})
	}
	var text, page, data bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	assert.Contains(t, text.String(), "    agents      1000 sent, 997 found, 3 missing, 2 broken; inconclusive: it is <late>\n")
	assert.Contains(t, text.String(), "    trace       2s of home: http://kibana/p99\n")

	require.NoError(t, r.WriteHTML(&page))
	assert.Contains(t, page.String(), `<a href="http://kibana/p99">02000000000000000000000000000000</a>`)
	assert.Contains(t, page.String(), "no &lt;b&gt;transaction&lt;/b&gt;")

	require.NoError(t, r.WriteJSON(&data))
	var value any
	require.NoError(t, json.Unmarshal(data.Bytes(), &value))
	require.NoError(t, schema(t).Validate(value))
	again, err := report.ReadJSON(&data)
	require.NoError(t, err)
	assert.Equal(t, r.Traces, again.Traces)
	assert.JSONEq(t, string(r.Agents), string(again.Agents))

	r.Agents = json.RawMessage(`[]`) // of whoever
	assert.NotContains(t, junit(t, r), "agents")
	text.Reset()
	require.NoError(t, r.WriteText(&text))
	assert.NotContains(t, text.String(), "agents")
}

func junit(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.WriteJUnit(&b))
	return b.String()
}

// TestAgentsInJUnit: what agents say fails a build, unless a threshold says what is too much.
func TestAgentsInJUnit(t *testing.T) {
	snap := &loadgen.Snapshot{Job: "shop", State: loadgen.StateFinished, Valid: true}
	r := report.New(loadgen.JobConfig{Name: "shop"}, snap)
	for verdict, want := range map[string]string{
		`{"ok":true,"settled":true,"sent":10,"found":10,"missing":0}`:                                   `<system-out>10 sent, 10 found, 0 missing</system-out>`,
		`{"ok":false,"settled":true,"sent":10,"found":7,"missing":3}`:                                   `<failure message="10 sent, 7 found, 3 missing" type="agents"></failure>`,
		`{"ok":false,"settled":true,"sent":10,"found":10,"missing":0,"wrong_name":1}`:                   `<failure message="10 sent, 10 found, 0 missing, 1 wrong name" type="agents"></failure>`,
		`{"ok":false,"settled":true,"sent":10,"found":10,"missing":0,"doubts":[{"why":"it was late"}]}`: `<skipped message="10 sent, 10 found, 0 missing; inconclusive: it was late"></skipped>`,
	} {
		r.Agents = json.RawMessage(verdict)
		assert.Contains(t, junit(t, r), want)
		assert.Contains(t, junit(t, r), `<testsuite name="shop.agents" tests="1"`)
	}
	r.Agents = json.RawMessage(`{"ok":false,"settled":true,"sent":10,"found":7,"missing":3}`)
	snap.Metrics = map[string]float64{"apm.missing": 3}
	for _, threshold := range loadgen.MustThresholds("apm.missing <= 3", "iterations == apm.found") {
		snap.Verdicts = []loadgen.Verdict{threshold.Evaluate(snap)}
		assert.Contains(t, junit(t, r), `<system-out>10 sent, 7 found, 3 missing</system-out>`)
	}
	snap.Verdicts = []loadgen.Verdict{loadgen.MustThresholds("failures == 0")[0].Evaluate(snap)}
	assert.Contains(t, junit(t, r), `type="agents"`)
}
