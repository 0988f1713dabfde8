//go:build !race

// The race detector makes pools forget at random, so that it counts allocations.

package loadgen

import (
	"math/rand/v2"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// flowRig is a VU that can run the flow.
func flowRig(tb testing.TB) (*clientRig, TaskFunc) {
	folder := fstest.MapFS{"users.csv": {Data: []byte("id,name\n1,ada\n2,\"bruno \"\"b\"\"\"\n3,chiara\n")}}
	s, err := parseScenario("flow", "flow.yaml", "", folder, []byte(flowYAML))
	require.NoError(tb, err)
	cfg := JobConfig{BaseURL: "http://" + blunt(tb)}
	rig := unobserved(tb, cfg.BaseURL)
	rig.rand = rand.New(rand.NewPCG(1, 2))
	b, f := s.bind(&cfg, func(name string) (string, bool) { return "hush", name == "KEY" })
	require.NoError(tb, validation(f))
	rig.plan.take(b)
	rig.plan.feeds, f = s.openFeeds(nil, Segment{})
	require.NoError(tb, validation(f))
	require.NoError(tb, rig.hook(hookVUSetup))
	rig.task = &planTask{name: "flow", stat: rig.job.rec.Task("flow")}
	require.Len(tb, b.tasks, 1)
	return rig, b.tasks[0].run
}

func TestFlowOfGETsDoesNotAllocate(t *testing.T) {
	rig, run := flowRig(t)
	require.Zero(t, testing.AllocsPerRun(300, func() {
		rig.freshRows()
		if err := run(rig.ctx, rig.VU); err != nil {
			t.Fatal(err)
		}
		rig.client.rest()
	}))
	require.Zero(t, rig.totals().FailedRequests)
}

// What a flow of four requests costs.
func BenchmarkFlow(b *testing.B) {
	rig, run := flowRig(b)
	b.ReportAllocs()
	for b.Loop() {
		rig.freshRows()
		if err := run(rig.ctx, rig.VU); err != nil {
			b.Fatal(err)
		}
		rig.client.rest()
	}
}
