package report

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// synthetic is a run of which the response times are drawn: each second has its own
// factor, as a busy machine has, and each iteration a logarithmic normal time around
// 20 ms.
type synthetic struct {
	seconds   int
	perSecond int
	factor    float64 // of all times
	sway      float64 // standard deviation of the logarithm of a second's factor
	failed    float64
	whole     bool // without intervals
}

func (s synthetic) report(seed uint64) *Report {
	rng := rand.New(rand.NewPCG(seed, 99))
	r := New(loadgen.JobConfig{}, &loadgen.Snapshot{Valid: true, Elapsed: time.Duration(s.seconds) * time.Second})
	for second := range s.seconds {
		i := Interval{From: time.Duration(second) * time.Second, To: time.Duration(second+1) * time.Second}
		around := 0.02 * s.factor * math.Exp(s.sway*rng.NormFloat64())
		for range s.perSecond {
			d := time.Duration(around * math.Exp(0.5*rng.NormFloat64()) * float64(time.Second))
			i.Response.Record(d)
			i.Service.Record(d)
			i.Iterations++
			i.Requests++
			if rng.Float64() < s.failed {
				i.FailedIterations++
				i.FailedRequests++
			}
		}
		r.Snapshot.Totals.Merge(&i.Totals)
		if !s.whole {
			r.Intervals = append(r.Intervals, i)
		}
	}
	return r
}

// outcomes counts what became of each metric in many comparisons of a with b.
func outcomes(t *testing.T, a, b synthetic, trials int) map[string]map[Outcome]int {
	t.Helper()
	counts := map[string]map[Outcome]int{}
	for n := range trials {
		c, err := Compare(a.report(uint64(2*n)), b.report(uint64(2*n+1)), CompareOptions{Resamples: 200, Seed: uint64(n)})
		require.NoError(t, err)
		for _, d := range c.Metrics {
			if counts[d.Metric] == nil {
				counts[d.Metric] = map[Outcome]int{}
			}
			counts[d.Metric][d.Outcome]++
		}
	}
	return counts
}

// TestCompareEqual compares runs of the same distribution: at 95 % confidence, one in
// twenty differs by chance.
func TestCompareEqual(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  synthetic
	}{
		{"by intervals", synthetic{seconds: 40, perSecond: 50, factor: 1, failed: 0.05}},
		{"by intervals that are alike within", synthetic{seconds: 40, perSecond: 50, factor: 1, sway: 0.3, failed: 0.05}},
		{"by iterations", synthetic{seconds: 10, perSecond: 200, factor: 1, failed: 0.05, whole: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const trials = 100
			all := outcomes(t, tt.run, tt.run, trials)
			require.Len(t, all, 12)
			for metric, counts := range all {
				assert.LessOrEqual(t, counts[Better]+counts[Worse], 12, "%s: %v of %d", metric, counts, trials)
			}
		})
	}
}

// TestCompareNeedsIntervals shows why intervals are resampled where there are enough:
// times that sway together make single iterations surer than they are.
func TestCompareNeedsIntervals(t *testing.T) {
	sways := synthetic{seconds: 40, perSecond: 50, factor: 1, sway: 0.3}
	whole := sways
	whole.whole = true
	const trials = 60
	counts := outcomes(t, whole, whole, trials)["response p50"]
	assert.Greater(t, counts[Better]+counts[Worse], trials/3, "%v: the same distribution, taken for two", counts)
}

// TestCompareDifferent compares runs that do differ.
func TestCompareDifferent(t *testing.T) {
	run := synthetic{seconds: 60, perSecond: 100, factor: 1, failed: 0.01}
	slower, faster, failing, fewer := run, run, run, run
	slower.factor, faster.factor, failing.failed, fewer.perSecond = 1.1, 0.9, 0.05, 80
	const trials = 12
	for _, tt := range []struct {
		metric string
		after  synthetic
		want   Outcome
	}{
		{"response p50", slower, Worse},
		{"response p50", faster, Better},
		{"error rate", failing, Worse},
		{"rate", fewer, Worse},
	} {
		assert.GreaterOrEqual(t, outcomes(t, run, tt.after, trials)[tt.metric][tt.want], trials-1, tt.metric)
	}
}

