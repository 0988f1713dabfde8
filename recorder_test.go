package loadgen

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aSnapshot is what a job makes of its recorder's numbers.
func aSnapshot(r *recorder, now time.Duration) *Snapshot {
	s := &Snapshot{Elapsed: now}
	r.fill(s, false)
	return s
}

// requireConsistent checks all that must hold within any snapshot.
func requireConsistent(t *testing.T, s *Snapshot) {
	t.Helper()
	sum := newTotals()
	for i := range s.Tasks {
		task := &s.Tasks[i].Totals
		sum.Merge(task)
		requireTotals(t, task)
	}
	requireTotals(t, &s.Totals)
	requireEqualTotals(t, &s.Totals, &sum)
}

func requireTotals(t *testing.T, s *Totals) {
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
func requireEqualTotals(t *testing.T, want, got *Totals) {
	t.Helper()
	counts := func(s *Totals) []uint64 {
		return []uint64{s.Iterations, s.FailedIterations, s.Interrupted, s.Requests, s.FailedRequests, s.Sent, s.Received}
	}
	require.Equal(t, counts(want), counts(got))
	require.Equal(t, want.Status, got.Status)
	require.Equal(t, errorCounts(want), errorCounts(got))
	requireSame(t, &want.Service, &got.Service)
	requireSame(t, &want.Response, &got.Response)
}

func errorCounts(s *Totals) map[ErrorClass]uint64 {
	counts := map[ErrorClass]uint64{}
	for class, e := range s.Errors {
		counts[class] = e.Count
	}
	return counts
}

// requireGrown checks that nothing counted has become less.
func requireGrown(t *testing.T, before, now *Totals) {
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
	r      *recorder
	stripe *stripe
	rand   *rand.Rand
}

func newTestVU(r *recorder, id int) *testVU {
	return &testVU{r: r, stripe: r.stripe(id), rand: rand.New(rand.NewPCG(uint64(id), 9))}
}

// iterate records one iteration of one to three requests at the time at, and
// counts the same in want, by the definitions of Totals.
func (v *testVU) iterate(task int32, at time.Duration, want *Totals) {
	fail := func(class ErrorClass) {
		v.r.note(task, class, errors.New("because of "+string(class)), v.r.start.Add(at))
		e := want.Errors[class]
		want.Errors[class] = ErrorStat{Count: e.Count + 1}
	}
	requestFailed := false
	for range 1 + v.rand.IntN(3) {
		took := time.Duration(v.rand.ExpFloat64() * float64(time.Millisecond))
		rec := record{at: at, took: took, sent: 100, received: 1000, task: task, status: 200, kind: kindRequest}
		class := ClassNone
		switch v.rand.IntN(8) {
		case 0:
			class, rec.status = ClassCheck, 500
		case 1:
			class, rec.status, rec.took = ClassReset, 0, -1
		}
		if class != ClassNone {
			rec.failed, rec.class, requestFailed = true, classNumber(class), true
			want.FailedRequests++
			fail(class)
		}
		if rec.status != 0 {
			want.Status[int(rec.status)]++
			want.Service.Record(took)
		}
		want.Requests++
		want.Sent += 100
		want.Received += 1000
		v.r.record(v.stripe, rec, nil)
	}
	rec := record{at: at, took: time.Millisecond, task: task, kind: kindIteration, failed: requestFailed}
	switch v.rand.IntN(10) {
	case 0: // the task fails, whether or not a request has
		if rec.failed = true; !requestFailed {
			rec.class = classNumber(ClassPanic)
			fail(ClassPanic)
		}
	case 1:
		rec.kind, rec.failed = kindInterrupted, false
		want.Interrupted++
		v.r.record(v.stripe, rec, nil)
		return
	}
	want.Iterations++
	want.FailedIterations += count(rec.failed)
	want.Response.Record(rec.took)
	v.r.record(v.stripe, rec, nil)
}

// Every snapshot that is taken while many VUs write is consistent, none loses what
// an earlier one had, and the last has everything.
func TestRecorderUnderConcurrentWriters(t *testing.T) {
	const (
		vus        = 20
		iterations = 2000
	)
	r := newRecorder(time.Now(), nil, false)
	wants := make([]Totals, vus)
	var writers sync.WaitGroup
	for id := range vus {
		wants[id] = newTotals()
		writers.Go(func() {
			v := newTestVU(r, id)
			for i := range iterations {
				task := r.task(fmt.Sprint("task ", v.rand.IntN(5)))
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
			r.fill(&Snapshot{Elapsed: time.Second}, false)
		}
	})
	before := &Snapshot{Totals: newTotals()}
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

	want := newTotals()
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
func requireFailuresAddUp(t *testing.T, s *Totals) {
	t.Helper()
	var answered, errors uint64
	for _, n := range s.Status {
		answered += n
	}
	for _, e := range s.Errors {
		errors += e.Count
	}
	require.Equal(t, s.Requests, answered+s.Errors[ClassReset].Count)
	require.Equal(t, errors, s.FailedRequests+s.Errors[ClassPanic].Count)
	require.LessOrEqual(t, s.Errors[ClassPanic].Count, s.FailedIterations)
}

func TestSinceOfATaskThatCameUpLater(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	v := newTestVU(r, 0)
	ignored := newTotals()
	first := r.task("first")
	for range 50 {
		v.iterate(first, 0, &ignored)
	}
	before := aSnapshot(r, time.Second)
	want := newTotals()
	second := r.task("second")
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
	r := newRecorder(time.Now(), nil, false)
	v := newTestVU(r, 0)
	want := newTotals()
	task := r.task("task")
	for range 100 {
		v.iterate(task, 0, &want)
	}
	s := aSnapshot(r, time.Second)
	d := s.Since(&Snapshot{})
	clear(d.Status)
	clear(d.Errors)
	d.Service.Record(time.Hour)
	again := s.Tasks[0].clone()
	for range 100 {
		v.iterate(task, 0, &Totals{Status: map[int]uint64{}, Errors: map[ErrorClass]ErrorStat{}})
	}
	r.flush()
	requireEqualTotals(t, &want, &s.Totals)
	requireEqualTotals(t, &want, &again)
}

func TestRecentRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(time.Now(), nil, false)
		task := r.task("task")
		recent := func() Recent { return aSnapshot(r, time.Since(r.start)).Recent }
		// run does an iteration of two requests every 1/n seconds, the first of
		// them at once; one request in five fails.
		i := 0
		run := func(n int, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / time.Duration(n)) {
				at := time.Since(r.start)
				for range 2 {
					r.record(r.stripe(i), record{at: at, kind: kindRequest, task: task, status: 200, failed: i%5 == 0}, nil)
				}
				r.record(r.stripe(i), record{at: at, kind: kindIteration, task: task, failed: i%5 == 0}, nil)
				i++
			}
		}
		assert.Equal(t, Recent{}, recent(), "no time has passed")
		run(10, 500*time.Millisecond)
		assert.Equal(t, Recent{Iterations: 5, FailedIterations: 1, Requests: 10, FailedRequests: 2}, recent(),
			"before the first whole second: what there was so far")
		run(10, 500*time.Millisecond)
		assert.Equal(t, Recent{Iterations: 10, FailedIterations: 2, Requests: 20, FailedRequests: 4}, recent())
		run(100, 2*time.Second)
		assert.Equal(t, Recent{Iterations: 70, FailedIterations: 14, Requests: 140, FailedRequests: 28}, recent(),
			"three seconds so far: 10, 100 and 100")
		run(100, 3*time.Second)
		assert.Equal(t, Recent{Iterations: 100, FailedIterations: 20, Requests: 200, FailedRequests: 40}, recent(),
			"five seconds at most")
		run(50, 700*time.Millisecond)
		assert.Equal(t, 100.0, recent().Iterations, "a second that is not over does not count")
		time.Sleep(5*time.Second + 300*time.Millisecond)
		assert.Equal(t, Recent{}, recent(), "nothing happened in the last five")
		run(20, time.Hour)
		assert.Equal(t, 20.0, recent().Iterations)
	})
}

