package meter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/stats"
)

// aSnapshot is what a job makes of its recorder's numbers.
func aSnapshot(r *Recorder, now time.Duration) *stats.Snapshot {
	s := &stats.Snapshot{Elapsed: now}
	r.Fill(s, false)
	return s
}

// requireConsistent checks all that must hold within any snapshot.
func requireConsistent(t *testing.T, s *stats.Snapshot) {
	t.Helper()
	sum := stats.NewTotals()
	for i := range s.Tasks {
		task := &s.Tasks[i].Totals
		sum.Merge(task)
		requireTotals(t, task)
	}
	requireTotals(t, &s.Totals)
	requireEqualTotals(t, &s.Totals, &sum)
}

func requireTotals(t *testing.T, s *stats.Totals) {
	t.Helper()
	var answered uint64
	for _, n := range s.Status {
		answered += n
	}
	require.LessOrEqual(t, answered, s.Requests)
	require.LessOrEqual(t, s.FailedRequests, s.Requests)
	require.LessOrEqual(t, s.FailedIterations, s.Iterations)
	require.Equal(t, s.Iterations, s.Response.Count(), "each iteration has a response time")
	require.LessOrEqual(t, s.Service.Count(), s.Requests)
	for class, e := range s.Errors {
		require.NotZero(t, e.Count, class)
		require.NotEmpty(t, e.Sample, class)
	}
}

// requireEqualTotals compares all that is counted.
func requireEqualTotals(t *testing.T, want, got *stats.Totals) {
	t.Helper()
	counts := func(s *stats.Totals) []uint64 {
		return []uint64{s.Iterations, s.FailedIterations, s.Interrupted, s.Requests, s.FailedRequests, s.Sent, s.Received}
	}
	require.Equal(t, counts(want), counts(got))
	require.Equal(t, want.Status, got.Status)
	require.Equal(t, errorCounts(want), errorCounts(got))
	requireSame(t, &want.Service, &got.Service)
	requireSame(t, &want.Response, &got.Response)
}

func errorCounts(s *stats.Totals) map[failure.Class]uint64 {
	counts := map[failure.Class]uint64{}
	for class, e := range s.Errors {
		counts[class] = e.Count
	}
	return counts
}

// requireGrown checks that nothing counted has become less.
func requireGrown(t *testing.T, before, now *stats.Totals) {
	t.Helper()
	require.LessOrEqual(t, before.Iterations, now.Iterations)
	require.LessOrEqual(t, before.FailedIterations, now.FailedIterations)
	require.LessOrEqual(t, before.Interrupted, now.Interrupted)
	require.LessOrEqual(t, before.Requests, now.Requests)
	require.LessOrEqual(t, before.FailedRequests, now.FailedRequests)
	require.LessOrEqual(t, before.Service.Count(), now.Service.Count())
	for code, n := range before.Status {
		require.LessOrEqual(t, n, now.Status[code])
	}
	for class, e := range before.Errors {
		require.LessOrEqual(t, e.Count, now.Errors[class].Count)
	}
}

// testVU records iterations as a VU does.
type testVU struct {
	r      *Recorder
	stripe *Stripe
	rand   *rand.Rand
}

func newTestVU(r *Recorder, id int) *testVU {
	return &testVU{r: r, stripe: r.Stripe(id), rand: rand.New(rand.NewPCG(uint64(id), 9))}
}

