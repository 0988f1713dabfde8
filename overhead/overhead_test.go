package overhead_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/overhead"
)

// twins are two services that differ in what cost says.
type twins struct {
	mu      sync.Mutex
	rng     *rand.Rand
	cost    time.Duration // more, with the agent
	noise   time.Duration // at most, of both
	status  func(with bool, call int) int
	seen    map[string][]string // requests by host
	order   []string            // of hosts
	running int
	most    int
}

func (s *twins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen[r.Host] = append(s.seen[r.Host], r.RequestURI)
	s.order = append(s.order, r.Host)
	s.running++
	s.most = max(s.most, s.running)
	d := 5 * time.Millisecond
	if strings.HasPrefix(r.URL.Path, "/slow") {
		d *= 4
	}
	if s.noise > 0 {
		d += time.Duration(s.rng.Int64N(int64(s.noise)))
	}
	if r.Host == "on" {
		d += s.cost
	}
	status := 200
	if s.status != nil {
		status = s.status(r.Host == "on", len(s.seen[r.Host]))
	}
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	w.WriteHeader(status)
}

const scenario = `
tasks:
  - name: fast
    weight: 3
    request: GET /fast/${randint(1, 1000000)}
  - name: slow
    steps:
      - request: GET /slow/${randint(1, 1000000)}
      - request: GET /fast/${randint(1, 1000000)}
`

func measure(t *testing.T, s *twins, m overhead.Measurement) (*overhead.Result, error) {
	t.Helper()
	s.seen, s.rng = map[string][]string{}, rand.New(rand.NewPCG(1, 2))
	dial, stop := memnet.Serve(s)
	defer stop()
	if m.Job.Scenario == nil {
		sc, err := loadgen.ParseScenario("shop", []byte(scenario))
		require.NoError(t, err)
		m.Job.Scenario = sc
	}
	m.Job.Seed = 7
	m.Off.URL, m.On.URL = "http://off", "http://on"
	return m.Run(t.Context(), loadgen.WithDialContext(dial))
}

// TestExactly: what the agent costs is known to the microsecond where nothing else varies.
func TestExactly(t *testing.T) {
	for _, workers := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			s := &twins{cost: 800 * time.Microsecond}
			var told []int
			r, err := measure(t, s, overhead.Measurement{
				Job: loadgen.JobConfig{Workers: workers, Thresholds: []loadgen.Threshold{}}, Pairs: 200, WarmUp: 20,
				Progress: func(done, of int) {
					assert.Equal(t, 220, of)
					told = append(told, done)
				},
			})
			require.NoError(t, err)
			assert.Len(t, told, 220)
			assert.Equal(t, 200, r.Pairs)
			require.Len(t, r.Tasks, 3)
			const exact = 1e-9
			for i, name := range []string{"fast", "slow", overhead.All} {
				task := r.Tasks[i]
				assert.Equal(t, name, task.Task)
				assert.Zero(t, task.Unpaired)
				want := map[string]float64{"fast": 0.8, "slow": 1.6, overhead.All: 0.8}[name]
				for _, x := range []float64{task.P50.Value, task.P50.Low, task.P50.High} {
					assert.InDelta(t, want, x, exact, name)
				}
				if name != overhead.All {
					assert.InDelta(t, want, task.Mean.Value, exact)
					assert.InDelta(t, want, task.P95.Value, exact)
				}
			}
			assert.Equal(t, 200, r.Tasks[0].Pairs+r.Tasks[1].Pairs)
			assert.InDelta(t, 5, r.Tasks[0].Off.P50, exact)
			assert.InDelta(t, 26.6, r.Tasks[1].On.P95, exact)
			assert.LessOrEqual(t, s.most, workers, "twins never run at a time")
			if workers > 1 {
				assert.ElementsMatch(t, s.seen["off"], s.seen["on"])
				return
			}
			assert.Equal(t, s.seen["off"], s.seen["on"], "the same requests")
			// Random order: pairs begin on either side, about as often.
			first := 0
			for _, host := range s.order {
				if host == "on" {
					first++
				}
			}
			assert.Equal(t, len(s.order)/2, first)
			changes := 0
			for i := range s.order[1:] {
				if s.order[i] != s.order[i+1] {
					changes++
				}
			}
			assert.Greater(t, changes, len(s.order)/3)
			assert.Less(t, changes, len(s.order)-len(s.order)/20, "they do not simply alternate")
		})
	}
}

