package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/histogram"
	"github.com/opbeans/loadgen/internal/filltest"
	"github.com/opbeans/loadgen/internal/textkit"
)

func fill(r *rand.Rand, v reflect.Value) {
	filltest.Fill(r, v, func(field any) bool {
		t, ok := field.(*Threshold)
		if ok {
			*t = MustThresholds(fmt.Sprintf("p%d < %dms abort", 1+r.IntN(3), 1+r.IntN(3)))[0]
		}
		return ok
	})
}

func filledSnapshot(r *rand.Rand) *Snapshot {
	s := &Snapshot{}
	fill(r, reflect.ValueOf(s).Elem())
	for i := range s.Tasks { // names are unique within a snapshot
		s.Tasks[i].Task = fmt.Sprint("task ", (i+1)*(1+r.IntN(3)))
	}
	seen := map[string]bool{}
	for i := 0; i < len(s.Tasks); i++ {
		if seen[s.Tasks[i].Task] {
			s.Tasks[i].Task += "'" + fmt.Sprint(i)
		}
		seen[s.Tasks[i].Task] = true
	}
	s.State = []State{StatePending, StateRunning, StateStopping, StateStopped, StateFinished, StateFailed}[r.IntN(6)]
	s.Valid = false
	return s
}

func TestSnapshotRecordLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		s := filledSnapshot(r)
		for _, compact := range []bool{false, true} {
			text, err := json.Marshal(Record{Snapshot: *s, Compact: compact})
			require.NoError(t, err)
			var back Record
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, s, &back.Snapshot)
		}
	}
}

func keys(object any) []string { return textkit.SortedKeys(object.(map[string]any)) }

func TestSnapshotRecordRefuses(t *testing.T) {
	good := func(change func(map[string]any)) string {
		text, err := json.Marshal(Record{Snapshot: Snapshot{Totals: Totals{Response: *recordedAs(3*time.Microsecond, 5*time.Microsecond)}}})
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(text, &object))
		change(object)
		text, err = json.Marshal(object)
		require.NoError(t, err)
		return string(text)
	}
	set := func(key string, value any) string {
		return good(func(o map[string]any) { o[key] = value })
	}
	within := func(key string, value any) string {
		return good(func(o map[string]any) { o["response"].(map[string]any)[key] = value })
	}
	readable, err := json.Marshal(Snapshot{Totals: Totals{Response: *recordedAs(1)}})
	require.NoError(t, err)
	require.NoError(t, new(Record).UnmarshalJSON([]byte(good(func(map[string]any) {}))))
	for text, wrong := range map[string]string{
		`[]`:                     "not a record",
		`{"job":`:                "not a record",
		string(readable):         "no version",
		set("version", 2):        "has version 2, and this program reads version 1",
		set("elapsed_ns", -1):    "negative elapsed",
		set("requests", -1):      "cannot be read",
		set("response", "AQ==x"): "contradict each other",
		set("response", "AQ=="):  "contradict each other",
		good(func(o map[string]any) { delete(o["response"].(map[string]any), "buckets") }): "no buckets",
		within("count", 3):                                           "contradict each other",
		within("sum_ns", "1"):                                        "contradict each other",
		within("sum_ns", "99999"):                                    "contradict each other",
		within("sum_ns", "-8000"):                                    "contradict each other",
		within("sum_ns", strings.Repeat("9", 39)):                    "contradict each other",
		within("sum_ns", strings.Repeat("9", 400)):                   "contradict each other",
		within("min_ns", 0):                                          "contradict each other",
		within("min_ns", -3000):                                      "contradict each other",
		within("max_ns", 90000):                                      "contradict each other",
		within("buckets", [][2]int{{3, 1}, {3, 1}}):                  "contradict each other",
		within("buckets", [][2]int{{5, 1}, {3, 1}}):                  "contradict each other",
		within("buckets", [][2]int{{3, 1}, {5, 0}}):                  "contradict each other",
		within("buckets", [][2]int{{3, 1}, {largestCounter + 1, 1}}): "contradict each other",
		within("buckets", [][2]uint64{{3, math.MaxUint64}, {5, 3}}):  "contradict each other",
		set("tasks", make([]struct{}, MaxTaskNames+2)):               "has 1002 tasks",
	} {
		back := Record{Snapshot: Snapshot{Job: "before"}}
		err := back.UnmarshalJSON([]byte(text))
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), wrong, text)
		}
		assert.Equal(t, Record{Snapshot: Snapshot{Job: "before"}}, back, "unchanged")
	}
}