// iterate records one iteration of one to three requests at the time at, and
// counts the same in want, by the definitions of Totals.
func (v *testVU) iterate(task int32, at time.Duration, want *stats.Totals) {
	fail := func(class failure.Class) {
		v.r.Note(task, class, errors.New("because of "+string(class)), v.r.Start.Add(at))
		e := want.Errors[class]
		want.Errors[class] = stats.ErrorStat{Count: e.Count + 1}
	}
	requestFailed := false
	for range 1 + v.rand.IntN(3) {
		took := time.Duration(v.rand.ExpFloat64() * float64(time.Millisecond))
		rec := Record{At: at, Took: took, Sent: 100, Received: 1000, Task: task, Status: 200, Kind: KindRequest}
		class := failure.None
		switch v.rand.IntN(8) {
		case 0:
			class, rec.Status = failure.Check, 500
		case 1:
			class, rec.Status, rec.Took = failure.Reset, 0, -1
		}
		if class != failure.None {
			rec.Failed, rec.Class, requestFailed = true, failure.Number(class), true
			want.FailedRequests++
			fail(class)
		}
		if rec.Status != 0 {
			want.Status[int(rec.Status)]++
			want.Service.Record(took)
		}
		want.Requests++
		want.Sent += 100
		want.Received += 1000
		v.r.Record(v.stripe, rec, nil)
	}
	rec := Record{At: at, Took: time.Millisecond, Task: task, Kind: KindIteration, Failed: requestFailed}
	switch v.rand.IntN(10) {
	case 0: // the task fails, whether or not a request has
		if rec.Failed = true; !requestFailed {
			rec.Class = failure.Number(failure.Panic)
			fail(failure.Panic)
		}
	case 1:
		rec.Kind, rec.Failed = KindInterrupted, false
		want.Interrupted++
		v.r.Record(v.stripe, rec, nil)
		return
	}
	want.Iterations++
	want.FailedIterations += count(rec.Failed)
	want.Response.Record(rec.Took)
	v.r.Record(v.stripe, rec, nil)
}

// Every snapshot that is taken while many VUs write is consistent, none loses what
// an earlier one had, and the last has everything.
func TestRecorderUnderConcurrentWriters(t *testing.T) {
	const (
		vus        = 20
		iterations = 2000
	)
	r := New(time.Now(), nil, false)
	wants := make([]stats.Totals, vus)
	var writers sync.WaitGroup
	for id := range vus {
		wants[id] = stats.NewTotals()
		writers.Go(func() {
			v := newTestVU(r, id)
			for i := range iterations {
				task := r.Task(fmt.Sprint("task ", v.rand.IntN(5)))
				v.iterate(task, time.Duration(i)*time.Millisecond, &wants[id])
			}
		})
	}
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		defer close(done)
		writers.Wait()
	})
	others.Go(func() { // somebody else asks, too
		for range 100 {
			r.Fill(&stats.Snapshot{Elapsed: time.Second}, false)
		}
	})
	before := &stats.Snapshot{Totals: stats.NewTotals()}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		s := aSnapshot(r, time.Second)
		requireConsistent(t, s)
		requireFailuresAddUp(t, &s.Totals)
		requireGrown(t, &before.Totals, &s.Totals)
		d := s.Since(before)
		requireConsistent(t, d)
		requireFailuresAddUp(t, &d.Totals)
		d.Totals.Merge(&before.Totals)
		requireEqualTotals(t, &s.Totals, &d.Totals)
		before = s
	}
	others.Wait()

	want := stats.NewTotals()
	for i := range wants {
		want.Merge(&wants[i])
	}
	s := aSnapshot(r, time.Second)
	requireConsistent(t, s)
	requireEqualTotals(t, &want, &s.Totals)
	assert.Equal(t, uint64(vus*iterations), s.Iterations+s.Interrupted)
	assert.Len(t, s.Tasks, 5)
}

// requireFailuresAddUp checks what holds for a testVU: a request without a response
// is a reset, an iteration that failed without a failed request is a panic.
func requireFailuresAddUp(t *testing.T, s *stats.Totals) {
	t.Helper()
	var answered, errors uint64
	for _, n := range s.Status {
		answered += n
	}
	for _, e := range s.Errors {
		errors += e.Count
	}
	require.Equal(t, s.Requests, answered+s.Errors[failure.Reset].Count)
	require.Equal(t, errors, s.FailedRequests+s.Errors[failure.Panic].Count)
	require.LessOrEqual(t, s.Errors[failure.Panic].Count, s.FailedIterations)
}

