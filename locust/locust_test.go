package locust_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/locustwire"
	"github.com/opbeans/loadgen/locust"
)

const (
	spawning = locustwire.Spawning
	complete = locustwire.SpawningComplete
	stopped  = locustwire.ClientStopped
	ready    = locustwire.ClientReady
)

func TestATestFromStartToStop(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(3)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		job := w.job()
		assert.Equal(t, 3, job.Snapshot().VUs)
		time.Sleep(10 * time.Second)
		w.spawn(5)
		w.spawn(2)
		assert.Equal(t, []string{spawning, complete, spawning, complete}, w.heard())
		assert.Same(t, job, w.job(), "the job is changed in place")
		assert.EqualValues(t, 3, job.Status().Revision)
		time.Sleep(5 * time.Second)
		assert.Equal(t, 2, job.Snapshot().VUs)
		w.mu.Lock()
		assert.GreaterOrEqual(t, w.reports, 4, "one each three seconds")
		w.mu.Unlock()

		w.stop()
		time.Sleep(time.Second)
		assert.Equal(t, []string{stopped, ready}, w.heard())
		assert.Equal(t, loadgen.StateStopped, job.State())
		w.agree()
		assert.InDelta(t, 300+100, w.served.Load(), 5, "ten of each user in a second, and the first of those that came and went")

		w.spawn(1)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		assert.NotSame(t, job, w.job(), "another test is another job")
		time.Sleep(time.Second)
		w.tell(locustwire.Quit, nil)
		require.NoError(t, <-w.ended)
		w.agree()
		assert.Equal(t, []string{locustwire.Quit}, w.heard())
		w.down()
	})
}

func TestLeaving(t *testing.T) {
	slow := func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) }
	inWorld(t, slow, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(4)
		time.Sleep(5 * time.Second)
		w.leave()
		require.NoError(t, <-w.ended, "it waits for the requests that are on their way")
		assert.Equal(t, []string{spawning, complete, locustwire.Quit}, w.heard())
		w.agree()
		w.down()
	})
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.work(locust.Config{})
		synctest.Wait()
		w.leave()
		require.NoError(t, w.result(), "no master yet")
	})
}

// A cut that ends in time loses nothing but a report that is on its way, which none is here,
// between two seconds: the job runs on, and all is reported later.
func TestCut(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(10)
		job := w.job()
		time.Sleep(500 * time.Millisecond)
		for range 3 {
			time.Sleep(7 * time.Second)
			w.down()
			before := job.Snapshot().Requests
			time.Sleep(40 * time.Second)
			assert.EqualValues(t, 4000, job.Snapshot().Requests-before)
			w.up()
		}
		time.Sleep(5 * time.Second)
		w.cut() // and at once it is there again
		time.Sleep(5 * time.Second)
		w.stop()
		time.Sleep(time.Second)
		want := []string{spawning, complete}
		for range 3 { // the master misses it, and gives it users anew
			want = append(want, spawning, complete)
		}
		assert.Equal(t, append(want, stopped, ready), w.heard(), "it did not have to join again")
		w.agree()
		assert.Same(t, job, w.job())
		w.bye()
	})
}

// The end of a test that comes while a worker is cut off does not reach it, and the master
// does not say it again: once the worker is back, it stops by itself.
func TestTestThatEndsDuringACut(t *testing.T) {
	for _, users := range []int{10, 0} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.joined(locust.Config{})
			w.spawn(10)
			w.spawn(users)
			job := w.job()
			time.Sleep(7500 * time.Millisecond)
			w.down()
			w.stop()
			time.Sleep(30 * time.Second)
			w.heard()
			w.up()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, job.Wait(ctx))
			time.Sleep(10 * time.Second)
			assert.Equal(t, []string{stopped, ready, stopped, ready}, w.heard(), "it asks, and ends")
			w.agree()

			w.spawn(3)
			time.Sleep(time.Minute)
			assert.Equal(t, []string{spawning, complete}, w.heard(), "another test is another test")
			assert.Equal(t, 3, w.job().Snapshot().VUs)
			w.bye()
			w.agree()
		})
	}
}

