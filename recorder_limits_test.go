package loadgen

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
)

func TestTaskNamesAreCapped(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	for i := range maxTaskNames {
		require.Equal(t, int32(i), r.task(fmt.Sprint("task ", i)))
	}
	other := r.task("one too many")
	for i := range 10_000 {
		require.Equal(t, other, r.task(fmt.Sprint("more ", i)))
	}
	assert.Equal(t, int32(7), r.task("task 7"), "a name keeps its number")
	filled := Snapshot{Elapsed: time.Second}
	r.fill(&filled, false)
	tasks := filled.Tasks
	require.Len(t, tasks, maxTaskNames+1)
	assert.Equal(t, "(other)", tasks[maxTaskNames].Task)
	assert.Len(t, r.index, maxTaskNames+1, "names beyond the cap take no memory")
}

func TestErrorSampleIsTheFirstOfEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(time.Now(), nil, false)
		tasks := []int32{r.task("a"), r.task("b")}
		fail := func(task int32, class ErrorClass, message string) {
			r.note(task, class, errors.New(message), time.Now())
			r.record(r.stripe(0), record{kind: kindRequest, task: task, class: classNumber(class), failed: true, took: -1}, nil)
		}
		sample := func(i int, class ErrorClass) string {
			filled := Snapshot{Elapsed: time.Since(r.start)}
			r.fill(&filled, false)
			snapshots := filled.Tasks
			return snapshots[i].Errors[class].Sample
		}
		fail(tasks[0], ClassDial, "first")
		fail(tasks[0], ClassDial, "second")
		assert.Equal(t, "first", sample(0, ClassDial))
		fail(tasks[0], ClassReset, "of another class")
		fail(tasks[1], ClassDial, "of another task")
		assert.Equal(t, "of another class", sample(0, ClassReset))
		assert.Equal(t, "of another task", sample(1, ClassDial))
		time.Sleep(time.Second)
		fail(tasks[0], ClassDial, "third")
		assert.Equal(t, "first", sample(0, ClassDial), "not more than a second has passed")
		time.Sleep(time.Nanosecond)
		fail(tasks[0], ClassDial, "fourth")
		assert.Equal(t, "fourth", sample(0, ClassDial))
		assert.Equal(t, uint64(4), aSnapshot(r, time.Second).Tasks[0].Errors[ClassDial].Count)

		fail(tasks[0], "made-up", "x")
		assert.Equal(t, "x", sample(0, ClassTask), "a class that is none of ours")
	})
}

// A failure that is noted but not recorded yet is not shown.
func TestNoteAloneCountsNothing(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	r.note(r.task("task"), ClassDial, errors.New("soon"), time.Now())
	assert.Empty(t, aSnapshot(r, 0).Errors)
}

type brokenError struct{ message *string }

func (e brokenError) Error() string { return *e.message }

// An error whose Error method panics must not take the program along.
func TestNoteSurvivesABrokenError(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	task := r.task("task")
	require.NotPanics(t, func() { r.note(task, ClassTask, brokenError{}, time.Now()) })
	r.record(r.stripe(0), record{kind: kindIteration, class: classNumber(ClassTask), failed: true}, nil)
	assert.Contains(t, aSnapshot(r, 0).Errors[ClassTask].Sample, "PANIC")
}

// However much is recorded, and however many different messages there are, a
// recorder does not grow.
func TestRecorderMemoryIsFlat(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	task := r.task("task")
	random := rand.New(rand.NewPCG(1, 1))
	round := func(from, n int) {
		for i := from; i < from+n; i++ {
			at := time.Duration(i) * time.Millisecond
			rec := record{
				at: at, took: time.Duration(random.ExpFloat64() * float64(time.Second)),
				task: task, kind: kindRequest, status: int16(100 + i%500), failed: i%10 == 0,
			}
			if rec.failed {
				rec.class = classNumber(errorClasses()[1+i%8])
				r.note(task, errorClasses()[1+i%8], fmt.Errorf("message %d", i), r.start.Add(at))
			}
			r.record(r.stripe(i), rec, nil)
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
	assert.LessOrEqual(t, len(s.Errors), numClasses)
	runtime.KeepAlive(r)
}

// In steady state recording allocates nothing.
func TestRecorderAllocations(t *testing.T) {
	r := newRecorder(time.Now(), nil, false)
	task := r.task("task")
	rec := record{at: time.Second, took: time.Millisecond, task: task, kind: kindRequest, status: 200}
	for range 10 * stripeLen {
		r.record(r.stripe(0), rec, nil)
	}
	assert.Zero(t, testing.AllocsPerRun(10*stripeLen, func() { r.record(r.stripe(0), rec, nil) }))

	failed := rec
	failed.failed, failed.class = true, classNumber(ClassTimeout)
	now := time.Now()
	r.note(task, ClassTimeout, context.DeadlineExceeded, now)
	r.record(r.stripe(0), failed, nil)
	assert.Zero(t, testing.AllocsPerRun(10*stripeLen, func() {
		r.note(task, ClassTimeout, context.DeadlineExceeded, now)
		r.record(r.stripe(0), failed, nil)
	}))
}