func TestSinceOfATaskThatCameUpLater(t *testing.T) {
	r := New(time.Now(), nil, false)
	v := newTestVU(r, 0)
	ignored := stats.NewTotals()
	first := r.Task("first")
	for range 50 {
		v.iterate(first, 0, &ignored)
	}
	before := aSnapshot(r, time.Second)
	want := stats.NewTotals()
	second := r.Task("second")
	for range 50 {
		v.iterate(second, 2*time.Second, &want)
	}
	now := aSnapshot(r, 3*time.Second)

	d := now.Since(before)
	assert.Equal(t, 2*time.Second, d.Elapsed)
	requireConsistent(t, d)
	requireEqualTotals(t, &want, &d.Totals)
	require.Len(t, d.Tasks, 2)
	assert.Equal(t, "first", d.Tasks[0].Task)
	assert.Zero(t, d.Tasks[0].Requests)
	assert.Empty(t, d.Tasks[0].Status)
	assert.Empty(t, d.Tasks[0].Errors)

	whole := now.Since(nil)
	requireEqualTotals(t, &now.Totals, &whole.Totals)
	assert.Equal(t, now.Elapsed, whole.Elapsed)
	nothing := now.Since(now)
	requireConsistent(t, nothing)
	assert.Zero(t, nothing.Requests+nothing.Iterations+nothing.Service.Count())
}

// A snapshot shares nothing with the recorder, nor with another snapshot.
func TestSnapshotIsACopy(t *testing.T) {
	r := New(time.Now(), nil, false)
	v := newTestVU(r, 0)
	want := stats.NewTotals()
	task := r.Task("task")
	for range 100 {
		v.iterate(task, 0, &want)
	}
	s := aSnapshot(r, time.Second)
	d := s.Since(&stats.Snapshot{})
	clear(d.Status)
	clear(d.Errors)
	d.Service.Record(time.Hour)
	again := s.Tasks[0].Clone()
	for range 100 {
		v.iterate(task, 0, &stats.Totals{Status: map[int]uint64{}, Errors: map[failure.Class]stats.ErrorStat{}})
	}
	r.Flush()
	requireEqualTotals(t, &want, &s.Totals)
	requireEqualTotals(t, &want, &again)
}

func TestRecentRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Now(), nil, false)
		task := r.Task("task")
		recent := func() stats.Recent { return aSnapshot(r, time.Since(r.Start)).Recent }
		// run does an iteration of two requests every 1/n seconds, the first of
		// them at once; one request in five fails.
		i := 0
		run := func(n int, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / time.Duration(n)) {
				at := time.Since(r.Start)
				for range 2 {
					r.Record(r.Stripe(i), Record{At: at, Kind: KindRequest, Task: task, Status: 200, Failed: i%5 == 0}, nil)
				}
				r.Record(r.Stripe(i), Record{At: at, Kind: KindIteration, Task: task, Failed: i%5 == 0}, nil)
				i++
			}
		}
		assert.Equal(t, stats.Recent{}, recent(), "no time has passed")
		run(10, 500*time.Millisecond)
		assert.Equal(t, stats.Recent{Iterations: 5, FailedIterations: 1, Requests: 10, FailedRequests: 2}, recent(),
			"before the first whole second: what there was so far")
		run(10, 500*time.Millisecond)
		assert.Equal(t, stats.Recent{Iterations: 10, FailedIterations: 2, Requests: 20, FailedRequests: 4}, recent())
		run(100, 2*time.Second)
		assert.Equal(t, stats.Recent{Iterations: 70, FailedIterations: 14, Requests: 140, FailedRequests: 28}, recent(),
			"three seconds so far: 10, 100 and 100")
		run(100, 3*time.Second)
		assert.Equal(t, stats.Recent{Iterations: 100, FailedIterations: 20, Requests: 200, FailedRequests: 40}, recent(),
			"five seconds at most")
		run(50, 700*time.Millisecond)
		assert.Equal(t, 100.0, recent().Iterations, "a second that is not over does not count")
		time.Sleep(5*time.Second + 300*time.Millisecond)
		assert.Equal(t, stats.Recent{}, recent(), "nothing happened in the last five")
		run(20, time.Hour)
		assert.Equal(t, 20.0, recent().Iterations)
	})
}