// A worker that cannot know whether the master has missed it asks, and so has users again.
// Its job goes on.
func TestCutThatTheMasterHasNotSeen(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{ID: "worker"})
		w.spawn(10)
		job := w.job()
		time.Sleep(7900 * time.Millisecond) // the last heartbeat was 0.9 s ago
		w.down()
		time.Sleep(3 * time.Second) // it connects again half a second later
		w.up()
		time.Sleep(20 * time.Second)
		assert.Equal(t, []string{spawning, complete, stopped, ready, spawning, complete}, w.heard())
		assert.Equal(t, 10, w.job().Snapshot().VUs)
		assert.True(t, job == w.job(), "the same job")
		w.bye()
		w.agree()
	})
	inWorld(t, nil, func(t *testing.T, w *world) { // so short that it cannot have
		w.joined(locust.Config{ID: "worker"})
		w.spawn(10)
		time.Sleep(7100 * time.Millisecond)
		w.down()
		time.Sleep(2 * time.Second)
		w.up()
		time.Sleep(20 * time.Second)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		w.bye()
		w.agree()
	})
}

func TestMasterAsksForANewConnection(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{ID: "worker"})
		w.spawn(1)
		w.tell(locustwire.Reconnect, nil)
		time.Sleep(3 * time.Second)
		w.mu.Lock()
		assert.Len(t, w.conns, 1)
		assert.Equal(t, []string{"worker"}, w.known)
		w.mu.Unlock()
		assert.Equal(t, loadgen.StateRunning, w.job().State())
		w.leave()
		require.NoError(t, <-w.ended)
		w.agree()
		w.down()
	})
}

// A master that was started anew has no use for users and numbers of the test before.
func TestRestartedMaster(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{ID: "first"})
		w.spawn(10)
		time.Sleep(10 * time.Second)
		w.down()
		w.forget()
		time.Sleep(5 * time.Second)
		w.up()
		time.Sleep(30 * time.Second)
		assert.Equal(t, []string{ready}, w.heard())
		assert.Equal(t, loadgen.StateStopped, w.job().State())
		w.mu.Lock()
		assert.NotContains(t, w.known, "first")
		assert.Zero(t, w.total.Requests)
		w.mu.Unlock()

		w.served.Store(0)
		w.clock = 0 // its clock may be behind
		w.spawn(1)
		time.Sleep(10 * time.Second)
		w.bye()
		w.agree()
		assert.NotZero(t, w.served.Load())
	})
}

// A ROUTER that still has the old connection of a worker drops what comes on the new one.
func TestMasterThatIsSlowToForgetAConnection(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{ID: "worker"})
		w.spawn(10)
		job := w.job()
		time.Sleep(2500 * time.Millisecond)
		w.mute.Store(true)
		w.cut()
		time.Sleep(3 * time.Second)
		w.mu.Lock()
		for c := range w.conns {
			w.deaf[c] = true
		}
		w.mu.Unlock()
		w.mute.Store(false)
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{spawning, complete, spawning, complete}, w.heard(), "it is the same worker")
		assert.Same(t, job, w.job())
		w.bye()
		w.agree()
	})
}

// Without a sign of the master for a minute the worker ends, as Locust's own do.
func TestMasterIsGone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(1)
		time.Sleep(time.Second)
		w.down()
		began := time.Now()
		require.ErrorIs(t, <-w.ended, locust.ErrNoMaster)
		assert.InDelta(t, 60, time.Since(began).Seconds(), 3)
		assert.Equal(t, loadgen.StateStopped, w.job().State())
	})
	inWorld(t, nil, func(t *testing.T, w *world) { // it is there, and hangs
		w.joined(locust.Config{})
		w.spawn(1)
		w.mute.Store(true)
		began := time.Now()
		err := <-w.ended
		require.ErrorIs(t, err, locust.ErrNoMaster)
		assert.Less(t, time.Since(began), 3*time.Minute)
		w.down()
	})
	inWorld(t, nil, func(t *testing.T, w *world) { // it never was
		began := time.Now()
		w.work(locust.Config{})
		require.ErrorIs(t, <-w.ended, locust.ErrNoMaster)
		assert.InDelta(t, 300, time.Since(began).Seconds(), 2)
	})
}

