package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/internal/memnet"
	"github.com/opbeans/loadgen/loadtest"
)

// fake is a test that is to fail.
type fake struct {
	testing.TB // for what is not replaced
	ctx        context.Context
	mu         sync.Mutex
	said       []string
	fatal      bool
}

func (f *fake) Helper()                  {}
func (f *fake) Name() string             { return "TestShop/fast" }
func (f *fake) Context() context.Context { return f.ctx }
func (f *fake) Error(args ...any)        { f.say(fmt.Sprint(args...)) }
func (f *fake) Fatal(args ...any)        { f.say(fmt.Sprint(args...)); f.fatal = true; runtime.Goexit() }

func (f *fake) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

func (f *fake) say(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, what)
}

// dated is a fake with a deadline.
type dated struct {
	*fake
	at time.Time
}

func (d dated) Deadline() (time.Time, bool) { return d.at, true }

// failing runs f with a test that may fail, on a goroutine of its own, which Fatal
// ends.
func failing(t *testing.T, f func(fake *fake)) *fake {
	t.Helper()
	ft := &fake{TB: t, ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ft)
	}()
	<-done
	return ft
}

// shop answers after as many milliseconds as the number at the end of the path says;
// every tenth number fails.
func shop(w http.ResponseWriter, r *http.Request) {
	var n int
	_, _ = fmt.Sscanf(filepath.Base(r.URL.Path), "%d", &n)
	time.Sleep(time.Duration(n) * time.Millisecond)
	if n%10 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func counting() *loadgen.Scenario {
	i := 0 // of the only VU
	return loadgen.NewScenario("shop").Task("item", 1, func(ctx context.Context, vu *loadgen.VU) error {
		i++
		_, err := vu.Do(ctx, &loadgen.Request{
			Method: http.MethodPost, URL: fmt.Sprintf("/items/%d", (i*7)%50+1), Expect: loadgen.ExpectSuccess,
			Header: http.Header{"Authorization": {"Bearer s3cret"}, "Content-Type": {"application/json"}},
			Body:   []byte(fmt.Sprintf(`{"n":%d,"password":"s3cret"}`, i)),
		})
		return err
	})
}

func TestAFailureIsOneReadableBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ft := failing(t, func(f *fake) {
			snap := loadtest.Run(f, loadgen.JobConfig{Scenario: counting(), MaxIterations: 200, Seed: 7},
				loadtest.Handler(http.HandlerFunc(shop)), loadtest.Slowest(3),
				loadtest.P99Below(20*time.Millisecond), loadtest.ErrorRateBelow(0.05), loadtest.MaxBelow(time.Second),
				loadtest.Threshold("lag.p99 < 1ms"), loadtest.RateAbove(10))
			assert.EqualValues(t, 200, snap.Iterations)
			assert.Equal(t, "TestShop fast", snap.Job)
		})
		require.Len(t, ft.said, 1)
		assert.False(t, ft.fatal, "the test goes on")
		assert.NotContains(t, ft.said[0], "s3cret")
		golden.Check(t, "testdata/block.txt", []byte(ft.said[0]+"\n"))
	})
}

func TestAPassSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := loadtest.Run(t, loadgen.JobConfig{Scenario: counting(), MaxIterations: 6},
			loadtest.Handler(http.HandlerFunc(shop)), loadtest.NoFailures(), loadtest.MaxBelow(50*time.Millisecond),
			loadtest.MeanBelow(time.Second), loadtest.P50Below(time.Second), loadtest.P90Below(time.Second),
			loadtest.P95Below(time.Second), loadtest.P999Below(time.Second))
		assert.Len(t, snap.Verdicts, 7)
		assert.Empty(t, snap.FailedVerdicts())
	})
}

