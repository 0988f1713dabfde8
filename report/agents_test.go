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
	text.Reset()
	require.NoError(t, r.WriteText(&text))
	assert.NotContains(t, text.String(), "agents")
}
