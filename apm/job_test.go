package apm_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
	"github.com/opbeans/loadgen/internal/memnet"
)

// service is instrumented by hand: it sends what its agent has to say every few seconds.
type service struct {
	mu    sync.Mutex
	docs  []apm.Document
	calls int
	lose  int // every so many documents
}

func (s *service) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var d apm.Document
	parent := req.Header.Get("Traceparent")
	if len(parent) != 55 || d.Trace.UnmarshalText([]byte(parent[3:35])) != nil || d.Parent.UnmarshalText([]byte(parent[36:52])) != nil {
		http.Error(w, "no trace", http.StatusBadRequest)
		return
	}
	time.Sleep(10 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	d.Kind, d.ID, d.Service, d.Name, d.Sampled, d.Status = apm.Transaction, span(uint64(s.calls)), "shop", req.URL.Path, parent[54] == '1', 200
	if s.lose == 0 || s.calls%s.lose != 0 {
		s.docs = append(s.docs, d)
	}
}

// send is the agent's loop.
func (s *service) send(ctx context.Context, l *apm.Ledger) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.mu.Lock()
			l.Take(s.docs)
			s.docs = nil
			s.mu.Unlock()
		}
	}
}

// against runs f with a Manager whose jobs are against the service.
func against(t *testing.T, s *service, f func(t *testing.T, l *apm.Ledger, start func() *loadgen.Job)) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{})
		dial, stop := memnet.Serve(s)
		defer stop()
		m := loadgen.New(append(l.Options(), loadgen.WithDialContext(dial))...)
		defer m.Close()
		l.Bind(m)
		ctx, cancel := context.WithCancel(t.Context())
		var agent sync.WaitGroup
		agent.Go(func() { s.send(ctx, l) })
		defer agent.Wait()
		defer cancel()
		missing, err := loadgen.ParseThreshold("apm.missing == 0")
		require.NoError(t, err)
		f(t, l, func() *loadgen.Job {
			j, err := m.Start(t.Context(), loadgen.JobConfig{
				Name: "shop", BaseURL: "http://shop", Workers: 2, MaxIterations: 500, Seed: 1, Trace: loadgen.TraceConfig{Enabled: true}, Thresholds: []loadgen.Threshold{missing},
				Scenario: loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/home") }),
			})
			require.NoError(t, err)
			require.NoError(t, j.Wait(t.Context()))
			return j
		})
	})
}

// TestSettle: with nothing missed a verdict comes when agents have been quiet for a while,
// else when the grace time is over; thresholds see it.
func TestSettle(t *testing.T) {
	against(t, &service{}, func(t *testing.T, l *apm.Ledger, start func() *loadgen.Job) {
		j := start()
		v := l.Verdict("shop")
		assert.False(t, v.Settled)
		assert.Positive(t, v.Pending)
		assert.False(t, j.Snapshot().Verdicts[0].Final)
		ended := time.Now()
		v = l.Settle(t.Context(), "shop")
		assert.Less(t, time.Since(ended), 20*time.Second)
		assert.True(t, v.Settled)
		assert.True(t, v.OK, v)
		assert.Equal(t, apm.Counts{Sent: 500, Sampled: 500, Found: 500}, v.Counts)
		assert.Equal(t, loadgen.OutcomePass, j.Snapshot().Verdicts[0].Outcome)
		assert.True(t, j.Snapshot().Verdicts[0].Final)
		assert.EqualValues(t, 500, j.Snapshot().Metrics["apm.found"])
	})
	against(t, &service{lose: 100}, func(t *testing.T, l *apm.Ledger, start func() *loadgen.Job) {
		j := start()
		assert.Equal(t, loadgen.OutcomePass, j.Snapshot().Verdicts[0].Outcome, "nothing is missing yet")
		assert.Contains(t, j.Snapshot().Verdicts[0].Message, "not final yet")
		ended := time.Now()
		cancelled, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.False(t, l.Settle(cancelled, "shop").Settled)
		v := l.Settle(t.Context(), "shop")
		assert.InDelta(t, 30, time.Since(ended).Seconds(), 1)
		assert.True(t, v.Settled)
		assert.Equal(t, apm.Counts{Sent: 500, Sampled: 500, Found: 495, Missing: 5}, v.Counts)
		assert.Equal(t, loadgen.OutcomeFail, j.Snapshot().Verdicts[0].Outcome)
		assert.True(t, j.Snapshot().Verdicts[0].Final)
	})
}

// TestRunsAreApart: a job that starts again, even with the same ids, has a verdict of its
// own.
func TestRunsAreApart(t *testing.T) {
	against(t, &service{lose: 100}, func(t *testing.T, l *apm.Ledger, start func() *loadgen.Job) {
		before := start()
		first := l.Settle(t.Context(), "shop")
		after := start()
		assert.Nil(t, before.Snapshot().Metrics, "they are of the run that is asked for")
		assert.True(t, before.Snapshot().Verdicts[0].Final)
		assert.NotNil(t, after.Snapshot().Metrics)
		second := l.Settle(t.Context(), "shop")
		assert.Equal(t, apm.Counts{Sent: 500, Sampled: 500, Found: 495, Missing: 5}, second.Counts)
		assert.Equal(t, first.Counts, second.Counts)
		assert.Zero(t, second.Strange.Documents)
	})
}

// Samples come in batches, the last of a job after its end; of a short job that is all of
// them.
func TestSamplesThatComeAfterTheEndOfTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, apm.LedgerConfig{})
		dial, stop := memnet.Serve(&service{})
		defer stop()
		var samples []loadgen.Sample
		m := loadgen.New(loadgen.WithDialContext(dial), loadgen.WithObserver(observer(func(s loadgen.Sample) { samples = append(samples, s) })))
		j, err := m.Start(t.Context(), loadgen.JobConfig{
			Name: "shop", BaseURL: "http://shop", MaxIterations: 3, Trace: loadgen.TraceConfig{Enabled: true},
			Scenario: loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/home") }),
		})
		require.NoError(t, err)
		require.NoError(t, j.Wait(t.Context()))
		m.Close()
		require.Len(t, samples, 3)
		l.End(j)
		for _, s := range samples {
			l.Observe(s)
		}
		v := l.Settle(t.Context(), "shop")
		assert.True(t, v.Settled)
		assert.EqualValues(t, 3, v.Missing)
		assert.Empty(t, v.Doubts)
	})
}

type observer func(loadgen.Sample)

func (f observer) Observe(s loadgen.Sample) { f(s) }