// What listens there is something else, or a master that is slow to begin.
func TestMasterThatDoesNotGreet(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		stop, err := w.net.Serve(masterAddr, http.NotFoundHandler())
		require.NoError(t, err)
		w.work(locust.Config{})
		time.Sleep(time.Minute)
		require.ErrorIs(t, w.result(), errEnded)
		stop()
		w.up()
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{ready}, w.heard())
		w.bye()
	})
}

// A master that is busy for a while is waited for.
func TestSlowMaster(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{ID: "worker"})
		w.spawn(1)
		w.mute.Store(true)
		time.Sleep(15 * time.Second)
		w.mute.Store(false)
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		w.bye()
		w.agree()
	})
}

func TestOldOrders(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(4)
		w.clock -= 2
		w.spawn(9)
		assert.Equal(t, 4, w.job().Config().Workers)
		w.bye()
	})
}

// An order that comes while the test before ends waits for that.
func TestStartRightAfterStop(t *testing.T) {
	slow := func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) }
	inWorld(t, slow, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(2)
		time.Sleep(time.Second)
		job := w.job()
		w.stop()
		w.spawn(3)
		time.Sleep(3 * time.Second)
		assert.Equal(t, []string{spawning, complete, spawning, stopped, ready, complete, spawning, complete}, w.heard())
		assert.NotSame(t, job, w.job())
		assert.Equal(t, 3, w.job().Config().Workers)
		w.bye()
	})
}

func TestNoUsers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(0)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		w.spawn(2)
		time.Sleep(time.Second)
		w.spawn(0)
		time.Sleep(time.Second)
		assert.Equal(t, loadgen.StateStopped, w.job().State())
		w.spawn(1)
		time.Sleep(time.Second)
		assert.Equal(t, loadgen.StateRunning, w.job().State())
		w.bye()
		w.agree()
	})
}

// What goes wrong in the job shows on the master, and the worker stays.
func TestJobThatEndsByItself(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		var bad atomic.Bool
		bad.Store(true)
		scenario := loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if bad.Load() {
				return loadgen.ErrAbort
			}
			return vu.Get(ctx, "/")
		})
		w.joined(locust.Config{Job: loadgen.JobConfig{Scenario: scenario}})
		w.spawn(1)
		assert.Equal(t, []string{spawning, complete, locustwire.Exception, complete}, w.heard())
		w.spawn(2)
		assert.Equal(t, []string{spawning, locustwire.Exception, complete}, w.heard(), "not again in this test")
		w.stop()
		assert.Equal(t, []string{stopped, ready}, w.heard())
		bad.Store(false)
		w.spawn(2)
		time.Sleep(time.Second)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		w.bye()
		w.agree()
	})
}

func TestUsersThatCannotBe(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{})
		w.spawn(loadgen.MaxWorkers + 1)
		assert.Equal(t, []string{spawning, locustwire.Exception, complete}, w.heard())
		w.spawn(-1)
		assert.Equal(t, []string{spawning, locustwire.Exception, complete}, w.heard())
		w.spawn(1)
		w.tell(locustwire.Spawn, "nonsense")
		w.tell("update_user_class", nil)
		assert.Equal(t, []string{spawning, complete}, w.heard())
		assert.Equal(t, 1, w.job().Config().Workers)
		w.bye()
	})
}

func TestFailuresByTaskMethodAndClass(t *testing.T) {
	handler := func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			time.Sleep(300 * time.Millisecond)
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}
	inWorld(t, handler, func(t *testing.T, w *world) {
		scenario := loadgen.NewScenario("shop").Task("order", 1, func(ctx context.Context, vu *loadgen.VU) error {
			if err := vu.Get(ctx, "/"); err != nil {
				return err
			}
			_, err := vu.Do(ctx, &loadgen.Request{Method: http.MethodPost, URL: "/", Expect: loadgen.ExpectSuccess})
			return err
		}).Task("broken", 1, func(context.Context, *loadgen.VU) error { return errors.New("by itself") })
		w.joined(locust.Config{Job: loadgen.JobConfig{Scenario: scenario, Delay: time.Second, Seed: 1}})
		w.spawn(10)
		time.Sleep(20 * time.Second)
		job := w.job()
		w.bye()
		w.agree()
		snap := job.Snapshot()
		get, post := w.sum["GET order"], w.sum["POST order"]
		require.NotNil(t, get)
		require.NotNil(t, post)
		assert.Len(t, w.sum, 2)
		assert.Equal(t, snap.Requests, get.Requests+post.Requests)
		assert.Zero(t, get.Failures)
		assert.Equal(t, post.Requests, post.Failures)
		assert.Equal(t, snap.FailedRequests, w.total.Failures)
		assert.Equal(t, snap.Received, w.total.Size)
		assert.InDelta(t, 300, *post.Min, 1e-9)
		assert.InDelta(t, 300, post.Max, 1e-9)
		assert.InDelta(t, 300*float64(post.Requests), post.TotalTime, 1e-6)
		assert.Equal(t, map[int64]uint64{300: post.Requests}, post.Times)
		assert.Equal(t, map[string]uint64{
			"POST order: check": snap.Errors[loadgen.ClassCheck].Count,
			"TASK broken: task": snap.Errors[loadgen.ClassTask].Count,
		}, w.errors)
	})
}