// TestSingleDraws holds the shortcut against what it stands for: a quantile of n values
// drawn from the histogram one by one; and against theory, by which the median of n
// values has a standard deviation of 1/(2 f sqrt n).
func TestSingleDraws(t *testing.T) {
	r := synthetic{seconds: 1, perSecond: 2000, factor: 1, whole: true}.report(1)
	h := &r.Snapshot.Response
	metrics := comparedMetrics()
	for _, q := range []float64{0.5, 0.99} {
		at := slices.IndexFunc(metrics, func(m comparedMetric) bool { return m.time == responseTime && m.q == q })
		d := newDrawer(r, metrics, rand.New(rand.NewPCG(1, 1)), false)
		rng := rand.New(rand.NewPCG(2, 2))
		values := make([]float64, len(metrics))
		var fast, slow []float64
		for range 400 {
			d.draw(values)
			fast = append(fast, values[at])
			var again loadgen.Histogram
			for range h.Count() {
				again.Record(h.Quantile(rng.Float64()))
			}
			slow = append(slow, again.Quantile(q).Seconds())
		}
		slices.Sort(fast)
		slices.Sort(slow)
		for _, p := range []int{20, 200, 380} {
			assert.InEpsilon(t, slow[p], fast[p], 0.03, "q %v, %d of 400", q, p)
		}
		if q == 0.5 {
			density := 1 / (0.02 * 0.5 * math.Sqrt(2*math.Pi))
			assert.InEpsilon(t, 1/(2*density*math.Sqrt(2000)), spread(fast), 0.2)
		}
	}
}

func spread(list []float64) float64 {
	var mean, sum float64
	for _, v := range list {
		mean += v / float64(len(list))
	}
	for _, v := range list {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(list)-1))
}

// TestGammaAndBeta holds the generators against the mean and the variance that they must
// have.
func TestGammaAndBeta(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 20000
	for _, shape := range []float64{0.5, 1, 3, 1000} {
		list := make([]float64, n)
		var mean float64
		for i := range list {
			list[i] = gamma(rng, shape)
			mean += list[i] / n
		}
		assert.InDelta(t, shape, mean, 5*math.Sqrt(shape/n))
		assert.InEpsilon(t, math.Sqrt(shape), spread(list), 0.05)
	}
	for _, ab := range [][2]float64{{0.5, 100.5}, {2, 2}, {990, 11}} {
		a, b := ab[0], ab[1]
		list := make([]float64, n)
		var mean float64
		for i := range list {
			list[i] = beta(rng, a, b)
			mean += list[i] / n
		}
		deviation := math.Sqrt(a*b/(a+b+1)) / (a + b)
		assert.InDelta(t, a/(a+b), mean, 5*deviation/math.Sqrt(n))
		assert.InEpsilon(t, deviation, spread(list), 0.05)
	}
}

func TestCompareIsDeterministic(t *testing.T) {
	a := synthetic{seconds: 30, perSecond: 20, factor: 1}.report(1)
	b := synthetic{seconds: 30, perSecond: 20, factor: 1.2}.report(2)
	one, err := Compare(a, b, CompareOptions{Seed: 7})
	require.NoError(t, err)
	two, err := Compare(a, b, CompareOptions{Seed: 7})
	require.NoError(t, err)
	assert.Equal(t, one, two)

	back, err := Compare(b, a, CompareOptions{Seed: 7})
	require.NoError(t, err)
	for i, d := range one.Metrics {
		assert.Equal(t, d.Change, -back.Metrics[i].Change, d.Metric)
		mirror := map[Outcome]Outcome{Better: Worse, Worse: Better, Same: Same}
		assert.Equal(t, mirror[d.Outcome], back.Metrics[i].Outcome, d.Metric)
	}
	assert.NotEmpty(t, one.WorseThan(0.05))
	assert.Empty(t, one.WorseThan(0.5))
}

