//go:build !race

// The race detector makes pools forget at random, so that it counts allocations.

package loadgen

import (
	"math/rand/v2"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/blunt"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/scenariofile"
)

// flowVU is a VU that can run the flow, with a job that does nothing else.
func flowVU(tb testing.TB) (*VU, TaskFunc) {
	folder := fstest.MapFS{"users.csv": {Data: []byte("id,name\n1,ada\n2,\"bruno \"\"b\"\"\"\n3,chiara\n")}}
	s, err := parseScenario("flow", "flow.yaml", "", folder, []byte(flowYAML))
	require.NoError(tb, err)
	m := New(WithEnv(func(name string) (string, bool) { return "hush", name == "KEY" }))
	tb.Cleanup(m.Close)
	_, p, err := m.compile(JobConfig{Name: "flow", BaseURL: "http://" + blunt.Listen(tb), Scenario: s}, nil)
	require.NoError(tb, err)
	require.NoError(tb, p.open(s, nil, nil))
	tb.Cleanup(func() { closeFeeds(p.feeds, nil) })
	j := newJob(m, p.cfg, s)
	j.rec = j.newRecorder()
	j.plan.Store(p)
	vu := &VU{job: j, plan: p, ctx: j.ending.hard, stripe: j.rec.Stripe(0), rand: rand.New(rand.NewPCG(1, 2))}
	vu.client = client.New(vu.ctx, (*vuOwner)(vu), &j.shared)
	tb.Cleanup(vu.client.Close)
	require.NoError(tb, vu.hook(scenariofile.HookVUSetup))
	vu.task = &planTask{name: "flow", stat: j.rec.Task("flow")}
	require.Len(tb, p.tasks, 1)
	return vu, p.tasks[0].run
}

func TestFlowOfGETsDoesNotAllocate(t *testing.T) {
	vu, run := flowVU(t)
	require.Zero(t, testing.AllocsPerRun(300, func() {
		vu.freshRows()
		if err := run(vu.ctx, vu); err != nil {
			t.Fatal(err)
		}
		vu.client.Rest()
	}))
	require.Zero(t, vu.job.Snapshot().FailedRequests)
}

// What a flow of four requests costs.
func BenchmarkFlow(b *testing.B) {
	vu, run := flowVU(b)
	b.ReportAllocs()
	for b.Loop() {
		vu.freshRows()
		if err := run(vu.ctx, vu); err != nil {
			b.Fatal(err)
		}
		vu.client.Rest()
	}
}