// What a slow VU has recorded long ago does not count as recent when it is drained.
func TestRecentRatesOfLateRecords(t *testing.T) {
	r := New(time.Now(), nil, false)
	task := r.Task("task")
	r.Record(r.Stripe(0), Record{At: 10 * time.Second, Kind: KindIteration, Task: task}, nil)
	for i := range 10 * StripeLen { // of seconds 18 to 27; 26 is kept where 10 was
		r.Record(r.Stripe(1), Record{At: time.Duration(18*StripeLen+i) * time.Second / StripeLen, Kind: KindIteration, Task: task}, nil)
	}
	s := aSnapshot(r, 28*time.Second)
	assert.Equal(t, float64(StripeLen), s.Recent.Iterations)
	assert.Equal(t, uint64(10*StripeLen+1), s.Iterations)
}

// Samples reach the sink in order, whole, and each once.
func TestRecorderHandsSamplesOver(t *testing.T) {
	var mu sync.Mutex
	var got []stats.Sample
	r := New(time.Now(), func(batch []stats.Sample) []stats.Sample {
		mu.Lock()
		defer mu.Unlock()
		assert.LessOrEqual(t, len(batch), StripeLen)
		got = append(got, batch...)
		return batch[:0]
	}, false)
	task := r.Task("task")
	const n = 3*StripeLen + 5
	for i := range n {
		r.Record(r.Stripe(0), Record{Kind: KindRequest, Task: task}, &stats.Sample{VU: i})
		r.Record(r.Stripe(0), Record{Kind: KindIteration, Task: task}, nil)
	}
	r.Flush()
	require.Len(t, got, n)
	for i := range got {
		require.Equal(t, i, got[i].VU)
	}
	r.Flush()
	assert.Len(t, got, n)
}

func BenchmarkRecorder(b *testing.B) {
	rec := Record{At: time.Second, Took: time.Millisecond, Kind: KindRequest, Status: 200, Sent: 100, Received: 1000}
	b.Run("record", func(b *testing.B) {
		r := New(time.Now(), nil, false)
		r.Task("task")
		b.ReportAllocs()
		for b.Loop() {
			r.Record(r.Stripe(0), rec, nil)
		}
	})
	b.Run("record in parallel", func(b *testing.B) {
		r := New(time.Now(), nil, false)
		r.Task("task")
		var mu sync.Mutex
		vus := 0
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			mu.Lock()
			s := r.Stripe(vus)
			vus++
			mu.Unlock()
			for pb.Next() {
				r.Record(s, rec, nil)
			}
		})
	})
	b.Run("snapshot", func(b *testing.B) {
		r := New(time.Now(), nil, false)
		v := newTestVU(r, 0)
		ignored := stats.NewTotals()
		for i := range 20_000 {
			v.iterate(r.Task(fmt.Sprint("task ", i%18)), time.Second, &ignored)
		}
		b.ReportAllocs()
		for b.Loop() {
			r.Fill(&stats.Snapshot{Elapsed: time.Second}, false)
		}
	})
}

func requireSame(t *testing.T, want, got *histogram.Histogram) {
	t.Helper()
	require.Equal(t, want.Count(), got.Count())
	require.Equal(t, want.Sum(), got.Sum())
	require.Equal(t, slices.Collect(want.Buckets()), slices.Collect(got.Buckets()))
}