// TestCompareSelf compares a run with itself: nothing may differ.
func TestCompareSelf(t *testing.T) {
	for _, run := range []synthetic{{seconds: 30, perSecond: 5, factor: 1}, {seconds: 3, perSecond: 5, factor: 1, failed: 1}} {
		r := run.report(1)
		c, err := Compare(r, r, CompareOptions{})
		require.NoError(t, err)
		for _, d := range c.Metrics {
			assert.Equal(t, Same, d.Outcome, d.Metric)
			assert.Zero(t, d.Change, d.Metric)
			assert.LessOrEqual(t, d.Low, 0.0)
			assert.GreaterOrEqual(t, d.High, 0.0)
		}
	}
}

// TestCompareIntervalsMakeSense compares runs of few iterations and wide times: nothing
// falls by more than all of it, and the verdict is what the interval says.
func TestCompareIntervalsMakeSense(t *testing.T) {
	few := synthetic{seconds: 3, perSecond: 3, factor: 1, sway: 2, failed: 0.5, whole: true}
	many := synthetic{seconds: 30, perSecond: 2, factor: 1, sway: 2, failed: 0.5}
	for seed := range uint64(20) {
		for _, runs := range [][2]synthetic{{few, few}, {many, many}, {few, many}} {
			c, err := Compare(runs[0].report(seed), runs[1].report(seed+100), CompareOptions{Resamples: 200})
			require.NoError(t, err)
			for _, d := range c.Metrics {
				if d.Unit != "%" {
					assert.GreaterOrEqual(t, d.Low, -d.Before, "%+v", d)
				}
				assert.LessOrEqual(t, d.Low, d.High, "%+v", d)
				assert.Equal(t, d.Low <= 0 && d.High >= 0, d.Outcome == Same, "%+v", d)
				_, err := json.Marshal(d)
				assert.NoError(t, err)
			}
		}
	}
}

// TestCompareOfTooFew: a single slow iteration, or the slowest of fifty, is no change.
func TestCompareOfTooFew(t *testing.T) {
	outcomes := func(seconds int) map[string]Outcome {
		c, err := Compare(synthetic{seconds: seconds, perSecond: 1, factor: 1}.report(1), synthetic{seconds: seconds, perSecond: 1, factor: 100}.report(2), CompareOptions{})
		require.NoError(t, err)
		by := map[string]Outcome{}
		for _, d := range c.Metrics {
			by[d.Metric] = d.Outcome
		}
		return by
	}
	one := outcomes(1)
	assert.Equal(t, TooFew, one["response p50"])
	assert.Equal(t, TooFew, one["service mean"])
	fifty := outcomes(50)
	assert.Equal(t, Worse, fifty["response p50"])
	assert.Equal(t, Worse, fifty["service p95"])
	assert.Equal(t, TooFew, fifty["response p99"])
	assert.Equal(t, Worse, outcomes(100)["response p99"])
}