// A record of some megabytes cannot ask for more memory than a job's statistics.
func TestSnapshotRecordInBoundedMemory(t *testing.T) {
	var buckets []string
	for page := range 30 {
		buckets = append(buckets, fmt.Sprintf("[%d,1]", page*128))
	}
	dear := fmt.Sprintf(`{"buckets":[%s]}`, strings.Join(buckets, ","))
	for name, text := range map[string]string{
		"many tasks":     `{"version":1,"tasks":[` + strings.Repeat(`{},`, 2_000_000) + `{}]}`,
		"many dear ones": `{"version":1,"tasks":[` + strings.Repeat(`{"response":`+dear+`},`, 3*MaxTaskNames) + `{}]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.Error(t, new(Record).UnmarshalJSON([]byte(text)), name)
		runtime.ReadMemStats(&after)
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(400), "%s: MiB for a text of %d", name, len(text)>>20)
	}
}

func FuzzSnapshotRecord(f *testing.F) {
	old, err := os.ReadFile("testdata/record-1.json")
	require.NoError(f, err)
	f.Add(old)
	f.Add([]byte(`{"version":1,"response":{"count":2,"sum_ns":"4000","min_ns":1000,"max_ns":3000,"buckets":[[1,1],[3,1]]}}`))
	f.Add([]byte(`{"version":1,"response":"AQEAAQIB","tasks":[{"task":"t","service":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first Record
		if json.Unmarshal(data, &first) != nil {
			return
		}
		for _, compact := range []bool{false, true} {
			first.Compact = compact
			text, err := json.Marshal(first)
			if err != nil && strings.Contains(err.Error(), "Time.MarshalJSON") {
				return // a year that JSON cannot have
			}
			require.NoError(t, err)
			second := Record{Compact: compact}
			require.NoError(t, json.Unmarshal(text, &second))
			again, err := json.Marshal(second)
			require.NoError(t, err)
			require.Equal(t, string(text), string(again))
		}
		sum := first.Snapshot
		sum.Merge(&first.Snapshot) // whatever was accepted can be used
		_ = sum.Response.P99() + sum.Response.Mean() + sum.Since(&first.Snapshot).Service.P50()
	})
}

func TestMergeAddsUp(t *testing.T) {
	a, b := filledSnapshot(rand.New(rand.NewPCG(5, 6))), filledSnapshot(rand.New(rand.NewPCG(7, 8)))
	a.Tasks, b.Tasks = a.Tasks[:1], append(b.Tasks[:1:1], TaskSnapshot{Task: "only b"})
	b.Tasks[0].Task, b.Tasks[0].Method = a.Tasks[0].Task, a.Tasks[0].Method
	a.State, b.State, b.Reason = StateFinished, StateFailed, "aborted"
	a.Valid, a.Invalid, a.Issues = true, nil, nil
	lag := Issue{Kind: IssueScheduleLag, Text: "lag"}
	b.Invalid, b.Issues = []string{"lag", "lag"}, []Issue{lag, lag}
	before, err := json.Marshal(Record{Snapshot: *b})
	require.NoError(t, err)

	var sum Snapshot
	sum.Merge(a)
	assert.True(t, sum.Valid)
	sum.Merge(b)
	assert.Equal(t, a.Requests+b.Requests, sum.Requests)
	assert.Equal(t, a.Dropped+b.Dropped, sum.Dropped)
	assert.Equal(t, a.Response.Count()+b.Response.Count(), sum.Response.Count())
	assert.InDelta(t, (a.Response.Sum() + b.Response.Sum()).Seconds(), sum.Response.Sum().Seconds(), 1e-6)
	assert.Equal(t, max(a.Response.Max(), b.Response.Max()), sum.Response.Max())
	assert.Equal(t, a.Job, sum.Job)
	assert.Equal(t, StateFailed, sum.State)
	assert.Equal(t, "aborted", sum.Reason)
	assert.False(t, sum.Valid)
	assert.Equal(t, []string{"lag"}, sum.Invalid)
	assert.Equal(t, []Issue{lag}, sum.Issues)
	require.Len(t, sum.Tasks, 2)
	assert.Equal(t, a.Tasks[0].Iterations+b.Tasks[0].Iterations, sum.Tasks[0].Iterations)
	assert.Equal(t, "only b", sum.Tasks[1].Task)

	after, err := json.Marshal(Record{Snapshot: *b})
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "what was added is left as it is")
}

// What was merged from intervals is the whole again, to the last counter and nanosecond.
func TestMergedIntervalsAreTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var whole, parts histogram.Histogram
	for range 100 {
		before := whole.Clone()
		for range r.IntN(20) {
			whole.Record(time.Duration(r.Int64N(1 << (5 + r.IntN(58)))))
		}
		part := whole.Since(&before)
		parts.Merge(&part)
		requireSame(t, &whole, &parts)
		require.Equal(t, whole.Min(), parts.Min())
		require.Equal(t, whole.Max(), parts.Max())
		require.Equal(t, whole.Sum(), parts.Sum())
	}
}