// What nobody has served was not served in time.
func TestARunOfWhichNothingSucceedsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := loadgen.NewScenario("down").Task("item", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/10") })
		run := func(opts ...loadtest.Option) []string {
			return failing(t, func(f *fake) {
				loadtest.Run(f, loadgen.JobConfig{Scenario: down, MaxIterations: 5}, append(opts, loadtest.Handler(http.HandlerFunc(shop)))...)
			}).said
		}
		for _, said := range [][]string{run(), run(loadtest.P99Below(time.Second))} {
			require.Len(t, said, 1)
			assert.Contains(t, said[0], "loadtest: every iteration failed, and no threshold is about failures\n")
			assert.Contains(t, said[0], "check  5, for instance: GET /10: status 503")
		}
		assert.Empty(t, run(loadtest.Threshold("error_rate <= 100%")))
	})
}

// A day of load by ten users, in virtual time: latencies are what the handler sleeps.
func TestADayInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/25") })
		snap := loadtest.Run(t, loadgen.JobConfig{Scenario: home, Rate: loadgen.PerMinute(10), Duration: 24 * time.Hour},
			loadtest.Handler(http.HandlerFunc(shop)), loadtest.P99Below(26*time.Millisecond), loadtest.NoFailures(),
			loadtest.Threshold("min >= 25ms"), loadtest.Threshold("max <= 25ms"))
		assert.EqualValues(t, 24*60*10, snap.Iterations)
		assert.Equal(t, 25*time.Millisecond, snap.Response.P99(), "exactly")
		assert.Equal(t, 24*time.Hour, snap.Elapsed)
	})
}

// Whatever ends a run, no goroutine is left: a bubble waits for none but its own, and
// fails if one of them is stuck.
func TestTheDeadlineEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ft := failing(t, func(f *fake) {
			loadtest.Run(dated{f, began.Add(10 * time.Minute)},
				loadgen.JobConfig{Scenario: hanging(), BaseURL: "http://none.test", Duration: time.Hour, Workers: 3})
		})
		require.Len(t, ft.said, 1)
		assert.Contains(t, ft.said[0], "loadtest: the job was ended by the test's deadline after 9m35s\n")
		assert.Contains(t, ft.said[0], "3 interrupted")
		assert.Equal(t, 9*time.Minute+35*time.Second, time.Since(began), "30 s before, and the grace time of 5 s")
	})
}

// A grace time beyond the deadline does not keep the test from reporting.
func TestTheDeadlineCutsTheGraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ft := failing(t, func(f *fake) {
			loadtest.Run(dated{f, began.Add(20 * time.Second)},
				loadgen.JobConfig{Scenario: hanging(), BaseURL: "http://none.test", Duration: time.Hour, Grace: time.Hour})
		})
		require.Len(t, ft.said, 1)
		assert.Equal(t, 19500*time.Millisecond, time.Since(began))
	})
}

func TestTheContextEndsTheRun(t *testing.T) {
	for _, whose := range []string{"test", "option"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ft := failing(t, func(f *fake) {
				var opts []loadtest.Option
				if whose == "test" {
					f.ctx = ctx
				} else {
					opts = append(opts, loadtest.Context(ctx))
				}
				cfg := loadgen.JobConfig{Scenario: hanging(), BaseURL: "http://none.test", Duration: time.Hour, Grace: loadgen.Off}
				snap := loadtest.Run(f, cfg, opts...) //nolint:contextcheck // it takes it as an option
				assert.Equal(t, time.Minute, snap.Elapsed)
			})
			require.Len(t, ft.said, 1)
			assert.Contains(t, ft.said[0], "the job was ended by its context after 1m0s", whose)
		})
	}
}

func hanging() *loadgen.Scenario {
	return loadgen.NewScenario("hanging").Task("hang", 1, func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Sleep(ctx, 24*time.Hour)
	})
}