// TestCompareTasks: the task that has changed is told from those that have not, and one
// that only one run has from all.
func TestCompareTasks(t *testing.T) {
	task := func(r *Report, name string, run synthetic, seed uint64) {
		s := run.report(seed).Snapshot
		r.Snapshot.Tasks = append(r.Snapshot.Tasks, loadgen.TaskSnapshot{Task: name, Totals: s.Totals})
		r.Snapshot.Totals.Merge(&s.Totals)
	}
	steady := synthetic{seconds: 10, perSecond: 100, factor: 1, whole: true}
	slower := steady
	slower.factor = 1.3
	a, b := New(loadgen.JobConfig{}, &loadgen.Snapshot{Valid: true, LoadDuration: 10 * time.Second}), New(loadgen.JobConfig{}, &loadgen.Snapshot{Valid: true, LoadDuration: 10 * time.Second})
	task(a, "home", steady, 1)
	task(a, "buy", steady, 2)
	task(a, "old", steady, 3)
	task(b, "buy", slower, 4)
	task(b, "home", steady, 5)
	task(b, "new", steady, 6)
	c, err := Compare(a, b, CompareOptions{})
	require.NoError(t, err)
	var got []string
	for _, task := range c.Tasks {
		line := task.Task + " " + task.Only
		for _, d := range task.Metrics {
			line += d.Metric + " " + string(d.Outcome) + ", "
		}
		got = append(got, line)
	}
	assert.Equal(t, []string{
		"buy response p50 worse, response p95 worse, rate same, error rate same, ",
		"home response p50 same, response p95 same, rate same, error rate same, ",
		"new after", "old before",
	}, got)
	var out strings.Builder
	require.NoError(t, c.WriteText(&out))
	_, tasks, _ := strings.Cut(out.String(), "By task")
	assert.Contains(t, tasks, "\n  no difference to be told: home\n\n  only in the run before: old\n\n  only in the run after: new\n")
	assert.NotContains(t, tasks, "\n  home\n", "only tasks that differ have rows")
	assert.Regexp(t, `\n  buy\n  response p50 .* worse\n`, out.String())

	one, err := Compare(steady.report(1), steady.report(2), CompareOptions{})
	require.NoError(t, err)
	assert.Empty(t, one.Tasks)
}

// TestCompareRateIsOfTheTimeUnderLoad: a slow end is no lower rate.
func TestCompareRateIsOfTheTimeUnderLoad(t *testing.T) {
	run := synthetic{seconds: 30, perSecond: 50, factor: 1}
	a, b := run.report(1), run.report(2)
	for i := range b.Intervals {
		b.Intervals[i].Offered = b.Intervals[i].Length()
	}
	b.Intervals = append(b.Intervals, Interval{From: 30 * time.Second, To: 60 * time.Second})
	b.Snapshot.LoadDuration, b.Snapshot.Elapsed = 30*time.Second, time.Minute
	c, err := Compare(a, b, CompareOptions{})
	require.NoError(t, err)
	rate := c.Metrics[slices.IndexFunc(c.Metrics, func(d Difference) bool { return d.Metric == "rate" })]
	assert.Equal(t, Same, rate.Outcome, "%+v", rate)
	assert.InDelta(t, rate.Before, rate.After, 1e-9)
}

func TestCompareText(t *testing.T) {
	a := synthetic{seconds: 30, perSecond: 100, factor: 1}.report(1)
	b := synthetic{seconds: 30, perSecond: 90, factor: 1.3, failed: 0.02}.report(2)
	a.Config.ScenarioName, b.Config.ScenarioName = "shop", "dyno"
	b.Snapshot.Valid, b.Snapshot.Invalid = false, []string{"schedule lag"}
	c, err := Compare(a, b, CompareOptions{})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, c.WriteText(&out))
	file := "testdata/compare.txt"
	if slices.Contains(os.Args, "-update") || slices.Contains(os.Args, "-test.update") {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String(), "go test ./report -update rewrites it")

	text, err := json.Marshal(c)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"relative":null`, "from no errors to some is infinitely more")
	assert.Len(t, c.Doubts, 2)
}

func TestCompareRefuses(t *testing.T) {
	r := synthetic{seconds: 2, perSecond: 5, factor: 1}.report(1)
	for _, o := range []CompareOptions{{Confidence: 0.5}, {Confidence: 1}, {Confidence: math.NaN()}, {Resamples: 99}, {Resamples: 1 << 30}} {
		_, err := Compare(r, r, o)
		assert.Error(t, err)
	}
	_, err := Compare(r, New(loadgen.JobConfig{}, &loadgen.Snapshot{}), CompareOptions{})
	assert.ErrorContains(t, err, "without iterations")
	c, err := Compare(r, r, CompareOptions{})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(c.Doubts, "\n"), "only 10 iterations")
}

func BenchmarkCompare(b *testing.B) {
	x := synthetic{seconds: 300, perSecond: 100, factor: 1}.report(1)
	y := synthetic{seconds: 300, perSecond: 100, factor: 1}.report(2)
	for b.Loop() {
		if _, err := Compare(x, y, CompareOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
