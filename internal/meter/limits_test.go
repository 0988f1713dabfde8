package meter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/stats"
)

func TestTaskNamesAreCapped(t *testing.T) {
	r := New(time.Now(), nil, false)
	for i := range stats.MaxTaskNames {
		require.Equal(t, int32(i), r.Task(fmt.Sprint("task ", i)))
	}
	other := r.Task("one too many")
	for i := range 10_000 {
		require.Equal(t, other, r.Task(fmt.Sprint("more ", i)))
	}
	assert.Equal(t, int32(7), r.Task("task 7"), "a name keeps its number")
	filled := stats.Snapshot{Elapsed: time.Second}
	r.Fill(&filled, false)
	tasks := filled.Tasks
	require.Len(t, tasks, stats.MaxTaskNames+1)
	assert.Equal(t, "(other)", tasks[stats.MaxTaskNames].Task)
	assert.Len(t, r.index, stats.MaxTaskNames+1, "names beyond the cap take no memory")
}

func TestErrorSampleIsTheFirstOfEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Now(), nil, false)
		tasks := []int32{r.Task("a"), r.Task("b")}
		fail := func(task int32, class failure.Class, message string) {
			r.Note(task, class, errors.New(message), time.Now())
			r.Record(r.Stripe(0), Record{Kind: KindRequest, Task: task, Class: failure.Number(class), Failed: true, Took: -1}, nil)
		}
		sample := func(i int, class failure.Class) string {
			filled := stats.Snapshot{Elapsed: time.Since(r.Start)}
			r.Fill(&filled, false)
			snapshots := filled.Tasks
			return snapshots[i].Errors[class].Sample
		}
		fail(tasks[0], failure.Dial, "first")
		fail(tasks[0], failure.Dial, "second")
		assert.Equal(t, "first", sample(0, failure.Dial))
		fail(tasks[0], failure.Reset, "of another class")
		fail(tasks[1], failure.Dial, "of another task")
		assert.Equal(t, "of another class", sample(0, failure.Reset))
		assert.Equal(t, "of another task", sample(1, failure.Dial))
		time.Sleep(time.Second)
		fail(tasks[0], failure.Dial, "third")
		assert.Equal(t, "first", sample(0, failure.Dial), "not more than a second has passed")
		time.Sleep(time.Nanosecond)
		fail(tasks[0], failure.Dial, "fourth")
		assert.Equal(t, "fourth", sample(0, failure.Dial))
		assert.Equal(t, uint64(4), aSnapshot(r, time.Second).Tasks[0].Errors[failure.Dial].Count)

		fail(tasks[0], "made-up", "x")
		assert.Equal(t, "x", sample(0, failure.Task), "a class that is none of ours")
	})
}

// A failure that is noted but not recorded yet is not shown.
func TestNoteAloneCountsNothing(t *testing.T) {
	r := New(time.Now(), nil, false)
	r.Note(r.Task("task"), failure.Dial, errors.New("soon"), time.Now())
	assert.Empty(t, aSnapshot(r, 0).Errors)
}

type brokenError struct{ message *string }

func (e brokenError) Error() string { return *e.message }

// An error whose Error method panics must not take the program along.
func TestNoteSurvivesABrokenError(t *testing.T) {
	r := New(time.Now(), nil, false)
	task := r.Task("task")
	require.NotPanics(t, func() { r.Note(task, failure.Task, brokenError{}, time.Now()) })
	r.Record(r.Stripe(0), Record{Kind: KindIteration, Class: failure.Number(failure.Task), Failed: true}, nil)
	assert.Contains(t, aSnapshot(r, 0).Errors[failure.Task].Sample, "PANIC")
}

// However much is recorded, and however many different messages there are, a
// recorder does not grow.
func TestRecorderMemoryIsFlat(t *testing.T) {
	r := New(time.Now(), nil, false)
	task := r.Task("task")
	random := rand.New(rand.NewPCG(1, 1))
	round := func(from, n int) {
		for i := from; i < from+n; i++ {
			at := time.Duration(i) * time.Millisecond
			rec := Record{
				At: at, Took: time.Duration(random.ExpFloat64() * float64(time.Second)),
				Task: task, Kind: KindRequest, Status: int16(100 + i%500), Failed: i%10 == 0,
			}
			if rec.Failed {
				rec.Class = failure.Number(failure.Classes()[1+i%8])
				r.Note(task, failure.Classes()[1+i%8], fmt.Errorf("message %d", i), r.Start.Add(at))
			}
			r.Record(r.Stripe(i), rec, nil)
		}
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	round(0, 100_000)
	before := heap()
	round(100_000, 1_000_000)
	assert.Less(t, heap()-before, int64(64<<10))
	s := aSnapshot(r, time.Hour)
	assert.Equal(t, uint64(1_100_000), s.Requests)
	assert.LessOrEqual(t, len(s.Errors), failure.NumClasses)
	runtime.KeepAlive(r)
}

// In steady state recording allocates nothing.
func TestRecorderAllocations(t *testing.T) {
	r := New(time.Now(), nil, false)
	task := r.Task("task")
	rec := Record{At: time.Second, Took: time.Millisecond, Task: task, Kind: KindRequest, Status: 200}
	for range 10 * StripeLen {
		r.Record(r.Stripe(0), rec, nil)
	}
	assert.Zero(t, testing.AllocsPerRun(10*StripeLen, func() { r.Record(r.Stripe(0), rec, nil) }))

	failed := rec
	failed.Failed, failed.Class = true, failure.Number(failure.Timeout)
	now := time.Now()
	r.Note(task, failure.Timeout, context.DeadlineExceeded, now)
	r.Record(r.Stripe(0), failed, nil)
	assert.Zero(t, testing.AllocsPerRun(10*StripeLen, func() {
		r.Note(task, failure.Timeout, context.DeadlineExceeded, now)
		r.Record(r.Stripe(0), failed, nil)
	}))
}
