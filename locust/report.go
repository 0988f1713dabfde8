package locust

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/locustwire"
)

// taskErrors is the method that failures of iterations are listed under which are not
// failures of a request: a task's own error, a panic.
const taskErrors = "TASK"

// total is what Locust calls the sum of all entries.
const total = "Aggregated"

// tally adds up what has happened since the master was last told. Its size depends on the
// number of tasks, and on the seconds since then.
type tally struct {
	entries map[entryKey]*locustwire.Entry
	total   *locustwire.Entry
	errors  map[string]*locustwire.Error
}

type entryKey struct{ name, method string }

func newTally(now time.Time) *tally {
	return &tally{
		entries: map[entryKey]*locustwire.Entry{},
		total:   newEntry(total, "", now),
		errors:  map[string]*locustwire.Error{},
	}
}

func newEntry(name, method string, now time.Time) *locustwire.Entry {
	return &locustwire.Entry{
		Name: name, Method: method, Start: seconds(now),
		Times: map[int64]uint64{}, PerSecond: map[int64]uint64{}, FailPerSecond: map[int64]uint64{},
	}
}

// add adds what a job has done up to d.Time: the difference of two of its snapshots by
// method that are not much more than a second apart, since all of it is said to be of the
// second before.
func (t *tally) add(d *loadgen.Snapshot) {
	// A moment before now, so that at a whole second it is the one that has just passed.
	at := seconds(d.Time.Add(-time.Millisecond))
	for i := range d.Tasks {
		task := &d.Tasks[i]
		name := task.Task
		if name == "" {
			name = "(no task)" // set-up and tear-down
		}
		if task.Requests > 0 {
			key := entryKey{name, task.Method}
			e := t.entries[key]
			if e == nil {
				e = newEntry(name, task.Method, d.Time.Add(-d.Elapsed))
				t.entries[key] = e
			}
			count(e, &task.Totals, at)
			count(t.total, &task.Totals, at)
		}
		method := task.Method
		if task.Requests == 0 {
			method = taskErrors
		}
		for class, stat := range task.Errors {
			t.fail(name, method, string(class), stat.Count, at)
		}
	}
}

// fail counts failures of one class.
func (t *tally) fail(name, method, class string, n uint64, at float64) {
	// Any key does that is the same for the same failure from every worker.
	sum := sha256.Sum256([]byte(method + "\x00" + name + "\x00" + class))
	key := hex.EncodeToString(sum[:])
	e := t.errors[key]
	if e == nil {
		e = &locustwire.Error{Name: name, Method: method, Error: class, First: at}
		t.errors[key] = e
	}
	e.Count += n
	e.Last = at
}

// data is what there is to report, beside the users.
func (t *tally) data() locustwire.StatsData {
	d := locustwire.StatsData{Stats: make([]*locustwire.Entry, 0, len(t.entries)), Total: t.total, Errors: t.errors}
	for _, e := range t.entries {
		d.Stats = append(d.Stats, e)
	}
	return d
}

// count adds requests, all of the second that at is in, to an entry.
func count(e *locustwire.Entry, t *loadgen.Totals, at float64) {
	e.Last = &at
	e.Requests += t.Requests
	e.Failures += t.FailedRequests
	e.None += t.Requests - t.Service.Count()
	e.Size += t.Received
	e.PerSecond[int64(at)] += t.Requests
	if t.FailedRequests > 0 {
		e.FailPerSecond[int64(at)] += t.FailedRequests
	}
	if t.Service.Count() == 0 {
		return
	}
	least, most := milliseconds(t.Service.Min()), milliseconds(t.Service.Max())
	e.TotalTime += t.Service.Sum().Seconds() * 1000
	e.Max = max(e.Max, most)
	if e.Min == nil || least < *e.Min {
		e.Min = &least
	}
	for b := range t.Service.Buckets() {
		// The upper bound, as quantiles have it, so that the master's are ours, rounded.
		e.Times[roundTime(milliseconds(b.To-1))] += b.Count
	}
}

// roundTime rounds milliseconds as Locust does, to two digits; half to even, as Python
// rounds.
func roundTime(ms float64) int64 {
	unit := 1.0
	switch {
	case ms < 100:
	case ms < 1000:
		unit = 10
	case ms < 10_000:
		unit = 100
	default:
		unit = 1000
	}
	return int64(math.RoundToEven(ms/unit) * unit)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