func FuzzSnapshotMerge(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3))
	f.Add(uint64(4), uint64(4), uint64(0))
	f.Fuzz(func(t *testing.T, x, y, z uint64) {
		snapshot := func(seed uint64) *Snapshot {
			if seed == 0 {
				return &Snapshot{}
			}
			return filledSnapshot(rand.New(rand.NewPCG(seed, seed)))
		}
		merge := func(all ...*Snapshot) *Snapshot {
			var sum Snapshot
			for _, s := range all {
				sum.Merge(s)
			}
			return &sum
		}
		text := func(s *Snapshot) string {
			b, err := json.Marshal(Record{Snapshot: *s})
			require.NoError(t, err)
			return string(b)
		}
		left := merge(merge(snapshot(x), snapshot(y)), snapshot(z))
		right := merge(snapshot(x), merge(snapshot(y), snapshot(z)))
		require.Equal(t, text(left), text(right), "associative")
		if x != 0 {
			require.Equal(t, text(merge(snapshot(x))), text(merge(snapshot(x), &Snapshot{})), "nothing added")
		}
	})
}

func BenchmarkSnapshotRecord(b *testing.B) {
	s := busySnapshot(20)
	for _, compact := range []bool{false, true} {
		b.Run(fmt.Sprintf("compact=%t", compact), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text, err := json.Marshal(Record{Snapshot: *s, Compact: compact})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(text)), "bytes/record")
			}
		})
	}
}

// busySnapshot is of a job with this many tasks, which has run for long.
func busySnapshot(tasks int) *Snapshot {
	r := rand.New(rand.NewPCG(11, 12))
	s := &Snapshot{Job: "busy", State: StateRunning, Valid: true, Started: time.Unix(1, 0), Time: time.Unix(90001, 0)}
	for i := range tasks {
		t := TaskSnapshot{Task: fmt.Sprint("products_", i)}
		t.fillMaps()
		t.Status[200] = 10_000
		t.Errors[failure.Timeout] = ErrorStat{Count: 3, Sample: "no response within 5s"}
		for range 10_000 {
			d := time.Duration(math.Exp(r.NormFloat64()/2) * float64(8*time.Millisecond))
			t.Service.Record(d)
			t.Response.Record(d + time.Millisecond)
		}
		t.Requests, t.Iterations = t.Service.Count(), t.Response.Count()
		s.Tasks = append(s.Tasks, t)
		s.Totals.Merge(&t.Totals)
	}
	return s
}

// The form is read by others and for years: what was written once must be read.
func TestSnapshotRecordOfVersion1(t *testing.T) {
	const path = "testdata/record-1.json"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var back Record
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, uint64(3), back.Requests)
	assert.Equal(t, 5*time.Millisecond, back.Response.Max())
	assert.Equal(t, 2*time.Millisecond, back.Tasks[0].Service.Min())
	again, err := json.Marshal(back)
	require.NoError(t, err)
	// What it did not know then: for how long there was load.
	known := strings.Replace(string(text), `"elapsed_ns"`, `"offered_s": 1.500000001, "offered_ns": 1500000001, "elapsed_ns"`, 1)
	assert.JSONEq(t, known, string(again))
}

// The first counter that such a histogram has is the last there is.
func TestRecordOfNothingButTheLargestValues(t *testing.T) {
	s := Snapshot{State: StateFinished, Totals: NewTotals(), Tasks: []TaskSnapshot{}}
	s.Response.Record(24 * time.Hour)
	text, err := json.Marshal(Record{Snapshot: s, Compact: true})
	require.NoError(t, err)
	var back Record
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, s, back.Snapshot)
}

// The sum of two snapshots is judged anew, by the thresholds of both.
func TestMergeJudgesTheSum(t *testing.T) {
	part := func(failed, all uint64, thresholds ...string) *Snapshot {
		s := &Snapshot{State: StateFinished, Metrics: map[string]float64{"apm.missing": 1}}
		s.Iterations, s.FailedIterations = all, failed
		for _, th := range MustThresholds(thresholds...) {
			s.Verdicts = append(s.Verdicts, th.Evaluate(s))
		}
		return s
	}
	sum := &Snapshot{}
	sum.Merge(part(0, 900, "error_rate < 10%", "failed_iterations < 50"))
	sum.Merge(part(60, 100, "error_rate < 10%", "apm.missing == 2"))
	var got []string
	for _, v := range sum.Verdicts {
		got = append(got, v.Threshold.String()+" "+string(v.Outcome))
	}
	assert.Equal(t, []string{"error_rate < 10% pass", "failed_iterations < 50 fail", "apm.missing == 2 pass"}, got)
	ended := part(0, 1, "iterations > 5")
	ended.Verdicts[0].Aborted = true
	sum.Merge(ended)
	assert.Equal(t, ended.Verdicts[0], sum.Verdicts[3], "what has ended a job stands")
}

const largestCounter = 30*128 - 1 // of a histogram

func recordedAs(values ...time.Duration) *histogram.Histogram {
	h := &histogram.Histogram{}
	for _, d := range values {
		h.Record(d)
	}
	return h
}

func requireSame(t *testing.T, want, got *histogram.Histogram) {
	t.Helper()
	require.Equal(t, want.Count(), got.Count())
	require.Equal(t, want.Sum(), got.Sum())
	require.Equal(t, slices.Collect(want.Buckets()), slices.Collect(got.Buckets()))
}
