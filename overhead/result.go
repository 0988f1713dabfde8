package overhead

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// All is the name of the task that stands for all tasks.
const All = "(all)"

// Result is what a measurement has found. Its JSON form has the same content.
type Result struct {
	Pairs      int     `json:"pairs"` // that were measured
	Confidence float64 `json:"confidence"`
	Resamples  int     `json:"resamples"`
	Seed       uint64  `json:"seed,string"`
	Off        Side    `json:"off"`
	On         Side    `json:"on"`
	// Tasks are those that have run, in the order of the scenario, and All at the end.
	Tasks []Task `json:"tasks"`
}

// Side is one of the targets.
type Side struct {
	URL string `json:"url"`
	// Process is what its process has used; nil if that is not known.
	Process *Process `json:"process,omitempty"`
}

func (r *Result) sides() [2]*Side { return [2]*Side{&r.Off, &r.On} }

// Task is the difference in one task. Times are the sums of the service times of all
// requests of an iteration.
type Task struct {
	Task  string `json:"task"`
	Pairs int    `json:"pairs"` // that count
	// Unpaired is how many do not count: one of the two has failed, or has had another
	// number of requests. FailedOff and FailedOn count iterations that have failed.
	Unpaired  int   `json:"unpaired"`
	FailedOff int   `json:"failed_off"`
	FailedOn  int   `json:"failed_on"`
	Off       Times `json:"off"`
	On        Times `json:"on"`
	// P50 is the median of the paired differences, Mean their mean. P95 is the difference of
	// the 95th percentiles. In milliseconds.
	P50  Interval `json:"p50_ms"`
	Mean Interval `json:"mean_ms"`
	P95  Interval `json:"p95_ms"`
}

// Times are those of one side, in milliseconds.
type Times struct {
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	Mean float64 `json:"mean_ms"`
}

// Interval is a value and where it is with the confidence of the result.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// String says +0.8 ms [0.7, 0.9].
func (i Interval) String() string {
	digits := 1
	for width := i.High - i.Low; digits < 3 && width*math.Pow10(digits) < 10; {
		digits++
	}
	return fmt.Sprintf("%+.*f ms [%.*f, %.*f]", digits, i.Value, digits, i.Low, digits, i.High)
}

// Outcome says how an overhead is to a limit.
type Outcome int

// The outcomes.
const (
	Within  Outcome = iota // with the confidence of the result
	Unsure                 // the interval has the limit in it: more pairs would tell
	Exceeds                // with the confidence of the result
)

// Judge holds the median overhead of every task against a limit, and returns the worst
// outcome and its task.
func (r *Result) Judge(limit time.Duration) (Outcome, *Task) {
	ms := limit.Seconds() * 1e3
	worst, of := Unsure, (*Task)(nil)
	for i := range r.Tasks {
		t := &r.Tasks[i]
		if t.Pairs == 0 {
			continue
		}
		o := Unsure
		switch {
		case t.P50.High <= ms:
			o = Within
		case t.P50.Low > ms:
			o = Exceeds
		}
		if of == nil || o > worst {
			worst, of = o, t
		}
	}
	return worst, of
}

// result makes the result of what was recorded.
func (m *Measurement) result(rec *recorder, seed uint64, tasks []string) *Result {
	r := &Result{Confidence: m.Confidence, Resamples: m.Resamples, Seed: seed, Off: Side{URL: m.Off.URL}, On: Side{URL: m.On.URL}}
	sides := [2]map[int]*iteration{rec.assign(off), rec.assign(on)}
	samples := map[string]*sample{}
	of := func(name string) *sample {
		if samples[name] == nil {
			samples[name] = &sample{}
		}
		return samples[name]
	}
	numbers := make([]int, 0, len(sides[off]))
	for pair := range sides[off] {
		numbers = append(numbers, pair)
	}
	slices.Sort(numbers)
	for _, pair := range numbers {
		a, b := sides[off][pair], sides[on][pair]
		if b == nil || pair < m.WarmUp {
			continue
		}
		r.Pairs++
		for _, s := range []*sample{of(a.task), of(All)} {
			s.add(a, b)
		}
	}
	for _, name := range append(slices.Clone(tasks), All) {
		if s := samples[name]; s != nil {
			r.Tasks = append(r.Tasks, s.task(name, m, seed))
		}
	}
	return r
}

// sample has the times of pairs, in milliseconds.
type sample struct {
	times                         [2][]float64
	unpaired, failedOff, failedOn int
}

func (s *sample) add(a, b *iteration) {
	if a.failed {
		s.failedOff++
	}
	if b.failed {
		s.failedOn++
	}
	if a.failed || b.failed || a.requests != b.requests || a.requests == 0 || a.task != b.task {
		s.unpaired++
		return
	}
	s.times[off] = append(s.times[off], a.took.Seconds()*1e3)
	s.times[on] = append(s.times[on], b.took.Seconds()*1e3)
}

func (s *sample) task(name string, m *Measurement, seed uint64) Task {
	t := Task{Task: name, Pairs: len(s.times[off]), Unpaired: s.unpaired, FailedOff: s.failedOff, FailedOn: s.failedOn}
	if t.Pairs == 0 {
		return t
	}
	b := newBootstrap(s.times)
	t.Off, t.On = b.sideTimes(off), b.sideTimes(on)
	t.P50, t.Mean, t.P95 = b.intervals(m.Resamples, m.Confidence, rand.New(rand.NewPCG(seed, uint64(len(name)))))
	return t
}

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%d pairs of iterations; intervals have %g %% confidence\noff: %s\non:  %s\n\n", r.Pairs, r.Confidence*100, r.Off.URL, r.On.URL)
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "task\tpairs\toff p50\ton p50\toverhead p50\tmean\tp95")
	for _, t := range r.Tasks {
		if t.Pairs == 0 {
			fmt.Fprintf(tw, "%s\t0\t\t\tno pair counts\n", t.Task)
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%.2f ms\t%.2f ms\t%s\t%s\t%s\n", t.Task, t.Pairs, t.Off.P50, t.On.P50, t.P50, t.Mean, t.P95)
	}
	_ = tw.Flush()
	for _, t := range r.Tasks {
		if t.Task == All && t.Unpaired > 0 {
			fmt.Fprintf(b, "\n%d pairs do not count: of the iterations, %d failed without the agent and %d with it\n", t.Unpaired, t.FailedOff, t.FailedOn)
		}
	}
	for side, s := range r.sides() {
		if p := s.Process; p != nil {
			fmt.Fprintf(b, "\n%-4s%s (pid %d): %.3f ms of CPU time per request, %.1f MiB resident, %.1f at most", names()[side]+":", p.Name, p.PID,
				p.CPUPerRequest, float64(p.RSS)/(1<<20), float64(p.MaxRSS)/(1<<20))
		}
	}
	if r.Off.Process != nil || r.On.Process != nil {
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