// TestThroughNoise: an overhead far below the noise is found, and none where there is none.
func TestThroughNoise(t *testing.T) {
	for _, cost := range []time.Duration{0, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			r, err := measure(t, &twins{cost: cost, noise: 10 * time.Millisecond}, overhead.Measurement{
				Job:   loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })},
				Pairs: 3000,
			})
			require.NoError(t, err)
			want := cost.Seconds() * 1e3
			for _, i := range []overhead.Interval{r.Tasks[0].P50, r.Tasks[0].Mean} {
				assert.LessOrEqual(t, i.Low, want)
				assert.GreaterOrEqual(t, i.High, want)
				assert.Less(t, i.High-i.Low, 0.9)
				assert.Greater(t, i.High-i.Low, 0.1)
			}
			if cost > 0 {
				outcome, task := r.Judge(200 * time.Microsecond)
				assert.Equal(t, overhead.Exceeds, outcome)
				assert.Equal(t, "home", task.Task)
			}
			outcome, _ := r.Judge(2 * time.Millisecond)
			assert.Equal(t, overhead.Within, outcome)
			outcome, _ = r.Judge(time.Duration(r.Tasks[0].P50.Value * 1e6))
			assert.Equal(t, overhead.Unsure, outcome)
		})
	}
}

// TestFailuresDoNotCount: what fails fast would make an agent look cheap.
func TestFailuresDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &twins{cost: time.Millisecond, status: func(with bool, call int) int {
			if with && call%10 == 0 {
				return 500
			}
			return 200
		}}
		r, err := measure(t, s, overhead.Measurement{
			Job:   loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })},
			Pairs: 100, WarmUp: -1,
		})
		require.NoError(t, err)
		all := r.Tasks[len(r.Tasks)-1]
		assert.Equal(t, 100, r.Pairs)
		assert.Equal(t, 90, all.Pairs)
		assert.Equal(t, 10, all.Unpaired)
		assert.Equal(t, 10, all.FailedOn)
		assert.Zero(t, all.FailedOff)
		var b strings.Builder
		require.NoError(t, r.WriteText(&b))
		assert.Equal(t, `100 pairs of iterations; intervals have 95 % confidence
off: http://off
on:  http://on

task   pairs  off p50  on p50   overhead p50              mean                      p95
home   90     5.00 ms  6.00 ms  +1.000 ms [1.000, 1.000]  +1.000 ms [1.000, 1.000]  +1.000 ms [1.000, 1.000]
(all)  90     5.00 ms  6.00 ms  +1.000 ms [1.000, 1.000]  +1.000 ms [1.000, 1.000]  +1.000 ms [1.000, 1.000]

10 pairs do not count: of the iterations, 0 failed without the agent and 10 with it
`, b.String())
	})
}

// TestEndsEarly: with what is known so far.
func TestEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r, err := measure(t, &twins{}, overhead.Measurement{
			Job: loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error {
				if n++; n > 41 {
					return loadgen.ErrAbort
				}
				return vu.Get(ctx, "/")
			})},
			WarmUp: -1,
		})
		assert.ErrorContains(t, err, "has ended early")
		assert.Equal(t, 20, r.Tasks[0].Pairs)

		s := &twins{seen: map[string][]string{}}
		dial, stop := memnet.Serve(s)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 101*time.Millisecond) // within the 11th pair
		defer cancel()
		r, err = overhead.Measurement{
			Job: loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })},
			Off: overhead.Target{URL: "http://off"}, On: overhead.Target{URL: "http://on"}, WarmUp: -1,
		}.Run(ctx, loadgen.WithDialContext(dial))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 10, r.Tasks[0].Pairs, 1)
	})
}

func TestBadMeasurement(t *testing.T) {
	job := loadgen.JobConfig{Scenario: loadgen.NewScenario("one").Task("home", 1, func(context.Context, *loadgen.VU) error { return nil })}
	for want, m := range map[string]overhead.Measurement{
		"pairs":                       {Job: job, Pairs: -1},
		"confidence":                  {Job: job, Confidence: 1},
		"resamples":                   {Job: job, Resamples: 1},
		"off: a base URL is required": {Job: job, On: overhead.Target{URL: "http://on"}},
	} {
		_, err := m.Run(t.Context())
		assert.ErrorContains(t, err, want)
	}
	_, err := overhead.Measurement{Job: job, Off: overhead.Target{URL: "http://off"}, On: overhead.Target{URL: "nonsense"}}.Run(t.Context())
	assert.ErrorContains(t, err, "on: must begin with http:// or https://", "which of the two it is")
}