func TestWhatCannotRunEndsTheTest(t *testing.T) {
	one := loadgen.JobConfig{Scenario: hanging(), BaseURL: "http://none.test", MaxIterations: 1}
	endless := one
	endless.MaxIterations = 0
	for want, run := range map[string]func(f *fake){
		"loadtest: the job would never end: set Duration, MaxIterations or Stages": func(f *fake) { loadtest.Run(f, endless) },
		`loadtest: threshold "p99 < 3": the bound of p99 must be a duration`:       func(f *fake) { loadtest.Run(f, one, loadtest.Threshold("p99 < 3")) },
		"scenario: a scenario is required":                                         func(f *fake) { loadtest.Run(f, loadgen.JobConfig{MaxIterations: 1}) },
	} {
		ft := failing(t, run)
		require.Len(t, ft.said, 1)
		assert.Contains(t, ft.said[0], want)
		assert.True(t, ft.fatal)
	}
}

func TestFailuresBesideThresholds(t *testing.T) {
	fails := func(err error) *loadgen.Scenario {
		return loadgen.NewScenario("s").Task("t", 1, func(context.Context, *loadgen.VU) error { return err })
	}
	for want, cfg := range map[string]loadgen.JobConfig{
		"loadtest: the job failed: ":                             {Scenario: fails(fmt.Errorf("%w: broken", loadgen.ErrAbort)), MaxIterations: 5},
		"loadtest: 1 of 1 threshold does not hold\n":             {Scenario: fails(errors.New("x")), MaxIterations: 5, Thresholds: loadgen.MustThresholds("failures < 2 abort")},
		"loadtest: 1 of 2 thresholds do not hold; no iteration ": {Scenario: hanging(), Duration: time.Second, Grace: loadgen.Off, Thresholds: loadgen.MustThresholds("p99 < 1s", "failures == 0")},
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg.BaseURL = "http://none.test"
			ft := failing(t, func(f *fake) { loadtest.Run(f, cfg) })
			require.Len(t, ft.said, 1)
			assert.Contains(t, ft.said[0], want)
		})
	}
}

// With real sockets: the goroutines that there were before are there after, and no
// more. The server is the test's.
func TestNoGoroutineIsLeft(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	home := loadgen.NewScenario("home").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, opts := range [][]loadtest.Option{nil, {loadtest.Handler(server.Config.Handler)}, {loadtest.Context(ctx)}} {
		loadtest.Run(t, loadgen.JobConfig{Scenario: home, BaseURL: server.URL, Workers: 20, MaxIterations: 500}, opts...)
		// Who has said that it is done still has to return.
		assert.EventuallyWithT(t, func(c *assert.CollectT) {
			stacks := make([]byte, 1<<20)
			text := string(stacks[:runtime.Stack(stacks, true)])
			for _, stack := range strings.Split(text, "\n\n") {
				if strings.Contains(stack, "loadgen.(*") || strings.Contains(stack, "memnet.") {
					assert.Fail(c, "left behind:\n"+stack)
				}
			}
		}, 5*time.Second, time.Millisecond)
	}
}

func TestOptionsOfTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(http.HandlerFunc(shop))
		defer stop()
		dials := 0
		snap := loadtest.Run(t, loadgen.JobConfig{Scenario: counting(), BaseURL: "http://shop.test", MaxIterations: 3},
			loadtest.With(loadgen.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials++
				return dial(ctx, network, addr)
			})))
		assert.EqualValues(t, 3, snap.Requests)
		assert.Equal(t, 1, dials)
	})
}

// What is told only when the job has ended counts.
func TestSettleComesBeforeTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := 3.0
		loadtest.Run(t, loadgen.JobConfig{Name: "shop", Scenario: counting(), MaxIterations: 3},
			loadtest.Handler(http.HandlerFunc(shop)),
			loadtest.With(loadgen.WithMetrics([]string{"apm.missing"}, func(*loadgen.Snapshot) (map[string]float64, bool) {
				return map[string]float64{"apm.missing": missing}, missing == 0
			})),
			loadtest.Threshold("apm.missing == 0"),
			loadtest.Settle(func(ctx context.Context, job string) {
				assert.Equal(t, "shop", job)
				assert.NoError(t, ctx.Err())
				missing = 0
			}))
	})
}