// What a slow VU has recorded long ago does not count as recent when it is drained.
func TestRecentRatesOfLateRecords(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	task := r.task("task")
	r.record(r.stripe(0), record{at: 10 * time.Second, kind: kindIteration, task: task}, nil)
	for i := range 10 * stripeLen { // of seconds 18 to 27; 26 is kept where 10 was
		r.record(r.stripe(1), record{at: time.Duration(18*stripeLen+i) * time.Second / stripeLen, kind: kindIteration, task: task}, nil)
	}
	s := aSnapshot(r, 28*time.Second)
	assert.Equal(t, float64(stripeLen), s.Recent.Iterations)
	assert.Equal(t, uint64(10*stripeLen+1), s.Iterations)
}

// Samples reach the sink in order, whole, and each once.
func TestRecorderHandsSamplesOver(t *testing.T) {
	var mu sync.Mutex
	var got []Sample
	r := newRecorder(time.Now(), func(batch []Sample) []Sample {
		mu.Lock()
		defer mu.Unlock()
		assert.LessOrEqual(t, len(batch), stripeLen)
		got = append(got, batch...)
		return batch[:0]
	}, false)
	task := r.task("task")
	const n = 3*stripeLen + 5
	for i := range n {
		r.record(r.stripe(0), record{kind: kindRequest, task: task}, &Sample{VU: i})
		r.record(r.stripe(0), record{kind: kindIteration, task: task}, nil)
	}
	r.flush()
	require.Len(t, got, n)
	for i := range got {
		require.Equal(t, i, got[i].VU)
	}
	r.flush()
	assert.Len(t, got, n)
}

func BenchmarkRecorder(b *testing.B) {
	rec := record{at: time.Second, took: time.Millisecond, kind: kindRequest, status: 200, sent: 100, received: 1000}
	b.Run("record", func(b *testing.B) {
		r := newRecorder(time.Now(), nil, false)
		r.task("task")
		b.ReportAllocs()
		for b.Loop() {
			r.record(r.stripe(0), rec, nil)
		}
	})
	b.Run("record in parallel", func(b *testing.B) {
		r := newRecorder(time.Now(), nil, false)
		r.task("task")
		var mu sync.Mutex
		vus := 0
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			mu.Lock()
			s := r.stripe(vus)
			vus++
			mu.Unlock()
			for pb.Next() {
				r.record(s, rec, nil)
			}
		})
	})
	b.Run("snapshot", func(b *testing.B) {
		r := newRecorder(time.Now(), nil, false)
		v := newTestVU(r, 0)
		ignored := newTotals()
		for i := range 20_000 {
			v.iterate(r.task(fmt.Sprint("task ", i%18)), time.Second, &ignored)
		}
		b.ReportAllocs()
		for b.Loop() {
			r.fill(&Snapshot{Elapsed: time.Second}, false)
		}
	})
}