// Without a URL of its own the worker drives what the master names, and a worker's seed
// differs from the next one's.
func TestTargetAndSeed(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.known = []string{"another"}
		w.joined(locust.Config{Job: loadgen.JobConfig{Seed: 7, Grace: time.Second}})
		w.spawn(1)
		cfg := w.job().Config()
		assert.Equal(t, "http://shop", cfg.BaseURL)
		assert.NotEqual(t, uint64(7), cfg.Seed)
		assert.Equal(t, time.Second, cfg.Grace)
		w.clock++
		w.tell(locustwire.Spawn, map[string]any{
			"timestamp": w.clock, "user_classes_count": map[string]int{"A": 1, "B": 2}, "host": "http://other", "stop_timeout": 30.0,
		})
		synctest.Wait()
		cfg = w.job().Config()
		assert.Equal(t, 3, cfg.Workers)
		assert.Equal(t, 30*time.Second, cfg.Grace)
		w.bye()
	})
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.joined(locust.Config{Job: loadgen.JobConfig{BaseURL: "http://shop:80", Seed: 7}})
		w.spawn(1)
		assert.Equal(t, "http://shop:80", w.job().Config().BaseURL)
		assert.EqualValues(t, 7, w.job().Config().Seed)
		w.bye()
	})
}

func TestConfigThatCannotBe(t *testing.T) {
	m := loadgen.New()
	defer m.Close()
	ok := locust.Config{Master: "localhost:5557", Job: loadgen.JobConfig{ScenarioName: "nosuch"}}
	require.NoError(t, ok.Validate())
	require.ErrorIs(t, locust.Run(t.Context(), m, ok), loadgen.ErrScenarioNotFound)
	for want, change := range map[string]func(*locust.Config){
		`the master must be HOST:PORT, such as localhost:5557, not "localhost"`: func(c *locust.Config) { c.Master = "localhost" },
		`not "localhost:0"`:            func(c *locust.Config) { c.Master = "localhost:0" },
		`not ":5557"`:                  func(c *locust.Config) { c.Master = ":5557" },
		"at most 255 bytes":            func(c *locust.Config) { c.ID = string(make([]byte, 256)) },
		"workers cannot be set":        func(c *locust.Config) { c.Job.Workers = 3 },
		"max_workers cannot be set":    func(c *locust.Config) { c.Job.MaxWorkers = 3 },
		"rate cannot be set":           func(c *locust.Config) { c.Job.Rate = loadgen.Rate{Count: 1, Per: time.Second} },
		"stages cannot be set":         func(c *locust.Config) { c.Job.Stages = []loadgen.Stage{{Duration: 1, Workers: 1}} },
		"ramp_up cannot be set":        func(c *locust.Config) { c.Job.RampUp = 3 },
		"duration cannot be set":       func(c *locust.Config) { c.Job.Duration = 3 },
		"max_iterations cannot be set": func(c *locust.Config) { c.Job.MaxIterations = 3 },
		"segment cannot be set":        func(c *locust.Config) { c.Job.Segment = loadgen.Segment{Index: 1, Count: 2} },
		"start_at cannot be set":       func(c *locust.Config) { c.Job.StartAt = time.Now() },
		"lease cannot be set":          func(c *locust.Config) { c.Job.Lease = time.Minute },
	} {
		c := ok
		change(&c)
		assert.ErrorContains(t, locust.Run(t.Context(), m, c), want)
	}
}
